//! Traces: one from a request through the commit and the claim to the call of a model, a collector that is
//! away, and the end of a server.

use std::time::{Duration, Instant};

use botarmy_tests::collector::{Collector, Received};
use botarmy_tests::metrics::Metrics;
use botarmy_tests::providers::{Double, TOKENS, sensible};
use botarmy_tests::server::{TestServer, http_client};
use serde_json::{Value, json};

use crate::models::server_with;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const ENDPOINT: &str = "BOTARMY_TRACING__OTLP_ENDPOINT";
/// An idea that must not be in any span.
const IDEA: &str = "A recipe-sharing site for small families";

/// Creates a project with these headers, and returns its id.
async fn create(server: &TestServer, traceparent: &[&str]) -> String {
    let body = json!({"name": "Recipes", "description": IDEA, "workflow": "sdlc"});
    let request = http_client().post(format!("{}/api/v1/projects", server.base)).json(&body);
    let request =
        traceparent.iter().fold(request, |request, value| request.header("traceparent", *value));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// Returns the values of `traceparent` in the log of a project.
async fn logged(server: &TestServer, project: &str) -> Vec<String> {
    let events = server.events(project).await;
    let of = |event: &Value| event["event_metadata"]["traceparent"].as_str().map(str::to_owned);
    events.iter().filter_map(of).collect()
}

fn find<'a>(spans: &'a [Received], name: &str) -> Option<&'a Received> {
    spans.iter().find(|span| span.trace == TRACE && span.name.starts_with(name))
}

#[tokio::test]
async fn one_trace_leads_from_a_request_through_commit_and_claim_to_the_call_of_a_model() {
    let collector = Collector::start().await;
    let double = Double::start(sensible).await;
    // Only what belongs to a recorded trace is recorded.
    let variables = [(ENDPOINT, collector.base.as_str()), ("BOTARMY_TRACING__SAMPLE_RATIO", "0")];
    let server = server_with(&double, &variables).await;
    let project = create(&server, &[&format!("00-{TRACE}-{SPAN}-01")]).await;
    server.until(|_| async { find(&collector.spans(), "invoke_agent ").is_some() }).await;

    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace == TRACE && span.nanos >= 0), "{spans:#?}");
    assert!(spans.iter().all(|span| span.service == "botarmy" && !span.is_error), "{spans:#?}");
    let get = |name: &str| find(&spans, name).unwrap_or_else(|| panic!("no {name} in {spans:#?}"));
    let request = get("POST /api/v1/projects");
    assert_eq!((request.parent.as_str(), request.kind), (SPAN, 2));
    assert_eq!(request.attributes["http.response.status_code"], "201");
    assert_eq!(request.attributes["http.route"], "/api/v1/projects");
    let commits: Vec<_> = spans.iter().filter(|span| span.name == "commit").collect();
    let commit = commits.iter().find(|span| span.parent == request.id).unwrap();
    assert_eq!(commit.attributes["botarmy.project.id"], project);
    let claim = get("claim");
    assert_eq!((&claim.parent, claim.kind), (&request.id, 5));
    let attempt = spans.iter().find(|span| span.parent == claim.id).unwrap();
    assert!(attempt.name.starts_with("invoke_agent "), "{attempt:?}");
    let call =
        spans.iter().find(|span| span.parent == attempt.id && span.name != "commit").unwrap();
    assert_eq!((call.name.as_str(), call.kind), ("chat model-1.5", 3));
    for (attribute, value) in [
        ("gen_ai.operation.name", "chat".to_owned()),
        ("gen_ai.provider.name", "test".to_owned()),
        ("gen_ai.request.model", "model-1.5".to_owned()),
        ("gen_ai.usage.input_tokens", TOKENS.0.to_string()),
        ("gen_ai.usage.output_tokens", TOKENS.1.to_string()),
    ] {
        assert_eq!(call.attributes[attribute], value, "{attribute}");
    }
    // The attempt's result is committed in the same trace.
    assert!(commits.iter().any(|span| span.parent == attempt.id), "{spans:#?}");
    let asked = &double.asked()[0].head;
    let sent = format!("traceparent: 00-{TRACE}-{}-01", call.id);
    assert!(asked.contains(&sent), "{asked}");
    let values: Vec<_> = spans.iter().flat_map(|span| span.attributes.values()).collect();
    assert!(!values.iter().any(|value| value.contains("recipe")), "{values:?}");

    let logged = logged(&server, &project).await;
    assert!(logged.len() > 5 && logged.iter().all(|parent| parent.contains(TRACE)), "{logged:?}");
    assert_eq!(logged[0], format!("00-{TRACE}-{}-01", request.id));
    let (_, check) =
        server.get(&format!("/api/v1/audit/projects/{project}/verify?state=true")).await;
    assert_eq!(check["valid"], true, "{check}");
    assert!(Metrics::of(&server).await.value("botarmy_trace_spans_exported_total", &[]) >= 5.0);
}

