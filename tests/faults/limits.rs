//! Limits and settings of a PostgreSQL that an operator has made: too few connections, another
//! reading of literals, a full disk, missing triggers.

use botarmy_tests::cluster::Cluster;
use botarmy_tests::server::{TestServer, command};
use botarmy_tests::services::{self, PostgresServer, execute};
use diesel::Connection;
use diesel::connection::SimpleConnection;
use serde_json::json;

fn refused(url: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let output = command(dir.path())
        .args(["serve", "--port", "0"])
        .env("BOTARMY_STORE__URL", url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_connections_than_a_server_needs_are_reported_when_it_starts() {
    let Some((postgres, url)) = PostgresServer::with_database(&[]).await else { return };
    for sql in ["CREATE ROLE army LOGIN CONNECTION LIMIT 4", "ALTER DATABASE botarmy OWNER TO army"]
    {
        execute(&url, sql).await.unwrap();
    }
    let url = url.replace("botarmy@", "army@");
    let said = refused(&url);
    assert!(said.contains("allows 4 connections (CONNECTION LIMIT of the role)"), "{said}");
    assert!(said.contains("store.readers"), "{said}");
    for sql in ["ALTER ROLE army CONNECTION LIMIT -1", "ALTER DATABASE botarmy CONNECTION LIMIT 3"]
    {
        execute(&postgres.url(), sql).await.unwrap();
    }
    let said = refused(&url);
    assert!(said.contains("allows 3 connections (CONNECTION LIMIT of the database)"), "{said}");
    // Enough for a server alone; with what others hold it has fewer, which is reported and not refused.
    execute(&postgres.url(), "ALTER DATABASE botarmy CONNECTION LIMIT 30").await.unwrap();
    let held: Vec<_> =
        futures_util::future::join_all((0..25).map(|_| services::connect(&url))).await;
    assert!(held.iter().all(Result::is_ok), "the test holds some of them");
    let server = Cluster::on(&url, None).replica("all").await;
    let log = server.log.lock().unwrap().clone();
    assert!(log.contains("others use") && log.contains("Raise the limit"), "{log}");
    drop((held, server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_reads_literals_in_the_old_way_is_written_to() {
    let Some(database) = services::database().await else { return };
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    let sql = format!("ALTER DATABASE {name} SET standard_conforming_strings = off");
    execute(&database.url(), &sql).await.unwrap();
    let server = Cluster::on(&database.url(), None).replica("all").await;
    let project = server.by_hand().await;
    let path = format!("/api/v1/projects/{project}/tasks");
    let task = json!({"agent_type": "coder", "instructions": "Do \\it"});
    assert_eq!(server.post(&path, task).await.0, 201);
}

/// Returns the answer to a write on a full disk.
async fn write(server: &TestServer) -> (u16, String) {
    let (status, answer) = server.post("/api/v1/projects", json!({"name": "One"})).await;
    (status, answer["detail"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_of_the_database_is_reported_as_one() {
    let Some(database) = services::database().await else { return };
    let server = Cluster::on(&database.url(), None).replica("all").await;
    // The error that PostgreSQL raises where it cannot make a file longer.
    let fail = "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                RAISE EXCEPTION 'could not extend file \"base/5/16400\": No space left on device' \
                USING ERRCODE = '53100', HINT = 'Check free disk space.'; END $$; \
                CREATE TRIGGER no_space BEFORE INSERT ON projects FOR EACH ROW \
                EXECUTE FUNCTION no_space()";
    execute(&database.url(), fail).await.unwrap();
    let (status, detail) = write(&server).await;
    assert_eq!(status, 503);
    assert!(detail.contains("The disk of the store is full"), "{detail}");
    assert!(!detail.contains("base/5"), "no path is shown: {detail}");
    execute(&database.url(), "DROP TRIGGER no_space ON projects").await.unwrap();
    assert_eq!(write(&server).await.0, 201);
}

/// Waits until every view of health names the component, and the log does.
async fn all_views_name(server: &TestServer, component: &str) {
    server.until(|server| async move { server.get("/readyz").await.0 == 503 }).await;
    let (_, ready) = server.get("/readyz").await;
    assert_eq!(ready["failing"], json!([component]));
    let (status, detailed) = server.get("/health/detailed").await;
    assert_eq!((status, &detailed["status"]), (503, &json!("unhealthy")));
    let shown = &detailed["components"][component];
    assert_eq!(shown["status"], "unhealthy", "{detailed}");
    assert!(shown["message"].as_str().unwrap().contains("events_are_not_changed"), "{shown}");
    let (_, probe) = server.get("/healthz").await;
    assert_eq!(
        (&probe["status"], &probe["checks"][component]),
        (&json!("degraded"), &json!("fail"))
    );
    let says = |log: &str| log.contains("is unhealthy") && log.contains("events_are_not_changed");
    server.until(|server| async move { says(&server.log.lock().unwrap()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_triggers_are_in_every_view_of_health_and_in_the_log() {
    if let Some(database) = services::database().await {
        let server = Cluster::on(&database.url(), None).replica("all").await;
        let drop = "DROP TRIGGER events_are_not_changed ON events";
        execute(&database.url(), drop).await.unwrap();
        all_views_name(&server, "audit_system").await;
    }
    let server = TestServer::start().await;
    let file = server.data_dir().join("botarmy.db");
    let mut beside = diesel::SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    beside.batch_execute("DROP TRIGGER events_are_not_changed").unwrap();
    all_views_name(&server, "audit_system").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_views_for_questions_in_sql_show_times_and_are_explained() {
    let Some(database) = services::database().await else { return };
    let server = Cluster::on(&database.url(), None).replica("all").await;
    let project = server.by_hand().await;
    let question = json!({"project_id": project, "question": "Is this right?"});
    let (_, request) = server.post("/api/v1/hitl", question).await;
    let path = format!("/api/v1/projects/{project}/tasks");
    let task = json!({"agent_type": "coder", "instructions": "Do it"});
    assert_eq!(server.post(&path, task).await.0, 201);
    let path = format!("/api/v1/hitl/{}/respond", request["request_id"].as_str().unwrap());
    assert_eq!(server.post(&path, json!({"action": "approve", "comment": "Good"})).await.0, 200);
    let client = services::connect(&database.url()).await.unwrap();
    let near = "now() - interval '1 hour' AND now() + interval '1 hour'";
    for (sql, expected) in [
        (
            format!(
                "SELECT name || '/' || status FROM projects_view WHERE created_at BETWEEN {near} AND updated_at BETWEEN {near}"
            ),
            "By hand/",
        ),
        (
            format!(
                "SELECT agent || '/' || instructions || '/' || max_attempts FROM tasks_view WHERE created_at BETWEEN {near} AND ready_at BETWEEN {near}"
            ),
            "coder/Do it/3",
        ),
        (
            format!(
                "SELECT status || '/' || question || '/' || decided_by || '/' || comment FROM approvals_view WHERE created_at BETWEEN {near} AND decided_at BETWEEN {near} AND expires_at > now()"
            ),
            "approved/Is this right?/",
        ),
        (
            format!(
                "SELECT event_type || '/' || seq || '/' || length(hash) || '/' || (actor IS NOT NULL) FROM events_view WHERE project_id = '{project}' AND created_at BETWEEN {near} ORDER BY seq"
            ),
            "project_created/1/64/true",
        ),
    ] {
        let rows =
            client.query(&*sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let found: String = rows.first().unwrap_or_else(|| panic!("{sql}: nothing")).get(0);
        assert!(found.starts_with(expected), "{sql}: {found}");
    }
    let without = "SELECT count(*) FROM pg_class WHERE relkind = 'v' \
                   AND relnamespace = 'public'::regnamespace \
                   AND obj_description(oid, 'pg_class') IS NULL";
    assert_eq!(client.query_one(without, &[]).await.unwrap().get::<_, i64>(0), 0);
}
