//! The examples of workers for agent frameworks, each with its framework, against a third-party
//! double of the model providers.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use botarmy_tests::external_programs::{client_wheels, framework};
use botarmy_tests::providers::Protocol;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::aimock::{Aimock, TOKENS, document, fixture};
use crate::formats::IDEA;
use crate::walk::{tasks, tokens};

const FRAMEWORKS: [&str; 5] = ["autogen", "crewai", "langgraph", "openai_agents", "pydantic_ai"];
/// Longest time of one project; importing a framework takes long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Starts the example for a framework as an analyst; `None` if the framework is missing.
fn start(name: &str, server: &TestServer, double: &Aimock, folder: &Path) -> Option<Child> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // The framework's own versions come first; what it lacks and the library needs is in the last folder.
    let packages = [framework(name)?, root.join("clients/python/src"), client_wheels()?];
    let packages = std::env::join_paths(packages).unwrap();
    let examples = root.join("examples");
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut command = Command::new("python3");
    command
        .arg("-B")
        .arg(examples.join(format!("{name}_worker.py")))
        .arg("analyst")
        .current_dir(folder)
        .env("PYTHONPATH", packages)
        .env("BOTARMY_SERVER", &server.base)
        .envs(botarmy_tests::access::environment())
        .env("HOME", folder)
        .env("OPENAI_BASE_URL", double.url(Protocol::OpenAi))
        .env("OPENAI_API_KEY", "none")
        .env("OPENAI_MODEL", "model-1.5")
        .env("no_proxy", "*")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true);
    Some(command.spawn().unwrap())
}

/// Waits for the next gate.
async fn gate(server: &TestServer, project: &str, folder: &Path) -> Value {
    let started = Instant::now();
    loop {
        let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending");
        if let Some(gate) = server.get(&path).await.1.as_array().and_then(|open| open.first()) {
            return gate.clone();
        }
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(started.elapsed() < PATIENCE, "no gate opens: {}", log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Approves the questions that an example asks before it writes; returns the review after them.
async fn review(server: &TestServer, project: &str, folder: &Path) -> Value {
    loop {
        let gate = gate(server, project, folder).await;
        if gate["kind"] == "approval" {
            return gate;
        }
        assert_eq!(gate["kind"], "question", "{gate}");
        // A plain approval has no text.
        server.respond(&gate, json!({"action": "approve"})).await;
    }
}

#[tokio::test]
async fn every_example_for_a_framework_shows_its_model_all_that_it_needs() {
    let _alone = crate::alone().await;
    let planning = json!({"userMessage": "Turn the idea into a project plan"});
    let analysis = json!({"userMessage": "user stories with acceptance"});
    let fixtures = [
        fixture(&planning, &json!({"content": document("Project Planning")})),
        fixture(&analysis, &json!({"content": document("Requirements Analysis")})),
    ];
    for name in FRAMEWORKS {
        let Some(double) = Aimock::start(&fixtures, 1, &[]).await else { return };
        let server = TestServer::with(&[
            ("BOTARMY_AGENTS__ANALYST__RUNNER", "none"),
            ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "10"),
        ])
        .await;
        let folder = TempDir::new().unwrap();
        let Some(_example) = start(name, &server, &double, folder.path()) else { return };
        let project = server.project(IDEA).await;

        // The plan, the plan with what a person asked for, and the specification.
        let first = review(&server, &project, folder.path()).await;
        let amend = json!({"action": "amend", "content": "Think of grandparents, too"});
        assert_eq!(server.respond(&first, amend).await.0, 200, "{name}");
        let second = review(&server, &project, folder.path()).await;
        assert_eq!(server.respond(&second, json!({"action": "approve"})).await.0, 200, "{name}");
        let third = review(&server, &project, folder.path()).await;
        assert_eq!(third["step"], "Requirements Analysis", "{name}: {third}");

        let asked: Vec<String> = double.journal().await.iter().map(Value::to_string).collect();
        assert_eq!(asked.len(), 3, "{name}: {asked:#?}");
        assert!(asked.iter().all(|one| one.contains(IDEA)), "{name}: {asked:#?}");
        assert!(asked[1].contains("Think of grandparents, too"), "{name}: {}", asked[1]);
        assert!(asked[2].contains("Keep recipes."), "{name}: the approved plan: {}", asked[2]);
        assert!(asked.iter().all(|one| one.contains("JSON Schema")), "{name}");
        let tasks = tasks(&server, &project).await;
        let external = |task: &&Value| task["usage"]["model"] == "model-1.5";
        let used: Vec<_> =
            tasks.iter().filter(external).map(|task| tokens(&task["usage"])).collect();
        assert_eq!(used, [TOKENS; 3], "{name}: {tasks:#?}");
        assert!(tasks.iter().all(|task| task["failures"] == 0), "{name}: {tasks:#?}");
    }
}
