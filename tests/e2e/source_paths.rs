//! Paths of source code at the doors through which it is stored.

use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

/// Names of configurations that tools execute, and other paths that cannot be used.
const REFUSED: [&str; 11] = [
    ".git/config",
    "sub/.GIT/hooks/post-checkout",
    ".g\u{200c}it/config",
    ".hg/hgrc",
    ".envrc",
    ".vscode/tasks.json",
    ".claude/settings.json",
    "../../etc/cron.d/x",
    "/etc/passwd",
    "C:\\x",
    "con.txt",
];

fn files(paths: &[&str]) -> Value {
    let file = |path: &&str| json!({"path": path, "content": "[core]\n\tfsmonitor = ./run\n"});
    json!({"files": paths.iter().map(file).collect::<Vec<_>>()})
}

async fn count(server: &TestServer, project: &str) -> usize {
    let path = format!("/api/v1/audit/projects/{project}/events?limit=1000");
    server.get(&path).await.1.as_array().unwrap().len()
}

#[tokio::test]
async fn source_code_that_tools_would_execute_is_refused_where_it_is_stored() {
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    let store = |kind: &'static str, content: Value| {
        let body = json!({
            "project_id": project, "source_agent": "coder", "artifact_type": kind,
            "content": content,
        });
        server.post("/api/v1/context", body)
    };
    let before = count(&server, &project).await;
    let bare = ["config", "HEAD", "objects/pack/x", "refs/heads/main"];
    let folded = ["straße.txt", "STRASSE.txt"];
    let mut cases: Vec<Vec<&str>> = REFUSED.iter().map(|path| vec!["a.txt", *path]).collect();
    cases.extend([bare.to_vec(), folded.to_vec()]);
    for paths in cases {
        let (status, problem) = store("source_code", files(&paths)).await;
        assert_eq!(status, 422, "{paths:?}: {problem}");
        assert_eq!(problem["errors"][0]["field"], "content", "{problem}");
        let message = problem["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("cannot be used"), "{message}");
    }
    assert_eq!(count(&server, &project).await, before, "something was stored");
    let fine = files(&["a.txt", ".gitignore", ".github/workflows/ci.yml"]);
    assert_eq!(store("source_code", fine).await.0, 201);
    // A document is not source code, and source code need not be a list of files.
    assert_eq!(store("project_plan", files(&[".git/config"])).await.0, 201);
    assert_eq!(store("source_code", json!({"text": "print(1)"})).await.0, 201);
}

#[tokio::test]
async fn an_amendment_of_source_code_is_held_to_the_same_paths() {
    let server = TestServer::start().await;
    let body = json!({
        "name": "Recipes", "description": "A recipe-sharing site for small families",
        "workflow": "sdlc", "oversight": "high",
    });
    let (status, project) = server.post("/api/v1/projects", body).await;
    assert_eq!(status, 201, "{project}");
    let project = project["id"].as_str().unwrap();
    let gate = loop {
        let gate = server.next_gate(project).await.expect("a gate for the source code");
        let artifacts = gate["subject"]["artifacts"].as_array().unwrap();
        if artifacts.iter().any(|artifact| artifact["artifact_type"] == "source_code") {
            break gate;
        }
        let (status, answer) = server.respond(&gate, json!({"action": "approve"})).await;
        assert_eq!(status, 200, "{answer}");
    };
    let amend = |paths: &[&str]| {
        let mut document = files(paths);
        document["title"] = json!("Mine");
        document["summary"] = json!("By hand.");
        document["entry"] = json!("index.html");
        json!({"action": "amend", "amended_content": document})
    };
    let before = count(&server, project).await;
    let (status, problem) = server.respond(&gate, amend(&["index.html", ".git/config"])).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["errors"][0]["field"], "/amended_content/files", "{problem}");
    assert_eq!(count(&server, project).await, before);
    let (status, answer) = server.respond(&gate, amend(&["index.html"])).await;
    assert_eq!(status, 200, "{answer}");
}
