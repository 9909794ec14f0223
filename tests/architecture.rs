//! The shape of the workspace, asked of cargo itself: who leans on whom, what the domain may not
//! touch, and under which licences the rest comes.
#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[path = "architecture/circles.rs"]
mod circles;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Our packages, each with the names of what it leans on in a finished build.
fn ours(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<_> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| members.contains(package["id"].as_str().unwrap()))
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let names = dependencies.map(|one| one["name"].as_str().unwrap().to_owned());
            (package["name"].as_str().unwrap().to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn every_crate_leans_on_the_domain_and_on_no_other_of_ours() {
    let ours = ours(&metadata());
    let names: BTreeSet<_> = ours.keys().cloned().collect();
    for (name, leans_on) in &ours {
        let on_ours: BTreeSet<_> = leans_on.intersection(&names).map(String::as_str).collect();
        match name.as_str() {
            "botarmy-server" | "botarmy-tests" => {}
            "botarmy-domain" => assert!(on_ours.is_empty(), "the domain knows {on_ours:?}"),
            // What both dialects of the store share.
            "botarmy-sqlite" => {
                let both = ["botarmy-domain", "botarmy-sql"];
                assert_eq!(on_ours, both.into(), "{name} leans on {on_ours:?}");
            }
            "botarmy-postgres" => {
                let all = ["botarmy-domain", "botarmy-sql", "botarmy-tls"];
                assert_eq!(on_ours, all.into(), "{name} leans on {on_ours:?}");
            }
            // The certificates of a provider, of a collector and of receivers are checked like that of a
            // database.
            "botarmy-openid" | "botarmy-otel" | "botarmy-webhooks" => {
                let both = ["botarmy-domain", "botarmy-tls"];
                assert_eq!(on_ours, both.into(), "{name} leans on {on_ours:?}");
            }
            // A client knows the API of a server, and nothing of its inside.
            "botarmy-client" => {
                assert_eq!(on_ours, ["botarmy-tls"].into(), "{name} leans on {on_ours:?}");
            }
            // An assistant goes the way of every client.
            "botarmy-mcp" => {
                let both = ["botarmy-client", "botarmy-domain"];
                assert_eq!(on_ours, both.into(), "{name} leans on {on_ours:?}");
            }
            // Neither certificates nor columns are a matter of the domain.
            "botarmy-terminal" | "botarmy-tls" => {
                assert!(on_ours.is_empty(), "{name} leans on {on_ours:?}");
            }
            // What every border over HTTP shares, and the live frames that some of them serve.
            "botarmy-console" => {
                let both = ["botarmy-domain", "botarmy-web"];
                assert_eq!(on_ours, both.into(), "{name} leans on {on_ours:?}");
            }
            "botarmy-http" | "botarmy-ws" => {
                let all = ["botarmy-domain", "botarmy-live", "botarmy-web"];
                assert_eq!(on_ours, all.into(), "{name} leans on {on_ours:?}");
            }
            _ => assert_eq!(on_ours, ["botarmy-domain"].into(), "{name} leans on {on_ours:?}"),
        }
    }
    assert_eq!(ours.len(), 25, "a new crate has its place in this test: {names:?}");
}

#[test]
fn a_library_lives_in_one_crate_only() {
    let ours = ours(&metadata());
    let homes: [(&str, &[&str]); 31] = [
        // The bench measures the database itself beside it.
        ("diesel", &["botarmy-sqlite", "botarmy-postgres", "botarmy-tests"]),
        ("diesel-async", &["botarmy-postgres"]),
        ("deadpool-redis", &["botarmy-redis"]),
        ("httpdate", &["botarmy-agents-llm", "botarmy-webhooks"]),
        ("html5gum", &["botarmy-agents-offline", "botarmy-console"]),
        (
            "similar",
            &[
                "botarmy-agents-command",
                "botarmy-console",
                "botarmy-http",
                "botarmy-mcp",
                "botarmy-terminal",
            ],
        ),
        ("json-patch", &["botarmy-http"]),
        ("libsqlite3-sys", &["botarmy-sqlite", "botarmy-tests"]),
        // The server mounts the borders, and the tests have a provider's double.
        (
            "actix-web",
            &[
                "botarmy-web",
                "botarmy-http",
                "botarmy-console",
                "botarmy-ws",
                "botarmy-server",
                "botarmy-tests",
            ],
        ),
        ("askama", &["botarmy-console"]),
        ("flate2", &["botarmy-console"]),
        ("pulldown-cmark", &["botarmy-console", "botarmy-terminal"]),
        ("unicode-width", &["botarmy-terminal"]),
        // The server on connections that report their end.
        ("actix-http", &["botarmy-http"]),
        ("actix-service", &["botarmy-http"]),
        ("actix-ws", &["botarmy-ws"]),
        // The sockets of the server, and clients of it.
        ("tokio-rustls", &["botarmy-http", "botarmy-tests"]),
        ("rustls-native-certs", &["botarmy-tls", "botarmy-agents-llm"]),
        // The signatures of a provider's tokens and of webhooks, and those of their doubles.
        ("ring", &["botarmy-openid", "botarmy-webhooks", "botarmy-tests"]),
        (
            "reqwest",
            &[
                "botarmy-agents-llm",
                "botarmy-client",
                "botarmy-openid",
                "botarmy-otel",
                "botarmy-webhooks",
                "botarmy-tests",
            ],
        ),
        // The messages of a collector, and a collector of the tests.
        ("prost", &["botarmy-otel", "botarmy-tests"]),
        ("rmcp", &["botarmy-mcp"]),
        ("prometheus-client", &["botarmy-metrics"]),
        ("ipnet", &["botarmy-web", "botarmy-webhooks"]),
        ("actix-cors", &["botarmy-http"]),
        // The problem document stands in the OpenAPI document of every border.
        ("utoipa", &["botarmy-http", "botarmy-web"]),
        ("clap", &["botarmy-server"]),
        ("clap_complete", &["botarmy-server"]),
        ("clap_mangen", &["botarmy-server"]),
        ("config", &["botarmy-server"]),
        ("anyhow", &["botarmy-server", "botarmy-tests"]),
    ];
    for (library, at_home) in homes {
        for (name, leans_on) in &ours {
            if leans_on.contains(library) {
                assert!(at_home.contains(&name.as_str()), "{library} has strayed into {name}");
            }
        }
    }
}

#[test]
fn the_smallest_server_has_no_optional_library() {
    let tree = |more: &[&str]| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["tree", "--package", "botarmy-server", "--edges", "normal", "--prefix", "none"])
            .args(["--format", "{p}", "--locked"])
            .args(more)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let names = text.lines().filter_map(|line| line.split(' ').next());
        names.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let (full, smallest) = (tree(&[]), tree(&["--no-default-features"]));
    for optional in [
        "botarmy-postgres",
        "tokio-postgres",
        "botarmy-redis",
        "deadpool-redis",
        "botarmy-agents-llm",
        "botarmy-openid",
        "botarmy-mcp",
        "rmcp",
        "botarmy-otel",
        "prost",
        "botarmy-webhooks",
        "reqwest",
        "botarmy-agents-command",
        "botarmy-agents-offline",
        "html5gum",
        "utoipa-swagger-ui",
    ] {
        assert!(full.contains(optional), "the full server has no {optional}");
        assert!(!smallest.contains(optional), "the smallest server has {optional}");
    }
    assert!(smallest.contains("botarmy-sqlite"));
    println!("{} packages in the full server, {} in the smallest", full.len(), smallest.len());
}

