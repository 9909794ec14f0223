//! Invalid answers of a model provider, through the whole server: every attempt is recorded and
//! ends in the right state, other tasks are not delayed, and no key is disclosed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use botarmy_domain::Timestamp;
use botarmy_tests::providers::{Asked, Double, Protocol, Reply, sensible};
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};

/// Must not appear anywhere.
const SECRET: &str = "key-0ddba11c0de";

/// Expected reaction of the orchestrator.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    /// Retries, at once in a test.
    Again,
    /// Asks a person.
    Asks,
    /// Retries in an hour.
    InAnHour,
}

/// A bad answer: its name, the reply, the accepted codes, the reaction.
type Case = (&'static str, fn() -> Reply, &'static [&'static str], Then);

const CASES: &[Case] = &[
    ("page", || Reply::Body("text/html", page()), &["no_answer", "unreadable_answer"], Then::Again),
    ("empty", || Reply::Body("application/json", String::new()), &["no_answer"], Then::Again),
    ("large", || Reply::Body("text/html", "x".repeat(10 << 20)), LARGE, Then::Again),
    ("long", || Reply::Say("x".repeat(9 << 20)), &["answer_too_large"], Then::Asks),
    ("half", || Reply::Say(document()[..40].to_owned()), &["unfit_output"], Then::Again),
    ("refusal", || Reply::Refuse, &["model_refused"], Then::Asks),
    ("tool", || Reply::ToolCall, &["unexpected_tool_call"], Then::Again),
    ("length", || Reply::Length(document()), &["answer_cut_short"], Then::Asks),
    ("key", || says(401), &["provider_unauthorized"], Then::Asks),
    ("odd request", || says(400), &["provider_refused_request"], Then::Asks),
    ("trouble", || says(500), &["provider_unavailable"], Then::Again),
    ("hour", in_an_hour, &["rate_limited"], Then::InAnHour),
    ("silence", || Reply::Hang, &["provider_silent"], Then::Again),
    ("stall", || Reply::Stall(document()[..40].to_owned()), &["provider_silent"], Then::Again),
    ("cut", || Reply::CutOff(document()), &["answer_cut_off"], Then::Again),
    ("mumble", || Reply::InvalidUtf8(document()), &["unreadable_answer"], Then::Again),
    ("odd end", odd_end, &["answer_unfinished"], Then::Again),
];

/// Without a line end, no event of the stream is complete, which counts as silence, too.
const LARGE: &[&str] = &["no_answer", "unreadable_answer", "provider_silent"];

fn page() -> String {
    format!("<!doctype html><title>502</title><p>{SECRET} was not welcome</p>")
}

fn document() -> String {
    json!({"title": "T", "summary": "A summary.", "markdown": "Words. ".repeat(20)}).to_string()
}

/// A provider that repeats what it was sent.
fn says(status: u16) -> Reply {
    let message = format!("Wrong: authorization Bearer {SECRET}");
    Reply::Status(status, Vec::new(), json!({"error": {"message": message}}).to_string())
}

fn in_an_hour() -> Reply {
    let body = json!({"error": {"message": format!("{SECRET} is too fast")}}).to_string();
    Reply::Status(429, vec![("retry-after", "3600".to_owned())], body)
}

/// Stops for an unknown reason, and repeats the key in it.
fn odd_end() -> Reply {
    let choice = json!({"index": 0, "delta": {"content": "{}"}, "finish_reason": SECRET});
    let frame = json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice]});
    Reply::Body("text/event-stream", format!("data: {frame}\n\ndata: [DONE]\n\n"))
}

/// Returns the bad answer to the first request of each case, and a good one to later requests.
fn answer(before: &Mutex<HashMap<&'static str, u32>>, asked: &Asked) -> Reply {
    let text = asked.text();
    let case = CASES.iter().find(|(name, ..)| text.contains(&format!("Case {name}.")));
    let Some((name, reply, ..)) = case else { return sensible(asked) };
    let mut before = before.lock().unwrap();
    let times = before.entry(name).or_default();
    *times += 1;
    if *times == 1 { reply() } else { Reply::Say(document()) }
}

