//! Programs in the sandbox of the real bubblewrap, as the settings choose it, and servers on machines
//! where it does not work.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use botarmy_tests::server::TestServer;
use botarmy_tests::services;
use serde_json::json;
use tempfile::TempDir;

/// Returns settings with a coder that is this script.
fn coder(folder: &TempDir, script: &str, more: &str) -> String {
    let file = folder.path().join("botarmy.toml");
    let text = format!(
        "[agents.coder]\nrunner = \"command:mine\"\n\
         [commands.mine]\nargv = [\"/bin/sh\", \"-c\", '''\n{script}\n''']\n{more}"
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Submits a task to the coder and returns the path of the task.
async fn submit(server: &TestServer) -> String {
    let project = server.by_hand().await;
    let body = json!({"agent_type": "coder", "instructions": "Work."});
    let (status, task) = server.post(&format!("/api/v1/projects/{project}/tasks"), body).await;
    assert_eq!(status, 201, "{task}");
    format!("/api/v1/tasks/{}", task["task_id"].as_str().unwrap())
}

/// Returns whether a process has this text among its arguments.
fn is_running(argument: &str) -> bool {
    let mut processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.any(|process| {
        let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        command.split(|byte| *byte == 0).any(|one| one == argument.as_bytes())
    })
}

const DONE: &str = r#"echo '{"type":"result","output":{"summary":"Done.","seen":"'"$seen"'"}}'"#;

#[tokio::test]
async fn a_program_in_a_sandbox_does_not_see_the_data_of_the_server() {
    if services::bwrap().is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("beside"), "").unwrap();
    let script = format!(
        "cat > /dev/null\nseen=$(ls -A ../../.. ../.. {} /home /root 2>&1 | grep -c -e botarmy -e beside)\n{DONE}",
        folder.path().display()
    );
    let variables = |sandbox| {
        let file = coder(&folder, &script, "");
        [("BOTARMY_CONFIG", file), ("BOTARMY_AGENTS__SANDBOX", String::from(sandbox))]
    };
    for (sandbox, sees) in [("none", true), ("bwrap", false), ("auto", false)] {
        let variables = variables(sandbox);
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let server = TestServer::with(&variables).await;
        let task = submit(&server).await;
        server.until_is(&task, "/status", "completed").await;
        let (_, task) = server.get(&task).await;
        assert_eq!(task["output"]["seen"] != "0", sees, "{sandbox}: {task}");
    }
}

#[tokio::test]
async fn a_killed_server_leaves_nothing_of_its_sandboxes_behind() {
    if services::bwrap().is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let long = (700_000_000 + services::random() % 1_000_000).to_string();
    let script = format!("trap '' TERM\nsetsid sleep {long} &\nsleep {long}");
    let file = coder(&folder, &script, "sandbox = \"bwrap\"\n");
    let mut server = TestServer::with(&[("BOTARMY_CONFIG", &file)]).await;
    submit(&server).await;
    server.until(|_| async { is_running(&long) }).await;
    // The task is not tried again after the restart.
    coder(&folder, "exit 1", "sandbox = \"bwrap\"\n");
    server.kill_and_restart().await;
    let restarted = Instant::now();
    while is_running(&long) {
        assert!(restarted.elapsed() < Duration::from_secs(1), "a program outlives its server");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Writes a `bwrap` that cannot make namespaces.
fn broken_bwrap(folder: &Path) {
    let file = folder.join("bwrap");
    let script = "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n";
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn where_bubblewrap_does_not_work_the_server_says_why_or_refuses_to_start() {
    let folder = TempDir::new().unwrap();
    let file = coder(&folder, &format!("cat > /dev/null\n{DONE}"), "");
    let (without, broken) = (folder.path().join("without"), folder.path().join("broken"));
    std::fs::create_dir(&without).unwrap();
    std::fs::create_dir(&broken).unwrap();
    broken_bwrap(&broken);
    for (path, reason) in
        [(&without, "bwrap is not in PATH"), (&broken, "setting up uid map: Permission denied")]
    {
        let mut command = botarmy_tests::server::command(folder.path());
        command.env("PATH", path).env("BOTARMY_CONFIG", &file);
        command.env("BOTARMY_AGENTS__SANDBOX", "bwrap").arg("serve");
        let (code, said) = crate::say(&mut command);
        assert_eq!(code, Some(1), "{said}");
        for words in ["agents.coder.runner", "commands.mine", reason, "sandbox = \"none\""] {
            assert!(said.contains(words), "{words} is not in: {said}");
        }

        let variables = [
            ("PATH", path.to_str().unwrap()),
            ("BOTARMY_CONFIG", &file),
            ("BOTARMY_AGENTS__SANDBOX", "auto"),
        ];
        let server = TestServer::with(&variables).await;
        let log = server.log.lock().unwrap().clone();
        let warning = log.lines().find(|line| line.contains("without a sandbox"));
        let warning = warning.unwrap_or_else(|| panic!("no warning in: {log}"));
        assert!(warning.contains("WARN") && warning.contains(reason), "{warning}");
    }
}