#[test]
fn the_domain_has_no_runtime_no_framework_and_no_database() {
    let ours = ours(&metadata());
    let known = [
        "async-trait",
        // The form of the secrets of webhooks.
        "base64",
        // The checksum of keys.
        "crc32fast",
        // Tables of Unicode, by which file names are compared.
        "icu_casemap",
        "icu_normalizer",
        "mockall",
        "proptest",
        "serde",
        "serde_json",
        "serde_json_canonicalizer",
        "sha2",
        // Comparison of secrets.
        "subtle",
        "thiserror",
        "time",
        "toml",
        "uuid",
        // Overwrites secrets.
        "zeroize",
    ];
    let strangers: Vec<_> =
        ours["botarmy-domain"].iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(strangers.is_empty(), "the domain leans on {strangers:?}");
    for file in sources(&root().join("crates/botarmy-domain/src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for word in [
            "std::fs",
            "std::net",
            "std::env",
            "SystemTime",
            "Instant::now",
            "now_utc",
            "new_v4",
            "println!",
        ] {
            assert!(!text.contains(word), "{} uses {word}", file.display());
        }
    }
}

/// Borders and live streams read and decide through driving ports: what a caller may see and do is
/// settled behind them. Test helpers are included.
#[test]
fn the_borders_do_not_name_a_port_of_the_store() {
    let ports = [
        "Ledger",
        "ProjectStore",
        "TaskStore",
        "HitlStore",
        "ContextStore",
        "Records",
        "AuditLog",
        "AgentStatus",
        "DeliveryStore",
        "StorePorts",
    ];
    for border in ["botarmy-console", "botarmy-http", "botarmy-live", "botarmy-web", "botarmy-ws"] {
        for file in sources(&root().join("crates").join(border).join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            let is_code = |line: &&str| !line.trim_start().starts_with("//");
            let text: Vec<_> = text.lines().filter(is_code).collect();
            // The schema of the OpenAPI document that has the name of a port.
            let text = text.join("\n").replace("#[schema(as = AgentStatus)]", "");
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            for word in text.split(|c| !is_part(c)) {
                let port = word.strip_prefix("Mock").unwrap_or(word);
                assert!(!ports.contains(&port), "{} names the port {port}", file.display());
            }
        }
    }
}

