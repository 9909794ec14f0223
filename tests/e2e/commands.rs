//! Agents as local commands: a coder that writes files, a test run that decides a loop, and a
//! server that is killed while a command runs.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use botarmy_tests::server::TestServer;
use botarmy_tests::unzip;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Writes a settings file with this text.
fn settings(folder: &TempDir, text: &str) -> PathBuf {
    let file = folder.path().join("botarmy.toml");
    std::fs::write(&file, text).unwrap();
    file
}

async fn started(file: &Path) -> TestServer {
    TestServer::with(&[("BOTARMY_CONFIG", file.to_str().unwrap())]).await
}

const TEAM: &str = r#"
[agents.coder]
runner = "command:fake"

[agents.tester]
runner = "command:check"

# Writes an application with a mistake, and mends it when it is asked to.
[commands.fake]
argv = ["/bin/sh", "-c", '''
case $(cat) in *'"instructions":"Mend'*) word=works ;; *) word=broken ;; esac
echo '{"type":"event","level":"info","message":"writing"}'
echo "<!doctype html><html lang=\"en\"><title>Fake</title><p>It $word.</p></html>" > index.html
mkdir -p css; echo "p { color: black }" > css/a.css
echo '{"type":"result","output":{"summary":"Written by a program."},"usage":{"input_tokens":5}}'
''']

[commands.check]
preset = "plain"
argv = ["grep", "works", "{workdir}/index.html"]
"#;

#[tokio::test]
async fn a_program_writes_the_application_and_a_test_run_decides_when_it_is_done() {
    let folder = TempDir::new().unwrap();
    let server = started(&settings(&folder, TEAM)).await;
    let project = server.project("A recipe-sharing site for small families").await;
    assert_eq!(server.approve_all(&project).await, "completed");

    let (_, health) = server.get("/health/detailed").await;
    assert!(health.to_string().contains("command:fake"), "{health}");
    let path = format!("/api/v1/audit/projects/{project}/events?limit=1000");
    let (_, events) = server.get(&path).await;
    let done = |step: &str| {
        let events = events.as_array().unwrap().iter();
        let done = events.filter(|event| event["event_type"] == "task_completed");
        done.filter(|event| event["event_data"]["step"] == step).count()
    };
    assert_eq!((done("Code Testing"), done("Bug Fix")), (2, 1), "it failed once and was repaired");
    let path = format!("/api/v1/context/project/{project}?artifact_type=test_results&content=true");
    let (_, results) = server.get(&path).await;
    let mut passed: Vec<_> =
        results["items"].as_array().unwrap().iter().map(|one| &one["content"]["passed"]).collect();
    passed.sort_unstable_by_key(|passed| passed.as_bool());
    assert_eq!(passed, [&json!(false), &json!(true)]);

    let path = format!("/api/v1/artifacts/{project}/download");
    let response = server.raw(Method::GET, &path, None).await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let files = unzip(Cursor::new(response.bytes().await.unwrap().to_vec()));
    let files: BTreeMap<_, _> = files.into_iter().collect();
    let page = String::from_utf8(files["source/index.html"].clone()).unwrap();
    assert!(page.contains("It works."), "{page}");
    assert!(files.contains_key("source/css/a.css"));
    let work = server.data_dir().join("work");
    let empty = || std::fs::read_dir(&work).unwrap().count() == 0;
    server.until(|_| std::future::ready(empty())).await;
}

fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_killed_server_leaves_no_program_behind_and_its_task_is_done_once() {
    let folder = TempDir::new().unwrap();
    let pids = folder.path().join("pids");
    let text = format!(
        r#"
[agents.coder]
runner = "command:slow"

# Never ends the first time, and will not be told.
[commands.slow]
argv = ["/bin/sh", "-c", '''
trap '' TERM
if [ ! -f {pids} ]; then
  sleep 600 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; sleep 600; sleep 600
fi
echo '{{"type":"result","output":{{"summary":"Done."}}}}'
''']
"#,
        pids = pids.display()
    );
    let mut server = started(&settings(&folder, &text)).await;
    let project = server.by_hand().await;
    server.submit(&project, "coder", "Take your time.").await;
    server.until(|_| async { pids.exists() }).await;
    let numbers = std::fs::read_to_string(&pids).unwrap();
    let numbers: Vec<_> = numbers.split_whitespace().collect();
    assert!(numbers.iter().all(|pid| lives(pid)), "{numbers:?}");

    server.kill_and_restart().await;
    let restarted = Instant::now();
    while numbers.iter().any(|pid| lives(pid)) {
        assert!(restarted.elapsed() < Duration::from_secs(1), "{numbers:?} outlive their server");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let path = format!("/api/v1/projects/{project}/status");
    let server = &server;
    let done = || async {
        let (_, board): (u16, Value) = server.get(&path).await;
        board["tasks"][0]["status"] == "completed"
    };
    server.until(|_| done()).await;
    let path = format!("/api/v1/audit/projects/{project}/events?limit=1000");
    let (_, events) = server.get(&path).await;
    let count = |kind: &str| {
        events.as_array().unwrap().iter().filter(|event| event["event_type"] == kind).count()
    };
    assert_eq!((count("task_started"), count("task_completed")), (2, 1), "{events}");
}

#[tokio::test]
async fn a_command_that_is_not_described_is_refused_at_the_start() {
    let folder = TempDir::new().unwrap();
    for (text, words) in [
        ("[agents.coder]\nrunner = \"command:gone\"\n", "there is no [commands.gone]"),
        ("[agents.coder]\nrunner = \"llm:hub/model\"\n", "[providers.hub]"),
        ("[commands.a]\nargv = [\"a\", \"{idea}\"]\n", "commands.a.argv"),
    ] {
        let file = settings(&folder, text);
        let mut command = botarmy_tests::server::command(folder.path());
        let (code, said) = crate::say(command.env("BOTARMY_CONFIG", &file).args(["serve"]));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn every_configuration_in_the_documentation_is_accepted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = ["docs/agents.md", "docs/models.md"]
        .map(|file| std::fs::read_to_string(root.join(file)).unwrap())
        .concat();
    let folder = TempDir::new().unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut count = 0;
    for block in blocks {
        let file = settings(&folder, block);
        let loaded = botarmy_server::Settings::load(Some(&file), []);
        assert!(loaded.is_ok(), "{block}: {:#}", loaded.unwrap_err());
        count += 1;
    }
    assert!(count >= 8, "only {count} configurations were found");
}
