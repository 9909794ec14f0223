//! A project executed by models: the real server with a double of a provider.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use botarmy_tests::dice::Dice;
use botarmy_tests::providers::{Asked, Double, Protocol, Reply, TOKENS, sensible};
use botarmy_tests::server::TestServer;
use serde_json::Value;

const IDEA: &str = "A recipe-sharing site for small families";
/// Must not appear anywhere.
const SECRET: &str = "key-0ddba11";

/// Starts a server whose agents all use the double.
async fn server(double: &Double) -> TestServer {
    server_with(double, &[]).await
}

/// Starts a server whose agents all use the double, with these variables, too.
pub(crate) async fn server_with(double: &Double, more: &[(&str, &str)]) -> TestServer {
    let url = double.url(Protocol::OpenAi);
    let agents = ["ORCHESTRATOR", "ANALYST", "ARCHITECT", "CODER", "TESTER", "DEPLOYER"];
    let agents = agents.map(|agent| format!("BOTARMY_AGENTS__{agent}__RUNNER"));
    let mut variables = vec![
        ("BOTARMY_PROVIDERS__TEST__KIND", "compatible"),
        ("BOTARMY_PROVIDERS__TEST__BASE_URL", url.as_str()),
        ("BOTARMY_PROVIDERS__TEST__KEY_ENV", "MODELS_TEST_KEY"),
        ("MODELS_TEST_KEY", SECRET),
        ("BOTARMY_MODELS__TIMEOUT_S", "2"),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "10"),
        ("BOTARMY_WORKER__POLL_MS", "50"),
    ];
    variables.extend(agents.iter().map(|agent| (agent.as_str(), "llm:test/model-1.5")));
    variables.extend(more);
    TestServer::with(&variables).await
}

/// Returns every task of a project, from its log.
async fn tasks(server: &TestServer, project: &str) -> Vec<Value> {
    let path = format!("/api/v1/audit/projects/{project}/events?limit=1000");
    let (_, events) = server.get(&path).await;
    let ids = events.as_array().unwrap().iter().filter_map(|event| event["task_id"].as_str());
    let ids: BTreeSet<_> = ids.collect();
    let mut tasks = Vec::new();
    for id in ids {
        tasks.push(server.get(&format!("/api/v1/tasks/{id}")).await.1);
    }
    tasks
}

#[tokio::test]
async fn models_take_an_idea_to_a_package_and_their_tokens_are_counted() {
    let double = Double::start(sensible).await;
    let server = server(&double).await;
    let project = server.project(IDEA).await;
    assert_eq!(server.approve_all(&project).await, "completed");

    let deployed = server.data_dir().join("deployments").join(&project).join("app.js");
    assert_eq!(std::fs::read_to_string(deployed).unwrap(), "mended();");
    let tasks = tasks(&server, &project).await;
    let by_model: Vec<_> =
        tasks.iter().filter(|task| task["usage"]["model"] == "model-1.5").collect();
    // Everything but the deployment and its check, which a model cannot do.
    assert_eq!((tasks.len(), by_model.len()), (11, 9), "{tasks:#?}");
    for task in by_model {
        let usage = &task["usage"];
        assert_eq!(usage["provider"], "test");
        assert_eq!((usage["input_tokens"].as_u64(), usage["output_tokens"].as_u64()), {
            (Some(TOKENS.0), Some(TOKENS.1))
        });
        assert_eq!(usage["cost_micro_usd"], Value::Null, "no price is configured");
        assert_eq!(task["output"]["context"]["left_out"], serde_json::json!([]));
    }
    let asked = double.asked();
    assert!(asked.iter().all(|asked| asked.head.contains(&format!("bearer {SECRET}"))));
    let idea = asked.iter().filter(|asked| asked.text().contains(IDEA)).count();
    assert!(idea >= 4, "the idea goes along");
    let (_, health) = server.get("/health/detailed").await;
    let llm = &health["components"]["llm"];
    assert_eq!(llm["status"], "healthy", "{llm}");
    assert!(llm.to_string().contains("llm:test/model-1.5"), "{llm}");
    let log = server.log.lock().unwrap().clone();
    assert!(log.contains("Work is done by: llm:test/model-1.5"), "{log}");
    let (_, events) =
        server.get(&format!("/api/v1/audit/projects/{project}/events?limit=1000")).await;
    for shown in [log, events.to_string(), health.to_string(), format!("{tasks:?}")] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
}

