//! A complete database is copied to another one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use botarmy_domain::change::Row;
use botarmy_domain::ports::{Ledger, TaskStore};
use botarmy_domain::{AgentType, Caller, Claim, DecisionContext, Reach, Timestamp, WorkerId};
use botarmy_postgres::{PostgresSettings, PostgresStore};
use botarmy_sqlite::{SqliteSettings, SqliteStore};
use botarmy_tests::access::MODE;
use botarmy_tests::dice::Dice;
use botarmy_tests::server::{TestServer, bare, command};
use botarmy_tests::services::{self, Database, PostgresServer};
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{migrations, say};

fn address(dir: &Path) -> String {
    format!("sqlite:{}", dir.display())
}

fn copy(from: &str, to: &str) -> (Option<i32>, String) {
    say(bare().args(["store", "copy", "--from", from, "--to", to]))
}

/// Returns a data directory of a stopped server: a project that waits at its third gate, a paused
/// one without a workflow and with a pending task, and a completed one.
async fn database_copy() -> (TestServer, Vec<String>) {
    copied_from(&[NO_ORCHESTRATOR]).await
}

/// The same with a database without keys, which can be taken back to an older version.
async fn without_keys() -> (TestServer, Vec<String>) {
    copied_from(&[NO_ORCHESTRATOR, (MODE, "open")]).await
}

async fn copied_from(variables: &[(&str, &str)]) -> (TestServer, Vec<String>) {
    let mut server = TestServer::with(variables).await;
    let waiting = server.project("Notes for a choir, «übermorgen»").await;
    let gate = server.next_gate(&waiting).await.unwrap();
    let answer = json!({"action": "amend", "content": "Sing louder \u{1f3b6}\n on Sundays"});
    assert_eq!(server.respond(&gate, answer).await.0, 200);
    let gate = server.next_gate(&waiting).await.unwrap();
    assert_eq!(server.respond(&gate, json!({"action": "approve"})).await.0, 200);
    server.next_gate(&waiting).await.unwrap();
    let paused = server.by_hand().await;
    server.submit(&paused, "orchestrator", "1e23 and 0.30000000000000004").await;
    turn(&server, &paused, "pause").await;
    let finished = server.project("A recipe-sharing site for small families").await;
    assert_eq!(server.approve_all(&finished).await, "completed");
    assert_eq!(server.terminate().await, Some(0));
    (server, vec![waiting, paused, finished])
}

/// Disables the agent type that no step of the workflow needs, so that its tasks stay pending.
const NO_ORCHESTRATOR: (&str, &str) = ("BOTARMY_AGENTS__ORCHESTRATOR__RUNNER", "none");

/// Pauses or resumes a project.
async fn turn(server: &TestServer, project: &str, verb: &str) {
    let path = format!("/api/v1/projects/{project}/{verb}");
    let (status, answer) = server.post(&path, json!({})).await;
    assert_eq!(status, 200, "{answer}");
}

