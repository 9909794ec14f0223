//! The model runner against a double of the providers: every protocol, and every kind of invalid
//! answer.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use botarmy_agents_llm::{Key, LlmRunner, Price, Prompts, Provider, ProviderKind};
use botarmy_domain::ports::{AgentRunner, Clock};
use botarmy_domain::{
    AgentType, ArtifactType, Assignment, Outcome, RunContext, RunError, Timestamp, Usage,
};
use botarmy_memory::ManualClock;
use botarmy_server::system::SystemClock;
use botarmy_tests::providers::{Asked, Double, Protocol, Reply, TOKENS, sensible};
use serde_json::{Value, json};

use crate::runners::{Candidate, examine, step};

/// Must not appear anywhere.
pub const SECRET: &str = "key-5af3c0ffee";

/// Kinds of providers, each with the protocol that it speaks.
pub const KINDS: [(ProviderKind, Protocol); 5] = [
    (ProviderKind::OpenAi, Protocol::OpenAi),
    (ProviderKind::Anthropic, Protocol::Anthropic),
    (ProviderKind::Gemini, Protocol::Gemini),
    (ProviderKind::Ollama, Protocol::Ollama),
    (ProviderKind::Compatible, Protocol::OpenAi),
];

pub fn provider(double: &Double, kind: ProviderKind, protocol: Protocol) -> Provider {
    Provider {
        name: "double".to_owned(),
        kind,
        base_url: double.url(protocol),
        key: Key::new(SECRET),
        key_env: Some("DOUBLE_API_KEY".to_owned()),
        max_tokens: 4_000,
        context_tokens: 10_000,
        silence: Duration::from_millis(700),
        schema: kind.has_schema(),
    }
}

pub fn runner(double: &Double, kind: ProviderKind, protocol: Protocol) -> LlmRunner {
    runner_for(provider(double, kind, protocol))
}

pub fn runner_for(provider: Provider) -> LlmRunner {
    runner_by(provider, Arc::new(ManualClock::default()))
}

fn runner_by(provider: Provider, clock: Arc<dyn Clock>) -> LlmRunner {
    let price = Price { input_per_mtok: 2.0, output_per_mtok: 10.0 };
    let prompts = Arc::new(Prompts::built_in());
    LlmRunner::new(provider, "m-1", prompts, Some(price), clock).unwrap()
}

pub fn planning() -> Assignment {
    let idea = [(ArtifactType::UserInput, json!({"idea": "A recipe-sharing site"}))];
    let job = step("Project Planning", AgentType::Analyst, ArtifactType::ProjectPlan, &idea);
    let Value::Object(schema) = json!({
        "type": "object", "required": ["summary", "goals"],
        "properties": {
            "summary": {"type": "string"}, "goals": {"type": "array", "items": {"type": "string"}},
            "scope": {"type": "object", "properties": {"in": {"type": "array"}}},
        },
    }) else {
        unreachable!()
    };
    Assignment { output_schema: Some(schema), ..job }
}

pub fn plan() -> Value {
    json!({
        "title": "Plan", "summary": "Recipes, planned.", "goals": ["Keep recipes – für alle"],
        "scope": {"in": ["a list"], "out": []},
        "milestones": [{"id": "M1", "name": "A list", "done_when": "it is shown"}],
        "risks": [], "questions": [], "confidence": 0.75,
    })
}

pub type Lines = Arc<Mutex<Vec<String>>>;

pub fn listening() -> (RunContext, Lines) {
    let lines = Lines::default();
    let received = Arc::clone(&lines);
    let context = RunContext {
        deadline: Timestamp::from_micros(i64::MAX / 2),
        fence: 1,
        trace: None,
        progress: Box::new(move |line, _| received.lock().unwrap().push(line)),
    };
    (context, lines)
}

pub async fn run(runner: &LlmRunner, job: Assignment) -> Result<Outcome, RunError> {
    runner.run(job, listening().0).await
}

/// A failed attempt: its code, whether a retry may help, the delay, and its usage.
#[derive(Debug)]
pub struct Failed {
    pub code: String,
    pub detail: String,
    pub again: bool,
    pub after: Option<Duration>,
    pub usage: Usage,
}

pub fn failed(ended: Result<Outcome, RunError>) -> Failed {
    let failed = match ended {
        Ok(outcome) => panic!("it did not fail: {outcome:?}"),
        Err(RunError::Retryable { code, detail, after, usage }) => {
            Failed { code, detail, again: true, after, usage: *usage }
        }
        Err(RunError::Terminal { code, detail, usage }) => {
            Failed { code, detail, again: false, after: None, usage: *usage }
        }
        Err(RunError::InvalidOutput { detail, usage }) => {
            let code = "unfit".to_owned();
            Failed { code, detail, again: true, after: None, usage: *usage }
        }
    };
    let all = format!("{failed:?}");
    assert!(!all.contains(SECRET) && !all.contains("5af3"), "{all}");
    assert!(!failed.detail.chars().any(char::is_control), "{all}");
    failed
}

