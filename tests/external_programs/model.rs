//! A whole project executed by a real model: the shipped `sdlc` with its ten steps, its agents and
//! its two gates, and one change. A model of 135 million parameters repeats itself without end, so
//! every text and list in the schemas of the steps gets a maximum length, every path is
//! `index.html`, and a test can only pass. The content is useless, but it exercises a real model:
//! streamed, constrained to a schema, counted by its server, and validated by the orchestrator.

use std::path::Path;
use std::time::{Duration, Instant};

use botarmy_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::formats::IDEA;
use crate::model_server::ModelServer;
use crate::walk::{tasks, to_the_end, tokens};

/// Time limit of nine answers; one takes about ten seconds on two busy processors.
const TIMEOUT: Duration = Duration::from_secs(480);
const TESTING: &str = "Code Testing";

/// Adds bounds to a schema, which a small model needs to finish.
fn bound(schema: &mut Value, key: &str) {
    let is = |kind: &str| match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|one| one == kind),
        one => one == kind,
    };
    match key {
        "path" | "entry" => *schema = json!({"const": "index.html"}),
        "passed" if is("boolean") => *schema = json!({"const": true}),
        // Source code needs a file, and nothing exists yet that could be deleted.
        "files" => schema["minItems"] = 1.into(),
        "deleted" => schema["maxItems"] = 0.into(),
        _ if is("string") => schema["maxLength"] = 40.into(),
        _ => {}
    }
    if let Some(items) = schema.get_mut("items") {
        bound(items, "");
        if schema.get("maxItems").is_none() {
            schema["maxItems"] = 1.into();
        }
    }
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flatten().for_each(|(key, schema)| bound(schema, key));
}

/// Makes a schema strict, as providers require: all keys required, no others allowed.
fn tighten(schema: &mut Value) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        schema["required"] = properties.keys().cloned().collect();
        schema["additionalProperties"] = false.into();
    }
    match schema {
        Value::Object(map) => map.values_mut().for_each(tighten),
        Value::Array(list) => list.iter_mut().for_each(tighten),
        _ => {}
    }
}

/// Returns the shipped workflow with bounds, and the schema of the test results in it.
fn bounded_sdlc() -> (String, Value) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/workflows/sdlc.toml");
    let shipped = std::fs::read_to_string(file).unwrap();
    let (mut text, mut of_the_test) = (String::new(), None);
    // Every second piece is the schema of a step.
    for (n, piece) in shipped.split("'''").enumerate() {
        if n % 2 == 0 {
            text.push_str(piece);
            continue;
        }
        let mut schema: Value = serde_json::from_str(piece).unwrap();
        let step = text.rsplit("[[step]]").next().unwrap();
        // No model does the deployment.
        if !step.contains("\"deployer\"") {
            bound(&mut schema, "");
        }
        if step.contains(TESTING) && !step.contains("loop") {
            of_the_test = Some(schema.clone());
        }
        text.push_str(&format!("'''{schema}'''"));
    }
    (text, of_the_test.unwrap())
}

#[tokio::test]
async fn a_real_model_takes_an_idea_to_a_package_over_two_protocols() {
    let _alone = crate::alone().await;
    let (workflow, mut schema) = bounded_sdlc();
    tighten(&mut schema);
    let Some(model) = ModelServer::start(&schema).await else { return };
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("sdlc.toml"), workflow).unwrap();
    let url = format!("{}/v1", model.base);
    let agents = ["ORCHESTRATOR", "ANALYST", "ARCHITECT", "CODER", "TESTER", "DEPLOYER"];
    let agents = agents.map(|agent| {
        let provider = if agent == "TESTER" { "messages" } else { "chat" };
        (format!("BOTARMY_AGENTS__{agent}__RUNNER"), format!("llm:{provider}/smollm2"))
    });
    let mut variables = vec![
        ("BOTARMY_WORKFLOWS__DIR", folder.path().to_str().unwrap()),
        ("BOTARMY_PROVIDERS__CHAT__KIND", "compatible"),
        ("BOTARMY_PROVIDERS__CHAT__BASE_URL", url.as_str()),
        ("BOTARMY_PROVIDERS__CHAT__SCHEMA", "true"),
        ("BOTARMY_PROVIDERS__MESSAGES__KIND", "anthropic"),
        ("BOTARMY_PROVIDERS__MESSAGES__BASE_URL", url.as_str()),
        ("BOTARMY_PROVIDERS__MESSAGES__KEY_ENV", "COUNTERPART_KEY"),
        ("COUNTERPART_KEY", "none"),
        ("BOTARMY_MODELS__MAX_TOKENS", "500"),
        ("BOTARMY_MODELS__CONTEXT_TOKENS", "300"),
        // The confidence that this model reports is meaningless.
        ("BOTARMY_ORCHESTRATOR__CONFIDENCE_THRESHOLD", "0"),
    ];
    variables.extend(agents.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let server = TestServer::with(&variables).await;
    let started = Instant::now();
    let project = server.project(IDEA).await;
    let (gates, status) = to_the_end(&server, &project, TIMEOUT).await;
    let tasks = tasks(&server, &project).await;
    for task in &tasks {
        let usage = &task["usage"];
        println!(
            "{} {} {:?} attempt {}",
            task["step"],
            usage["provider"],
            tokens(usage),
            task["attempt"]
        );
    }
    println!("{:.0?} in all", started.elapsed());
    gates.iter().for_each(|gate| println!("{}: {}", gate["kind"], gate["question"]));
    assert_eq!((status.as_str(), gates.len()), ("completed", 2), "{gates:#?}");
    assert!(gates.iter().all(|gate| gate["kind"] == "approval"), "{gates:#?}");

    let by = |provider: &'static str| {
        tasks.iter().filter(move |task| task["usage"]["provider"] == provider)
    };
    assert_eq!((by("chat").count(), by("messages").count()), (6, 1), "{tasks:#?}");
    for task in by("chat").chain(by("messages")) {
        let (input, output) = tokens(&task["usage"]);
        assert!(input > 100 && output > 10, "it was not counted: {task:#}");
        assert!(output <= 500 * task["attempt"].as_u64().unwrap(), "{task:#}");
    }
    let deployed = server.data_dir().join("deployments").join(&project).join("index.html");
    assert!(deployed.exists(), "{}", model.program.said());
}