/// Returns the answers of the API about a database.
async fn seen(server: &TestServer, projects: &[String]) -> BTreeMap<String, Value> {
    let mut seen = BTreeMap::new();
    let mut paths = vec!["/api/v1/projects".to_owned(), "/api/v1/hitl/pending".to_owned()];
    for id in projects {
        paths.push(format!("/api/v1/projects/{id}"));
        paths.push(format!("/api/v1/projects/{id}/status"));
        paths.push(format!("/api/v1/audit/projects/{id}/verify"));
        let path = format!("/api/v1/audit/projects/{id}/export");
        let export = server.raw(Method::GET, &path, None).await.unwrap().text().await.unwrap();
        seen.insert(path, Value::String(export));
    }
    for path in paths {
        let (status, answer) = server.get(&path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        seen.insert(path, answer);
    }
    seen
}

/// Returns the bytes of a package.
async fn package(server: &TestServer, project: &str) -> Vec<u8> {
    let path = format!("/api/v1/artifacts/{project}/download");
    let answer = server.raw(Method::GET, &path, None).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    answer.bytes().await.unwrap().to_vec()
}

/// Checks that the API gives the same answers as before.
async fn is_as(server: &TestServer, projects: &[String], before: &BTreeMap<String, Value>) {
    let now = seen(server, projects).await;
    let changed: Vec<_> = before.iter().filter(|(path, value)| now[*path] != **value).collect();
    let Some((path, then)) = changed.first() else { return };
    panic!("{} answers have changed, such as {path}: {} was {then}", changed.len(), now[*path]);
}

/// Verifies an audit export offline.
fn verify(export: &str) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("log"), export).unwrap();
    let (code, said) = say(bare().args(["audit", "verify"]).arg(dir.path().join("log")));
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn an_installation_moves_to_postgres_and_back_and_its_work_goes_on() {
    let Some(database) = services::empty_database().await else { return };
    let (mut origin, projects) = database_copy().await;
    origin.kill_and_restart().await;
    let packed = package(&origin, &projects[2]).await;
    let before = seen(&origin, &projects).await;
    assert_eq!(origin.terminate().await, Some(0));

    let (code, said) = copy(&address(origin.data_dir()), &database.url());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Every row is the same on both sides"), "{said}");
    let url = database.url();
    for sql in
        ["DELETE FROM events", "UPDATE events SET seq = 1", "UPDATE artifacts SET digest = ''"]
    {
        assert!(services::execute(&url, sql).await.is_err(), "{sql} is not refused");
    }
    let mut there = TestServer::with(&[("BOTARMY_STORE__URL", &url)]).await;
    is_as(&there, &projects, &before).await;
    assert!(package(&there, &projects[2]).await == packed, "it is another package");
    assert_eq!(there.terminate().await, Some(0));

    let dir = tempfile::tempdir().unwrap();
    let (code, said) = copy(&url, &address(dir.path()));
    assert_eq!(code, Some(0), "{said}");
    let file = dir.path().join("botarmy.db");
    let mut beside = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    for sql in ["DELETE FROM events", "UPDATE events SET seq = 1", "DELETE FROM artifacts"] {
        assert!(beside.batch_execute(sql).is_err(), "{sql} is not refused");
    }
    drop(beside);
    let back = TestServer::on(dir, &[(NO_ORCHESTRATOR.0, "noop")]).await;
    assert_eq!(back.approve_all(&projects[0]).await, "completed");
    turn(&back, &projects[1], "resume").await;
    back.until(|server| {
        let path = format!("/api/v1/projects/{}", projects[1]);
        async move { server.get(&path).await.1["status"] == "completed" }
    })
    .await;
    for id in &projects {
        let path = format!("/api/v1/audit/projects/{id}/export");
        let export = back.raw(Method::GET, &path, None).await.unwrap().text().await.unwrap();
        verify(&export);
        // The entries from before the move are the beginning of the log now.
        let entries: Vec<_> = before[&path].as_str().unwrap().lines().collect();
        let entries = &entries[..entries.len() - 1];
        assert!(export.lines().zip(entries).all(|(now, then)| now == *then));
    }
}

#[tokio::test]
async fn a_copy_between_two_of_a_kind_is_the_same_too() {
    let (origin, _) = database_copy().await;
    let dir = tempfile::tempdir().unwrap();
    let (code, said) = copy(&address(origin.data_dir()), &address(dir.path()));
    assert_eq!(code, Some(0), "{said}");
    let (Some(one), Some(two)) =
        (services::empty_database().await, services::empty_database().await)
    else {
        return;
    };
    assert_eq!(copy(&address(dir.path()), &one.url()).0, Some(0));
    let (code, said) = copy(&one.url(), &two.url());
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = copy(&two.url(), &address(dir.path()));
    assert_eq!(code, Some(1));
    assert!(said.contains("is not empty"), "{said}");
}

