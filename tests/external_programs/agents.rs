//! Coding agents as their vendors ship them, each through its preset, with a double of the
//! providers and an invalid key. The double only selects the actions; the agents execute them: they
//! write files, ask for permissions, and count their tokens. They do so outside of a sandbox, and in
//! one with the defaults of their presets.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use botarmy_tests::external_programs::node_modules;
use botarmy_tests::server::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::aimock::{Aimock, TOKENS, fixture};
use crate::walk::{events, tasks, to_the_end, tokens};

/// Time limit; the agents start slowly on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Two steps that produce source code: the second one is given that of the first.
const WORKFLOW: &str = r#"
name = "page"
[[step]]
phase = "Build"
name = "Code Generation"
agent = "coder"
inputs = ["user_input"]
output = "source_code"
instructions = "BUILD the page."
[[step]]
phase = "Build"
name = "Code Refinement"
agent = "coder"
inputs = ["user_input", "source_code"]
output = "source_code"
instructions = "POLISH the page."
"#;
const BUILT: &str = "<!doctype html><title>Recipes</title><p>Draft</p>";
const POLISHED: &str = "<!doctype html><title>Recipes</title><p>Finished</p>";
/// Changes the existing file, which is only in the right folder.
const POLISH: &str = "python3 -c \"import pathlib; page = pathlib.Path('index.html'); \
                      page.write_text(page.read_text().replace('Draft', 'Finished'))\"";

/// A sandbox in which everything else is as the preset has it: the network, and a HOME for each
/// attempt.
const SANDBOX: &str = "sandbox = \"bwrap\"\n";

/// Starts a server whose coder is this command, with these variables and a folder for its files.
async fn server(folder: &TempDir, command: &str, variables: &[(&str, &str)]) -> TestServer {
    server_for(WORKFLOW, folder, command, variables).await
}

async fn server_for(
    workflow: &str,
    folder: &TempDir,
    command: &str,
    variables: &[(&str, &str)],
) -> TestServer {
    let workflows = folder.path().join("workflows");
    std::fs::create_dir(&workflows).unwrap();
    std::fs::write(workflows.join("page.toml"), workflow).unwrap();
    let settings = folder.path().join("botarmy.toml");
    let text = format!("[agents.coder]\nrunner = \"command:agent\"\nslots = 1\n{command}");
    std::fs::write(&settings, text).unwrap();
    let mut all = vec![
        ("BOTARMY_CONFIG", settings.to_str().unwrap()),
        ("BOTARMY_WORKFLOWS__DIR", workflows.to_str().unwrap()),
        ("BOTARMY_ORCHESTRATOR__RETRY_BACKOFF_MS", "10"),
        ("BOTARMY_WORKER__POLL_MS", "50"),
    ];
    all.extend(variables);
    TestServer::with(&all).await
}

async fn project(server: &TestServer) -> String {
    let body = json!({"name": "Page", "description": "A page of recipes", "workflow": "page"});
    let (status, project) = server.post("/api/v1/projects", body).await;
    assert_eq!(status, 201, "{project}");
    project["id"].as_str().unwrap().to_owned()
}

/// Returns the page in every version of the source code, oldest first.
async fn pages(server: &TestServer, project: &str) -> Vec<String> {
    let path = format!("/api/v1/context/project/{project}?artifact_type=source_code&content=true");
    let (_, found) = server.get(&path).await;
    let mut versions = found["items"].as_array().unwrap().clone();
    versions.sort_by_key(|one| one["created_at"].as_str().unwrap().to_owned());
    let page = |one: &Value| {
        let files = one["content"]["files"].as_array().unwrap();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(files[0]["path"], "index.html");
        files[0]["content"].as_str().unwrap().trim_end().to_owned()
    };
    versions.iter().map(page).collect()
}

/// Returns rules with which the double calls a tool if the prompt has this word, and replies with
/// `then` once it has run.
fn calls(word: &str, id: &str, tool: &str, arguments: &Value, then: &str) -> [Value; 2] {
    let call = json!({"toolCalls": [{"id": id, "name": tool, "arguments": arguments}]});
    [
        fixture(&json!({"toolCallId": id}), &json!({"content": then})),
        fixture(&json!({"userMessage": word}), &call),
    ]
}

