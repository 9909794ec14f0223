//! A fuzzer (Schemathesis) that makes requests from the OpenAPI document, valid ones and invalid
//! ones, and checks what comes back: no failure of the server, no status, content type or field that
//! the document does not have, no valid request refused and no invalid one accepted. All of its
//! checks are on; `fuzzer_hooks.py` names the rules of the API that no schema can state.

use std::path::Path;
use std::process::{Command, Stdio};

use botarmy_tests::external_programs::fuzzer;
use botarmy_tests::prove::count;
use botarmy_tests::server::TestServer;
use tempfile::TempDir;

use crate::alone;

/// Seconds in a test run, and in the long form.
const SECONDS: (u32, u32) = (110, 480);
/// Smallest number of requests in which a run says something.
const MIN_REQUESTS: u32 = 1500;

/// Returns the number of requests that the fuzzer made, from the summary of its output.
fn requests(said: &str) -> u32 {
    let line = said.lines().find(|line| line.contains(" generated, ")).unwrap_or_default();
    line.trim().split(' ').next().unwrap_or_default().parse().unwrap_or(0)
}

/// Returns the part of the output that tells what failed.
fn failures(said: &str) -> &str {
    let begin = said.find("= ERRORS =").or_else(|| said.find("= FAILURES =")).unwrap_or(0);
    let end = said.len().min(begin + 20_000);
    &said[begin..(begin..=end).rev().find(|end| said.is_char_boundary(*end)).unwrap_or(begin)]
}

#[tokio::test]
async fn thousands_of_requests_made_from_the_document_find_no_difference_to_it() {
    let Some(tools) = fuzzer() else { return };
    let _alone = alone().await;
    // The tasks of testers are for the calls about a lease.
    let server = TestServer::with(&[("BOTARMY_AGENTS__TESTER__RUNNER", "none")]).await;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("external_programs");
    let folder = TempDir::new().unwrap();
    let path = std::env::join_paths([&tools, &here]).unwrap();
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1");
    command.envs(botarmy_tests::access::environment());
    command.env("SCHEMATHESIS_HOOKS", "fuzzer_hooks").current_dir(folder.path());
    command.args(["-m", "schemathesis.cli", "--config-file"]).arg(here.join("fuzzer.toml"));
    command.arg("run").arg(format!("{}/openapi.json", server.base));
    command.args(["--seed", "1", "--max-time", &count(SECONDS.0, SECONDS.1).to_string()]);
    command.args(["--continue-on-failure", "--generation-database", "none", "--no-color"]);
    command.args(["--max-response-time", "10", "--request-timeout", "40"]);
    // Its response does not end.
    command.args(["--exclude-operation-id", "stream_events"]);
    // The hooks run the first themselves. They give each call the key of the server, so the tool cannot
    // leave it out or send another; the tests of access do both for every operation.
    let excluded = ["positive_data_acceptance", "ignored_auth", "missing_required_header"];
    command.args(["--exclude-checks", &excluded.join(",")]);
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{}\n{}", failures(&said), summary(&said));
    let requests = requests(&said);
    println!("requests: {requests}");
    assert!(requests >= MIN_REQUESTS, "{said}");
    // Otherwise most of the requests were refused for their key alone.
    let (status, caller) = server.get("/api/v1/access/me").await;
    assert_eq!(status, 200, "the key of the fuzzer does not work any more: {caller}");
    let log = server.log.lock().unwrap().clone();
    let error = log.lines().find(|line| line.contains("\"level\":\"ERROR\""));
    assert_eq!(error, None);
}

/// Returns the last part of the output.
fn summary(said: &str) -> &str {
    said.find("= SUMMARY =").map_or("", |at| &said[at..])
}
