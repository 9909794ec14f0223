//! Backups are taken while work continues, and a restored backup is a complete database.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use botarmy_tests::server::{TestServer, command};
use botarmy_tests::services;
use serde_json::json;

use crate::say;

const NO_CODER: (&str, &str) = ("BOTARMY_AGENTS__CODER__RUNNER", "none");

/// Submits tasks from eight clients during `work`.
async fn under_load<T: Send + 'static>(
    server: &TestServer,
    project: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> (T, usize) {
    let path = format!("/api/v1/projects/{project}/tasks");
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let clients = futures_util::future::join_all((0..8).map(|_| async {
        while !stop.load(Ordering::Relaxed) {
            let body = json!({"agent_type": "coder", "instructions": "x".repeat(2000)});
            assert_eq!(server.post(&path, body).await.0, 201);
            done.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let work = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let result = tokio::task::spawn_blocking(work).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.store(true, Ordering::Relaxed);
        result
    };
    let (_, result) = tokio::join!(clients, work);
    (result, done.into_inner())
}

/// Checks that every entry up to some moment under the load exists, and that work continues.
async fn is_whole(server: &TestServer, project: &str, open: &str, submitted: usize) {
    for id in [project, open] {
        let (_, found) = server.get(&format!("/api/v1/audit/projects/{id}/verify")).await;
        assert_eq!(found["valid"], true, "{found}");
    }
    let (_, overview) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    let entries = usize::try_from(overview["entries"].as_u64().unwrap()).unwrap();
    assert!(1 < entries && entries <= submitted + 1, "{entries} of {submitted}");
    assert!(server.next_gate(open).await.is_some());
}

#[tokio::test]
async fn a_backup_of_a_working_server_is_whole_and_for_its_owner_only() {
    let server = TestServer::with(&[NO_CODER]).await;
    let open = server.project("Notes for a choir").await;
    server.next_gate(&open).await.unwrap();
    let project = server.by_hand().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup.db");
    let mut backup = command(server.data_dir());
    backup.args(["store", "backup", "--to"]).arg(&file);
    let ((code, said), submitted) = under_load(&server, &project, move || say(&mut backup)).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("every hash verified"), "{said}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(submitted > 20, "there was no load");

    let (code, said) = say(command(server.data_dir()).args(["store", "backup", "--to"]).arg(&file));
    assert_eq!(code, Some(1));
    assert!(said.contains("exists already"), "{said}");
    let left: Vec<_> = dir.path().read_dir().unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");

    let restored = tempfile::tempdir().unwrap();
    std::fs::copy(&file, restored.path().join("botarmy.db")).unwrap();
    let restored = TestServer::on(restored, &[]).await;
    is_whole(&restored, &project, &open, submitted).await;
    assert_eq!(restored.approve_all(&open).await, "completed");
}

#[tokio::test]
async fn a_backup_that_cannot_be_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let backup = |to: &str| say(command(dir.path()).args(["store", "backup", "--to", to]));
    let (code, said) = backup("b.db");
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no database at"), "{said}");
    assert!(command(dir.path()).arg("migrate").status().unwrap().success());
    let (code, said) = backup("no/such/folder/b.db");
    assert_eq!(code, Some(1));
    assert!(said.contains("no/such/folder/b.db"), "{said}");
    std::fs::write(dir.path().join("b.db.partial"), "left by one that was killed").unwrap();
    assert_eq!(backup("b.db").0, Some(0));
    assert!(!dir.path().join("b.db.partial").exists());
    // The typical use is before an upgrade.
    assert!(command(dir.path()).args(["migrate", "--down"]).status().unwrap().success());
    assert_eq!(backup("older.db").0, Some(0));
    let (code, said) = say(command(dir.path())
        .env("BOTARMY_STORE__URL", "postgres://army:s3cr3t@127.0.0.1:1/x")
        .args(["store", "backup", "--to", "c.db"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("pg_dump") && !said.contains("s3cr3t"), "{said}");
}

#[tokio::test]
async fn a_dump_of_a_working_postgres_is_whole() {
    let (Some(database), Some(restored), Some(mut dump), Some(mut restore)) = (
        services::database().await,
        services::empty_database().await,
        services::postgres_tool("pg_dump"),
        services::postgres_tool("pg_restore"),
    ) else {
        return;
    };
    let url = database.url();
    let server = TestServer::with(&[("BOTARMY_STORE__URL", &url), NO_CODER]).await;
    let open = server.project("Notes for a choir").await;
    server.next_gate(&open).await.unwrap();
    let project = server.by_hand().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("botarmy.dump");
    dump.args(["--format=custom", "--no-owner"]).arg("--file").arg(&file).arg(&url);
    let ((code, said), submitted) = under_load(&server, &project, move || say(&mut dump)).await;
    assert_eq!(code, Some(0), "{said}");

    let url = restored.url();
    restore.args(["--exit-on-error", "--single-transaction", "--no-owner", "--dbname", &url]);
    let (code, said) = say(restore.arg(&file));
    assert_eq!(code, Some(0), "{said}");
    // No worker may take the tasks while they are counted.
    let restored = TestServer::with(&[("BOTARMY_STORE__URL", &url), NO_CODER]).await;
    is_whole(&restored, &project, &open, submitted).await;
    drop(restored);
    let restored = TestServer::with(&[("BOTARMY_STORE__URL", &url)]).await;
    let error = services::execute(&url, "DELETE FROM events").await.unwrap_err();
    assert!(format!("{error:#?}").contains("append-only"), "{error:#?}");
    assert_eq!(restored.approve_all(&open).await, "completed");
}