/// Returns the binary of Claude Code, which its package contains for this kind of machine only.
fn claude() -> Option<PathBuf> {
    let folder = node_modules()?.join("@anthropic-ai");
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path().join("claude"));
    let found: Vec<_> = entries.filter(|path| path.exists()).collect();
    assert_eq!(found.len(), 1, "{found:?} in {}", folder.display());
    found.into_iter().next()
}

fn claude_command(claude: &Path) -> String {
    format!(
        "[commands.agent]\npreset = \"claude\"\nargv = [{claude:?}, \"--model\", \"sonnet\"]\n\
         env = [\"ANTHROPIC_BASE_URL\", \"ANTHROPIC_API_KEY\", \"CLAUDE_CODE_MAX_RETRIES\"]\n"
    )
}

#[tokio::test]
async fn claude_code_asks_for_a_tool_it_was_denied_and_goes_on_with_it_when_that_is_approved() {
    asks_and_goes_on("").await;
}

#[tokio::test]
async fn claude_code_does_the_same_in_a_sandbox() {
    asks_and_goes_on(SANDBOX).await;
}

async fn asks_and_goes_on(more: &str) {
    let _alone = crate::alone().await;
    let Some(claude) = claude() else { return };
    let write = json!({"file_path": "index.html", "content": BUILT});
    let bash = json!({"command": POLISH, "description": "Finish the page"});
    let answered = "Your question was answered";
    let fixtures = [
        calls(answered, "toolu_3", "Bash", &bash, "I finished the page."),
        calls("POLISH", "toolu_2", "Bash", &bash, "I may not run anything."),
        calls("BUILD", "toolu_1", "Write", &write, "I wrote the page."),
    ];
    let Some(double) = Aimock::start(&fixtures.concat(), 1, &[]).await else { return };
    let folder = TempDir::new().unwrap();
    let variables = [("ANTHROPIC_BASE_URL", &*double.base), ("ANTHROPIC_API_KEY", "dummy")];
    let server = server(&folder, &(claude_command(&claude) + more), &variables).await;
    let project = project(&server).await;

    // Writing files was permitted from the start; running a program needs permission.
    let gate = server.next_gate(&project).await.unwrap();
    assert_eq!(gate["kind"], "question", "{gate:#}");
    let question = gate["question"].as_str().unwrap();
    assert!(question.contains("Bash") && question.contains("write_text"), "{question}");
    assert_eq!(pages(&server, &project).await, [BUILT]);
    let waiting = server.get(&format!("/api/v1/tasks/{}", gate["task_id"].as_str().unwrap())).await;
    let before = &waiting.1["usage"];
    assert_eq!(tokens(before), (2 * TOKENS.0, 2 * TOKENS.1), "{before}");

    let (gates, status) = to_the_end(&server, &project, TIMEOUT).await;
    assert_eq!((status.as_str(), gates.len()), ("completed", 1), "{gates:#?}");
    assert_eq!(pages(&server, &project).await, [BUILT, POLISHED]);
    let tasks = tasks(&server, &project).await;
    let polished = tasks.iter().find(|task| task["task_id"] == gate["task_id"]).unwrap();
    let after = &polished["usage"];
    assert_eq!(tokens(after), (4 * TOKENS.0, 4 * TOKENS.1), "both runs count: {after}");
    let cost = |usage: &Value| usage["cost_micro_usd"].as_u64().unwrap();
    assert!(cost(before) > 0);
    assert_eq!(cost(after), 2 * cost(before), "and neither of them twice");
    assert_eq!(polished["output"]["summary"], "I finished the page.", "{polished:#}");
    let journal = double.journal().await;
    assert_eq!(journal.len(), 6, "three runs of two requests each: {journal:#?}");
}