/// About every third answer fails in one of the ways in which answers fail.
fn unreliable(dice: &Mutex<Dice>, asked: &Asked) -> Reply {
    let Reply::Say(text) = sensible(asked) else { unreachable!("it is sensible") };
    let roll = dice.lock().unwrap().below(20);
    match roll {
        0 => Reply::Status(500, Vec::new(), "Oh no".to_owned()),
        1 => Reply::Status(429, vec![("retry-after-ms", "20".to_owned())], String::new()),
        2 => Reply::CutOff(text),
        3 => Reply::Say(text[..text.len() / 2].to_owned()),
        4 => Reply::Body("text/html", "<html>Bad gateway</html>".to_owned()),
        5 => Reply::After(Duration::from_millis(300), Box::new(Reply::Say(text))),
        _ => Reply::Say(text),
    }
}

#[tokio::test]
async fn a_provider_that_fails_every_third_time_is_outlasted() {
    let dice = Mutex::new(Dice::new());
    let double = Double::start(move |asked| unreliable(&dice, asked)).await;
    let server = server(&double).await;
    for _ in 0..3 {
        let project = server.project(IDEA).await;
        // A task without attempts left asks a person, who retries it.
        assert_eq!(server.approve_all(&project).await, "completed");
        for task in tasks(&server, &project).await {
            assert_eq!(task["status"], "completed", "{task}");
            assert!(task["usage"]["input_tokens"].as_u64().is_some());
        }
        let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
        assert_eq!(found["valid"], true, "{found}");
    }
}

#[tokio::test]
async fn an_idea_that_does_not_fit_is_shown_to_no_model_before_a_person_agrees() {
    let double = Double::start(sensible).await;
    let server = server_with(&double, &[("BOTARMY_MODELS__CONTEXT_TOKENS", "500")]).await;
    let idea = format!("The first words. {} The last words.", "And so on. ".repeat(20_000));
    let project = server.project(&idea).await;

    let question = server.next_gate(&project).await.unwrap();
    let text = question["question"].as_str().unwrap();
    assert_eq!(question["step"], "Project Planning", "{question}");
    assert!(text.contains("user input") && text.contains("500"), "{text}");
    assert!(double.asked().is_empty(), "no model was asked");
    server.respond(&question, serde_json::json!({"action": "approve"})).await;

    let review = server.next_gate(&project).await.unwrap();
    let text = review["question"].as_str().unwrap();
    assert!(text.contains("Warning: The model was not shown all of its input"), "{text}");
    let asked = double.asked()[0].text();
    for shown in ["The first words.", "[CUT OFF HERE: ", "# What you are not shown"] {
        assert!(asked.contains(shown), "{shown}");
    }
    assert!(!asked.contains("The last words."));
    let task =
        server.get(&format!("/api/v1/tasks/{}", review["task_id"].as_str().unwrap())).await.1;
    let shortened = &task["output"]["context"]["shortened"];
    assert_eq!(shortened.as_array().map(Vec::len), Some(1), "{task}");
    let log = server.log.lock().unwrap().clone();
    assert!(log.contains("the model is not shown all of it"), "{log}");
    assert!(!log.contains("And so on"), "the log holds no prompt");
}

#[tokio::test]
async fn a_provider_on_this_machine_is_asked_without_the_proxy() {
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"];
    let variables = variables.map(|name| (name, address.as_str()));
    let double = Double::start(sensible).await;
    let server = server_with(&double, &variables).await;
    let project = server.project(IDEA).await;
    server.next_gate(&project).await.unwrap();
    assert_eq!(double.asked().len(), 1);
    let accepted = tokio::time::timeout(Duration::from_millis(100), proxy.accept()).await;
    assert!(accepted.is_err(), "the proxy was asked");
}

#[tokio::test]
async fn without_a_key_the_offline_runner_works_and_says_so() {
    let server = TestServer::start().await;
    let (_, health) = server.get("/health/detailed").await;
    let llm = health["components"]["llm"].to_string();
    assert!(llm.contains("no model provider") && llm.contains("offline"), "{llm}");
    let log = server.log.lock().unwrap().clone();
    assert!(log.contains("Work is done by: offline"), "{log}");
}

#[tokio::test]
async fn with_a_key_in_the_environment_and_nothing_else_a_model_is_asked() {
    let server = TestServer::with(&[("ANTHROPIC_API_KEY", SECRET)]).await;
    let (_, health) = server.get("/health/detailed").await;
    let llm = health["components"]["llm"].to_string();
    assert!(llm.contains("llm:anthropic/"), "{llm}");
    let log = server.log.lock().unwrap().clone();
    assert!(log.contains("Work is done by: llm:anthropic/") && !log.contains(SECRET), "{log}");
}
