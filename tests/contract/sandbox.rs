//! The runner of commands in the sandbox of the real bubblewrap: the contract of every runner, and
//! the limits that only a sandbox sets.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use botarmy_agents_command::{CommandRunner, CommandSpec, Preset, Sandbox, SandboxMode};
use botarmy_domain::artifact::NewArtifact;
use botarmy_domain::ports::{AgentRunner, Clock};
use botarmy_domain::{AgentType, ArtifactType, Outcome, RunContext, RunError};
use botarmy_server::system::SystemClock;
use botarmy_tests::services;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::runners::{command, examine, follower, step};

/// A command whose attempts run below a data folder.
struct Fixture {
    spec: CommandSpec,
    data: TempDir,
    limit: Duration,
}

impl Fixture {
    fn new(preset: Preset, script: &str) -> Self {
        let spec = CommandSpec { preset, ..CommandSpec::new(["/bin/sh", "-c", script, "fake"]) };
        Self { spec, data: TempDir::new().unwrap(), limit: Duration::from_secs(20) }
    }

    fn runner(&self) -> CommandRunner {
        isolated(self.spec.clone(), self.data.path())
    }

    /// Runs a coder's assignment, or a tester's.
    async fn run(&self, output: ArtifactType) -> Result<Outcome, RunError> {
        let files = json!({"files": [{"path": "a.txt", "content": "one\n"}]});
        let job = step("Work", AgentType::Coder, output, &[(ArtifactType::SourceCode, files)]);
        let deadline = SystemClock.now().after(self.limit);
        let context = RunContext { deadline, fence: 1, trace: None, progress: Box::new(|_, _| {}) };
        self.runner().run(job, context).await
    }

    async fn code(&self) -> (Map<String, Value>, Vec<NewArtifact>) {
        match self.run(ArtifactType::SourceCode).await {
            Ok(Outcome::Completed { output, artifacts, .. }) => (output, artifacts),
            other => panic!("{other:?}"),
        }
    }

    async fn fails(&self, output: ArtifactType) -> (String, String) {
        match self.run(output).await {
            Err(
                RunError::Retryable { code, detail, .. } | RunError::Terminal { code, detail, .. },
            ) => (code, detail),
            other => panic!("{other:?}"),
        }
    }

    /// Returns the file that the program wrote.
    async fn report(&self) -> String {
        let (_, artifacts) = self.code().await;
        file(&artifacts, "report.txt").unwrap_or_else(|| panic!("{artifacts:?}"))
    }
}

fn isolated(spec: CommandSpec, data: &Path) -> CommandRunner {
    let hidden = [data.to_owned()];
    let sandbox = Sandbox::find(SandboxMode::Bwrap, "fake", &spec, &hidden).unwrap();
    assert!(sandbox.is_some());
    CommandRunner::new("fake", spec, data.join("work"), Arc::new(SystemClock)).with_sandbox(sandbox)
}

fn file(artifacts: &[NewArtifact], path: &str) -> Option<String> {
    let files = artifacts.iter().find_map(|made| made.content.get("files")?.as_array())?;
    let found = files.iter().find(|file| file["path"] == path)?;
    found["content"].as_str().map(str::to_owned)
}

/// Returns whether a process has this text among its arguments.
fn is_running(argument: &str) -> bool {
    let mut processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.any(|process| {
        let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let mut arguments = command.split(|byte| *byte == 0);
        arguments.any(|one| one == argument.as_bytes())
    })
}