#[tokio::test]
async fn claude_code_without_its_endpoint_has_failed_whatever_it_calls_that() {
    let _alone = crate::alone().await;
    let Some(claude) = claude() else { return };
    let folder = TempDir::new().unwrap();
    // No process listens on that port. By default the agent retries for three minutes.
    let variables = [
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:9"),
        ("ANTHROPIC_API_KEY", "dummy"),
        ("CLAUDE_CODE_MAX_RETRIES", "0"),
    ];
    let server = server(&folder, &claude_command(&claude), &variables).await;
    let project = project(&server).await;
    let gate = server.next_gate(&project).await.unwrap();
    assert!(gate["question"].as_str().unwrap().contains("ECONNREFUSED"), "{gate:#}");
    let events = events(&server, &project).await;
    let failed: Vec<_> = events
        .iter()
        .filter(|event| {
            ["task_retry_scheduled", "task_failed"].contains(&event["event_type"].as_str().unwrap())
        })
        .map(|event| &event["event_data"])
        .collect();
    assert_eq!(failed.len(), 3, "{failed:#?}");
    assert_eq!(failed[2]["code"], "command_failed", "{failed:#?}");
}

/// Returns the key with the HOME of an agent, in which it finds this file: a permanent one, or that
/// of each attempt in a sandbox.
fn home(folder: &TempDir, file: &str, text: &str, in_sandbox: bool) -> String {
    let home = folder.path().join("home");
    let path = home.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    if in_sandbox {
        format!("{SANDBOX}home_files = {{{file:?} = {path:?}}}\n")
    } else {
        format!("home = {home:?}\n")
    }
}

fn codex_command(folder: &TempDir, modules: &Path, base: &str, in_sandbox: bool) -> String {
    let settings = format!(
        "model = \"gpt-5\"\nmodel_provider = \"double\"\n[model_providers.double]\n\
         name = \"double\"\nbase_url = \"{base}/v1\"\nwire_api = \"responses\"\n\
         env_key = \"OPENAI_API_KEY\"\nrequest_max_retries = 1\nstream_max_retries = 1\n"
    );
    format!(
        "[commands.agent]\npreset = \"codex\"\nargv = [{:?}]\nenv = [\"OPENAI_API_KEY\"]\n{}",
        modules.join(".bin/codex"),
        home(folder, ".codex/config.toml", &settings, in_sandbox)
    )
}

#[tokio::test]
async fn codex_cli_changes_files_and_its_tokens_are_counted() {
    codex(false).await;
}

#[tokio::test]
async fn codex_cli_does_the_same_in_a_sandbox() {
    codex(true).await;
}

async fn codex(in_sandbox: bool) {
    let _alone = crate::alone().await;
    let Some(modules) = node_modules() else { return };
    let build = json!({"cmd": format!("printf '%s' '{BUILT}' > index.html")});
    let fixtures = [
        calls("BUILD", "call_1", "exec_command", &build, "I wrote the page."),
        calls("POLISH", "call_2", "exec_command", &json!({"cmd": POLISH}), "I finished the page."),
    ];
    let Some(double) = Aimock::start(&fixtures.concat(), 1, &[]).await else { return };
    let folder = TempDir::new().unwrap();
    let command = codex_command(&folder, &modules, &double.base, in_sandbox);
    polishes(&server(&folder, &command, &[("OPENAI_API_KEY", "dummy")]).await, "openai").await;
}

fn gemini_command(folder: &TempDir, modules: &Path, in_sandbox: bool) -> String {
    // With a custom endpoint it requires an explicit key.
    let settings = json!({
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": false},
    });
    format!(
        "[commands.agent]\npreset = \"gemini\"\n\
         argv = [{:?}, \"--model\", \"gemini-2.5-pro\"]\n\
         env = [\"GEMINI_API_KEY\", \"GOOGLE_GEMINI_BASE_URL\"]\n{}",
        modules.join(".bin/gemini"),
        home(folder, ".gemini/settings.json", &settings.to_string(), in_sandbox)
    )
}

#[tokio::test]
async fn gemini_cli_changes_files_and_its_tokens_are_counted() {
    gemini(false).await;
}

