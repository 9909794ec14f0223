//! Migrations up and down with data, also from several servers at once; foreign and newer databases
//! are left unchanged. On both databases.

use std::path::Path;
use std::process::Command;

use botarmy_tests::access::MODE;
use botarmy_tests::server::{TestServer, command};
use botarmy_tests::services;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::{migrations, say};

/// Returns the command for a data directory or, if there is an address, for PostgreSQL.
fn on(dir: &Path, url: &str) -> Command {
    let mut command = command(dir);
    command.env("BOTARMY_STORE__URL", url);
    command
}

/// Returns a line for each of the names.
fn lines(before: &str, names: &[String]) -> String {
    names.iter().map(|name| format!("{before}{name}\n")).collect()
}

fn migrate(dir: &Path, url: &str, option: &str) -> (Option<i32>, String) {
    let mut command = on(dir, url);
    command.arg("migrate");
    if !option.is_empty() {
        command.arg(option);
    }
    say(&mut command)
}

#[tokio::test]
async fn the_last_migration_goes_down_and_up_and_the_data_stays() {
    let database = services::database().await;
    let urls = [Some(String::new()), database.as_ref().map(services::Database::url)];
    for url in urls.iter().flatten() {
        // A database with keys goes no further down: the log has entries about them.
        let mut server = TestServer::with(&[(MODE, "open"), ("BOTARMY_STORE__URL", url)]).await;
        let project = server.project("Notes for a choir").await;
        server.next_gate(&project).await.unwrap();
        assert_eq!(server.terminate().await, Some(0));
        let dir = server.data_dir().to_owned();

        let (code, said) = migrate(&dir, url, "--down");
        let names = migrations(url);
        let (last, earlier) = names.split_last().unwrap();
        assert_eq!((code, said), (Some(0), format!("Took back {last}\n")));
        let (_, said) = migrate(&dir, url, "--status");
        assert_eq!(said, lines("applied  ", earlier) + &format!("pending  {last}\n"));
        for _ in 0..2 {
            let (code, said) = migrate(&dir, url, "--dry-run");
            assert_eq!((code, said), (Some(0), format!("Would apply {last}\n")));
        }
        let (code, said) = migrate(&dir, url, "");
        assert_eq!((code, said), (Some(0), format!("Applied {last}\n")));
        let (_, said) = migrate(&dir, url, "");
        assert_eq!(said, "Nothing to do: the database is up to date.\n");

        server.kill_and_restart().await;
        assert_eq!(server.approve_all(&project).await, "completed");
        let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
        assert_eq!(found["valid"], true, "{found}");
    }
}

#[tokio::test]
async fn a_log_with_budget_events_is_not_given_to_a_version_that_cannot_read_it() {
    let database = services::database().await;
    let urls = [Some(String::new()), database.as_ref().map(services::Database::url)];
    for url in urls.iter().flatten() {
        let mut server = TestServer::with(&[(MODE, "open"), ("BOTARMY_STORE__URL", url)]).await;
        let project = server.by_hand().await;
        let path = format!("/api/v1/projects/{project}/budget");
        let body = Some("{\"tokens\": 5}".to_owned());
        assert_eq!(server.raw(reqwest::Method::PUT, &path, body).await.unwrap().status(), 200);
        assert_eq!(server.terminate().await, Some(0));
        for name in migrations(url).iter().rev().take_while(|name| name.as_str() > "0003_oversight")
        {
            let (code, _) = migrate(server.data_dir(), url, "--down");
            assert_eq!(code, Some(0), "{name} has no data of its own");
        }
        let (code, said) = migrate(server.data_dir(), url, "--down");
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("the_log_tells_of_budgets_or_stops"), "{said}");
        server.start_again().await;
        assert_eq!(server.get(&path).await.1["limit"]["tokens"], 5, "nothing has changed");
    }
}

#[tokio::test]
async fn a_log_with_events_of_access_is_not_given_to_a_version_that_cannot_read_it() {
    let database = services::database().await;
    let urls = [Some(String::new()), database.as_ref().map(services::Database::url)];
    for url in urls.iter().flatten() {
        let dir = TempDir::new().unwrap();
        migrate(dir.path(), url, "");
        let bytes = |hex: &str, length: usize| match url.as_str() {
            "" => format!("x'{}'", hex.repeat(length)),
            _ => format!("decode('{}', 'hex')", hex.repeat(length)),
        };
        let id = |hex: &str| match url.as_str() {
            "" => bytes(hex, 16),
            _ => format!("'{}'::uuid", hex.repeat(16)),
        };
        let execute = async |sql: String| {
            if let Some(database) = database.as_ref().filter(|_| !url.is_empty()) {
                services::execute(&database.url(), &sql).await.unwrap();
            } else {
                let file = dir.path().join("botarmy.db");
                let mut beside = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
                beside.batch_execute(&sql).unwrap();
            }
        };
        let head = if url.is_empty() { "" } else { "previous, " };
        let previous = if url.is_empty() { String::new() } else { bytes("00", 32) + ", " };
        execute(format!(
            "INSERT INTO heads (log, seq, hash, {head}counts, next_turn) \
             VALUES ({}, 1, {}, {previous}'{{}}', 0); \
             INSERT INTO events (id, log, seq, event_type, event_source, created_at, hash, \
             event_metadata, event_data) \
             VALUES ({}, {}, 1, 'key_created', 'user', 0, {}, '{{}}', '{{}}'); \
             INSERT INTO api_keys (id, body) VALUES ({}, '{{}}')",
            id("00"),
            bytes("5a", 32),
            id("01"),
            id("00"),
            bytes("5a", 32),
            id("02"),
        ))
        .await;
        let later =
            migrations(url).into_iter().rev().take_while(|name| name.as_str() > "0007_access");
        for name in later {
            let (code, _) = migrate(dir.path(), url, "--down");
            assert_eq!(code, Some(0), "{name} has no data of its own");
        }
        let (code, said) = migrate(dir.path(), url, "--down");
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("the_log_tells_of_access"), "{said}");
        // Its tables are still there.
        execute(format!("INSERT INTO api_keys (id, body) SELECT {}, body FROM api_keys", id("03")))
            .await;
    }
}

