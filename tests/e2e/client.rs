//! The commands that speak to a running server, as a person and as a script use them.

use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use botarmy_tests::server::{TestServer, bare};
use botarmy_tests::{access, unzip};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const IDEA: &str = "A recipe-sharing site for small families";

/// Returns a command for this server, with the key of the administrator.
fn client(server: &TestServer, arguments: &[&str]) -> Command {
    let mut command = bare();
    command.args(arguments).args(["--server", &server.base]).current_dir(server.data_dir());
    command.env_remove("NO_COLOR").env_remove("COLUMNS").env("PAGER", "cat");
    if let Some((name, key)) = access::environment() {
        command.env(name, key);
    }
    command
}

/// Runs a command that succeeds, and returns what it printed on standard output.
fn said(server: &TestServer, arguments: &[&str]) -> String {
    let output = client(server, arguments).stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that succeeds with `--json`, and returns its document.
fn document(server: &TestServer, arguments: &[&str]) -> Value {
    let text = said(server, &[arguments, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

/// Runs a command; returns its exit code and both outputs.
fn code(command: &mut Command) -> (Option<i32>, String) {
    crate::say(command)
}

/// Runs something that blocks beside the server's own tasks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Creates a project that follows the workflow, and returns its id and that of its first gate.
async fn at_a_gate(server: &TestServer) -> (String, String) {
    let create = ["projects", "create", "Recipes", "--idea", IDEA, "--workflow", "sdlc"];
    let project = said(server, &create).trim().to_owned();
    let gate = server.next_gate(&project).await.unwrap();
    (project, gate["request_id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idea_becomes_a_package_with_the_client_alone() {
    let server = TestServer::start().await;
    let (project, gate) = at_a_gate(&server).await;
    let gates = said(&server, &["gates", "list", "--project", &project]);
    assert!(gates.contains(&gate) && gates.contains("QUESTION"), "{gates}");
    let shown = said(&server, &["gates", "show", &gate]);
    for expected in ["# Project plan", "Milestones", "Digest", "Deadline"] {
        assert!(shown.to_lowercase().contains(&expected.to_lowercase()), "{expected}: {shown}");
    }

    // With words the step runs again, and its document shows the change.
    let words = "Grandparents must be able to print a recipe";
    let amended = said(&server, &["gates", "amend", &gate, "--text", words, "--yes"]);
    assert!(amended.contains("amended"), "{amended}");
    let second = server.next_gate(&project).await.unwrap();
    let second = second["request_id"].as_str().unwrap();
    let changes = said(&server, &["gates", "show", second, "--changes"]);
    assert!(changes.contains("--- before\n+++ now\n@@ -"), "{changes}");
    assert!(changes.lines().any(|line| line.starts_with('+') && line.contains(words)), "{changes}");
    said(&server, &["gates", "approve", second, "--yes", "--comment", "Good"]);

    // A document in place of the one under review.
    let third = server.next_gate(&project).await.unwrap();
    let third = third["request_id"].as_str().unwrap();
    let specification = json!({
        "title": "What we need", "summary": "Recipes that can be searched and printed.",
        "user_stories": [{
            "id": "US-1", "as_a": "grandparent", "i_want": "to print a recipe",
            "so_that": "I can cook it", "acceptance": [{"id": "AC-1", "text": "It can be printed"}]
        }]
    });
    std::fs::write(server.data_dir().join("spec.json"), specification.to_string()).unwrap();
    said(&server, &["gates", "amend", third, "--document", "spec.json", "--yes"]);

    let watched = client(&server, &["projects", "watch", &project, "--after", "0"]);
    let (status, watched) = blocking(move || code(&mut { watched })).await;
    assert_eq!(status, Some(0), "{watched}");
    for expected in [
        "▸ Project Planning (analyst)",
        "✓ Final Check",
        "● amended by",
        "The project is completed",
    ] {
        assert!(watched.contains(expected), "{expected}: {watched}");
    }
    let shown = said(&server, &["projects", "show", &project]);
    assert!(shown.contains("completed") && shown.contains("✓  Project Planning"), "{shown}");

    let out = said(&server, &["package", "download", &project, "--out", "p.zip"]);
    assert_eq!(out, "p.zip\n");
    let package = unzip(Cursor::new(std::fs::read(server.data_dir().join("p.zip")).unwrap()));
    assert!(package.iter().any(|(name, _)| name == "source/index.html"));
    let files = said(&server, &["package", "list", &project]);
    assert!(files.contains("source/index.html"), "{files}");
    let found = said(&server, &["log", "search", "--project", &project, "--type", "hitl_response"]);
    assert_eq!(found.lines().count(), 3, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_without_a_workflow_is_driven_task_by_task() {
    let server = TestServer::start().await;
    let project = said(&server, &["projects", "create", "Choir"]).trim().to_owned();
    let task = said(&server, &["tasks", "create", &project, "analyst", "A notebook for a choir"]);
    let task = task.trim();
    server.until_is(&format!("/api/v1/tasks/{task}"), "/status", "completed").await;
    let shown = said(&server, &["tasks", "show", task]);
    for expected in ["A notebook for a choir", "Status     completed", "Output:"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    // The project is complete with its task, and a finished task is not cancelled.
    let (status, text) = code(&mut client(&server, &["tasks", "cancel", task, "--yes"]));
    assert_eq!(status, Some(4), "{text}");
    let list = said(&server, &["projects", "list", "--status", "completed"]);
    assert!(list.contains(&project), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_are_paused_resumed_halted_reopened_and_cancelled() {
    let server = TestServer::start().await;
    let (project, gate) = at_a_gate(&server).await;
    for (arguments, expected) in [
        (&["projects", "pause", &project][..], "\"Recipes\" is paused."),
        (&["projects", "resume", &project], "\"Recipes\" is active."),
        (&["gates", "reject", &gate, "--comment", "Too late", "--yes"], "the project is halted"),
        (&["projects", "reopen", &project, "--reason", "After all"], "\"Recipes\" is active."),
        (&["projects", "cancel", &project, "--yes"], "\"Recipes\" is cancelled."),
    ] {
        let text = said(&server, arguments);
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
    // Without a terminal there is no one to ask.
    let (status, text) = code(&mut client(&server, &["projects", "cancel", &project]));
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("--yes"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_is_json_and_every_table_fits_its_width() {
    let server = TestServer::start().await;
    let (project, gate) = at_a_gate(&server).await;
    let tasks = document(&server, &["tasks", "list", &project]);
    let task = tasks[0]["task_id"].as_str().unwrap().to_owned();
    said(&server, &["stop", "work", "--agent", "deployer", "--reason", "A test", "--yes"]);
    let commands: [&[&str]; 12] = [
        &["projects", "list"],
        &["projects", "show", &project],
        &["tasks", "list", &project],
        &["tasks", "show", &task],
        &["gates", "list"],
        &["gates", "list", "--project", &project],
        &["gates", "show", &gate],
        &["package", "list", &project],
        &["agents", "status"],
        &["stop", "list"],
        &["keys", "list"],
        &["grants", "list"],
    ];
    for arguments in commands {
        let value = document(&server, arguments);
        assert!(value.is_array() || value.is_object(), "{arguments:?}: {value}");
        for (columns, widest) in [(Some("60"), 60), (Some("120"), 120), (None, 80)] {
            let mut command = client(&server, arguments);
            command.envs(columns.map(|columns| ("COLUMNS", columns)));
            let (status, text) = code(&mut command);
            assert_eq!(status, Some(0), "{arguments:?}: {text}");
            assert!(text.lines().count() > 1, "{arguments:?}: {text}");
            // Lines of source code and of programs stay whole.
            for line in text.lines().filter(|line| !line.starts_with("    ")) {
                let width = line.chars().count();
                assert!(width <= widest, "{arguments:?} in {widest} columns: {line}\n{text}");
            }
        }
    }
    for arguments in [&["log", "tail", "-n", "5"][..], &["log", "search", "--limit", "5"]] {
        let lines = said(&server, &[arguments, &["--json"]].concat());
        let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert!(events.into_iter().all(|event| event["hash"].is_string()), "{lines}");
        assert_eq!(lines.lines().count(), 5, "{lines}");
        let text = said(&server, arguments);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
    assert_eq!(document(&server, &["stop", "list"])["stops"][0]["reason"], "A test");
    said(&server, &["stop", "release", "--agent", "deployer", "--reason", "Over", "--yes"]);
    assert_eq!(said(&server, &["stop", "list"]), "Nothing is stopped.\n");
    assert!(said(&server, &["agents", "reset", "coder"]).contains("coder"));
}

/// A step under a policy with every rule that `gates show` has a line for.
const STRICT: &str = r#"
name = "strict"
[[policy]]
name = "strict"
approvals = 2
veto = ["leads"]
exclude = ["author", "amender"]
comment = ["approve", "reject", "amend"]
auth = "AUTH"
[[step]]
phase = "Plan"
name = "Project Planning"
agent = "analyst"
inputs = ["user_input"]
output = "project_plan"
gate = "low"
policy = "strict"
"#;

/// Starts a server and a project that waits under [`STRICT`], and returns the id of its request.
async fn under_a_policy(auth: &str) -> (TestServer, tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("strict.toml"), STRICT.replace("AUTH", auth)).unwrap();
    let folder_name = folder.path().to_str().unwrap();
    let server = TestServer::with(&[
        ("BOTARMY_WORKFLOWS__DIR", folder_name),
        ("BOTARMY_GATES__EXCLUDE", "amender"),
    ])
    .await;
    let create = ["projects", "create", "Recipes", "--idea", IDEA, "--workflow", "strict"];
    let project = said(&server, &create).trim().to_owned();
    let gate = server.next_gate(&project).await.unwrap();
    (server, folder, gate["request_id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_shows_the_rules_of_its_policy_in_any_width() {
    let (server, _folder, gate) = under_a_policy("interactive").await;
    let policy = document(&server, &["gates", "show", &gate])["policy"].clone();
    for columns in [60, 120] {
        let mut command = client(&server, &["gates", "show", &gate]);
        let (status, text) = code(command.env("COLUMNS", columns.to_string()));
        assert_eq!(status, Some(0), "{text}");
        let head = text.split("# Project plan").next().unwrap();
        // What does not fit goes on below the value, not below the name.
        let mut facts: Vec<(String, String)> = Vec::new();
        for line in head.lines().skip_while(|line| !line.starts_with("Id ")) {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
            let Some((name, value)) = line.split_at_checked(11) else { continue };
            if name.trim().is_empty() {
                let (name, last) = facts.last_mut().unwrap();
                let space = if name == "Rules" { "" } else { " " };
                last.push_str(&format!("{space}{value}"));
            } else {
                facts.push((name.trim().to_owned(), value.to_owned()));
            }
        }
        let digest = policy["digest"].as_str().unwrap();
        for (name, value) in [
            ("Policy", "strict"),
            ("Excluded", "author, amender"),
            ("Veto", "one rejection ends it, by leads"),
            ("Reason", "needed to approve, reject, amend"),
            ("Auth", "interactive: sign in, or follow a link; a key is not enough"),
            ("Answers", "must name the digest of the subject"),
            ("Rules", digest),
        ] {
            let found = facts.iter().find(|(known, _)| known == name);
            let found = found.unwrap_or_else(|| panic!("{name} is missing: {head}"));
            assert_eq!(found.1, value, "{head}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_the_reason_that_the_policy_wants_names_the_option() {
    let (server, _folder, gate) = under_a_policy("any").await;
    let digest = document(&server, &["gates", "show", &gate])["subject"]["digest"].clone();
    let digest = digest.as_str().unwrap();
    std::fs::write(server.data_dir().join("plan.json"), r#"{"title": "Another"}"#).unwrap();
    for (arguments, expected) in [
        (&["gates", "reject", &gate, "--yes"][..], 2),
        (&["gates", "approve", &gate, "--yes", "--comment", " "], 2),
        (&["gates", "amend", &gate, "--document", "plan.json", "--yes"], 2),
        // It is not shown, so that only the server knows the policy.
        (&["gates", "reject", &gate, "--yes", "--digest", digest], 7),
    ] {
        let (status, text) = code(&mut client(&server, arguments));
        assert_eq!(status, Some(expected), "{arguments:?}: {text}");
        assert!(text.contains("--comment"), "{arguments:?}: {text}");
    }
    let found = document(&server, &["gates", "show", &gate]);
    assert_eq!((&found["status"], &found["votes"]), (&json!("pending"), &json!([])), "{found}");
    said(&server, &["gates", "approve", &gate, "--yes", "--comment", "Good"]);
    let taken = said(&server, &["gates", "withdraw", &gate, "--yes"]);
    assert!(!taken.is_empty());
    assert_eq!(document(&server, &["gates", "show", &gate])["votes"], json!([]));
    said(&server, &["gates", "remind", &gate, "--yes"]);
    let to = access::actor();
    let delegate = ["delegation", "set", "--to", to, "--until", "2027-01-01T00:00:00Z"];
    let (status, text) = code(&mut client(&server, &delegate));
    if access::needs_keys() {
        assert_eq!(status, Some(7), "{text}");
        assert!(text.contains("another person than yourself"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_exit_codes_that_scripts_tell_apart() {
    let server = TestServer::start().await;
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let (project, gate) = at_a_gate(&server).await;
    for (arguments, expected) in [
        (&["projects", "show", unknown][..], 3),
        (&["projects", "watch", unknown], 3),
        (&["gates", "approve", unknown, "--yes"], 3),
        (&["projects", "resume", &project], 4),
        (&["projects", "show", "no-id"], 2),
        (&["projects", "create", " "], 7),
        (&["projects", "list", "--profile", "none"], 2),
        (&["keys", "generate"], 2),
    ] {
        let (status, text) = code(&mut client(&server, arguments));
        assert_eq!(status, Some(expected), "{arguments:?}: {text}");
        assert!(text.starts_with("error: ") && text.ends_with('\n'), "{arguments:?}: {text}");
    }
    // The subject that was reviewed is not the one that is there.
    let approve = ["gates", "approve", &gate, "--digest", &"0".repeat(64), "--yes"];
    let (status, text) = code(&mut client(&server, &approve));
    assert_eq!(status, Some(4), "{text}");
    let digest = document(&server, &["gates", "show", &gate])["subject"]["digest"].clone();
    let approve = ["gates", "approve", &gate, "--digest", digest.as_str().unwrap(), "--yes"];
    said(&server, &approve);
    let (status, text) = code(&mut client(&server, &["gates", "approve", &gate, "--yes"]));
    assert_eq!(status, Some(4), "{text}");
    assert!(text.contains("approved by") && text.contains("already"), "{text}");

    if access::needs_keys() {
        let mut wrong = client(&server, &["projects", "list"]);
        let (status, text) = code(wrong.env("BOTARMY_KEY", "botarmy_k_wrong"));
        assert_eq!(status, Some(5), "{text}");
        assert!(!text.contains("botarmy_k_wrong"), "{text}");
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (status, text) =
        code(bare().args(["projects", "list", "--server", &format!("http://{free}")]));
    assert_eq!(status, Some(6), "{text}");
    assert!(text.contains("cannot be reached"), "{text}");
}

/// Writes a key file with this mode.
fn key_file(folder: &Path, mode: u32) -> String {
    let file = folder.join(format!("{mode:o}.key"));
    std::fs::write(&file, format!("Authorization: Bearer {}\n", access::key())).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_and_keys_come_from_options_variables_and_profiles() {
    let server = TestServer::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (private, open) = (key_file(dir.path(), 0o600), key_file(dir.path(), 0o644));
    let profiles = dir.path().join("botarmy").join("profiles.toml");
    std::fs::create_dir(profiles.parent().unwrap()).unwrap();
    let text = format!(
        "default = \"test\"\n[profiles.test]\nserver = \"{}\"\nkey_file = \"../600.key\"\n\
         [profiles.away]\nserver = \"http://127.0.0.1:1\"\n",
        server.base
    );
    std::fs::write(&profiles, text).unwrap();
    let list = || {
        let mut command = bare();
        command.args(["projects", "list"]).current_dir(dir.path());
        command.env("XDG_CONFIG_HOME", dir.path()).env_remove("COLUMNS");
        command
    };
    let away = ["--profile", "away"];
    for (command, expected) in [
        (&mut list(), 0),
        (list().args(away), 6),
        (list().args(["--server", &server.base, "--key-file", &private]), 0),
        (list().env("BOTARMY_SERVER", &server.base).env("BOTARMY_KEY_FILE", &private), 0),
        (list().env("BOTARMY_PROFILE", "away"), 6),
        (
            list()
                .env("BOTARMY_PROFILE", "away")
                .env("BOTARMY_SERVER", &server.base)
                .args(["--key-file", &private]),
            0,
        ),
        // As ssh does with keys that others can read.
        (list().args(["--key-file", &open]), 2),
        (list().args(away).args(["--server", "http://127.0.0.1:1"]), 2),
        (list().args(["--server", "http://botarmy.example", "--key-file", &private]), 2),
    ] {
        let (status, text) = code(command);
        assert_eq!(status, Some(expected), "{command:?}: {text}");
    }
    let mut all = bare();
    let (status, text) = code(all.arg("profiles").env("XDG_CONFIG_HOME", dir.path()));
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("*  test") && text.contains(&server.base), "{text}");
    assert!(!text.contains(access::key()), "{text}");
    // Commands that own the store do not read the profile, and say what the options need.
    let (status, text) = code(bare().args(["keys", "list", "--key-file", &private]));
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("--key-file needs --server"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_grants_and_sessions_are_managed_over_rest() {
    let server = TestServer::start().await;
    let create = ["keys", "create", "ci", "--role", "operator", "--own", "--expires", "30d"];
    let key = said(&server, &create);
    assert!(key.starts_with("botarmy_"), "{key}");
    let keys = document(&server, &["keys", "list", "ci"]);
    let id = keys[0]["id"].as_str().unwrap();
    if access::needs_keys() {
        let mut own = client(&server, &["projects", "create", "By the program"]);
        assert_eq!(code(own.env("BOTARMY_KEY", key.trim())).0, Some(0));
        let mut own = client(&server, &["keys", "list"]);
        assert_eq!(code(own.env("BOTARMY_KEY", key.trim())).0, Some(5));
    }
    let changed = said(&server, &["grants", "set", "ci", "--role", "viewer", "--add"]);
    for grant in ["operator on its own projects", "viewer on all projects"] {
        assert!(changed.contains(grant), "{changed}");
    }
    assert!(said(&server, &["grants", "disable", "ci"]).contains("disabled"));
    assert!(said(&server, &["grants", "enable", "ci"]).contains("active"));
    let rotated = document(&server, &["keys", "rotate", id, "--overlap", "0"]);
    assert_ne!(rotated["key"].as_str(), Some(key.trim()));
    let id = rotated["id"].as_str().unwrap();
    assert!(said(&server, &["keys", "revoke", id]).contains("Revoked the key"));
    assert!(document(&server, &["sessions", "list"]).as_array().unwrap().is_empty());
    for (arguments, expected) in [
        (&["keys", "list", "stranger"][..], 3),
        (&["grants", "set", "ci"], 2),
        (&["keys", "create", "new"], 2),
        (&["keys", "create", "ci", "--expires", "90m"], 2),
    ] {
        let (status, text) = code(&mut client(&server, arguments));
        assert_eq!(status, Some(expected), "{arguments:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_do_not_reach_the_terminal() {
    let server = TestServer::start().await;
    let name = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}gnp.exe";
    let body = json!({"name": name, "description": "\u{1b}[8mhidden\r\noverwritten"});
    let (status, project) = server.post("/api/v1/projects", body).await;
    assert_eq!(status, 201, "{project}");
    let id = project["id"].as_str().unwrap();
    let question = json!({"project_id": id, "question": format!("Really {name}?")});
    let (status, request) = server.post("/api/v1/hitl", question).await;
    assert_eq!(status, 201, "{request}");
    let gate = request["request_id"].as_str().unwrap();
    let is_hostile =
        |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    for arguments in [
        &["projects", "list"][..],
        &["projects", "show", id],
        &["projects", "pause", id],
        &["projects", "watch", "01890a5d-ac96-774b-bcce-b302099a8057"],
        &["gates", "list"],
        &["gates", "show", gate],
        &["gates", "approve", gate, "--yes"],
        &["log", "search", "--project", id],
        &["log", "tail"],
        &["package", "list", id],
    ] {
        for more in [&[][..], &["--json"]] {
            let (_, text) = code(&mut client(&server, &[arguments, more].concat()));
            assert!(!text.contains(is_hostile), "{arguments:?} {more:?}: {text:?}");
        }
    }
    assert_eq!(document(&server, &["projects", "show", id])["name"], name);
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_follow_the_option_and_no_color() {
    let server = TestServer::start().await;
    said(&server, &["projects", "create", "Choir"]);
    let list = |more: &[&str]| client(&server, &[&["projects", "list"], more].concat());
    let has_colour = |command: &mut Command| code(command).1.contains('\u{1b}');
    assert!(!has_colour(&mut list(&[])), "the output is no terminal");
    assert!(has_colour(&mut list(&["--color", "always"])));
    assert!(
        has_colour(list(&["--color", "always"]).env("NO_COLOR", "1")),
        "the option comes first"
    );
    assert!(!has_colour(&mut list(&["--color", "never"])));
    let at_terminal = |command: &mut Command| {
        let (mut terminal, slave) = crate::terminal::terminal(80);
        let mut child = command.stdin(Stdio::null()).stdout(slave).spawn().unwrap();
        command.stdout(Stdio::null());
        let mut said = Vec::new();
        drop(terminal.read_to_end(&mut said));
        child.wait().unwrap();
        String::from_utf8(said).unwrap()
    };
    assert!(at_terminal(&mut list(&[])).contains("\u{1b}[36mactive"));
    assert!(!at_terminal(list(&[]).env("NO_COLOR", "1")).contains('\u{1b}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_ends_a_command_quietly() {
    let server = TestServer::start().await;
    for n in 0..30 {
        said(&server, &["projects", "create", &format!("Project {n}")]);
    }
    for arguments in [&["projects", "list"][..], &["log", "search"], &["log", "tail", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = client(&server, arguments);
        let output = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
        let output = output.spawn().unwrap().wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

/// Reads until a text appears, or the output ends.
fn read_until(output: &mut impl Read, text: &str) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains(text) {
        assert_eq!(output.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.extend(byte);
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_watching_at_once() {
    let server = TestServer::start().await;
    let (project, _) = at_a_gate(&server).await;
    let mut command = client(&server, &["projects", "watch", &project, "--after", "0"]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = read_until(child.stdout.as_mut().unwrap(), "gates show");
    assert!(said.contains("✓ Project Planning"), "{said}");
    let asked_at = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(asked_at.elapsed() < Duration::from_secs(5), "it took {:?}", asked_at.elapsed());
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_shown_while_it_happens() {
    let server = TestServer::start().await;
    let (project, gate) = at_a_gate(&server).await;
    let mut command = client(&server, &["projects", "watch", &project]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    read_until(&mut output, &gate);
    said(&server, &["gates", "reject", &gate, "--comment", "Not now", "--yes"]);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest}");
    for expected in ["● rejected by", "■ halted: ", "The project is halted."] {
        assert!(rest.contains(expected), "{expected}: {rest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_works_on_a_server_and_asks_at_gates() {
    let server = TestServer::start().await;
    let run = |more: &[&str]| client(&server, &[&["run", IDEA], more].concat());
    let (status, text) = code(&mut run(&["--yes", "--out", "yes.zip"]));
    assert_eq!(status, Some(0), "{text}");
    for expected in ["▸ Project Planning (analyst)", "✓ Final Check", "Completed.", "It took "]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(server.data_dir().join("yes.zip").is_file());

    let mut child = run(&["--out", "asked.zip"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = "m\nSing louder on Sundays\ns\na\nr\nToo late\nyes\n";
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = blocking(move || child.wait_with_output()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("Sing louder on Sundays") && text.contains("projects reopen"), "{text}");

    // Without an answer the project is left waiting, and the command that goes on is named.
    let (status, text) = code(&mut run(&["--out", "left.zip"]));
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("botarmy-server projects watch "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_approved_after_a_question_at_the_terminal() {
    let server = TestServer::start().await;
    let (project, gate) = at_a_gate(&server).await;
    for (line, expected) in [("n\n", Some(1)), ("y\n", Some(0))] {
        let (mut terminal, slave) = crate::terminal::terminal(60);
        let mut command = client(&server, &["gates", "approve", &gate]);
        let copy = || slave.try_clone().unwrap();
        let mut child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().unwrap();
        drop((command, slave));
        let shown = read_until(&mut terminal, "Approve this? [y/N]");
        assert!(shown.contains("Milestones") && shown.contains("Digest"), "{shown}");
        terminal.write_all(line.as_bytes()).unwrap();
        let mut rest = Vec::new();
        drop(terminal.read_to_end(&mut rest));
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert_eq!(child.wait().unwrap().code(), expected, "{rest}");
    }
    let answers =
        document(&server, &["gates", "list", "--project", &project, "--status", "approved"]);
    assert_eq!(answers[0]["request_id"], gate.as_str(), "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_of_this_machine_is_found_by_its_settings() {
    let variables = [(access::MODE, "keys")];
    let server = TestServer::with(&variables).await;
    let port = server.base.rsplit(':').next().unwrap();
    let list = |port: &str| {
        let mut command = bare();
        command.args(["projects", "list", "--data-dir"]).arg(server.data_dir());
        command.env("BOTARMY_HTTP__PORT", port).env("XDG_CONFIG_HOME", server.data_dir());
        code(&mut command)
    };
    let (status, text) = list(port);
    assert_eq!(status, Some(0), "{text}");
    // The key of the administrator is sent to no port that nothing of this user listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (status, text) = list(&free.to_string());
    assert_eq!(status, Some(6), "{text}");
    assert!(text.contains("was not sent"), "{text}");
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (status, script) = code(bare().args(["completions", shell]));
        assert_eq!(status, Some(0), "{script}");
        assert!(script.contains("gates") && script.contains("approve"), "{shell}");
    }
    let (status, page) = code(bare().arg("man"));
    assert_eq!(status, Some(0));
    assert!(page.contains(".TH botarmy-server"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(code(bare().args(["man", "--dir"]).arg(dir.path())).0, Some(0));
    for page in ["botarmy-server.1", "botarmy-server-gates-approve.1"] {
        assert!(dir.path().join(page).is_file(), "{page} is missing");
    }
    // A fresh account has no folder for them.
    let new = dir.path().join("share/man/man1");
    assert_eq!(code(bare().args(["man", "--dir"]).arg(&new)).0, Some(0));
    assert!(new.join("botarmy-server.1").is_file());
    let file = new.join("botarmy-server.1");
    let (status, text) = code(bare().args(["man", "--dir"]).arg(&file));
    assert_eq!(status, Some(1), "{text}");
}
