//! The image, the compose file, the environment files and the example for Kubernetes agree with the code,
//! and the server works as they start it. None of these tests needs a container engine: `image.rs`
//! assembles the image, and `container.rs` runs it.

mod container;
mod image;
mod kubernetes;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use botarmy_server::Settings;
use botarmy_tests::server::{TIMEOUT, bare_client_builder};
use botarmy_tests::services::{self, PostgresServer};
use reqwest::Client;
use serde_json::{Value, json};

use crate::documentation::{blocks, defaults, guides, read, root};
use container::{Network, Plan};
use image::Image;

/// Returns the instructions of the Dockerfile, with continued lines joined and without comments.
fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let split = |line: &str| {
        let (word, rest) = line.split_once(' ')?;
        Some((word.to_owned(), rest.trim().to_owned()))
    };
    joined.lines().filter_map(split).collect()
}

/// Returns the argument of the last instruction of this name.
fn last(word: &str) -> String {
    let mut found = instructions().into_iter().filter(|(known, _)| known == word);
    found.next_back().unwrap_or_else(|| panic!("the Dockerfile has no {word}")).1
}

/// Returns the compose file, with its anchors resolved.
fn compose() -> Value {
    serde_saphyr::from_str(&read("compose.yaml")).unwrap()
}

/// Returns a value as compose reads it: `${NAME:-default}` is the default, `${NAME:?…}` is a
/// secret.
fn filled_in(value: &str) -> String {
    let mut text = value.to_owned();
    while let Some(start) = text.find("${") {
        let end = start + text[start..].find('}').unwrap();
        let inside = &text[start + 2..end];
        let replacement = inside.split_once(":-").map_or("s3cr3t", |(_, default)| default);
        text = format!("{}{replacement}{}", &text[..start], &text[end + 1..]);
    }
    text
}

/// Returns the variables of a service of the compose file.
fn environment(service: &Value) -> BTreeMap<String, String> {
    let pairs = service["environment"].as_object().unwrap().iter();
    pairs.map(|(name, value)| (name.clone(), filled_in(value.as_str().unwrap()))).collect()
}

/// Returns the command of a service, with `$$` as the dollar that it stands for.
fn command(service: &Value) -> Vec<String> {
    let words = service["command"].as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap().replace("$$", "$")).collect()
}

/// Returns the variables of a replica in containers: those of the image, overridden by the compose
/// file.
fn replica() -> BTreeMap<String, String> {
    let mut variables = Image::read().env;
    variables.extend(environment(&compose()["services"]["botarmy-1"]));
    variables
}

#[test]
fn a_replica_accepts_the_settings_it_is_given_in_a_container() {
    let settings = Settings::load(None, replica()).unwrap();
    settings.check_exposure().unwrap();
    assert!(settings.http.host.is_unspecified(), "loopback in a container cannot be reached");
    assert_eq!(settings.http.port.to_string(), last("EXPOSE"));
    assert_eq!(settings.store.data_dir, PathBuf::from(last("VOLUME")));
    assert!(settings.store.url.starts_with("postgres://botarmy:s3cr3t@postgres:5432/"));
    assert!(settings.redis.url.starts_with("redis://:s3cr3t@redis:6379"));
}

#[test]
fn the_image_alone_does_not_allow_remote_access() {
    let settings = Settings::load(None, Image::read().env).unwrap();
    let error = format!("{:#}", settings.check_exposure().unwrap_err());
    for missing in ["http.allow_remote", "http.hosts", "http.trusted_proxies"] {
        assert!(error.contains(missing), "{error}");
    }
}

#[test]
fn every_variable_that_a_file_names_is_a_setting() {
    let known: BTreeSet<_> =
        defaults().keys().map(|key| key.to_uppercase().replace('.', "__")).collect();
    for file in [
        "Dockerfile",
        "compose.yaml",
        ".env.example",
        "deploy/local.env",
        "deploy/staging.env.example",
        "deploy/deploy",
        "deploy/process.sh",
        "deploy/compose.sh",
        "docs/deploying.md",
    ] {
        for rest in read(file).split("BOTARMY_").skip(1) {
            let name = rest.split(|c: char| !c.is_ascii_uppercase() && c != '_').next().unwrap();
            if !name.is_empty() && !["CONFIG", "KEY", "SECTION__KEY"].contains(&name) {
                assert!(known.contains(name), "{file}: there is no setting BOTARMY_{name}");
            }
        }
    }
}

