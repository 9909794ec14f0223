//! The first administrator: on a first start, after a kill, with a lost file, on several servers at
//! once, and after an upgrade; and the commands that work on the store itself.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use botarmy_tests::access::{FIRST_KEY, MODE, header_line};
use botarmy_tests::dice::Dice;
use botarmy_tests::prove::count;
use botarmy_tests::server::{TestServer, command};
use botarmy_tests::services;
use reqwest::Method;
use serde_json::{Value, json};

use super::world::{client, send, unknown_key};
use crate::say;

const KEYS: [(&str, &str); 1] = [(MODE, "keys")];
const OPEN: [(&str, &str); 1] = [(MODE, "open")];

/// Returns the key in the header file of a data folder.
fn key_in(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("admin.header")).unwrap();
    let key = text.strip_prefix("Authorization: Bearer ").expect("it is a header");
    key.strip_suffix('\n').expect("it is one line").to_owned()
}

/// Asks a server who the owner of this key is; returns the status and the name.
async fn who(server: &TestServer, key: Option<&str>) -> (u16, Value) {
    let request = (&Method::GET, "/api/v1/access/me");
    let response = send(&client(), &server.base, key, request, None).await;
    let status = response.status().as_u16();
    let answer: Value = response.json().await.unwrap();
    (status, answer["name"].clone())
}