#[tokio::test]
async fn every_protocol_brings_the_document_and_what_it_used() {
    for (kind, protocol) in KINDS {
        let double = Double::saying(&plan().to_string()).await;
        let runner = runner(&double, kind, protocol);
        let (context, lines) = listening();
        let outcome = runner.run(planning(), context).await.unwrap();
        let Outcome::Completed { output, artifacts, confidence, usage } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(artifacts[0].artifact_type, ArtifactType::ProjectPlan);
        assert_eq!(artifacts[0].content["goals"], plan()["goals"], "{kind:?}");
        assert_eq!(artifacts[0].metadata["generated_by"]["model"], "m-1");
        assert_eq!((confidence, &output["summary"]), (Some(0.75), &json!("Recipes, planned.")));
        assert_eq!((usage.input_tokens, usage.output_tokens), TOKENS, "{kind:?}");
        assert_eq!(usage.cost_micro_usd, Some(2 * TOKENS.0 + 10 * TOKENS.1));
        assert_eq!(usage.provider.as_deref(), Some("double"));
        let lines = lines.lock().unwrap().join("\n");
        assert!(lines.contains("with 1 documents") && lines.contains("so far"), "{lines}");

        let asked = double.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].protocol, protocol);
        let text = asked[0].text();
        for expected in ["You are the analyst", "A recipe-sharing site", "Project Planning"] {
            assert!(text.contains(expected), "{kind:?}: {expected}");
        }
        assert!(asked[0].head.contains(SECRET) || kind == ProviderKind::Ollama, "{kind:?}");
    }
}

#[tokio::test]
async fn a_schema_is_sent_where_the_provider_takes_one_and_the_length_always() {
    for (kind, protocol) in KINDS {
        let double = Double::saying(&plan().to_string()).await;
        run(&runner(&double, kind, protocol), planning()).await.unwrap();
        let body = double.asked()[0].body.clone();
        let (schema, length) = match kind {
            ProviderKind::OpenAi | ProviderKind::Compatible => {
                ("/response_format/json_schema/schema", "/max_tokens")
            }
            ProviderKind::Anthropic => ("/output_config/format/schema", "/max_tokens"),
            ProviderKind::Gemini => {
                ("/generationConfig/responseJsonSchema", "/generationConfig/maxOutputTokens")
            }
            ProviderKind::Ollama => ("/format", "/options/num_predict"),
        };
        let schema = body.pointer(schema);
        assert_eq!(schema.is_some(), kind.has_schema(), "{kind:?}: {body}");
        if kind == ProviderKind::Ollama {
            assert_eq!(schema, Some(&json!("json")));
        } else if let Some(schema) = schema {
            assert_eq!(schema["properties"]["goals"]["type"], "array", "{kind:?}");
            // Every key is required, and no other is allowed, at every level.
            assert_eq!(schema["required"], json!(["summary", "goals", "scope", "confidence"]));
            let inner = &schema["properties"]["scope"];
            assert_eq!(inner["required"], json!(["in"]));
            assert_eq!(inner["additionalProperties"], false);
        }
        assert_eq!(body.pointer(length), Some(&json!(4_000)), "{kind:?}: {body}");
    }
}