#[tokio::test]
async fn a_database_that_may_not_be_touched_is_refused_with_what_to_do() {
    let (origin, _) = without_keys().await;
    let from = address(origin.data_dir());
    let other = TestServer::start().await;
    other.by_hand().await;
    let empty = tempfile::tempdir().unwrap();
    let nowhere = empty.path().join("nowhere");
    let beside = address(&empty.path().join("new"));
    for (from, to, expected) in [
        (&*from, &*from, "--from and --to are the same"),
        (&from, &format!("{from}/."), "--from and --to are the same"),
        (&address(other.data_dir()), &beside, "another process is using the data directory"),
        (&from, &address(other.data_dir()), "another process is using the data directory"),
        (&address(&nowhere), &beside, "there is no database at"),
        ("data", &beside, "an address is postgres://"),
        ("env:NO_SUCH_VARIABLE", &beside, "NO_SUCH_VARIABLE"),
    ] {
        let (code, said) = copy(from, to);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!nowhere.exists(), "looking for a source made one");
    assert_eq!(other.get("/readyz").await.0, 200);

    let older = command(origin.data_dir()).args(["migrate", "--down"]).status().unwrap();
    assert!(older.success());
    let (code, said) = copy(&from, &beside);
    assert_eq!(code, Some(1));
    assert!(said.contains("older version") && said.contains("migrate"), "{said}");
    assert!(command(origin.data_dir()).arg("migrate").status().unwrap().success());
    assert_eq!(copy(&from, &beside).0, Some(0));
}

#[tokio::test]
async fn a_target_of_an_older_version_is_refused_and_stays_as_it_is() {
    let (origin, _) = without_keys().await;
    let from = address(origin.data_dir());
    let database = services::database().await;
    for url in [Some(String::new()), database.as_ref().map(Database::url)].iter().flatten() {
        let mut server = TestServer::with(&[(MODE, "open"), ("BOTARMY_STORE__URL", url)]).await;
        server.by_hand().await;
        assert_eq!(server.terminate().await, Some(0));
        let dir = server.data_dir();
        let to = if url.is_empty() { address(dir) } else { url.clone() };
        let migrate = |options: &[&str]| {
            let mut migrate = command(dir);
            say(migrate.env("BOTARMY_STORE__URL", url).arg("migrate").args(options))
        };
        assert_eq!(migrate(&["--down"]).0, Some(0));
        let (_, before) = migrate(&["--status"]);
        assert!(before.contains("applied") && before.contains("pending"), "{before}");
        let (code, said) = copy(&from, &to);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("nothing was changed") && said.contains("older version"), "{said}");
        assert_eq!(migrate(&["--status"]).1, before);
    }
}

/// State after a kill between two migrations of the target.
#[tokio::test]
async fn an_unused_target_of_an_older_version_is_brought_up_to_date() {
    let (origin, _) = database_copy().await;
    let from = address(origin.data_dir());
    let database = services::database().await;
    for url in [Some(String::new()), database.as_ref().map(Database::url)].iter().flatten() {
        let dir = tempfile::tempdir().unwrap();
        let to = if url.is_empty() { address(dir.path()) } else { url.clone() };
        for options in [&[][..], &["--down"]] {
            let mut migrate = command(dir.path());
            migrate.env("BOTARMY_STORE__URL", url).arg("migrate").args(options);
            assert_eq!(say(&mut migrate).0, Some(0));
        }
        let (code, said) = copy(&from, &to);
        assert_eq!(code, Some(0), "{said}");
    }
}

/// Starts a copy, one row at a time, and kills it after a while; returns whether it resumed an
/// incomplete copy.
fn cut_short(from: &str, to: &str, after: Duration) -> bool {
    let mut child = bare()
        .args(["store", "copy", "--chunk", "1", "--from", from, "--to", to])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), None, "it came to its end before it was killed: {said}");
    said.contains("Going on with the copy")
}