#[tokio::test]
async fn everything_goes_down_to_nothing_and_up_again() {
    let Some(database) = services::database().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let url = database.url();
    for name in migrations(&url).iter().rev() {
        assert_eq!(migrate(dir.path(), &url, "--down").1, format!("Took back {name}\n"));
    }
    assert_eq!(migrate(dir.path(), &url, "--down").1, "Nothing to take back.\n");
    let left = services::connect(&url)
        .await
        .unwrap()
        .query_one(
            "SELECT (SELECT count(*) FROM pg_tables WHERE schemaname = 'public' \
             AND tablename NOT LIKE '%diesel%') \
             + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
             AND proname NOT LIKE 'diesel%')",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
    let (code, said) = migrate(dir.path(), &url, "");
    assert_eq!(code, Some(0));
    assert_eq!(said, lines("Applied ", &migrations(&url)));
}

#[tokio::test]
async fn several_servers_that_start_at_once_on_an_empty_database_are_all_ready() {
    let Some(database) = services::empty_database().await else { return };
    let url = database.url();
    let variables = [("BOTARMY_STORE__URL", url.as_str())];
    let (one, two, three) = tokio::join!(
        TestServer::with(&variables),
        TestServer::with(&variables),
        TestServer::with(&variables)
    );
    let project = one.project("Notes for a choir").await;
    for server in [&one, &two, &three] {
        assert_eq!(server.get(&format!("/api/v1/projects/{project}")).await.0, 200);
    }
    let counts = [&one, &two, &three]
        .map(|server| server.log.lock().unwrap().matches("was brought up to date").count());
    assert_eq!(counts.iter().sum::<usize>(), 1, "{counts:?}");
    assert_eq!(two.approve_all(&project).await, "completed");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let add = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')";
    let dir = TempDir::new().unwrap();
    assert_eq!(migrate(dir.path(), "", "").0, Some(0));
    let file = dir.path().join("botarmy.db");
    let mut beside = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    beside.batch_execute(add).unwrap();
    drop(beside);
    let database = services::database().await;
    if let Some(database) = &database {
        services::execute(&database.url(), add).await.unwrap();
    }
    let urls = [Some(String::new()), database.as_ref().map(services::Database::url)];
    for url in urls.iter().flatten() {
        let before = std::fs::read(&file).unwrap();
        let mut refused = vec![say(on(dir.path(), url).args(["serve", "--port", "0"]))];
        for option in ["", "--down", "--dry-run", "--status"] {
            refused.push(migrate(dir.path(), url, option));
        }
        for (code, said) in refused {
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("newer version") && said.contains("9999"), "{said}");
            assert!(said.contains("Start the newer version"), "{said}");
        }
        assert!(std::fs::read(&file).unwrap() == before);
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_refused_and_left_alone() {
    let make = "CREATE TABLE theirs (id integer)";
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("botarmy.db");
    SqliteConnection::establish(file.to_str().unwrap()).unwrap().batch_execute(make).unwrap();
    let before = std::fs::read(&file).unwrap();
    let database = services::empty_database().await;
    if let Some(database) = &database {
        services::execute(&database.url(), make).await.unwrap();
    }
    let urls = [Some(String::new()), database.as_ref().map(services::Database::url)];
    for url in urls.iter().flatten() {
        let mut refused = vec![say(on(dir.path(), url).args(["serve", "--port", "0"]))];
        for option in ["", "--down", "--dry-run", "--status"] {
            refused.push(migrate(dir.path(), url, option));
        }
        for (code, said) in refused {
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("left as it is") || said.contains("left as it was"), "{said}");
        }
    }
    assert!(std::fs::read(&file).unwrap() == before);
    if let Some(database) = &database {
        let tables = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'";
        let row = services::connect(&database.url()).await.unwrap().query_one(tables, &[]).await;
        assert_eq!(row.unwrap().get::<_, String>(0), "theirs");
    }
}

#[tokio::test]
async fn an_empty_postgres_says_what_it_lacks_and_a_rehearsal_leaves_it_empty() {
    let Some(database) = services::empty_database().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let url = database.url();
    let (pending, rehearsed) =
        (lines("pending  ", &migrations(&url)), lines("Would apply ", &migrations(&url)));
    assert_eq!(migrate(dir.path(), &url, "--status"), (Some(0), pending.clone()));
    assert_eq!(migrate(dir.path(), &url, "--dry-run"), (Some(0), rehearsed));
    assert_eq!(migrate(dir.path(), &url, "--status"), (Some(0), pending));
}