#[tokio::test]
async fn a_fence_words_around_it_and_control_characters_do_not_matter() {
    let careless = format!("Of course {{here}} it is:\n```json\n{}\n```\nAnything else?", plan());
    let mut odd = plan();
    odd["summary"] = json!("Bell\u{7} and nul\u{0}.\nNext line");
    for (text, summary) in [
        (careless, "Recipes, planned."),
        (format!("{} {{", plan()), "Recipes, planned."),
        (odd.to_string(), "Bell and nul\u{fffd}.\nNext line"),
    ] {
        let double = Double::saying(&text).await;
        let runner = runner(&double, ProviderKind::Compatible, Protocol::OpenAi);
        let outcome = run(&runner, planning()).await.unwrap();
        let Outcome::Completed { artifacts, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(artifacts[0].content["summary"], summary);
        assert_eq!(double.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_unusable_answer_fails_with_the_reason_after_one_request() {
    let undeclared = || Assignment { output_schema: None, ..planning() };
    for (kind, protocol) in KINDS {
        let double = Double::saying("").await;
        let runner = runner(&double, kind, protocol);
        for (job, text, why) in [
            (planning(), "I would rather not.", "no JSON object"),
            (planning(), "{\"summary\": \"x\", \"goals\": [", "not complete"),
            (undeclared(), "{\"summary\": \"x\"}", "\"markdown\" is missing"),
            (undeclared(), "{\"summary\": 1, \"markdown\": \"\"}", "of the type string"),
        ] {
            let before = double.asked().len();
            double.then(Reply::Say(text.to_owned()));
            let failed = failed(run(&runner, job).await);
            assert_eq!((failed.code.as_str(), failed.again), ("unfit", true));
            assert!(failed.detail.contains(why), "{text}: {}", failed.detail);
            assert_eq!(failed.usage.input_tokens, TOKENS.0, "one request is paid");
            assert_eq!(double.asked().len(), before + 1, "{kind:?}");
        }
        // The orchestrator validates the form of the document, not the runner.
        double.then(Reply::Say(json!({"goals": "none"}).to_string()));
        run(&runner, planning()).await.unwrap();
    }
}

#[tokio::test]
async fn a_status_says_whether_another_try_may_help() {
    let says = |text: &str| json!({"error": {"message": text, "type": "x"}}).to_string();
    for (kind, protocol) in KINDS {
        for (status, code, again) in [
            (400, "provider_refused_request", false),
            (401, "provider_unauthorized", false),
            (403, "provider_unauthorized", false),
            (404, "model_not_found", false),
            (422, "provider_refused_request", false),
            (302, "provider_refused_request", false),
            (408, "provider_unavailable", true),
            (409, "provider_unavailable", true),
            (429, "rate_limited", true),
            (500, "provider_unavailable", true),
            (503, "provider_overloaded", true),
            (529, "provider_overloaded", true),
        ] {
            let double = Double::saying("").await;
            let runner = runner(&double, kind, protocol);
            let body = says(&format!("Wrong\u{1b}[31m key {SECRET}, mind you"));
            double.then(Reply::Status(status, vec![("location", "/v1/x".into())], body));
            let failed = failed(run(&runner, planning()).await);
            let (seen, expected) = ((failed.code.as_str(), failed.again), (code, again));
            assert_eq!(seen, expected, "{kind:?} {status}: {}", failed.detail);
            assert_eq!(double.asked().len(), 1, "{kind:?} {status}: no request repeats it");
            assert_eq!(failed.usage.output_tokens, 0);
            if status == 401 {
                assert!(failed.detail.contains("DOUBLE_API_KEY"), "{}", failed.detail);
                assert!(!runner.probe().await.ready);
            }
            if status == 400 {
                assert!(failed.detail.contains("mind you"), "{}", failed.detail);
            }
        }
    }
}

#[tokio::test]
async fn a_requested_delay_is_passed_on() {
    for (kind, protocol) in KINDS {
        let double = Double::saying("").await;
        let headers = vec![("retry-after", "3600".to_owned())];
        double.then(Reply::Status(429, headers, "Slow down".to_owned()));
        let failed = failed(run(&runner(&double, kind, protocol), planning()).await);
        assert_eq!(failed.after, Some(Duration::from_secs(3600)), "{kind:?}");
    }
}

#[tokio::test]
async fn a_bad_answer_ends_in_the_right_way() {
    let html = "<!doctype html><title>502</title><p>Sorry</p>".to_owned();
    let long = plan().to_string();
    for (kind, protocol) in KINDS {
        let cases = [
            (Reply::Body("text/html", html.clone()), &["no_answer", "unreadable_answer"][..], true),
            (Reply::Body("application/json", String::new()), &["no_answer"], true),
            // Without a line end, no event is complete, which counts as silence, too.
            (
                Reply::Body("text/html", "x".repeat(10 << 20)),
                &["no_answer", "unreadable_answer", "provider_silent"],
                true,
            ),
            (Reply::Say(" ".repeat(9 << 20)), &["answer_too_large"], false),
            (Reply::CutOff(long.clone()), &["answer_cut_off"], true),
            (Reply::Length(long[..40].to_owned()), &["answer_cut_short"], false),
            (Reply::Refuse, &["model_refused"], false),
            (Reply::ToolCall, &["unexpected_tool_call"], true),
            (Reply::Hang, &["provider_silent"], true),
            (Reply::Stall(long[..40].to_owned()), &["provider_silent"], true),
        ];
        for (reply, codes, again) in cases {
            let double = Double::saying("").await;
            let shown: String = format!("{kind:?} {reply:?}").chars().take(60).collect();
            double.then(reply.clone());
            let started = Instant::now();
            let mut listener = provider(&double, kind, protocol);
            let says_nothing = matches!(reply, Reply::Hang | Reply::Stall(_));
            listener.silence = Duration::from_millis(if says_nothing { 300 } else { 15_000 });
            let failed = failed(run(&runner_for(listener), planning()).await);
            assert!(codes.contains(&failed.code.as_str()), "{shown}: {failed:?}");
            assert_eq!(failed.again, again, "{shown}: {failed:?}");
            assert!(started.elapsed() < Duration::from_secs(20), "{shown}");
            assert_eq!(double.asked().len(), 1, "{shown}");
            let began = matches!(
                reply,
                Reply::CutOff(_) | Reply::Stall(_) | Reply::Length(_) | Reply::Refuse
            );
            let used = failed.usage.input_tokens > 0 && failed.usage.output_tokens > 0;
            assert!(!began || used, "{shown}: {failed:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_utf_8_is_unreadable_and_the_next_may_be_better() {
    for (kind, protocol) in KINDS {
        let double = Double::saying("").await;
        double.then(Reply::InvalidUtf8(plan().to_string()));
        let failed = failed(run(&runner(&double, kind, protocol), planning()).await);
        assert_eq!((failed.code.as_str(), failed.again), ("unreadable_answer", true), "{kind:?}");
    }
}

#[tokio::test]
async fn an_error_inside_the_stream_is_reported() {
    for (word, code, again) in [
        ("overloaded_error", "provider_overloaded", true),
        ("api_error", "provider_broke_off", true),
        ("authentication_error", "provider_unauthorized", false),
    ] {
        for (kind, protocol) in [KINDS[0], KINDS[1]] {
            let double = Double::saying("").await;
            double.then(Reply::Error(word));
            let failed = failed(run(&runner(&double, kind, protocol), planning()).await);
            assert_eq!((failed.code.as_str(), failed.again), (code, again), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn an_unreachable_provider_is_reported_and_may_be_retried() {
    let double = Double::saying("").await;
    let mut gone = provider(&double, ProviderKind::Ollama, Protocol::Ollama);
    gone.base_url = "http://127.0.0.1:9".to_owned();
    let runner = runner_for(gone);
    assert!(runner.probe().await.ready, "no request was made yet");
    let failed = failed(run(&runner, planning()).await);
    assert_eq!((failed.code.as_str(), failed.again), ("provider_unreachable", true));
    let probe = runner.probe().await;
    assert!(!probe.ready && probe.message.contains("double"), "{}", probe.message);
}

#[tokio::test]
async fn a_dropped_run_closes_its_connection_within_a_second() {
    for (kind, protocol) in KINDS {
        for reply in [Reply::Hang, Reply::Stall("half".to_owned())] {
            let double = Double::saying("").await;
            double.then(reply);
            let mut patient = provider(&double, kind, protocol);
            patient.silence = Duration::from_secs(60);
            let runner = runner_for(patient);
            let run = tokio::spawn(async move { run(&runner, planning()).await });
            while double.open() == 0 || double.asked().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            run.abort();
            let dropped = Instant::now();
            while double.open() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                assert!(dropped.elapsed() < Duration::from_secs(1), "{kind:?} goes on");
            }
        }
    }
}

#[tokio::test]
async fn the_deadline_ends_it_in_time_to_say_what_it_used() {
    let double = Double::saying("").await;
    double.then(Reply::Slowly(Duration::from_millis(200), "long ".repeat(100)));
    let runner = runner(&double, ProviderKind::OpenAi, Protocol::OpenAi);
    let start = ManualClock::default();
    let deadline = botarmy_domain::ports::Clock::now(&start).after(Duration::from_millis(1_100));
    let context = RunContext { deadline, ..listening().0 };
    let started = Instant::now();
    let failed = failed(runner.run(planning(), context).await);
    assert_eq!((failed.code.as_str(), failed.again), ("timed_out", true));
    assert!(failed.usage.output_tokens > 0, "{failed:?}");
    assert!(started.elapsed() < Duration::from_millis(1_100));
}

#[tokio::test]
async fn progress_comes_once_a_second_at_the_most() {
    let double = Double::saying("").await;
    double.then(Reply::Slowly(Duration::from_millis(150), plan().to_string()));
    let runner = runner(&double, ProviderKind::OpenAi, Protocol::OpenAi);
    let (context, lines) = listening();
    runner.run(planning(), context).await.unwrap();
    let lines = lines.lock().unwrap();
    let news = lines.iter().filter(|line| line.contains("so far")).count();
    assert!((1..=3).contains(&news), "{lines:?}");
}

#[tokio::test]
async fn the_model_runner_keeps_the_contract_of_runners() {
    let answer = |asked: &Asked| match asked.step().as_deref() {
        Some("Fails") => Reply::Status(400, Vec::new(), String::new()),
        Some("Tires") => Reply::Status(503, Vec::new(), String::new()),
        Some("Lasts") => Reply::Hang,
        Some("Floods") => Reply::Say(" ".repeat(9 << 20)),
        Some("Dies") => Reply::CutOff(plan().to_string()),
        _ => Reply::Say(plan().to_string()),
    };
    let double = Arc::new(Double::start(answer).await);
    let mut patient = provider(&double, ProviderKind::OpenAi, Protocol::OpenAi);
    patient.silence = Duration::from_secs(60);
    let named = |name| {
        let job = step(name, AgentType::Analyst, ArtifactType::ProjectPlan, &[]);
        Assignment { output_schema: planning().output_schema, ..job }
    };
    let at_work = Arc::clone(&double);
    let long = [(ArtifactType::UserInput, json!({"idea": "long ".repeat(20_000)}))];
    let long = step("Asks", AgentType::Analyst, ArtifactType::ProjectPlan, &long);
    let candidate = Candidate {
        name: "llm",
        runner: Arc::new(runner_by(patient, Arc::new(SystemClock))),
        completes: planning(),
        fails_for_good: Some(named("Fails")),
        fails_for_now: Some(named("Tires")),
        lasts: Some((named("Lasts"), Box::new(move || at_work.open() > 0))),
        // A model decides open questions by itself and records the decision in its document. The
        // runner asks about an input that does not fit.
        asks: Some(Assignment { output_schema: planning().output_schema, ..long }),
        floods: Some(named("Floods")),
        // Its protocols are UTF-8; other bytes cannot be read.
        mumbles: None,
        dies: Some(named("Dies")),
    };
    assert_eq!(examine(&candidate).await, ["takes_what_is_no_utf_8"]);
}

fn coding(given: &Value) -> Assignment {
    let context = [(ArtifactType::SourceCode, given.clone())];
    step("Code Refinement", AgentType::Coder, ArtifactType::SourceCode, &context)
}

#[tokio::test]
async fn source_code_is_laid_over_what_was_given_and_its_paths_are_checked() {
    let given = json!({"entry": "index.html", "files": [
        {"path": "index.html", "content": "old"}, {"path": "a.js", "content": "a"},
        {"path": "gone.js", "content": "x"}]});
    let double = Double::saying("").await;
    let runner = runner(&double, ProviderKind::Anthropic, Protocol::Anthropic);
    let change = json!({"title": "", "summary": "Better.", "entry": "index.html",
        "files": [{"path": "./index.html", "content": "new"}], "deleted": ["gone.js"]});
    double.then(Reply::Say(change.to_string()));
    let outcome = run(&runner, coding(&given)).await.unwrap();
    let Outcome::Completed { artifacts, .. } = outcome else { panic!("{outcome:?}") };
    let expected = json!([
        {"path": "index.html", "content": "new"}, {"path": "a.js", "content": "a"}]);
    assert_eq!(artifacts[0].content["files"], expected);
    assert!(!artifacts[0].content.contains_key("deleted"));

    for path in ["../evil", "/etc/passwd", "a\\b", "index.html/x"] {
        let bad = json!({"summary": "s", "files": [{"path": path, "content": "x"}]});
        double.then(Reply::Say(bad.to_string()));
        let failed = failed(run(&runner, coding(&given)).await);
        assert_eq!(failed.code, "unfit", "{path}");
    }
}

#[tokio::test]
async fn a_deployment_is_never_left_to_a_model() {
    let double = Double::start(sensible).await;
    let runner = runner(&double, ProviderKind::OpenAi, Protocol::OpenAi);
    let job = step("Deployment", AgentType::Deployer, ArtifactType::DeploymentLog, &[]);
    let refused = failed(run(&runner, job.clone()).await);
    assert_eq!((refused.code.as_str(), refused.again), ("cannot_deploy", false));
    let done = Arc::new(botarmy_memory::NoopRunner);
    let runner = runner.with_deployments(done);
    run(&runner, job).await.unwrap();
    assert!(double.asked().is_empty());
}

#[tokio::test]
async fn a_runner_is_shown_without_its_key() {
    let double = Double::saying("").await;
    let shown = format!("{:?}", runner(&double, ProviderKind::OpenAi, Protocol::OpenAi));
    assert!(shown.contains("double") && !shown.contains(SECRET), "{shown}");
}