#[tokio::test]
async fn a_copy_that_is_killed_goes_on_and_until_it_is_whole_no_server_starts_on_it() {
    let mut dice = Dice::new();
    let (mut origin, projects) = without_keys().await;
    origin.kill_and_restart().await;
    // One row at a time, these take more than a second.
    turn(&origin, &projects[1], "resume").await;
    for n in 0..1500 {
        origin.submit(&projects[1], "orchestrator", &format!("task {n}")).await;
    }
    turn(&origin, &projects[1], "pause").await;
    let before = seen(&origin, &projects).await;
    assert_eq!(origin.terminate().await, Some(0));
    let (other, _) = without_keys().await;
    let from = address(origin.data_dir());
    let database = services::empty_database().await;
    for url in [Some(String::new()), database.as_ref().map(Database::url)].iter().flatten() {
        let dir = tempfile::tempdir().unwrap();
        let to = if url.is_empty() { address(dir.path()) } else { url.clone() };
        // A busy machine needs longer to begin.
        let (mut resumed, mut patience) = (0, 20);
        while resumed < 3 {
            let after = Duration::from_millis(patience + dice.below(40));
            if cut_short(&from, &to, after) {
                resumed += 1;
            } else {
                patience += 10;
            }
        }
        let on_it = |arguments: &[&str]| {
            say(command(dir.path()).env("BOTARMY_STORE__URL", url).args(arguments))
        };
        let (code, said) = on_it(&["serve", "--port", "0"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("Run the same `store copy` again"), "{said}");
        // Versions that know of copies may open it; older ones would take the incomplete copy for a
        // complete one.
        for name in migrations(url)
            .iter()
            .rev()
            .take_while(|name| name.as_str() > "0002_copies_in_progress")
        {
            assert_eq!(on_it(&["migrate", "--down"]), (Some(0), format!("Took back {name}\n")));
        }
        let (code, said) = on_it(&["migrate", "--down"]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("a_copy_is_in_progress"), "{said}");
        let (code, said) = on_it(&["migrate"]);
        assert_eq!(code, Some(0), "{said}");
        let (code, said) = copy(&to, &address(&dir.path().join("third")));
        assert_eq!(code, Some(1), "half of something is no source: {said}");
        let (code, said) = copy(&address(other.data_dir()), &to);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("Finish that copy, or empty the target"), "{said}");

        let (code, said) = copy(&from, &to);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("Going on with the copy"), "{said}");
        let server = TestServer::on(dir, &[(MODE, "open"), ("BOTARMY_STORE__URL", url)]).await;
        is_as(&server, &projects, &before).await;
    }
}

#[tokio::test]
async fn a_lease_that_was_extended_moves_as_it_is() {
    let Some(database) = services::database().await else { return };
    let url = database.url();
    let store = || PostgresStore::open(PostgresSettings::new(url.parse().unwrap()));
    let settings = [("BOTARMY_STORE__URL", url.as_str()), NO_ORCHESTRATOR];
    let mut server = TestServer::with(&settings).await;
    let project = server.by_hand().await;
    server.submit(&project, "orchestrator", "x").await;
    assert_eq!(server.terminate().await, Some(0));

    let open = store().await.unwrap();
    let worker = WorkerId("somebody".to_owned());
    let context = DecisionContext::new(
        Timestamp::from_micros(1_900_000_000_000_000),
        1,
        Caller::worker(&worker),
    );
    let lease = Duration::from_secs(60);
    let slots = [(AgentType::Orchestrator, 1)].into();
    let claimed = open
        .claim(Claim { reach: Reach::everything(), worker, slots, lease, external: None, context })
        .await
        .unwrap();
    let Some(Row::Task(task)) = claimed.rows.iter().find(|row| matches!(row, Row::Task(_))) else {
        panic!("{claimed:?}")
    };
    let task = task.id;
    let until = Timestamp::from_micros(1_900_000_000_000_000 + 3_600_000_000);
    assert!(open.extend(task, 1, until).await.unwrap());
    let before = open.task(task).await.unwrap().unwrap();
    open.close().await;

    let dir = tempfile::tempdir().unwrap();
    let (code, said) = copy(&url, &address(dir.path()));
    assert_eq!(code, Some(0), "{said}");
    let there = SqliteStore::open(SqliteSettings::new(dir.path().join("botarmy.db"))).unwrap();
    let after = there.task(task).await.unwrap().unwrap();
    assert_eq!(after.lease().unwrap().expires_at, until);
    assert_eq!(after, before);
    there.close().await;
}

