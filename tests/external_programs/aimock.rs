//! `@copilotkit/aimock` (the program `llmock`): the protocols of OpenAI, Anthropic and Gemini on
//! one port, with answers from fixtures and random faults.

use std::process::Command;

use botarmy_tests::external_programs::node_modules;
use botarmy_tests::providers::{Asked, Protocol, Reply, sensible};
use botarmy_tests::server::http_client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::Program;

/// Input and output tokens that every answer reports.
pub(crate) const TOKENS: (u64, u64) = (100, 20);
/// The program ignores its standard input; this module ends it with that.
const LEASH: &str = "data:text/javascript,process.stdin.on('end',()=>process.exit()).resume()";

/// A running aimock.
pub(crate) struct Aimock {
    pub(crate) base: String,
    pub(crate) program: Program,
    _fixtures: TempDir,
}

impl Aimock {
    /// Starts aimock with these fixtures and options; `None` if the external programs are missing.
    /// `seed` determines its random faults.
    pub(crate) async fn start(fixtures: &[Value], seed: u64, options: &[&str]) -> Option<Self> {
        let script = node_modules()?.join("@copilotkit/aimock/dist/cli.js");
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("fixtures.json");
        std::fs::write(&file, json!({"fixtures": fixtures}).to_string()).unwrap();
        let mut command = Command::new("node");
        command.arg(format!("--random-seed={}", seed % (1 << 31))).args(["--import", LEASH]);
        command.arg(script).args(["--strict", "--validate-on-load", "--port", "0"]);
        command.arg("--fixtures").arg(&file).args(options);
        let (program, address) = Program::start(command, "server listening on ").await;
        Some(Self { base: address, program, _fixtures: folder })
    }

    /// Returns the base URL for this protocol.
    pub(crate) fn url(&self, protocol: Protocol) -> String {
        match protocol {
            Protocol::Gemini => format!("{}/v1beta", self.base),
            _ => format!("{}/v1", self.base),
        }
    }

    /// Returns every request that it answered to the end, oldest first.
    pub(crate) async fn journal(&self) -> Vec<Value> {
        let url = format!("{}/__aimock/journal", self.base);
        let answer = http_client().get(url).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// Sets the probabilities of faults from now on.
    pub(crate) async fn chaos(&self, rates: &Value) {
        let url = format!("{}/__aimock/chaos", self.base);
        let body = rates.to_string();
        let answer = http_client().post(url).body(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

/// Returns a fixture that answers with `response` if all of `rule` matches.
pub(crate) fn fixture(rule: &Value, response: &Value) -> Value {
    let mut response = response.clone();
    let (input, output) = TOKENS;
    // Each protocol uses its own keys in it.
    response["usage"] = json!({
        "prompt_tokens": input, "completion_tokens": output,
        "input_tokens": input, "output_tokens": output,
        "promptTokenCount": input, "candidatesTokenCount": output,
    });
    json!({"match": rule, "response": response})
}

/// Returns the text that identifies the request of a step.
pub(crate) fn step(name: &str) -> String {
    format!("# Step\n\n{name} (")
}

/// Returns the valid document of a step, as our own double of the providers has it.
pub(crate) fn document(step_name: &str) -> String {
    let asked = Asked {
        protocol: Protocol::OpenAi,
        path: String::new(),
        head: String::new(),
        body: json!({"messages": [step(step_name)]}),
    };
    let Reply::Say(text) = sensible(&asked) else { panic!("it is sensible") };
    text
}

/// Returns fixtures for every step of `sdlc` that a model does: the first build has a defect, its
/// test finds it, and the bug fix repairs it.
pub(crate) fn sdlc() -> Vec<Value> {
    let passed = json!({
        "title": "By a model", "summary": "It holds.", "confidence": 0.9, "passed": true,
        "failures": [], "checks": [{"name": "A1", "passed": true, "detail": "read"}],
    });
    let steps = [
        "Project Planning",
        "Requirements Analysis",
        "Architectural Design",
        "Implementation Planning",
        "Code Generation",
        "Code Refinement",
        "Code Testing",
        "Bug Fix",
    ];
    // Only the test after the bug fix is shown the repaired source.
    let repaired = fixture(&json!({"userMessage": "mended();"}), &json!({"content": passed}));
    let answers = steps.map(|name| {
        fixture(&json!({"userMessage": step(name)}), &json!({"content": document(name)}))
    });
    [repaired].into_iter().chain(answers).collect()
}