async fn server(double: &Double, more: &[(&str, &str)]) -> TestServer {
    let url = double.url(Protocol::OpenAi);
    let mut variables = vec![
        ("BOTARMY_PROVIDERS__TEST__KIND", "compatible"),
        ("BOTARMY_PROVIDERS__TEST__BASE_URL", url.as_str()),
        ("BOTARMY_PROVIDERS__TEST__KEY_ENV", "MODELS_TEST_KEY"),
        ("MODELS_TEST_KEY", SECRET),
        ("BOTARMY_AGENTS__ANALYST__RUNNER", "llm:test/model-1.5"),
        ("BOTARMY_AGENTS__CODER__RUNNER", "llm:test/model-1.5"),
        ("BOTARMY_AGENTS__CODER__SLOTS", "32"),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "1"),
        ("BOTARMY_WORKER__POLL_MS", "50"),
    ];
    variables.extend(more);
    TestServer::with(&variables).await
}

/// Returns the end of a task's first attempt by the log: its entry, and the code in it.
async fn first_end(server: &TestServer, id: &str) -> (Value, String) {
    let path = format!("/api/v1/audit/tasks/{id}/events?limit=100");
    let (_, events) = server.get(&path).await;
    let events = events.as_array().unwrap();
    let ends = ["task_retry_scheduled", "task_failed"];
    let end =
        events.iter().rev().find(|event| ends.contains(&event["event_type"].as_str().unwrap()));
    let end = end.unwrap_or_else(|| panic!("no end of an attempt: {events:#?}")).clone();
    let data = &end["event_data"];
    let code = data["error"]["code"].as_str().or_else(|| data["code"].as_str());
    let code = code.unwrap().to_owned();
    (end, code)
}

/// Returns the open gate about a task, if there is one.
async fn gate_of(server: &TestServer, project: &str, id: &str) -> Option<Value> {
    let path = format!("/api/v1/hitl/project/{project}/requests?status_filter=pending&limit=100");
    let (_, open) = server.get(&path).await;
    open.as_array().unwrap().iter().find(|gate| gate["task_id"] == id).cloned()
}

/// Finds every file below a folder that contains this text.
fn files_with(folder: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_with(&path, text, found);
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
}

/// Checks that no log, file or answer contains the key.
async fn keeps_its_key(server: &TestServer, project: &str, tasks: &[String]) {
    let mut paths: Vec<_> = tasks.iter().map(|id| format!("/api/v1/tasks/{id}")).collect();
    for path in ["/health/detailed", "/api/v1/agents/status", "/api/v1/audit/events?limit=1000"] {
        paths.push(path.to_owned());
    }
    for rest in [
        "audit/projects/{}/events?limit=1000",
        "audit/projects/{}/export",
        "projects/{}/status",
        "hitl/project/{}/requests?limit=100",
        "context/project/{}?limit=100&content=true",
    ] {
        paths.push(format!("/api/v1/{}", rest.replace("{}", project)));
    }
    for path in paths {
        let response = server.raw(reqwest::Method::GET, &path, None).await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{path}");
        let text = response.text().await.unwrap();
        let at = text.find(SECRET).map(|at| &text[..at]);
        assert_eq!(at.map(|text| text.split('{').next_back()), None, "{path} has the key in it");
    }
    let mut found = Vec::new();
    files_with(server.data_dir(), SECRET, &mut found);
    assert_eq!(found, [""; 0]);
    let log = server.log.lock().unwrap();
    let line = log.lines().find(|line| line.contains(SECRET));
    assert_eq!(line, None);
}

/// Returns whether only a time limit ends this case.
fn is_silent(case: &&Case) -> bool {
    case.2.contains(&"provider_silent")
}

#[tokio::test]
async fn every_bad_answer_ends_in_a_recorded_attempt_and_the_right_state() {
    // The default time limit is far above every duration here; on a busy machine a short one would
    // end answers that are on their way.
    let cases = CASES.iter().filter(|case| !is_silent(case)).collect::<Vec<_>>();
    end_as_recorded(&cases, &[]).await;
}

#[tokio::test]
async fn every_silence_ends_in_a_recorded_attempt_and_the_right_state() {
    let cases = CASES.iter().filter(is_silent).collect::<Vec<_>>();
    assert_eq!(cases.len(), 3);
    end_as_recorded(&cases, &[("BOTARMY_MODELS__TIMEOUT_S", "8")]).await;
}