#[tokio::test]
async fn a_source_that_goes_on_meanwhile_makes_no_copy() {
    let (Some(from), Some(to)) =
        (services::empty_database().await, services::empty_database().await)
    else {
        return;
    };
    let url = from.url();
    let server = TestServer::with(&[("BOTARMY_STORE__URL", &url), NO_ORCHESTRATOR]).await;
    let project = server.by_hand().await;
    let target = to.url();
    let copying = tokio::task::spawn_blocking(move || copy(&url, &target));
    while !copying.is_finished() {
        server.submit(&project, "orchestrator", "x").await;
    }
    let (code, said) = copying.await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("went on while it was copied"), "{said}");
    let dir = tempfile::tempdir().unwrap();
    let (code, said) =
        say(command(dir.path()).env("BOTARMY_STORE__URL", to.url()).args(["serve", "--port", "0"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("holds a part of"), "{said}");
    let (code, said) = copy(&from.url(), &to.url());
    assert_eq!(code, Some(1));
    assert!(said.contains("it cannot be finished any more"), "{said}");
}

#[tokio::test]
async fn a_log_that_was_changed_is_named() {
    let (origin, projects) = database_copy().await;
    let mut beside =
        SqliteConnection::establish(origin.data_dir().join("botarmy.db").to_str().unwrap())
            .unwrap();
    let id = projects[0].replace('-', "");
    beside
        .batch_execute(&format!(
            "DROP TRIGGER events_are_not_changed;
             UPDATE events SET created_at = created_at + 1 WHERE log = x'{id}' AND seq = 3;"
        ))
        .unwrap();
    drop(beside);
    let dir: TempDir = tempfile::tempdir().unwrap();
    let (code, said) = copy(&address(origin.data_dir()), &address(dir.path()));
    assert_eq!(code, Some(1));
    let expected = format!("the log {} is not as it was written from entry 3 on", projects[0]);
    assert!(said.contains(&expected), "{said}");
    let (code, _) = say(command(dir.path()).args(["serve", "--port", "0"]));
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn a_wrong_password_is_reported_and_not_shown() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let hba = dir.path().join("hba.conf");
    let rules = "host all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";
    std::fs::write(&hba, rules).unwrap();
    std::fs::set_permissions(&hba, std::fs::Permissions::from_mode(0o644)).unwrap();
    let setting = ("hba_file", hba.to_str().unwrap());
    let Some(server) = PostgresServer::start(&[setting]).await else { return };
    let role = "CREATE ROLE locked LOGIN PASSWORD 'the right one'";
    services::execute(&server.url(), role).await.unwrap();
    let url = server.url().replace("botarmy@", "locked:s3cr3t@");
    let target = address(&dir.path().join("data"));
    for (code, said) in [
        copy(&url, &target),
        copy(&target, &url),
        say(bare()
            .args(["store", "copy", "--from", "env:FROM", "--to", &target])
            .env("FROM", &url)),
    ] {
        assert_eq!(code, Some(1));
        assert!(!said.contains("s3cr3t"), "{said}");
    }
    let (_, said) = copy(&url, &target);
    assert!(said.contains("password authentication failed"), "{said}");
}