#[tokio::test]
async fn gemini_cli_does_the_same_in_a_sandbox() {
    gemini(true).await;
}

async fn gemini(in_sandbox: bool) {
    let _alone = crate::alone().await;
    let Some(modules) = node_modules() else { return };
    let write = |content: &str| json!({"file_path": "index.html", "content": content});
    let fixtures = [
        calls("BUILD", "call_1", "write_file", &write(BUILT), "I wrote the page."),
        calls("POLISH", "call_2", "write_file", &write(POLISHED), "I finished the page."),
    ];
    let Some(double) = Aimock::start(&fixtures.concat(), 1, &[]).await else { return };
    let folder = TempDir::new().unwrap();
    let command = gemini_command(&folder, &modules, in_sandbox);
    let variables = [("GOOGLE_GEMINI_BASE_URL", &*double.base), ("GEMINI_API_KEY", "dummy")];
    polishes(&server(&folder, &command, &variables).await, "gemini").await;
}

#[tokio::test]
async fn a_coding_agent_without_network_fails_with_the_name_of_the_setting() {
    let _alone = crate::alone().await;
    let (Some(claude), Some(modules)) = (claude(), node_modules()) else { return };
    let unused = fixture(&json!({"userMessage": "BUILD"}), &json!({"content": "Not reached."}));
    let Some(double) = Aimock::start(&[unused], 1, &[]).await else { return };
    // Codex CLI waits for the network until its time is up.
    let short = "output = \"source_code\"\ntimeout_s = 20\n";
    let workflow = WORKFLOW.replace("output = \"source_code\"\n", short);
    for preset in ["claude", "codex", "gemini"] {
        let folder = TempDir::new().unwrap();
        let command = match preset {
            "claude" => claude_command(&claude) + SANDBOX,
            "codex" => codex_command(&folder, &modules, &double.base, true),
            _ => gemini_command(&folder, &modules, true),
        };
        let variables = [
            ("ANTHROPIC_BASE_URL", &*double.base),
            ("ANTHROPIC_API_KEY", "dummy"),
            ("CLAUDE_CODE_MAX_RETRIES", "0"),
            ("OPENAI_API_KEY", "dummy"),
            ("GOOGLE_GEMINI_BASE_URL", &*double.base),
            ("GEMINI_API_KEY", "dummy"),
        ];
        let command = command + "network = false\n";
        let server = server_for(&workflow, &folder, &command, &variables).await;
        let project = project(&server).await;
        let events = format!("/api/v1/audit/projects/{project}/events");
        let failure = async || {
            let (_, events) = server.get(&events).await;
            let mut events = events.as_array().unwrap().iter();
            let failed = |one: &&Value| {
                ["task_retry_scheduled", "task_failed"]
                    .contains(&one["event_type"].as_str().unwrap())
            };
            events.find(failed).map(|event| event["event_data"].clone())
        };
        let begun = Instant::now();
        let failure = loop {
            if let Some(found) = failure().await {
                break found;
            }
            assert!(begun.elapsed() < TIMEOUT, "{preset}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let named = "network = true in [commands.agent]";
        assert!(failure.to_string().contains(named), "{preset}: {failure}");
        assert_eq!(double.journal().await, Vec::<Value>::new(), "{preset}");
    }
}

/// Checks that both steps are completed without a question, and that both runs are counted.
async fn polishes(server: &TestServer, provider: &str) {
    let project = project(server).await;
    let (gates, status) = to_the_end(server, &project, TIMEOUT).await;
    assert_eq!((status.as_str(), gates.len()), ("completed", 0), "{gates:#?}");
    assert_eq!(pages(server, &project).await, [BUILT, POLISHED]);
    let tasks = tasks(server, &project).await;
    assert_eq!(tasks.len(), 2, "{tasks:#?}");
    for task in &tasks {
        let usage = &task["usage"];
        assert_eq!(usage["provider"], provider, "{usage}");
        assert_eq!(tokens(usage), (2 * TOKENS.0, 2 * TOKENS.1), "{usage}");
    }
}