async fn ends(argument: &str) {
    let begun = Instant::now();
    while is_running(argument) {
        assert!(begun.elapsed() < Duration::from_secs(1), "the process {argument} still exists");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const DONE: &str = r#"echo '{"type":"result","output":{"summary":"Done."}}'"#;

#[tokio::test]
async fn a_command_in_a_sandbox_keeps_the_contract_of_every_runner() {
    if services::bwrap().is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (spec, pid) = follower(folder.path());
    let pid = pid.to_str().unwrap().to_owned();
    let candidate = command(isolated(spec, folder.path()), move || is_running(&pid));
    assert_eq!(examine(&candidate).await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_command_in_a_sandbox_writes_to_its_folder_only_and_sees_no_data_of_others() {
    if services::bwrap().is_none() {
        return;
    }
    let secrets = TempDir::new().unwrap();
    std::fs::write(secrets.path().join("secret"), "s3cr3t").unwrap();
    let script = format!(
        r#"exec 2>&1 > report.txt
        for place in / /etc /usr /usr/bin /bin /opt /var /home /root {secrets} {data} {data}/work ../..; do
            if echo x > "$place/botarmy-was-here"; then echo "wrote $place"; fi
        done
        cat {secrets}/secret {data}/botarmy.db
        ls /home /root /run /var/lib
        for place in . "$HOME" "$TMPDIR" /tmp; do
            if echo x > "$place/mine"; then echo "may write"; fi
        done
        echo "processes $(ls /proc | grep -c '^[0-9]')"
        echo "interfaces $(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | tr '\n' ,)"
        echo "capabilities $(grep CapEff /proc/self/status | tr -d '\t ')"
        {DONE} > /dev/fd/3"#,
        secrets = secrets.path().display(),
        data = "@DATA@",
    );
    let mut fixture = Fixture::new(Preset::Contract, "");
    std::fs::write(fixture.data.path().join("botarmy.db"), "s3cr3t").unwrap();
    let data = fixture.data.path().to_str().unwrap().to_owned();
    fixture.spec.argv[2] = format!("exec 3>&1; {}", script.replace("@DATA@", &data));
    let report = fixture.report().await;
    assert!(!report.contains("wrote") && !report.contains("s3cr3t"), "{report}");
    assert_eq!(report.matches("may write").count(), 4, "{report}");
    let processes = report.lines().find_map(|line| line.strip_prefix("processes ")).unwrap();
    assert!(processes.parse::<u32>().unwrap() < 8, "{report}");
    assert!(report.contains("interfaces lo,\n"), "{report}");
    assert!(report.contains("capabilities CapEff:0000000000000000"), "{report}");
    for place in ["/", "/etc", "/usr", "/usr/bin", "/opt", "/var", "/home", "/root"] {
        assert!(!Path::new(place).join("botarmy-was-here").exists(), "{place}");
    }
    assert!(!fixture.data.path().join("botarmy-was-here").exists());
}

#[tokio::test]
async fn a_command_has_the_network_only_if_it_is_allowed_to() {
    if services::bwrap().is_none() {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script =
        format!("curl -s -m 5 telnet://{address} < /dev/null; echo $? > report.txt; {DONE}");
    let answers = std::thread::spawn(move || listener.accept().map(drop));
    let mut fixture = Fixture::new(Preset::Contract, &script);
    assert_eq!(fixture.report().await, "7\n", "curl could connect");
    assert!(!answers.is_finished());
    fixture.spec.network = Some(true);
    assert_eq!(fixture.report().await, "0\n");
    answers.join().unwrap().unwrap();
}

#[tokio::test]
async fn what_leaves_its_process_group_ends_with_its_attempt() {
    if services::bwrap().is_none() {
        return;
    }
    // A number that no other process sleeps for.
    let long = (600_000_000 + services::random() % 1_000_000).to_string();
    let script = format!(
        "setsid sh -c 'trap \"\" TERM HUP; sleep {long} & sleep {long}' > /dev/null 2>&1 < /dev/null & \
         while ! grep -q sleep /proc/[0-9]*/comm; do :; done; {DONE}"
    );
    Fixture::new(Preset::Contract, &script).code().await;
    ends(&long).await;

    // Cancelled while it runs.
    let script = format!("setsid sleep {long} & sleep {long}; sleep {long}");
    let fixture = Arc::new(Fixture::new(Preset::Contract, &script));
    let held = Arc::clone(&fixture);
    let run = tokio::spawn(async move { held.run(ArtifactType::SourceCode).await });
    let begun = Instant::now();
    while !is_running(&long) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not start");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run.abort();
    drop(run.await);
    ends(&long).await;
}

#[tokio::test]
async fn a_command_in_a_sandbox_gets_sigterm_before_its_deadline_and_may_still_finish() {
    if services::bwrap().is_none() {
        return;
    }
    let done = DONE.replace('\'', "'\\''");
    let mut fixture =
        Fixture::new(Preset::Contract, &format!("trap '{done}; exit 0' TERM; sleep 600 & wait"));
    fixture.limit = Duration::from_secs(3);
    assert_eq!(fixture.code().await.0["summary"], "Done.");
    fixture.spec.argv[2] = "trap '' TERM; echo tail >&2; sleep 600; sleep 600".to_owned();
    let (code, detail) = fixture.fails(ArtifactType::SourceCode).await;
    assert_eq!(code, "timed_out", "{detail}");
    assert!(detail.contains("tail"), "{detail}");
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_made_is_no_verdict_of_a_test_run() {
    if services::bwrap().is_none() {
        return;
    }
    let mut fixture = Fixture::new(Preset::Plain, "exit 3");
    let ended = fixture.run(ArtifactType::TestResults).await.unwrap();
    let Outcome::Completed { output, .. } = ended else { panic!("{ended:?}") };
    assert_eq!((&output["passed"], &output["exit_code"]), (&json!(false), &json!(3)));
    fixture.spec.argv[2] = "kill -9 $$".to_owned();
    assert_eq!(fixture.fails(ArtifactType::TestResults).await.0, "command_killed");
    // The folder is there when the server starts, and not when the attempt does.
    fixture.spec.read_only = vec!["/no/such/folder".into()];
    let (code, detail) = fixture.fails(ArtifactType::TestResults).await;
    assert_eq!(code, "sandbox_failed");
    assert!(detail.contains("/no/such/folder"), "{detail}");
    // A program that only the sandbox hides.
    let tools = TempDir::new().unwrap();
    let hidden = fixture.data.path().join("tool");
    for tool in [&tools.path().join("tool"), &hidden] {
        std::os::unix::fs::symlink("/bin/true", tool).unwrap();
    }
    fixture.spec.read_only.clear();
    fixture.spec.argv = vec!["/bin/sh".into(), "-c".into(), format!("exec {}", hidden.display())];
    let (code, detail) = fixture.fails(ArtifactType::TestResults).await;
    assert_eq!(code, "command_failed");
    assert!(detail.contains("read_only"), "{detail}");
}

#[tokio::test]
async fn configuration_and_credentials_are_shown_in_a_home_of_the_attempts_own() {
    if services::bwrap().is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (login, tools) = (folder.path().join("auth.json"), folder.path().join("tools"));
    std::fs::write(&login, "login").unwrap();
    std::fs::create_dir(&tools).unwrap();
    std::fs::write(tools.join("tool"), "tool").unwrap();
    let script = format!(
        r#"{{ cat "$HOME/.agent/auth.json" {tools}/tool; echo x > "$HOME/.agent/other" && echo " other";
        if echo x >> "$HOME/.agent/auth.json"; then echo changed; fi
        if echo x >> {tools}/tool; then echo changed; fi; }} > report.txt; {DONE}"#,
        tools = tools.display()
    );
    let mut fixture = Fixture::new(Preset::Contract, &script);
    fixture.spec.home_files = [(".agent/auth.json".to_owned(), login.clone())].into();
    fixture.spec.read_only = vec![tools.clone()];
    assert_eq!(fixture.report().await, "logintool other\n");
    assert_eq!(std::fs::read_to_string(&login).unwrap(), "login");
    assert_eq!(std::fs::read_to_string(tools.join("tool")).unwrap(), "tool");

    // A HOME that is kept.
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let mut fixture = Fixture::new(
        Preset::Contract,
        &format!("cp \"$HOME/n\" report.txt; echo 2 > \"$HOME/n\"; {DONE}"),
    );
    std::fs::write(home.join("n"), "1").unwrap();
    fixture.spec.home = Some(home.clone());
    assert_eq!(fixture.report().await, "1");
    assert_eq!(std::fs::read_to_string(home.join("n")).unwrap(), "2\n");
}

#[tokio::test]
async fn a_command_in_a_sandbox_cannot_replace_its_folder() {
    if services::bwrap().is_none() {
        return;
    }
    let script = format!(
        "project=$PWD; cd /; mv $project $project.old; rmdir $project; ln -sfn /etc $project; \
         echo here > $project/report.txt; {DONE}"
    );
    let fixture = Fixture::new(Preset::Contract, &script);
    let (_, artifacts) = fixture.code().await;
    assert_eq!(file(&artifacts, "report.txt").unwrap(), "here\n");
    assert_eq!(file(&artifacts, "a.txt").unwrap(), "one\n");
    let files = artifacts[0].content["files"].as_array().unwrap();
    assert_eq!(files.len(), 2, "{files:?}");
}