#[test]
fn the_image_is_built_with_a_rust_that_is_new_enough_and_runs_without_root() {
    let manifest = read("Cargo.toml");
    let needed = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    let number = |version: &str| -> Vec<u32> {
        version.split('.').map(|part| part.parse().unwrap()).collect()
    };
    let from: Vec<_> = instructions().into_iter().filter(|(word, _)| word == "FROM").collect();
    let rusts: BTreeSet<_> = from
        .iter()
        .filter_map(|(_, image)| image.strip_prefix("rust:")?.split('-').next())
        .collect();
    assert_eq!(rusts.len(), 1, "the stages are built with the same Rust: {rusts:?}");
    let rust = rusts.first().unwrap();
    assert!(number(rust) >= number(needed), "the image has Rust {rust}, {needed} is needed");

    let user = last("USER");
    let ids: Vec<u32> = user.split(':').map(|id| id.parse().expect("a number")).collect();
    assert!(ids.iter().all(|id| *id > 0), "USER {user} is root");
    assert_eq!(last("STOPSIGNAL"), "SIGTERM", "it is what `serve` stops for");
}

#[test]
fn what_the_image_runs_is_a_command_of_the_binary() {
    let probe = last("HEALTHCHECK");
    for command in [last("CMD"), probe.split("CMD ").nth(1).unwrap().to_owned()] {
        let words: Vec<String> = serde_json::from_str(&command).expect("the exec form");
        let arguments = words.iter().filter(|word| *word != "botarmy-server");
        let output = botarmy_tests::server::bare().args(arguments).arg("--help").output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
}

/// The files sent to the builder suffice to resolve the dependencies, and the empty sources are
/// where Cargo expects them.
#[test]
fn the_first_stage_leaves_a_workspace_that_cargo_understands() {
    let dir = tempfile::tempdir().unwrap();
    let ignore = read(".dockerignore");
    let sent: Vec<_> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for (word, rest) in instructions() {
        let sources: Vec<_> = rest.split_whitespace().collect();
        if word == "COPY" && !rest.starts_with("--from") && sources[0] != "." {
            let is_sent = sent.iter().any(|sent| sources[0].starts_with(sent));
            assert!(is_sent && root().join(sources[0]).exists(), "COPY {rest}");
        }
    }
    let copied = Command::new("cp")
        .args(["--recursive", "--parents"])
        .args(&sent)
        .arg(dir.path())
        .current_dir(root())
        .status()
        .unwrap();
    assert!(copied.success(), ".dockerignore names something that is not there");
    let (_, run) = instructions().into_iter().find(|(word, _)| word == "RUN").unwrap();
    let emptied = Command::new("sh").args(["-ec", &run]).current_dir(dir.path()).status().unwrap();
    assert!(emptied.success());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--no-deps"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let server = packages.iter().find(|package| package["name"] == "botarmy-server").unwrap();
    let kinds: BTreeSet<_> = server["targets"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|target| target["kind"][0].as_str())
        .collect();
    assert!(kinds.is_superset(&["lib", "bin"].into()), "{kinds:?}");
    let left: Vec<_> = std::fs::read_dir(dir.path().join("crates/botarmy-domain/src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "only the empty sources are left: {left:?}");
}

#[test]
fn the_compose_file_publishes_on_loopback_only_and_holds_no_password() {
    let text = read("compose.yaml");
    let ports: Vec<_> = text.lines().filter(|line| line.trim().starts_with("ports:")).collect();
    assert_eq!(ports.len(), 4, "PostgreSQL, Redis and two replicas: {ports:?}");
    for port in &ports {
        assert!(port.contains("[\"127.0.0.1:"), "{port}");
    }
    let own = format!(":{}\"]", Settings::defaults().http.port);
    assert_eq!(ports.iter().filter(|port| port.contains(&own)).count(), 2, "{ports:?}");

    let example = read(".env.example");
    let mut secrets = 0;
    for rest in text.split("${").skip(1) {
        let inside = rest.split('}').next().unwrap();
        let name: String = inside
            .chars()
            .take_while(|c| c.is_ascii_uppercase() || "_0123456789".contains(*c))
            .collect();
        assert!(example.contains(&format!("{name}=")), ".env.example does not name {name}");
        if name.ends_with("PASSWORD") {
            assert!(inside.starts_with(&format!("{name}:?")), "{inside} has to be given");
            assert!(example.contains(&format!("{name}=\n")), "{name} has a value in the example");
            secrets += 1;
        }
    }
    assert!(secrets >= 4, "{secrets}");
}

#[test]
fn a_container_is_given_as_long_to_stop_as_the_server_takes() {
    let needed = Settings::load(None, replica()).unwrap().http.shutdown_timeout_s;
    for service in ["botarmy-1", "botarmy-2", "worker"] {
        let grace = grace(&compose()["services"][service]);
        assert!(grace.as_secs() > needed, "{service}: {grace:?} against {needed} s");
    }
}

/// Returns how long a service may take to stop.
fn grace(service: &Value) -> Duration {
    let text = service["stop_grace_period"].as_str().unwrap();
    Duration::from_secs(text.strip_suffix('s').expect("seconds").parse().unwrap())
}

/// Returns the command of the health check of a service.
fn health_check(service: &Value) -> Vec<String> {
    let test = service["healthcheck"]["test"].as_array().unwrap();
    let words: Vec<_> = test.iter().map(|word| word.as_str().unwrap().replace("$$", "$")).collect();
    match words[0].as_str() {
        "CMD" => words[1..].to_vec(),
        "CMD-SHELL" => vec!["sh".to_owned(), "-c".to_owned(), words[1].clone()],
        _ => panic!("{words:?}"),
    }
}

/// Redis as the compose file starts it, in the network of a test. It ends with this value.
struct Redis(std::process::Child);

impl Redis {
    /// Starts it, and waits until its health check succeeds.
    async fn start(network: &Network, service: &Value) -> Self {
        let binary = PathBuf::from(std::env::var(services::REDIS_BIN).unwrap());
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", binary.parent().unwrap().display());
        let user = services::user().expect("the tests run as root");
        let run = |words: Vec<String>| {
            let mut run = network.command(user);
            let libraries = services::command(&binary);
            let libraries = libraries.get_envs().filter_map(|(name, value)| Some((name, value?)));
            run.args(words).envs(libraries).envs(environment(service)).env("PATH", &path);
            run.current_dir("/").stdin(std::process::Stdio::null());
            run.stdout(std::process::Stdio::null());
            run
        };
        let redis = Self(run(command(service)).spawn().unwrap());
        let begun = Instant::now();
        while !run(health_check(service)).status().unwrap().success() {
            assert!(begun.elapsed() < TIMEOUT, "Redis does not start with {:?}", command(service));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Returns the only line that a command printed on standard output.
fn line(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

/// Requests a path with this `Host`, and this key if it is not empty; returns status and body.
async fn get(client: &Client, base: &str, host: &str, key: &str, path: &str) -> (u16, Value) {
    let mut request = client.get(format!("{base}{path}")).header("host", host).timeout(TIMEOUT);
    if !key.is_empty() {
        request = request.bearer_auth(key);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

/// Creates a project with this key once it is known, which may take a second; returns its path.
async fn create(client: &Client, base: &str, key: &str) -> String {
    let begun = Instant::now();
    loop {
        let request = client.post(format!("{base}/api/v1/projects")).bearer_auth(key);
        let response = request.json(&json!({"name": "x"})).send().await.unwrap();
        if response.status() == 201 {
            return response.headers()["location"].to_str().unwrap().to_owned();
        }
        assert_eq!(response.status(), 401, "{}", response.text().await.unwrap());
        assert!(begun.elapsed() < TIMEOUT, "the key does not become known");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the words of the line of the guide that begins with this, without the comment behind it.
fn guide_line(beginning: &str) -> Vec<String> {
    let text = read("docs/deploying.md").replace("\\\n", " ");
    let line = text.lines().find(|line| line.starts_with(beginning));
    let line = line.unwrap_or_else(|| panic!("the guide has no line {beginning}"));
    line.split('#').next().unwrap().split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_image_runs_with_the_settings_of_the_compose_file() {
    let Some(bwrap) = container::bwrap() else { return };
    let (postgres, _) = PostgresServer::with_database(&[]).await.expect("it is where bwrap is");
    let (image, files, compose) = (Image::read(), Image::assemble(&bwrap), compose());
    let service = |name: &str| &compose["services"][name];
    let folder = container::volumes();
    let volume = container::volume_of_image(&image, files.path(), folder.path());
    let network = Network::new(&bwrap);
    let plan = |name: &str| {
        let mut words = command(service(name));
        if words.is_empty() {
            words.clone_from(&image.command);
        }
        assert_eq!(service(name)["cap_drop"], json!(["ALL"]), "containers here have none");
        assert_eq!(service(name)["security_opt"], json!(["no-new-privileges:true"]));
        assert_eq!(service(name)["volumes"], json!([format!("data:{}", image.volume)]));
        Plan {
            names: &["postgres", "redis"],
            env: environment(service(name)),
            command: words,
            read_only: service(name)["read_only"] == true,
            ..Plan::new(&bwrap, &image, files.path(), &network, &volume)
        }
    };

    // The databases have the names, the ports and the passwords of the file.
    network.reach(5432, postgres.port());
    let own = environment(service("postgres"));
    assert_eq!((&*own["POSTGRES_USER"], &*own["POSTGRES_DB"]), ("botarmy", "botarmy"));
    let check = health_check(service("postgres"));
    let tool = services::postgres_tool(&check[0]).unwrap();
    let mut ready = network.command((0, 0));
    ready.arg(tool.get_program()).args(&check[1..]);
    ready.envs(tool.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(ready.status().unwrap().success(), "{check:?}");
    let redis = Redis::start(&network, service("redis")).await;
    let shown = std::fs::read(format!("/proc/{}/cmdline", redis.0.id())).unwrap();
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(shown.contains("redis-server") && !shown.contains("s3cr3t"), "{shown}");

    let migrated = plan("migrate").run();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));

    let first = plan("botarmy-1");
    let replica = first.start().await;
    let (user, group) = image.user;
    assert_eq!(replica.status("Uid"), format!("{user} {user} {user} {user}"));
    assert_eq!(replica.status("Gid"), format!("{group} {group} {group} {group}"));
    assert!(replica.status("NSpid").ends_with(" 1"), "it is the first process");
    assert_eq!(replica.writable(), [image.volume.as_str()]);

    let (client, base) = (bare_client_builder().build().unwrap(), network.publish(image.port));
    let (status, said) = get(&client, &base, "localhost:8080", "", "/api/v1/projects").await;
    assert_eq!(
        (status, &said["type"]),
        (401, &json!("urn:botarmy:problem:key_required")),
        "{said}"
    );
    let (status, said) = get(&client, &base, "evil.example", "", "/livez").await;
    assert_eq!(status, 421, "{said}");
    let words = guide_line("docker compose exec botarmy-1 botarmy-server keys create");
    let key = line(&replica.exec(&words[4..]));
    create(&client, &base, &key).await;
    let (status, health) = get(&client, &base, "127.0.0.1", &key, "/health/detailed").await;
    assert_eq!((status, &health["status"]), (200, &json!("healthy")), "{health}");
    assert_eq!(health["components"]["redis"]["status"], "healthy", "{health}");
    assert!(!replica.log().contains("s3cr3t"), "{}", replica.log());
    let (code, took) = replica.stop().await;
    assert_eq!(code, Some(0));
    assert!(took < grace(service("botarmy-1")), "{took:?}");

    // A replica that only works has probes alone.
    let working = plan("worker");
    let worker = working.start().await;
    assert_eq!(get(&client, &base, "localhost", &key, "/api/v1/projects").await.0, 404);
    assert_eq!(worker.stop().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_image_runs_alone_as_the_guide_says() {
    let Some(bwrap) = container::bwrap() else { return };
    let (image, files) = (Image::read(), Image::assemble(&bwrap));
    let folder = container::volumes();
    let volume = container::volume_of_image(&image, files.path(), folder.path());
    let network = Network::new(&bwrap);
    let words = guide_line("docker run ");
    let value = |option: &str| {
        let pairs = words.windows(2).filter(|pair| pair[0] == option);
        pairs.map(|pair| pair[1].clone()).collect::<Vec<_>>()
    };
    let own = image.port;
    assert_eq!(value("-p"), [format!("127.0.0.1:{own}:{own}")]);
    assert_eq!(value("-v"), [format!("botarmy:{}", image.volume)]);
    assert!(!words.iter().any(|word| word == "--read-only"), "the container would be another one");
    let variables = value("-e");
    let variables = variables.iter().map(|pair| pair.split_once('=').unwrap());
    let env: BTreeMap<String, String> =
        variables.map(|(name, is)| (name.into(), is.into())).collect();
    let mut plan = Plan::new(&bwrap, &image, files.path(), &network, &volume);
    plan.read_only = false;
    let refused = plan.run();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for name in env.keys() {
        let key = name.trim_start_matches("BOTARMY_").to_lowercase().replace("__", ".");
        assert!(said.contains(&key), "{said}");
    }

    plan.env = env;
    let server = plan.start().await;
    // Everybody may write to `/tmp` of Debian's image. Nothing else belongs to the user.
    assert_eq!(server.writable(), ["/data", "/tmp"]);
    let owner = volume.join("admin.header").metadata().unwrap();
    assert_eq!((owner.uid(), owner.mode() & 0o777), (image.user.0, 0o600));
    let words = guide_line("docker exec botarmy ");
    let header = line(&server.exec(&words[3..]));
    let key = header.strip_prefix("Authorization: Bearer ").unwrap();
    let (client, base) = (bare_client_builder().build().unwrap(), network.publish(own));
    let project = create(&client, &base, key).await;
    assert_eq!(server.stop().await.0, Some(0));

    // The data stays in the volume.
    let server = plan.start().await;
    assert_eq!(get(&client, &base, "localhost", key, &project).await.0, 200);
    assert_eq!(server.stop().await.0, Some(0));
}

#[test]
fn every_example_of_yaml_in_the_guides_can_be_read() {
    let mut found = 0;
    for (guide, text) in guides() {
        for example in blocks(&text, "yaml") {
            let read: Result<Vec<Value>, _> = serde_saphyr::from_multiple(&example);
            let read = read.unwrap_or_else(|error| panic!("{guide}: {error}\n{example}"));
            assert!(read.iter().all(Value::is_object), "{guide}: {example}");
            found += 1;
        }
    }
    assert!(found > 0, "there is no example");
}

/// Runs an environment file of the script as the script does; returns the settings in it.
fn settings_of(file: &str, filled_in: &str) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), filled_in).unwrap();
    let output = Command::new("bash")
        .args(["-euc", "set -a; . \"$1\"; exec env -0", "bash"])
        .arg(root().join(file))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    let variables = String::from_utf8(output.stdout).unwrap();
    let variables = variables.split('\0').filter_map(|variable| variable.split_once('='));
    let ours = variables.filter(|(name, _)| name.starts_with("BOTARMY_"));
    ours.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_environment_files_give_settings_that_a_replica_accepts() {
    let generated = botarmy_tests::server::bare().args(["keys", "generate"]).output().unwrap();
    let key = line(&generated);
    let example = read(".env.example");
    let filled_in = example
        .replace("PASSWORD=\n", "PASSWORD=s3cr3t\n")
        .replace("#FIRST_KEY=\n", &format!("FIRST_KEY={key}\n"));
    assert!(filled_in.contains(&key), "the example names the key");
    let variables = settings_of("deploy/local.env", &filled_in);
    let settings = Settings::load(None, variables.clone()).unwrap();
    settings.check_exposure().unwrap();
    assert_eq!(variables["BOTARMY_ACCESS__MODE"], "keys");
    assert_eq!(variables["BOTARMY_ACCESS__FIRST_KEY"], key);
    assert!(settings.store.url.contains(":s3cr3t@"), "the password is in the address");
    assert_eq!(settings_of("deploy/staging.env.example", ""), BTreeMap::new());
}

/// Returns all our code as one text, with multi-line strings joined.
fn code() -> String {
    let mut text = ["deploy/deploy", "deploy/process.sh", "deploy/compose.sh"].map(read).join("\n");
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let lines: Vec<_> = text.split("\\\n").map(str::trim_start).collect();
    lines.concat()
}

#[test]
fn every_message_that_the_guides_explain_is_one_of_ours() {
    let code = code();
    // Messages of serde and of the operating system.
    let of_others = ["unknown field", "for key", "Address already in use"];
    for (guide, heading, least) in [
        ("docs/deploying.md", "## Troubleshooting", 12),
        ("docs/operations.md", "## Troubleshooting", 10),
        ("docs/backup.md", "## Move between databases", 5),
    ] {
        let text = read(guide);
        let table = text.split(heading).nth(1).unwrap();
        let mut messages = 0;
        for row in table.lines().filter(|line| line.starts_with("| ")) {
            let symptom = row.split(" | ").next().unwrap();
            let quoted = symptom.split('`').skip(1).step_by(2);
            for message in quoted.filter(|quoted| quoted.contains(' ')) {
                let message = message.strip_prefix("deploy: ").unwrap_or(message);
                // `…` stands for an inserted value.
                let parts = message.split('…').map(str::trim).filter(|part| !part.is_empty());
                for part in parts {
                    let is_known = code.contains(part) || of_others.contains(&part);
                    assert!(is_known, "{guide}: nothing says {part:?}");
                }
                messages += 1;
            }
        }
        assert!(messages >= least, "only {messages} messages were found in {guide}");
    }
}

#[test]
fn every_setting_in_the_guide_exists() {
    let (guide, known) = (read("docs/deploying.md"), defaults());
    let sections: BTreeSet<_> = known.keys().filter_map(|key| key.split('.').next()).collect();
    let prose: String = guide.split("```").step_by(2).collect();
    let mut named = 0;
    for name in prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)) {
        let section = name.split('.').next().unwrap();
        let is_key =
            name.contains('.') && name.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c));
        if is_key && sections.contains(section) {
            assert!(known.contains_key(name), "there is no setting `{name}`");
            named += 1;
        }
    }
    assert!(named >= 10, "only {named} settings were found in the guide");
}
