//! Databases of the version before there was access control: nothing is lost, strangers get nothing, and
//! the start says how to get in. On SQLite and on PostgreSQL.

use std::path::{Path, PathBuf};

use botarmy_tests::access::{FIRST_KEY, MODE, UNLIMITED};
use botarmy_tests::server::{TestServer, bare, command};
use botarmy_tests::services::{self, Database};
use reqwest::Method;
use serde_json::Value;

use super::table::{Needs, TABLE, operations};
use super::world::{NO_RUNNERS, client, send, unknown_key};
use crate::say;

const KEYS: (&str, &str) = (MODE, "keys");
/// First migration of access control.
const ACCESS: &str = "0007_access";
/// Id for every parameter of a path.
const UNKNOWN: &str = "0190a0b0-0000-7000-8000-00000000000a";

fn earlier() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/earlier")
}

/// Returns a data folder as the version before left it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(earlier().join("botarmy.db"), folder.path().join("botarmy.db")).unwrap();
    folder
}

fn migrate(folder: &Path, url: &str, option: &str) -> String {
    let mut command = command(folder);
    command.env("BOTARMY_STORE__URL", url).arg("migrate");
    if !option.is_empty() {
        command.arg(option);
    }
    let (code, said) = say(&mut command);
    assert_eq!(code, Some(0), "{said}");
    said
}

/// Fills a PostgreSQL database with what the version before stored, in the tables that it had.
async fn database() -> Option<Database> {
    let database = services::empty_database().await?;
    let (folder, url) = (folder(), database.url());
    migrate(folder.path(), "", "");
    let from = format!("sqlite:{}", folder.path().display());
    let (code, said) = say(bare().args(["store", "copy", "--from", &from, "--to", &url]));
    assert_eq!(code, Some(0), "{said}");
    while !migrate(folder.path(), &url, "--status").contains(&format!("pending  {ACCESS}")) {
        migrate(folder.path(), &url, "--down");
    }
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' \
                  AND tablename IN ('principals', 'api_keys')";
    let tables = services::connect(&url).await.unwrap().query_one(tables, &[]).await.unwrap();
    assert_eq!(tables.get::<_, i64>(0), 0, "the version before has no such tables");
    Some(database)
}

async fn get(server: &TestServer, key: Option<&str>, path: &str) -> (u16, String) {
    let response = send(&client(), &server.base, key, (&Method::GET, path), None).await;
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Checks that everything is there for this key, byte for byte where the version before has exported it.
async fn has_everything(server: &TestServer, key: &str) {
    let (status, projects) = get(server, Some(key), "/api/v1/projects").await;
    assert_eq!(status, 200, "{projects}");
    let projects: Value = serde_json::from_str(&projects).unwrap();
    let projects = projects["items"].as_array().unwrap();
    assert_eq!(projects.len(), 2);
    for project in projects {
        let name = project["name"].as_str().unwrap().to_lowercase().replace(' ', "_");
        let kept = std::fs::read_to_string(earlier().join(format!("{name}.jsonl"))).unwrap();
        let id = project["id"].as_str().unwrap();
        let path = format!("/api/v1/audit/projects/{id}/export");
        assert_eq!(get(server, Some(key), &path).await, (200, kept), "{name}");
        let path = format!("/api/v1/audit/projects/{id}/verify?state=true");
        let (_, found) = get(server, Some(key), &path).await;
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["valid"], true, "{found}");
    }
}

/// Checks that no operation but the public ones answers a stranger, or one with a key that was never
/// created.
async fn is_closed(server: &TestServer) {
    let (operations, client) = (operations(), client());
    let mut closed = 0;
    for (operation, needs, _) in TABLE {
        let (method, path) = &operations[*operation];
        let parts = path.split('/').map(|part| if part.starts_with('{') { UNKNOWN } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for key in [None, Some(unknown_key(9))] {
            let request = (method, path.as_str());
            let response = send(&client, &server.base, key.as_deref(), request, None).await;
            if *needs == Needs::Public {
                assert_ne!(response.status(), 401, "{operation}");
                continue;
            }
            assert_eq!(response.status(), 401, "{operation}");
            closed += 1;
        }
    }
    assert!(closed > 100, "{closed}");
}

#[tokio::test]
async fn a_data_folder_of_the_version_before_is_closed_complete_and_says_where_the_key_is() {
    let mut server =
        TestServer::on(folder(), &[&NO_RUNNERS[..], &UNLIMITED, &[KEYS]].concat()).await;
    is_closed(&server).await;
    let file = server.data_dir().join("admin.header");
    assert!(server.said(&file.display().to_string()), "{}", server.log.lock().unwrap());
    let header = std::fs::read_to_string(&file).unwrap();
    let key = header.trim_end().strip_prefix("Authorization: Bearer ").unwrap().to_owned();
    has_everything(&server, &key).await;
    // The next start changes nothing.
    server.kill_and_restart().await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), header);
    is_closed(&server).await;
    has_everything(&server, &key).await;
}

#[tokio::test]
async fn a_database_of_the_version_before_is_closed_complete_and_says_which_command_lets_in() {
    let Some(database) = database().await else { return };
    let url = database.url();
    let store = [KEYS, ("BOTARMY_STORE__URL", &*url)];
    let mut server = TestServer::with(&[&NO_RUNNERS[..], &UNLIMITED, &store].concat()).await;
    is_closed(&server).await;
    const COMMAND: [&str; 6] = ["keys", "create", "admin", "--person", "--role", "admin"];
    let command_line = format!("botarmy-server {}", COMMAND.join(" "));
    assert!(server.said(&command_line), "{}", server.log.lock().unwrap());
    let output =
        command(server.data_dir()).env("BOTARMY_STORE__URL", &url).args(COMMAND).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let key = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    server
        .until(|server| {
            let key = key.clone();
            async move { get(server, Some(&key), "/api/v1/access/me").await.0 == 200 }
        })
        .await;
    has_everything(&server, &key).await;
    server.kill_and_restart().await;
    is_closed(&server).await;
    has_everything(&server, &key).await;
}

#[tokio::test]
async fn several_servers_that_upgrade_a_database_at_once_have_one_administrator_and_everything() {
    let Some(database) = database().await else { return };
    let (url, key) = (database.url(), unknown_key(11));
    let store = [KEYS, ("BOTARMY_STORE__URL", &*url), (FIRST_KEY, &*key)];
    let variables = [&NO_RUNNERS[..], &UNLIMITED, &store].concat();
    let (one, two) = tokio::join!(TestServer::with(&variables), TestServer::with(&variables));
    for server in [&one, &two] {
        is_closed(server).await;
        has_everything(server, &key).await;
    }
    let (_, keys) = get(&two, Some(&key), "/api/v1/access/keys").await;
    let keys: Value = serde_json::from_str(&keys).unwrap();
    assert_eq!(keys["items"].as_array().unwrap().len(), 1, "{keys}");
}