/// Sends these bad answers to a server and checks the result of each.
async fn end_as_recorded(cases: &[&Case], more: &[(&str, &str)]) {
    let before = Mutex::new(HashMap::new());
    let double = Double::start(move |asked| answer(&before, asked)).await;
    // An operator who investigates a problem enables all log messages.
    let server = server(&double, &[more, &[("BOTARMY_LOG__LEVEL", "trace")]].concat()).await;
    let project = server.by_hand().await;
    let mut ids = Vec::new();
    for (name, ..) in cases {
        ids.push(server.submit(&project, "coder", &format!("Case {name}.")).await);
    }
    for ((name, _, codes, then), id) in cases.iter().zip(&ids) {
        let path = format!("/api/v1/tasks/{id}");
        match then {
            Then::Again => {
                server.until_is(&path, "/status", "completed").await;
            }
            Then::Asks => {
                server.until_is(&path, "/status", "failed").await;
                let gate = gate_of(&server, &project, id).await.unwrap();
                assert_eq!(gate["kind"], "failure", "{gate}");
                assert_eq!(server.respond(&gate, json!({"action": "approve"})).await.0, 200);
                server.until_is(&path, "/status", "completed").await;
            }
            Then::InAnHour => {
                server.until_is(&path, "/error_code", "rate_limited").await;
            }
        }
        let (end, code) = first_end(&server, id).await;
        assert!(codes.contains(&code.as_str()), "{name}: {end}");
        assert!(end["event_data"]["usage"].is_object(), "{name}: {end}");
        let task = server.task(id).await;
        let attempts = if *then == Then::InAnHour { 1 } else { 2 };
        assert_eq!(task["attempt"], attempts, "{name}: {task}");
        if *then == Then::InAnHour {
            assert_eq!(task["status"], "pending", "{task}");
            let time = |value: &Value| Timestamp::parse(value.as_str().unwrap()).unwrap();
            let wait = time(&end["event_data"]["retry_at"]).since(time(&end["created_at"]));
            assert!(wait >= Duration::from_secs(3600), "{end}");
            assert!(wait < Duration::from_secs(3601), "{end}");
            assert_eq!(task["ready_at"], end["event_data"]["retry_at"]);
            assert_eq!(server.post(&format!("{path}/cancel"), json!({})).await.0, 200);
        }
    }
    server.until_is(&format!("/api/v1/projects/{project}"), "/status", "completed").await;
    let (_, found) = server.get(&format!("/api/v1/audit/projects/{project}/verify")).await;
    assert_eq!(found["valid"], true, "{found}");
    server.until(|_| async { double.open() == 0 }).await;
    let with_key = format!("bearer {SECRET}");
    assert!(double.asked().iter().all(|asked| asked.head.contains(&with_key)));
    keeps_its_key(&server, &project, &ids).await;
}

#[tokio::test]
async fn a_wrong_document_is_requested_again_with_the_reason_and_then_a_person_is_asked() {
    let double = Double::start(sensible).await;
    let wrong = json!({"title": "T", "summary": "S", "goals": "none"}).to_string();
    double.then(Reply::Say(wrong.clone()));
    double.then(Reply::Say(wrong));
    let server = server(&double, &[]).await;
    let project = server.project("A recipe-sharing site for small families").await;
    let gate = server.next_gate(&project).await.unwrap();
    assert_eq!(gate["kind"], "failure", "{gate}");
    let asked: Vec<_> = double.asked().iter().map(Asked::text).collect();
    assert_eq!(asked.len(), 2);
    assert!(!asked[0].contains("could not be accepted"), "{}", asked[0]);
    assert!(asked[1].contains("could not be accepted"), "{}", asked[1]);
    assert!(asked[1].contains("/goals") && asked[1].contains("milestones"), "{}", asked[1]);

    let id = gate["task_id"].as_str().unwrap();
    let (first, code) = first_end(&server, id).await;
    assert_eq!(first["event_type"], "task_retry_scheduled", "{first}");
    assert_eq!(code, "unfit_output");
    let failed = server.task(id).await;
    assert_eq!([&failed["status"], &failed["error_code"]], ["failed", "unfit_output"]);
    assert_eq!(failed["usage"]["input_tokens"], 200, "both attempts are paid");
    // A person retries it.
    assert_eq!(server.respond(&gate, json!({"action": "approve"})).await.0, 200);
    let gate = server.next_gate(&project).await.unwrap();
    assert_eq!([&gate["kind"], &gate["step"]], ["approval", "Project Planning"]);
    assert_eq!(server.task(id).await["usage"]["input_tokens"], 300);
    keeps_its_key(&server, &project, &[id.to_owned()]).await;
}
