//! A whole project over each vendor's protocol, against a third-party double.

use std::time::Duration;

use botarmy_tests::providers::Protocol;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

use crate::aimock::{Aimock, TOKENS, document, fixture, sdlc, step};
use crate::walk::{tasks, to_the_end, tokens};

pub(crate) const IDEA: &str = "A recipe-sharing site for small families";
const KEY: &str = "key-0ddba11";
/// Protocols that both the double and BotArmy support, with the kind of provider.
pub(crate) const FORMATS: [(Protocol, &str); 3] = [
    (Protocol::OpenAi, "openai"),
    (Protocol::Anthropic, "anthropic"),
    (Protocol::Gemini, "gemini"),
];

/// Starts a server whose agents all use the double with this protocol.
pub(crate) async fn server(double: &Aimock, protocol: Protocol, kind: &str) -> TestServer {
    let url = double.url(protocol);
    let agents = ["ORCHESTRATOR", "ANALYST", "ARCHITECT", "CODER", "TESTER", "DEPLOYER"];
    let agents = agents.map(|agent| format!("BOTARMY_AGENTS__{agent}__RUNNER"));
    let mut variables = vec![
        ("BOTARMY_PROVIDERS__DOUBLE__KIND", kind),
        ("BOTARMY_PROVIDERS__DOUBLE__BASE_URL", url.as_str()),
        ("BOTARMY_PROVIDERS__DOUBLE__KEY_ENV", "COUNTERPART_KEY"),
        ("COUNTERPART_KEY", KEY),
        ("BOTARMY_MODELS__TIMEOUT_S", "2"),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "10"),
        ("BOTARMY_WORKER__POLL_MS", "50"),
    ];
    variables.extend(agents.iter().map(|agent| (agent.as_str(), "llm:double/model-1.5")));
    TestServer::with(&variables).await
}

#[tokio::test]
async fn each_format_takes_an_idea_to_a_package_and_every_token_is_counted_once() {
    let _alone = crate::alone().await;
    for (protocol, kind) in FORMATS {
        let Some(double) = Aimock::start(&sdlc(), 1, &[]).await else { return };
        let server = server(&double, protocol, kind).await;
        let project = server.project(IDEA).await;
        let (gates, status) = to_the_end(&server, &project, Duration::from_secs(60)).await;
        assert_eq!((status.as_str(), gates.len()), ("completed", 2), "{kind}");

        let deployed = server.data_dir().join("deployments").join(&project).join("app.js");
        assert_eq!(std::fs::read_to_string(deployed).unwrap(), "mended();", "{kind}");
        let tasks = tasks(&server, &project).await;
        let by_model: Vec<_> =
            tasks.iter().map(|task| &task["usage"]).filter(|u| u["model"] == "model-1.5").collect();
        assert_eq!((tasks.len(), by_model.len()), (11, 9), "{kind}: {tasks:#?}");
        assert!(by_model.iter().all(|usage| tokens(usage) == TOKENS), "{kind}: {by_model:?}");
        let journal = double.journal().await;
        assert_eq!(journal.len(), 9, "{kind}: one request for each task: {journal:#?}");
        assert!(journal.iter().all(|one| one["response"]["status"] == 200), "{kind}");
        let shown = double.program.said() + Value::Array(tasks).to_string().as_str();
        assert!(!shown.contains(KEY), "{kind}: {shown}");
    }
}

#[tokio::test]
async fn half_an_answer_is_requested_again_with_what_was_wrong_with_it() {
    let _alone = crate::alone().await;
    let name = "Requirements Analysis";
    let whole = document(name);
    for (protocol, kind) in FORMATS {
        let once = json!({"userMessage": step(name), "sequenceIndex": 0});
        // Without these words the double does not answer.
        let again = json!({"userMessage": "could not be accepted"});
        let mut fixtures = vec![
            fixture(&once, &json!({"content": whole[..whole.len() / 2]})),
            fixture(&again, &json!({"content": whole})),
        ];
        let own = |one: &Value| one["match"]["userMessage"] == step(name);
        fixtures.extend(sdlc().into_iter().filter(|one| !own(one)));
        let Some(double) = Aimock::start(&fixtures, 1, &[]).await else { return };
        let server = server(&double, protocol, kind).await;
        let project = server.project(IDEA).await;
        let (gates, status) = to_the_end(&server, &project, Duration::from_secs(60)).await;
        assert_eq!((status.as_str(), gates.len()), ("completed", 2), "{kind}");
        let tasks = tasks(&server, &project).await;
        let again: Vec<_> = tasks.iter().filter(|task| task["attempt"] == 2).collect();
        assert_eq!(again.len(), 1, "{kind}: {tasks:#?}");
        assert_eq!(tokens(&again[0]["usage"]), (2 * TOKENS.0, 2 * TOKENS.1), "{kind}: both count");
        assert_eq!(double.journal().await.len(), 10, "{kind}");
    }
}