#[tokio::test]
async fn a_request_without_a_trace_begins_one_and_probes_and_unsampled_requests_do_not() {
    let collector = Collector::start().await;
    let server = TestServer::with(&[(ENDPOINT, collector.base.as_str())]).await;
    for _ in 0..3 {
        server.get("/livez").await;
        Metrics::of(&server).await;
    }
    let unsampled = format!("00-{TRACE}-{SPAN}-00");
    let quiet = create(&server, &[&unsampled]).await;
    let malformed = format!("00-{TRACE}-{SPAN}");
    let sampled = format!("00-{TRACE}-{SPAN}-01");
    create(&server, &[&malformed]).await;
    create(&server, &[&sampled, &sampled]).await;
    let requests = || {
        let spans = collector.spans().into_iter().filter(|span| span.kind == 2);
        spans.collect::<Vec<_>>()
    };
    server.until(|_| async { requests().len() >= 2 }).await;
    let spans = requests();
    let is_root = |span: &&Received| span.parent.is_empty() && span.trace != TRACE;
    let posts: Vec<_> = spans.iter().filter(|span| span.name.starts_with("POST")).collect();
    assert_eq!(posts.iter().filter(|span| is_root(span)).count(), 2, "{spans:#?}");
    assert_ne!(posts[0].trace, posts[1].trace);
    assert!(
        !spans.iter().any(|span| span.name.contains("/livez") || span.name.contains("/metrics"))
    );
    // What is not recorded is passed on as it came.
    assert_eq!(logged(&server, &quiet).await[0], unsampled);
}

#[tokio::test]
async fn without_a_collector_the_trace_of_a_request_is_kept_with_its_entries() {
    let server = TestServer::start().await;
    let traceparent = format!("00-{TRACE}-{SPAN}-01");
    let project = create(&server, &[&traceparent]).await;
    assert_eq!(logged(&server, &project).await[0], traceparent);
    let plain = create(&server, &[]).await;
    assert!(logged(&server, &plain).await.is_empty());
}

#[tokio::test]
async fn a_collector_that_is_away_changes_nothing_but_the_count_of_dropped_spans() {
    // Nothing listens there.
    let variables = [(ENDPOINT, "http://127.0.0.1:1"), ("BOTARMY_TRACING__QUEUE", "16")];
    let mut server = TestServer::with(&variables).await;
    let project = server.by_hand().await;
    for _ in 0..50 {
        server.submit(&project, "coder", "Do it").await;
    }
    server
        .until(|server| async {
            Metrics::of(server).await.value("botarmy_trace_spans_dropped_total", &[]) >= 50.0
        })
        .await;
    assert_eq!(Metrics::of(&server).await.value("botarmy_trace_spans_exported_total", &[]), 0.0);
    assert!(server.said("Traces cannot be sent"));
    let began = Instant::now();
    assert_eq!(server.terminate().await, Some(0));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_server_that_stops_sends_its_last_spans() {
    let collector = Collector::start().await;
    let mut server = TestServer::with(&[(ENDPOINT, collector.base.as_str())]).await;
    create(&server, &[&format!("00-{TRACE}-{SPAN}-01")]).await;
    assert_eq!(server.terminate().await, Some(0));
    let spans = collector.spans();
    assert!(find(&spans, "POST /api/v1/projects").is_some(), "{spans:#?}");
}
