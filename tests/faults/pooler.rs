//! PgBouncer between a server and PostgreSQL.

use botarmy_tests::cluster::Cluster;
use botarmy_tests::server::{command, http_client};
use botarmy_tests::services::{PgBouncer, PostgresServer, connect};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_shares_sessions_is_refused_by_name_before_anything_is_written() {
    let Some((postgres, url)) = PostgresServer::with_database(&[]).await else { return };
    for pool_mode in ["transaction", "statement"] {
        let Some(pooler) = PgBouncer::start(&postgres, pool_mode).await else { return };
        // Also while others use the pool: their sessions come between.
        let others = [connect(&pooler.url("botarmy")).await, connect(&pooler.url("botarmy")).await];
        for other in &others {
            other.as_ref().unwrap().simple_query("SELECT 1").await.unwrap();
        }
        for arguments in [&["serve", "--port", "0"][..], &["migrate"], &["migrate", "--status"]] {
            let dir = tempfile::tempdir().unwrap();
            let output = command(dir.path())
                .args(arguments)
                .env("BOTARMY_STORE__URL", pooler.url("botarmy"))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{pool_mode} {arguments:?}: {said}");
            assert!(said.contains("PgBouncer"), "{pool_mode} {arguments:?}: {said}");
            assert!(said.contains("pool_mode = session"), "{said}");
        }
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        let tables = connect(&url).await.unwrap().query_one(tables, &[]).await.unwrap();
        assert_eq!(tables.get::<_, i64>(0), 0, "the database was changed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_gives_each_connection_a_session_works() {
    let Some((postgres, _)) = PostgresServer::with_database(&[]).await else { return };
    let Some(pooler) = PgBouncer::start(&postgres, "session").await else { return };
    let server = Cluster::on(&pooler.url("botarmy"), None).replica("all").await;
    let client = http_client();
    let posts = (0..40).map(|n| {
        let body = json!({"name": format!("Project {n}")}).to_string();
        let request = client.post(format!("{}/api/v1/projects", server.base));
        request.header("content-type", "application/json").body(body).send()
    });
    for response in futures_util::future::join_all(posts).await {
        assert_eq!(response.unwrap().status().as_u16(), 201);
    }
}
