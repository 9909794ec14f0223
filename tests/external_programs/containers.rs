//! The Dockerfile, the compose file and the example for Kubernetes in the programs that read them: a
//! linter (hadolint), Docker Compose without an engine, and the schemas of Kubernetes.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use botarmy_server::Settings;
use botarmy_tests::external_programs::{compose, container_tools};
use serde_json::{Value, json};
use tempfile::TempDir;

const DOCKERFILE: &str = include_str!("../../Dockerfile");
const EXAMPLE: &str = include_str!("../../.env.example");
const GUIDE: &str = include_str!("../../docs/deploying.md");

/// Versions of Kubernetes whose schemas the example is for: an old one, and the newest of the package.
const KUBERNETES: [&str; 2] = ["1.28", "1.37"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Runs the linter on a Dockerfile with this content.
fn lint(tools: &Path, content: &str) -> Output {
    // Where it would look for settings.
    let nowhere = TempDir::new().unwrap();
    let mut command = Command::new(tools.join("bin/hadolint"));
    command.arg("-").env_clear().env("HOME", nowhere.path()).current_dir(nowhere.path());
    command.stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(content.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_linter_finds_nothing_in_the_dockerfile() {
    let Some(tools) = container_tools() else { return };
    let output = lint(&tools, DOCKERFILE);
    assert!(output.status.success() && text(&output).is_empty(), "{}", text(&output));
    let output = lint(&tools, &DOCKERFILE.replace("FROM debian:bookworm-slim", "FROM debian"));
    assert!(!output.status.success() && text(&output).contains("DL3006"), "{}", text(&output));
}

/// Docker Compose with a file of variables.
struct Compose {
    program: PathBuf,
    folder: TempDir,
}

impl Compose {
    fn with(variables: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("env"), variables).unwrap();
        Some(Self { program: compose()?, folder })
    }

    /// Runs it with this file and these profiles.
    fn run(&self, profiles: &[&str], arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.env_clear().env("HOME", self.folder.path()).env("PATH", "/usr/bin:/bin");
        command.arg("--env-file").arg(self.folder.path().join("env"));
        command.args(profiles.iter().flat_map(|profile| ["--profile", profile]));
        command.args(arguments).current_dir(root()).output().unwrap()
    }

    /// Returns what the file means.
    fn config(&self, profiles: &[&str]) -> Value {
        let output = self.run(profiles, &["config", "--format", "json"]);
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn services(&self, profiles: &[&str]) -> BTreeSet<String> {
        let config = self.config(profiles);
        config["services"].as_object().unwrap().keys().cloned().collect()
    }
}

/// Returns the example with passwords.
fn filled_in() -> String {
    EXAMPLE.replace("PASSWORD=\n", "PASSWORD=s3cr3t\n")
}

#[test]
fn docker_compose_accepts_each_profile_with_the_variables_of_the_example() {
    let Some(compose) = Compose::with(&filled_in()) else { return };
    let services = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let both: BTreeSet<String> = services(&["postgres", "redis"]);
    let mut full: BTreeSet<String> = services(&["migrate", "botarmy-1", "botarmy-2"]);
    full.extend(both.clone());
    assert_eq!(compose.services(&[]), full, "the example names a profile");
    assert_eq!(compose.services(&["full"]), full);
    assert_eq!(compose.services(&["services"]), both);
    full.insert("worker".to_owned());
    assert_eq!(compose.services(&["full", "workers"]), full);

    let config = compose.config(&["full", "workers"]);
    for (name, service) in config["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}");
        }
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        if service["build"].is_null() {
            continue;
        }
        assert_eq!((&service["read_only"], &service["cap_drop"]), (&json!(true), &json!(["ALL"])));
        let variables = service["environment"].as_object().unwrap().iter();
        let variables =
            variables.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        let settings = Settings::load(None, variables).unwrap();
        settings.check_exposure().unwrap();
        assert_eq!(settings.store.url, "postgres://botarmy:s3cr3t@postgres:5432/botarmy", "{name}");
    }
}

#[test]
fn the_values_in_comments_of_the_example_are_those_that_docker_compose_uses() {
    let Some(compose) = Compose::with(&filled_in()) else { return };
    let mut all = String::new();
    for line in filled_in().lines() {
        let is_value = line.starts_with('#') && line[1..].starts_with(|c: char| c.is_uppercase());
        let is_value = is_value && line.contains('=');
        all += &format!("{}\n", if is_value { &line[1..] } else { line });
    }
    assert!(all.contains("\nVERSION=") && all.contains("\nHOSTS="), "{all}");
    let explicit = Compose::with(&all).unwrap();
    assert_eq!(explicit.config(&["full"]), compose.config(&["full"]));
    let other = Compose::with(&all.replace("\nPORT_2=8081", "\nPORT_2=9081")).unwrap();
    assert_eq!(other.config(&[])["services"]["botarmy-2"]["ports"][0]["published"], "9081");
}

#[test]
fn docker_compose_names_a_password_that_is_missing() {
    let Some(compose) = Compose::with(EXAMPLE) else { return };
    let output = compose.run(&["full"], &["config", "--quiet"]);
    let said = text(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("PASSWORD") && said.contains("copy .env.example to .env"), "{said}");
}

/// A `docker` that has Docker Compose read each command line, its files included, and carries out none.
const DOCKER: &str = r#"#!/usr/bin/env bash
set -eu
[ "$1" = compose ] || exit 64
shift
[ "$*" != version ] || exit 0
all=()
while [[ $1 == --* ]]; do
  all+=("$1" "$2")
  shift 2
done
"$COMPOSE_PROGRAM" "${all[@]}" config --quiet
"$COMPOSE_PROGRAM" "${all[@]}" "$1" --help "${@:2}" >/dev/null
echo "$1" >>"$ASKED"
"#;

#[test]
fn docker_compose_understands_every_command_of_the_deploy_script() {
    let Some(compose) = Compose::with("") else { return };
    let folder = compose.folder.path();
    let docker = folder.join("docker");
    std::fs::write(&docker, DOCKER).unwrap();
    std::fs::set_permissions(&docker, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let example = include_str!("../../deploy/staging.env.example");
    let own = format!("STATE='{}/state'\nREADY_TIMEOUT_S=1\n", folder.display());
    let environment = example.replace("PASSWORD=\n", "PASSWORD=s3cr3t\n") + own.as_str();
    std::fs::write(folder.join("staging.env"), environment).unwrap();
    let deploy = |action: &[&str]| {
        let mut command = Command::new(root().join("deploy/deploy"));
        command.arg(action[0]).arg(folder.join("staging.env")).args(&action[1..]);
        command.env_clear().env("PATH", &path).env("HOME", folder);
        command.env("COMPOSE_PROGRAM", &compose.program).env("ASKED", folder.join("asked"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{action:?}: {}", text(&output));
    };
    deploy(&["up", "one"]);
    deploy(&["up", "two"]);
    deploy(&["rollback"]);
    deploy(&["status"]);
    deploy(&["stop"]);
    let asked = std::fs::read_to_string(folder.join("asked")).unwrap();
    let asked: BTreeSet<_> = asked.lines().collect();
    assert_eq!(asked, ["build", "exec", "run", "stop", "up"].into());

    // An option that does not exist is refused, though nothing is carried out.
    let output = compose.run(&["full"], &["up", "--help", "--no-such-option", "botarmy-1"]);
    assert!(!output.status.success(), "{}", text(&output));
}

/// Checks objects against the schemas of a version.
fn validate(tools: &Path, version: &str, objects: &str) -> Output {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("objects.yaml");
    std::fs::write(&file, objects).unwrap();
    Command::new("python3")
        .args(["-m", "kubernetes_validate", "--strict", "--kubernetes-version", version])
        .arg(file)
        .env("PYTHONPATH", tools)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap()
}

#[test]
fn the_example_for_kubernetes_fits_its_schemas() {
    let Some(tools) = container_tools() else { return };
    let (_, rest) = GUIDE.split_once("```yaml\n").unwrap();
    let example = rest.split_once("\n```").unwrap().0;
    let named = format!("versions {} and {}", KUBERNETES[0], KUBERNETES[1]);
    assert!(GUIDE.contains(&named), "the guide does not name the {named}");
    for version in KUBERNETES {
        let output = validate(&tools, version, example);
        assert!(output.status.success(), "{version}: {}", text(&output));
        assert_eq!(text(&output).matches(" passed ").count(), 3, "{version}: {}", text(&output));
        let misspelt = example.replace("failureThreshold", "failureTreshold");
        let output = validate(&tools, version, &misspelt);
        assert!(!output.status.success(), "{version}: {}", text(&output));
    }
}