#[test]
fn time_and_randomness_come_from_one_file() {
    for file in sources(&root().join("crates")) {
        if file.ends_with("botarmy-server/src/system.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for word in ["now_utc(", "SystemTime::now", "Uuid::new_v4", "Uuid::now_v7", "getrandom::"] {
            assert!(!text.contains(word), "{} asks the machine itself: {word}", file.display());
        }
    }
}

/// SPDX expressions as cargo gives them, checked word by word: every alternative of an `AND` must
/// hold a licence that we accept.
#[test]
fn everything_we_ship_has_a_licence_we_accept() {
    let accepted = [
        "MIT",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "0BSD",
        "Unicode-3.0",
        "CC0-1.0",
        "MIT-0",
        "Unlicense",
        "BSL-1.0",
        "Apache-2.0 WITH LLVM-exception",
        "blessing",
        "CDLA-Permissive-2.0",
    ];
    let metadata = metadata();
    let mut refused = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or("none").replace('/', " OR ");
        let plain = licence.replace(['(', ')'], "");
        let all = plain
            .split(" AND ")
            .all(|part| part.split(" OR ").any(|one| accepted.contains(&one.trim())));
        if !all {
            refused.push(format!("{name}: {licence}"));
        }
    }
    assert!(refused.is_empty(), "look at these licences: {refused:#?}");
}

#[test]
fn every_setting_in_the_defaults_is_commented() {
    let text = std::fs::read_to_string(root().join("config/default.toml")).unwrap();
    let mut commented = false;
    let mut section = String::new();
    for line in text.lines() {
        if line.starts_with('#') {
            commented = true;
        } else if line.starts_with('[') {
            section = line.to_owned();
        } else if line.contains('=') {
            // Agents, providers and prices are explained once, above the first.
            let explained = ["[agents.", "[providers.", "[prices."];
            assert!(
                commented || explained.iter().any(|start| section.starts_with(start)),
                "{section} {line} has no comment"
            );
            commented = false;
        }
    }
}

#[test]
fn the_client_for_model_providers_is_named_in_two_files() {
    for file in sources(&root().join("crates/botarmy-agents-llm/src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let at_home = file.ends_with("connection.rs") || file.ends_with("http.rs");
        assert!(at_home || !text.contains("reqwest::"), "{} speaks of reqwest", file.display());
    }
}

/// A summary line names a thing or begins with a verb in the third person. Clauses that open with a
/// question word say less; a few read well, so a share of them is accepted.
#[test]
fn few_doc_comments_open_with_a_question_word() {
    const MAX_PER_CENT: usize = 3;
    let words = ["What", "Who", "Whom", "Whose", "How", "Where", "When", "Why", "Which"];
    let longer = ["Whoever", "Whatever", "Whenever", "Wherever", "Whichever"];
    let (mut blocks, mut offenders) = (0, Vec::new());
    for file in sources(&root().join("crates")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut in_block = false;
        for (n, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
            if let Some(comment) = comment.filter(|_| !in_block) {
                blocks += 1;
                let first = comment.split_whitespace().next().unwrap_or_default();
                let vague = ["Whether somebody", "Whether anybody", "Whether nobody"];
                if words.contains(&first)
                    || longer.contains(&first)
                    || vague.iter().any(|opening| comment.trim_start().starts_with(opening))
                {
                    offenders.push(format!("{}:{}:{comment}", file.display(), n + 1));
                }
            }
            in_block = comment.is_some();
        }
    }
    assert!(
        offenders.len() * 100 <= blocks * MAX_PER_CENT,
        "{} of {blocks} doc comments open with a question word:\n{}",
        offenders.len(),
        offenders.join("\n")
    );
}

/// Of two types with one name in the OpenAPI document, only one would be in it.
#[test]
fn every_schema_of_the_document_has_a_name_of_its_own() {
    let mut named: BTreeMap<String, PathBuf> = BTreeMap::new();
    for border in ["botarmy-http", "botarmy-web"] {
        for file in sources(&root().join("crates").join(border).join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            for derived in text.split("#[derive(").skip(1) {
                let Some((traits, rest)) = derived.split_once(")]") else { continue };
                if !traits.split(", ").any(|name| name == "ToSchema") {
                    continue;
                }
                let (attributes, item) = rest.split_once('{').unwrap_or((rest, ""));
                let renamed = attributes.split_once("#[schema(as = ").map(|(_, name)| name);
                let mut own = attributes
                    .split(['\n', ' '])
                    .skip_while(|word| !matches!(*word, "struct" | "enum"));
                let own = own.nth(1).unwrap_or(item);
                let name = renamed.unwrap_or(own).split(|c: char| !c.is_alphanumeric()).next();
                let name = name.unwrap_or_default().to_owned();
                assert!(!name.is_empty(), "{}: {attributes}", file.display());
                let other = named.insert(name.clone(), file.clone());
                assert_eq!(other, None, "{name} is in {} too", file.display());
            }
        }
    }
    assert!(named.len() > 100, "{} schemas were found", named.len());
}

#[test]
fn nothing_in_the_tree_is_unfinished() {
    for file in sources(&root().join("crates")).into_iter().chain(sources(&root().join("tests"))) {
        if file.ends_with("tests/architecture.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for word in ["todo!(", "unimplemented!(", "FIXME", "#[ignore"] {
            assert!(!text.contains(word), "{} has a {word}", file.display());
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}
