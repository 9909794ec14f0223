//! The image, the compose file and the environment files agree with the code. None of these tests
//! needs a container engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use botarmy_server::Settings;

use crate::documentation::{defaults, read, root};

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

/// Returns the variables that the image sets.
fn image() -> BTreeMap<String, String> {
    let pairs = last("ENV");
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    };
    pairs.split_whitespace().map(pair).collect()
}

/// Returns the part of the compose file that begins with this line, up to the next of the same
/// depth.
fn block(text: &str, heading: &str) -> String {
    let depth = heading.len() - heading.trim_start().len();
    let mut lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let mut found = String::new();
    for line in lines.by_ref() {
        let is_deeper = line.len() - line.trim_start().len() > depth;
        if !line.trim().is_empty() && !is_deeper {
            break;
        }
        found.push_str(line);
        found.push('\n');
    }
    assert!(!found.is_empty(), "compose.yaml has no {heading}");
    found
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
    text.trim_matches('"').to_owned()
}

/// Returns the variables of a replica in containers: those of the image, overridden by the compose
/// file.
fn replica() -> BTreeMap<String, String> {
    let text = read("compose.yaml");
    let environment = block(&block(&text, "x-botarmy: &botarmy"), "  environment:");
    let pairs = environment.lines().filter(|line| !line.trim().starts_with('#'));
    let pairs = pairs.map(|line| line.trim().split_once(": ").unwrap());
    let mut variables = image();
    variables.extend(pairs.map(|(name, value)| (name.to_owned(), filled_in(value))));
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
    let settings = Settings::load(None, image()).unwrap();
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
    let text = read("compose.yaml");
    let grace = block(&text, "x-botarmy: &botarmy");
    let grace = grace.split("stop_grace_period: ").nth(1).unwrap().split('s').next().unwrap();
    let needed = Settings::load(None, replica()).unwrap().http.shutdown_timeout_s;
    assert!(grace.parse::<u64>().unwrap() > needed, "{grace} s against {needed} s");
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
