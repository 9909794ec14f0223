//! The metrics, the configuration and the rules for alerts in Prometheus itself and its checker, and traces
//! in the messages of OpenTelemetry.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use botarmy_tests::access;
use botarmy_tests::external_programs::{otel_messages, prometheus};
use botarmy_tests::metrics::Metrics;
use botarmy_tests::server::{TestServer, bare_client_builder};
use botarmy_tests::services::free_port;
use serde_json::Value;
use tempfile::TempDir;

const CONFIGURATION: &str = include_str!("../../deploy/monitoring/prometheus.yaml");
const ALERTS: &str = include_str!("../../deploy/monitoring/alerts.yaml");

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn check_metrics(programs: &Path, text: &str) -> Output {
    let mut command = Command::new(programs.join("promtool"));
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn the_checker_of_prometheus_finds_nothing_in_the_metrics_and_the_rules() {
    let Some(programs) = prometheus() else { return };
    let server = TestServer::start().await;
    let project = server.by_hand().await;
    server.submit(&project, "coder", "Do it").await;
    let metrics = Metrics::of(&server).await;
    let output = check_metrics(&programs, &metrics.text);
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    let wrong = metrics.text.replace("botarmy_decisions_total", "botarmy_decisions");
    assert!(!check_metrics(&programs, &wrong).status.success(), "it notices a wrong name");

    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("alerts.yaml");
    let check = |text: &str| {
        std::fs::write(&rules, text).unwrap();
        let mut command = Command::new(programs.join("promtool"));
        command.args(["check", "rules"]).arg(&rules).output().unwrap()
    };
    let output = check(ALERTS);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!check(&ALERTS.replace("max by", "most by")).status.success());
}

/// A process that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn prometheus_scrapes_with_the_example_of_a_configuration_and_evaluates_every_rule() {
    let Some(programs) = prometheus() else { return };
    let server = TestServer::start().await;
    let folder = TempDir::new().unwrap();
    let target = server.base.strip_prefix("http://").unwrap();
    let configuration = CONFIGURATION.replace("127.0.0.1:8080", target).replace("15s", "1s");
    let file = folder.path().join("prometheus.yaml");
    std::fs::write(&file, configuration).unwrap();
    std::fs::write(folder.path().join("alerts.yaml"), ALERTS).unwrap();
    let bearer = access::bearer();
    let key = bearer.strip_prefix("Bearer ").unwrap();
    std::fs::write(folder.path().join("botarmy.key"), key).unwrap();
    let port = free_port().unwrap();
    let mut command = Command::new(programs.join("prometheus"));
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).current_dir(folder.path());
    let _running = Running(
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
    );

    let client = bare_client_builder().no_proxy().build().unwrap();
    let get = async |path: &str| -> Option<Value> {
        let url = format!("http://127.0.0.1:{port}/api/v1/{path}");
        client.get(url).timeout(Duration::from_secs(5)).send().await.ok()?.json().await.ok()
    };
    let is_up = async || {
        let answer = get("query?query=up%7Bjob%3D%22botarmy%22%7D").await?;
        let value = answer["data"]["result"][0]["value"][1].as_str()?.to_owned();
        (value == "1").then_some(())
    };
    server.until(|_| async { is_up().await.is_some() }).await;
    let health = async || {
        let rules = get("rules").await?;
        let rules = rules["data"]["groups"][0]["rules"].as_array()?.clone();
        Some(
            rules
                .iter()
                .map(|rule| rule["health"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let all_ok = async || {
        let health = health().await?;
        (!health.is_empty() && health.iter().all(|one| one == "ok")).then_some(())
    };
    server.until(|_| async { all_ok().await.is_some() }).await;
    let missing = get("targets").await.unwrap();
    assert_eq!(missing["data"]["activeTargets"][0]["lastError"], "", "{missing}");
}

#[tokio::test]
async fn the_messages_of_opentelemetry_read_every_field_of_a_trace() {
    let Some(messages) = otel_messages() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("external_programs/otel_collector.py");
    let mut command = Command::new("python3");
    command.arg(script).env("PYTHONPATH", messages).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut collector = command.spawn().unwrap();
    let mut lines = BufReader::new(collector.stdout.take().unwrap()).lines();
    let _collector = Running(collector);
    let port = lines.next().unwrap().unwrap();
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut server =
        TestServer::with(&[("BOTARMY_TRACING__OTLP_ENDPOINT", endpoint.as_str())]).await;
    let project = server.by_hand().await;
    assert_eq!(server.terminate().await, Some(0));

    let (mut spans, mut requests) = (Vec::new(), 0);
    while !spans.iter().any(|span: &Value| span["name"] == "commit") {
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "unknown: False", "{line}");
        let resource = &line["resourceSpans"][0];
        let service = &resource["resource"]["attributes"][0];
        assert_eq!(service["value"]["stringValue"], "botarmy", "{service}");
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().iter().cloned());
        requests += 1;
    }
    let post = spans.iter().find(|span| span["name"] == "POST /api/v1/projects").unwrap();
    let commit = spans.iter().find(|span| span["parentSpanId"] == post["spanId"]).unwrap();
    assert_eq!((&post["kind"], &commit["name"]), (&"SPAN_KIND_SERVER".into(), &"commit".into()));
    assert_eq!((&post["traceId"], &post["flags"]), (&commit["traceId"], &1.into()));
    let attributes = commit["attributes"].as_array().unwrap();
    let of = |key: &str| attributes.iter().find(|one| one["key"] == key).unwrap()["value"].clone();
    assert_eq!(of("botarmy.project.id")["stringValue"], project.as_str());
    assert_eq!(of("botarmy.log.entries")["intValue"], "1");
    let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
    assert!(time(commit, "endTimeUnixNano") >= time(commit, "startTimeUnixNano"));
    println!("{} spans in {requests} requests", spans.len());
}