/// Runs a command on a data folder; returns its exit code and its standard output and error.
fn on(folder: &Path, url: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = command(folder);
    command.env("BOTARMY_STORE__URL", url).envs(KEYS).args(arguments);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_first_start_leaves_a_key_in_a_file_that_only_its_owner_can_read() {
    let mut server = TestServer::with(&KEYS).await;
    let folder = server.data_dir().to_owned();
    let file = folder.join("admin.header");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = key_in(&folder);
    assert_eq!(who(&server, Some(&key)).await, (200, json!("admin")));
    assert_eq!(who(&server, None).await.0, 401);
    assert_eq!(who(&server, Some(&unknown_key(1))).await.0, 401);
    let curl = Command::new("curl")
        .args(["-sS", "--noproxy", "*", "-H", "@admin.header", "-w", "%{http_code}"])
        .arg(format!("{}/api/v1/projects", server.base))
        .current_dir(&folder)
        .output()
        .expect("curl is not installed, and the tests need it");
    assert!(String::from_utf8(curl.stdout).unwrap().ends_with("200"));
    assert!(server.said("admin.header"), "its path is named");
    assert!(!server.said(&key), "the key is not");

    // A restart changes nothing, and neither does a kill.
    for _ in 0..2 {
        server.kill_and_restart().await;
        assert_eq!(key_in(&folder), key);
        assert_eq!(who(&server, Some(&key)).await, (200, json!("admin")));
    }
    // A lost file is not written again. The command makes another key for the same person.
    std::fs::remove_file(&file).unwrap();
    server.kill_and_restart().await;
    assert!(!file.exists());
    assert_eq!(who(&server, Some(&key)).await.0, 200);
    server.kill();
    let (code, printed, said) = on(&folder, "", &["keys", "create", "admin"]);
    assert_eq!(code, Some(0), "{said}");
    server.start_again().await;
    assert_eq!(who(&server, Some(&printed)).await, (200, json!("admin")));
}

#[tokio::test]
async fn a_kill_at_any_moment_of_a_first_start_leaves_a_way_in() {
    let mut dice = Dice::new();
    let mut with_file = 0;
    for _ in 0..count(10, 200) {
        let folder = tempfile::tempdir().unwrap();
        let mut child = command(folder.path())
            .envs(KEYS)
            .args(["serve", "--port", "0"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(dice.below(400)));
        child.kill().unwrap();
        child.wait().unwrap();
        let before = folder.path().join("admin.header").exists().then(|| key_in(folder.path()));
        let server = TestServer::on(folder, &KEYS).await;
        let key = key_in(server.data_dir());
        assert_eq!(who(&server, Some(&key)).await, (200, json!("admin")));
        if let Some(before) = before {
            assert_eq!(key, before, "the file is never overwritten");
            with_file += 1;
        }
    }
    println!("killed after the file was written: {with_file}");
}

#[tokio::test]
async fn a_file_without_a_database_becomes_the_key_and_a_bad_file_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let key = unknown_key(3);
    let file = folder.path().join("admin.header");
    std::fs::write(&file, format!("Authorization: Bearer {key}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = TestServer::on(folder, &KEYS).await;
    assert_eq!(who(&server, Some(&key)).await, (200, json!("admin")));

    for (text, mode) in [("Authorization: Bearer s3cr3t\n", 0o600), (&*header_line(), 0o644)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("admin.header");
        std::fs::write(&file, text.replace('\r', "")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut start = command(folder.path());
        let (code, said) = say(start.envs(KEYS).args(["serve", "--port", "0"]));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("admin.header") && !said.contains("s3cr3t"), "{said}");
    }
}

#[tokio::test]
async fn commands_manage_keys_and_roles_in_the_store_and_name_the_way_while_a_server_runs() {
    let mut server = TestServer::with(&KEYS).await;
    let folder = server.data_dir().to_owned();
    let (code, _, said) = on(&folder, "", &["keys", "list"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("curl -H @") && said.contains("/api/v1/access/keys"), "{said}");
    for (command, path) in [("grants", "principals"), ("sessions", "sessions")] {
        let (code, _, said) = on(&folder, "", &[command, "list"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(&format!("/api/v1/access/{path}`")), "{said}");
    }
    server.terminate().await;

    let create =
        ["keys", "create", "ci", "--role", "operator", "--own", "--expires", "7d", "--json"];
    let (code, printed, said) = on(&folder, "", &create);
    assert_eq!(code, Some(0), "{said}");
    let made: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&made["kind"], &made["principal"]), (&json!("service"), &json!("ci")));
    assert_eq!(made["grants"], json!([{"role": "operator", "on": "own"}]));
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap().to_owned());
    // A principal that exists gets no new role by a key.
    let (code, _, said) = on(&folder, "", &["keys", "create", "ci", "--role", "admin"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("grants set"), "{said}");
    // A role that is part of what the principal may do narrows the key.
    let viewer = ["keys", "create", "ci", "--role", "viewer", "--own", "--json"];
    let (code, viewer, said) = on(&folder, "", &viewer);
    assert_eq!(code, Some(0), "{said}");
    let viewer: Value = serde_json::from_str(&viewer).unwrap();
    assert_eq!(viewer["grants"], json!([{"role": "viewer", "on": "own"}]));
    let (code, _, said) = on(&folder, "", &["keys", "revoke", viewer["id"].as_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let (code, _, said) = on(&folder, "", &["keys", "create", "nobody"]);
    assert!(code == Some(1) && said.contains("--role"), "{said}");
    let person = ["keys", "create", "ada", "--person", "--role", "reviewer", "--role", "viewer"];
    let (code, ada, said) = on(&folder, "", &person);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("reviewer on all projects") && !said.contains(&ada), "{said}");
    let rotate = ["keys", "rotate", id, "--overlap", "0", "--expires", "never"];
    let (_, rotated, said) = on(&folder, "", &rotate);
    assert!(said.contains("refused from now on") && said.contains("never expires"), "{said}");
    let set = ["grants", "set", "ada", "--role", "worker", "--add", "--json"];
    let (code, set, said) = on(&folder, "", &set);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(serde_json::from_str::<Value>(&set).unwrap()["grants"].as_array().unwrap().len(), 3);
    let (_, list, _) = on(&folder, "", &["keys", "list"]);
    assert!(
        list.lines().count() == 6 && list.contains("expired") && list.contains("ada"),
        "{list}"
    );
    for secret in [&key, &ada, &rotated] {
        assert!(!list.contains(secret.as_str()));
    }
    let (_, roles, _) = on(&folder, "", &["grants", "list"]);
    assert!(roles.contains("operator on its own projects"), "{roles}");
    assert!(roles.contains(made["principal_id"].as_str().unwrap()), "{roles}");

    server.start_again().await;
    assert_eq!(who(&server, Some(&rotated)).await, (200, json!("ci")));
    assert_eq!(who(&server, Some(&key)).await.0, 401);
    assert_eq!(who(&server, Some(&ada)).await, (200, json!("ada")));
    server.terminate().await;
    let (_, json, _) = on(&folder, "", &["keys", "list", "ada", "--json"]);
    let listed: Value = serde_json::from_str(&json).unwrap();
    let (code, said, _) = on(&folder, "", &["keys", "revoke", listed[0]["id"].as_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    server.start_again().await;
    assert_eq!(who(&server, Some(&ada)).await.0, 401);
    // What was done in the store is in the log like anything else.
    let admin = key_in(&folder);
    let path = (&Method::GET, "/api/v1/audit/events?event_type=key_revoked");
    let events = send(&client(), &server.base, Some(&admin), path, None).await;
    let events: Value = events.json().await.unwrap();
    assert_eq!(events[0]["event_metadata"]["auth"], "local", "{events}");
    assert_eq!(events[0]["event_metadata"]["via"], "terminal", "{events}");
}

/// Creates a principal on an open server, and a key for it; returns the key.
async fn made_open(server: &TestServer, name: &str, role: &str) -> (String, String) {
    let grants = json!([{"role": role, "on": "all"}]);
    let new = json!({"name": name, "kind": "person", "grants": grants});
    let (status, made) = server.post("/api/v1/access/principals", new).await;
    assert_eq!(status, 201, "{made}");
    let new = json!({"principal_id": made["id"], "name": "a key"});
    let (status, key) = server.post("/api/v1/access/keys", new).await;
    assert_eq!(status, 201, "{key}");
    (key["id"].as_str().unwrap().to_owned(), key["key"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn administrators_from_the_time_of_an_open_server_are_named_and_are_no_way_in() {
    for name in ["mallory", "admin"] {
        let mut server = TestServer::with(&OPEN).await;
        let (id, key) = made_open(&server, name, "admin").await;
        let (harmless, _) = made_open(&server, "eve", "viewer").await;
        server.terminate().await;
        server.start_again_with(&KEYS).await;
        let folder = server.data_dir().to_owned();
        // It still works, and the log says so.
        assert_eq!(who(&server, Some(&key)).await, (200, json!(name)));
        let hint = format!("can manage access with the key {id}");
        assert!(server.said(&hint) && server.said("keys list"), "{}", server.log.lock().unwrap());
        assert!(!server.said(&harmless), "a viewer is none");
        assert!(!server.said(&key));
        let own = key_in(&folder);
        assert_eq!(who(&server, Some(&own)).await, (200, json!("admin")));
        assert_eq!(server.log.lock().unwrap().matches("can manage access with").count(), 1);
        // A key that is made with it is named, too.
        let (status, laundered) = {
            let path = format!("/api/v1/access/keys/{id}/rotate");
            let request = (&Method::POST, path.as_str());
            let body = json!({"overlap_s": 3600});
            let response = send(&client(), &server.base, Some(&key), request, Some(&body)).await;
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        };
        assert_eq!(status, 201, "{laundered}");
        let other = laundered["id"].as_str().unwrap();
        // It is said until the keys are gone, and no further key is made.
        server.terminate().await;
        server.start_again().await;
        assert!(server.said(&hint) && server.said(&format!("access with the key {other}")));
        assert_eq!(key_in(&folder), own);
        for id in [id.as_str(), other] {
            let path = format!("/api/v1/access/keys/{id}");
            let request = (&Method::DELETE, path.as_str());
            let response = send(&client(), &server.base, Some(&own), request, None).await;
            assert_eq!(response.status(), 200);
        }
        server.terminate().await;
        server.start_again().await;
        assert!(!server.said("can manage access with"));
        assert_eq!(who(&server, Some(&key)).await.0, 401);
        assert_eq!(who(&server, Some(&own)).await, (200, json!("admin")));
    }
}

#[tokio::test]
async fn a_role_and_a_key_that_an_open_server_gave_are_named_for_any_principal() {
    let mut server = TestServer::with(&KEYS).await;
    let folder = server.data_dir().to_owned();
    let own = key_in(&folder);
    server.terminate().await;
    let (_, viewer, said) = on(&folder, "", &["keys", "create", "ada", "--role", "viewer"]);
    assert!(!viewer.is_empty(), "{said}");
    server.start_again_with(&OPEN).await;
    // A right for a key that was made with a proof, and a key for a principal that was.
    let ada = botarmy_domain::Principal::local_id("ada");
    let grants = json!({"grants": [{"role": "admin", "on": "all"}]});
    let path = format!("/api/v1/access/principals/{ada}/grants");
    assert_eq!(server.put(&path, grants).await.0, 200);
    let admin = botarmy_domain::Principal::local_id("admin");
    let new = json!({"principal_id": admin, "name": "another"});
    let (status, made) = server.post("/api/v1/access/keys", new).await;
    assert_eq!(status, 201, "{made}");
    // A later change hides nothing.
    let path = format!("/api/v1/access/principals/{ada}/groups");
    server.terminate().await;
    server.start_again_with(&KEYS).await;
    let named = |server: &TestServer| {
        let log = server.log.lock().unwrap().clone();
        ["\\\"ada\\\" can manage", made["id"].as_str().unwrap()].map(|text| log.contains(text))
    };
    assert_eq!(named(&server), [true, true], "{}", server.log.lock().unwrap());
    let request = (&Method::PUT, path.as_str());
    let groups = json!({"groups": ["friends"]});
    let response = send(&client(), &server.base, Some(&own), request, Some(&groups)).await;
    assert_eq!(response.status(), 200);
    server.terminate().await;
    server.start_again().await;
    assert_eq!(named(&server), [true, true]);
    // The remedies that the documentation names.
    server.terminate().await;
    for arguments in [
        &["grants", "set", "ada", "--role", "viewer"][..],
        &["grants", "set", "ada", "--role", "admin"],
        &["keys", "rotate", made["id"].as_str().unwrap(), "--overlap", "0"],
    ] {
        let (code, _, said) = on(&folder, "", arguments);
        assert_eq!(code, Some(0), "{said}");
    }
    server.start_again().await;
    assert_eq!(named(&server), [false, false]);
    assert_eq!(key_in(&folder), own);
}

#[tokio::test]
async fn a_start_without_any_administrator_says_with_which_command_one_is_made() {
    let mut server = TestServer::with(&KEYS).await;
    let folder = server.data_dir().to_owned();
    let own = key_in(&folder);
    let data = format!("botarmy-server --data-dir {}", folder.display());
    for (arguments, remedy) in [
        (&["grants", "disable", "admin"][..], format!("{data} grants enable admin")),
        (&["grants", "set", "admin", "--role", "viewer"], format!("{data} grants set admin")),
    ] {
        server.terminate().await;
        let (code, _, said) = on(&folder, "", arguments);
        assert_eq!(code, Some(0), "a command on the store may do it: {said}");
        server.start_again().await;
        assert!(server.said(&remedy), "{}", server.log.lock().unwrap());
        assert_ne!(who(&server, Some(&own)).await, (200, json!("root")));
        server.terminate().await;
        let (code, _, said) = on(&folder, "", &["grants", "enable", "admin"]);
        assert_eq!(code, Some(0), "{said}");
        let set = ["grants", "set", "admin", "--role", "admin"];
        assert_eq!(on(&folder, "", &set).0, Some(0));
        server.start_again().await;
        assert!(!server.said("No principal can manage access"));
        assert_eq!(who(&server, Some(&own)).await, (200, json!("admin")));
    }
    // With the command that it names, in the words in which it names it.
    server.terminate().await;
    let (_, listed, _) = on(&folder, "", &["keys", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(on(&folder, "", &["keys", "revoke", listed[0]["id"].as_str().unwrap()]).0, Some(0));
    server.start_again().await;
    assert!(server.said(&format!("{data} keys create admin")), "{}", server.log.lock().unwrap());
    assert_eq!(key_in(&folder), own, "the file is not written again");
    server.terminate().await;
    let (code, key, said) = on(&folder, "", &["keys", "create", "admin"]);
    assert_eq!(code, Some(0), "{said}");
    server.start_again().await;
    assert_eq!(who(&server, Some(&key)).await, (200, json!("admin")));
}

#[tokio::test]
async fn no_key_is_created_for_a_principal_whose_keys_are_refused() {
    let mut server = TestServer::with(&KEYS).await;
    let folder = server.data_dir().to_owned();
    server.terminate().await;
    for name in ["ada", "bob"] {
        assert_eq!(on(&folder, "", &["keys", "create", name, "--role", "viewer"]).0, Some(0));
    }
    let (code, said, _) = on(&folder, "", &["grants", "disable", "ada"]);
    assert_eq!((code, said.as_str()), (Some(0), "\"ada\" is disabled."));
    let (code, printed, said) = on(&folder, "", &["keys", "create", "ada"]);
    assert_eq!((code, printed.as_str()), (Some(1), ""), "{said}");
    assert!(said.contains("grants enable \"ada\""), "{said}");
    assert_eq!(on(&folder, "", &["grants", "enable", "ada"]).0, Some(0));
    assert_eq!(on(&folder, "", &["keys", "create", "ada"]).0, Some(0));
    server.start_again().await;
    let admin = key_in(&folder);
    let path = format!("/api/v1/access/principals/{}", botarmy_domain::Principal::local_id("bob"));
    let request = (&Method::DELETE, path.as_str());
    let response = send(&client(), &server.base, Some(&admin), request, None).await;
    assert_eq!(response.status(), 204);
    server.terminate().await;
    for arguments in
        [&["keys", "create", "bob"][..], &["keys", "create", "bob", "--role", "viewer"]]
    {
        let (code, printed, said) = on(&folder, "", arguments);
        assert_eq!((code, printed.as_str()), (Some(1), ""), "{said}");
        assert!(said.contains("was deleted"), "{said}");
    }
}

#[tokio::test]
async fn the_last_key_of_an_administrator_stays_over_the_api() {
    let server = TestServer::with(&KEYS).await;
    let own = key_in(server.data_dir());
    let admin = botarmy_domain::Principal::local_id("admin");
    let ask = async |method: Method, path: String, body: Option<Value>| {
        let request = (&method, path.as_str());
        let response = send(&client(), &server.base, Some(&own), request, body.as_ref()).await;
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap_or_default())
    };
    let create = |name: &str, grants: Value| {
        let new = json!({"name": name, "kind": "person", "grants": grants});
        ask(Method::POST, "/api/v1/access/principals".to_owned(), Some(new))
    };
    let key_for = |id: Value, grants: Option<Value>| {
        let mut new = json!({"principal_id": id, "name": "a key"});
        if let Some(grants) = grants {
            new["grants"] = grants;
        }
        ask(Method::POST, "/api/v1/access/keys".to_owned(), Some(new))
    };
    // Another administrator without a key that can manage anything.
    let everything = json!([{"role": "admin", "on": "all"}]);
    let (_, two) = create("two", everything).await;
    key_for(two["id"].clone(), Some(json!([{"role": "viewer", "on": "all"}]))).await;
    let (_, keys) =
        ask(Method::GET, format!("/api/v1/access/keys?principal_id={admin}"), None).await;
    let first = keys["items"][0]["id"].as_str().unwrap().to_owned();
    let principal = format!("/api/v1/access/principals/{admin}");
    let attempts = || {
        [
            (Method::DELETE, format!("/api/v1/access/keys/{first}"), None),
            (Method::DELETE, principal.clone(), None),
            (Method::PUT, format!("{principal}/disabled"), Some(json!({"disabled": true}))),
            (Method::PUT, format!("{principal}/grants"), Some(json!({"grants": []}))),
        ]
    };
    for (method, path, body) in attempts() {
        let (status, problem) = ask(method.clone(), path.clone(), body).await;
        assert_eq!(status, 409, "{method} {path}: {problem}");
        assert_eq!(problem["type"], "urn:botarmy:problem:last_admin");
    }
    assert_eq!(who(&server, Some(&own)).await, (200, json!("admin")));
    let (status, key) = key_for(two["id"].clone(), None).await;
    assert_eq!(status, 201, "{key}");
    let (method, path, body) = attempts()[0].clone();
    assert_eq!(ask(method, path, body).await.0, 200);
    assert_eq!(who(&server, Some(&own)).await.0, 401);
    assert_eq!(who(&server, key["key"].as_str()).await, (200, json!("two")));
}

#[test]
fn a_generated_key_needs_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let (code, key, said) = on(folder.path(), "", &["keys", "generate"]);
    assert_eq!(code, Some(0), "{said}");
    key.parse::<botarmy_domain::ApiKeyText>().unwrap();
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn on_a_shared_database_nothing_is_created_until_someone_asks_for_it() {
    let Some(database) = services::database().await else { return };
    let url = database.url();
    let server = TestServer::with(&[KEYS[0], ("BOTARMY_STORE__URL", &url)]).await;
    assert!(server.said("keys create admin"), "{}", server.log.lock().unwrap());
    assert!(!server.data_dir().join("admin.header").exists());
    assert_eq!(who(&server, Some(&unknown_key(1))).await.0, 401);
    // The command and the running server share the database.
    let arguments = ["keys", "create", "admin", "--person", "--role", "admin"];
    let (code, key, said) = on(server.data_dir(), &url, &arguments);
    assert_eq!(code, Some(0), "{said}");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(who(&server, Some(&key)).await, (200, json!("admin")));
    // The first key of the settings comes too late.
    let late = unknown_key(5);
    let late_variables = [KEYS[0], ("BOTARMY_STORE__URL", &url), (FIRST_KEY, &late)];
    let another = TestServer::with(&late_variables).await;
    assert_eq!(who(&another, Some(&late)).await.0, 401);
    assert_eq!(who(&another, Some(&key)).await, (200, json!("admin")));
}

#[tokio::test]
async fn several_servers_that_start_at_once_create_one_administrator() {
    for _ in 0..count(1, 20) {
        let Some(database) = services::database().await else { return };
        let (url, key) = (database.url(), unknown_key(6));
        let variables = [KEYS[0], ("BOTARMY_STORE__URL", &*url), (FIRST_KEY, &key)];
        let (a, b, c) = tokio::join!(
            TestServer::with(&variables),
            TestServer::with(&variables),
            TestServer::with(&variables)
        );
        for server in [&a, &b, &c] {
            assert_eq!(who(server, Some(&key)).await, (200, json!("admin")));
        }
        let request = (&Method::GET, "/api/v1/access/keys");
        let keys = send(&client(), &a.base, Some(&key), request, None).await;
        let keys: Value = keys.json().await.unwrap();
        assert_eq!(keys["items"].as_array().unwrap().len(), 1, "{keys}");
    }
}

#[tokio::test]
async fn a_database_of_the_version_before_gets_an_administrator_like_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let earlier = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/earlier/botarmy.db");
    std::fs::copy(earlier, folder.path().join("botarmy.db")).unwrap();
    let server = TestServer::on(folder, &KEYS).await;
    assert_eq!(who(&server, None).await.0, 401);
    let key = key_in(server.data_dir());
    let request = (&Method::GET, "/api/v1/projects");
    let response = send(&client(), &server.base, Some(&key), request, None).await;
    let projects: Value = response.json().await.unwrap();
    assert!(!projects["items"].as_array().unwrap().is_empty(), "{projects}");
}
