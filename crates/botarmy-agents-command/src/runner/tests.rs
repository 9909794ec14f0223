//! The runner with small shell scripts as programs, including programs that misbehave.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use botarmy_domain::artifact::{Artifact, ArtifactRef, digest};
use botarmy_domain::task::Answer as Reply;
use botarmy_domain::timestamp::Timestamp;
use botarmy_domain::vocabulary::{AgentType, HitlAction};
use botarmy_domain::{IdGenerator, Resume};

use super::*;

#[path = "../../../botarmy-domain/tests/rules/sample_assignment.rs"]
mod sample_assignment;

use sample_assignment::{golden, sample_assignment};

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(0)
    }
}

/// A command that runs a shell script, with the working folder of its attempts.
struct Fixture {
    spec: CommandSpec,
    work: tempfile::TempDir,
    limit: Duration,
    progress: Arc<Mutex<Vec<String>>>,
}

impl Fixture {
    fn new(preset: Preset, script: &str) -> Self {
        let spec = CommandSpec { preset, ..CommandSpec::new(["/bin/sh", "-c", script, "fake"]) };
        let work = tempfile::tempdir().unwrap();
        Self { spec, work, limit: Duration::from_secs(20), progress: Arc::default() }
    }

    fn runner(&self) -> CommandRunner {
        CommandRunner::new("fake", self.spec.clone(), self.work.path(), Arc::new(FixedClock))
    }

    async fn run(&self, job: Assignment) -> Result<Outcome, RunError> {
        let progress = Arc::clone(&self.progress);
        let context = RunContext {
            deadline: Timestamp::from_micros(0).after(self.limit),
            fence: 1,
            trace: None,
            progress: Box::new(move |line, _| progress.lock().unwrap().push(line)),
        };
        self.runner().run(job, context).await
    }

    /// Runs a coder's assignment to its end.
    async fn code(&self) -> (Map<String, Value>, Vec<NewArtifact>) {
        completed(self.run(coder(&[("a.txt", "one\n")])).await)
    }

    async fn fails(&self, retry: bool) -> (String, String) {
        let ended = self.run(coder(&[("a.txt", "one\n")])).await;
        match ended {
            Err(RunError::Retryable { code, detail, .. }) if retry => (code, detail),
            Err(RunError::Terminal { code, detail, .. }) if !retry => (code, detail),
            other => panic!("{other:?}"),
        }
    }

    async fn is_empty(&self) -> bool {
        for _ in 0..100 {
            if std::fs::read_dir(self.work.path()).unwrap().count() == 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

fn completed(ended: Result<Outcome, RunError>) -> (Map<String, Value>, Vec<NewArtifact>) {
    match ended {
        Ok(Outcome::Completed { output, artifacts, .. }) => (output, artifacts),
        other => panic!("{other:?}"),
    }
}

fn coder(files: &[(&str, &str)]) -> Assignment {
    let mut id_generator = IdGenerator::new(Timestamp::from_micros(1), 1);
    let project_id = id_generator.project();
    let files: Vec<_> =
        files.iter().map(|(path, content)| json!({"path": path, "content": content})).collect();
    let content = json!({"title": "Source", "entry": "a.txt", "files": files});
    let meta = ArtifactRef {
        id: id_generator.context(),
        project_id,
        source_agent: AgentType::Coder,
        artifact_type: ArtifactType::SourceCode,
        digest: digest(&content),
        previous: None,
        created_at: id_generator.now(),
    };
    let source = Artifact { meta, content: object(content), metadata: Map::new() };
    Assignment {
        project_id,
        project_name: "Recipes".to_owned(),
        task_id: id_generator.task(),
        agent: AgentType::Coder,
        attempt: 1,
        instructions: "Mend it.".to_owned(),
        handoff: None,
        context: vec![Arc::new(source)],
        output_type: Some(ArtifactType::SourceCode),
        output_schema: None,
        resume: None,
        workflow: None,
    }
}

fn tester() -> Assignment {
    let output_type = Some(ArtifactType::TestResults);
    Assignment { agent: AgentType::Tester, output_type, ..coder(&[("a.txt", "one\n")]) }
}

fn resumed(job: Assignment, session: Option<String>, action: HitlAction) -> Assignment {
    let mut id_generator = IdGenerator::new(Timestamp::from_micros(2), 2);
    let comment = Some("Use the blue one.".to_owned());
    let answer = Reply { question_id: id_generator.request(), action, comment, content: None };
    Assignment { attempt: 2, resume: Some(Resume { session, answers: vec![answer] }), ..job }
}

fn files(artifacts: &[NewArtifact]) -> Vec<(String, String)> {
    let source = artifacts.iter().find(|a| a.artifact_type == ArtifactType::SourceCode).unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let list = source.content["files"].as_array().unwrap().iter();
    list.map(|file| (word(&file["path"]), word(&file["content"]))).collect()
}

const DONE: &str = r#"echo '{"type":"result","output":{"summary":"Done."}}'"#;

/// Returns `true` if a process exists and is not a zombie.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

async fn gone(file: &Path) {
    let pid = std::fs::read_to_string(file).unwrap();
    let started = Instant::now();
    while lives(&pid) {
        assert!(started.elapsed() < Duration::from_secs(1), "process {pid} still exists");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn changed_files_are_collected_with_a_diff() {
    let script = format!(
        "echo two >> a.txt; mkdir b; echo new > b/c.txt; mkdir target; echo x > target/x; {DONE}"
    );
    let fixture = Fixture::new(Preset::Contract, &script);
    let (output, artifacts) = fixture.code().await;
    assert_eq!(output["summary"], "Done.");
    let expected = [("a.txt", "one\ntwo\n"), ("b/c.txt", "new\n")];
    assert_eq!(files(&artifacts), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(artifacts[0].content["entry"], "a.txt");
    let diff = artifacts[0].metadata["diff"].as_str().unwrap();
    assert!(diff.contains("--- a/a.txt\n+++ b/a.txt") && diff.contains("+two"), "{diff}");
    assert!(diff.contains("--- /dev/null\n+++ b/b/c.txt"), "{diff}");
    assert!(fixture.is_empty().await, "the folder still exists");
}

#[tokio::test]
async fn a_program_reads_the_assignment_and_gets_only_the_allowed_variables() {
    let script = r#"cat > in.json; env > env.txt; pwd > pwd.txt; ls -ld "$HOME/.." > mode.txt;
        echo '{"type":"result"}'"#;
    let mut fixture = Fixture::new(Preset::Contract, script);
    fixture.spec.argv.push("{workdir}".to_owned());
    let job = resumed(coder(&[("a.txt", "")]), None, HitlAction::Approve);
    let (_, artifacts) = completed(fixture.run(job.clone()).await);
    let files: std::collections::BTreeMap<_, _> = files(&artifacts).into_iter().collect();
    let input: Value = serde_json::from_str(&files["in.json"]).unwrap();
    assert_eq!(input["contract"], "botarmy.command/1");
    assert_eq!(input["task"]["id"], job.task_id.to_string());
    assert_eq!(input["task"]["attempt"], 2);
    assert_eq!(input["context"][0]["type"], "source_code");
    assert_eq!(input["context"][0]["name"], "Source");
    assert_eq!(input["output_schema"], Value::Null);
    assert_eq!(input["resume"]["answers"][0]["comment"], "Use the blue one.");
    let mut names: Vec<_> = files["env.txt"].lines().filter_map(|l| l.split('=').next()).collect();
    names.retain(|name| !["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"].contains(name));
    // The last ones are the shell's own.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["BOTARMY_ATTEMPT", "BOTARMY_DEADLINE", "BOTARMY_TASK_ID", "HOME", "TMPDIR"]);
    assert!(files["pwd.txt"].trim().ends_with("/project"), "{}", files["pwd.txt"]);
    assert!(files["mode.txt"].starts_with("drwx------"), "{}", files["mode.txt"]);
}

#[tokio::test]
async fn the_standard_input_is_the_golden_document() {
    let script = r#"if [ -f asked ]; then
          cat > in.json; echo '{"type":"result"}'
        else
          : > asked; echo '{"type":"ask","question_id":"q","question":"Which?","session":"s1"}'
        fi"#;
    let fixture = Fixture::new(Preset::Contract, script);
    let ended = fixture.run(sample_assignment(None)).await.unwrap();
    let Outcome::Ask { session, .. } = ended else { panic!("{ended:?}") };
    let (_, artifacts) = completed(fixture.run(sample_assignment(session)).await);
    let files = files(&artifacts);
    let (_, input) = files.iter().find(|(path, _)| path == "in.json").unwrap();
    assert_eq!(serde_json::from_str::<Value>(input).unwrap(), golden());
}

#[tokio::test]
async fn events_are_progress_unknown_types_are_ignored_and_the_last_result_wins() {
    let script = r#"echo '{"type":"event","level":"info","message":"half"}'
        echo '{"type":"event","level":"warn","message":"hm","percent":33.3}'
        echo '{"type":"telemetry","x":1}'; echo 'no json'
        echo '{"type":"result","output":{"n":1},"usage":{"input_tokens":3}}'
        echo '{"type":"result","output":{"n":2},"confidence":0.5}'"#;
    let fixture = Fixture::new(Preset::Contract, script);
    let ended = fixture.run(coder(&[("a.txt", "")])).await.unwrap();
    let Outcome::Completed { output, confidence, usage, .. } = ended else { panic!("{ended:?}") };
    assert_eq!((output["n"].as_u64(), confidence, usage.input_tokens), (Some(2), Some(0.5), 3));
    assert_eq!(*fixture.progress.lock().unwrap(), ["half", "warn: hm"]);
}

#[tokio::test]
async fn artifacts_have_content_or_a_path_within_the_folder() {
    let line = |more: &str| format!(r#"echo '{{"type":"artifact","name":"agent_output",{more}}}'"#);
    let content = line(r#""content":{"a":1}"#);
    let (_, artifacts) = Fixture::new(Preset::Contract, &format!("{content}; {DONE}")).code().await;
    assert_eq!(artifacts[0].content["a"], 1);
    let path = line(r#""media_type":"text/markdown","path":"x.md""#);
    let script = format!("echo '# X' > x.md; {path}; {DONE}");
    let (_, artifacts) = Fixture::new(Preset::Contract, &script).code().await;
    assert_eq!(artifacts[0].content["markdown"], "# X\n");
    for (setup, path) in [
        ("true", "../home/x"),
        ("true", "/etc/passwd"),
        ("ln -s /etc/passwd x", "x"),
        ("ln -s /etc d", "d/passwd"),
        ("mkfifo x", "x"),
        ("true", "x"),
    ] {
        let line = line(&format!(r#""path":"{path}""#));
        let fixture = Fixture::new(Preset::Contract, &format!("{setup}; {line}; {DONE}"));
        assert_eq!(fixture.fails(false).await.0, "protocol_error", "{path}");
    }
}

#[tokio::test]
async fn hostile_files_are_refused_and_named() {
    let script = format!(
        "ln -s /etc/passwd link; ln -s .. up; mkfifo pipe; printf '\\377' > bytes; touch 'a:b' 'con'; \
         echo sibling > ../../sibling; echo fine > fine.txt; {DONE}"
    );
    let fixture = Fixture::new(Preset::Contract, &script);
    let (_, artifacts) = fixture.code().await;
    let names: Vec<_> = files(&artifacts).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["a.txt", "fine.txt"]);
    let refused = artifacts[0].metadata["refused"].as_array().unwrap();
    let mut refused: Vec<_> = refused.iter().map(|one| one["path"].as_str().unwrap()).collect();
    refused.sort_unstable();
    assert_eq!(refused, ["a:b", "bytes", "con", "link", "pipe", "up"]);
    // It is not a sandbox: a file beside the folder can be written, but is not collected.
    assert!(fixture.work.path().join("sibling").exists());
}

#[tokio::test]
async fn a_program_that_replaces_its_folder_by_a_link_has_nothing_else_taken_in() {
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("passwd.txt"), "s3cr3t").unwrap();
    let secrets = secrets.path().display();
    for script in [
        format!("project=$PWD; cd ..; mv project old; ln -s {secrets} project"),
        format!("rm -rf \"$PWD\"; ln -s {secrets} \"$PWD\""),
        format!("project=$PWD; cd ..; mv project old; mkdir project; ln -s {secrets} project/a"),
    ] {
        let fixture = Fixture::new(Preset::Contract, &format!("{script}; {DONE}"));
        let (code, detail) = fixture.fails(false).await;
        assert_eq!(code, "folder_replaced", "{script}: {detail}");
    }
    // The attempt's whole folder: the files that were given are still there.
    let script = format!(
        "attempt=$(dirname \"$PWD\"); cd /; mv $attempt $attempt.old; \
                          mkdir $attempt; ln -s {secrets} $attempt/project; {DONE}"
    );
    let (_, artifacts) = Fixture::new(Preset::Contract, &script).code().await;
    assert_eq!(files(&artifacts), [("a.txt".to_owned(), "one\n".to_owned())]);
}

#[tokio::test]
async fn metadata_of_version_control_that_a_program_writes_is_not_collected() {
    let script = format!(
        "mkdir -p .git sub/.hg .vscode; echo x > .git/config; echo x > sub/.hg/hgrc; \
         echo x > .vscode/tasks.json; echo x > .envrc; echo x > b.txt; {DONE}"
    );
    let (_, artifacts) = Fixture::new(Preset::Contract, &script).code().await;
    let names: Vec<_> = files(&artifacts).into_iter().map(|(path, _)| path).collect();
    assert_eq!(names, ["a.txt", "b.txt"]);
    let refused = artifacts[0].metadata["refused"].as_array().unwrap();
    let mut refused: Vec<_> = refused.iter().map(|one| one["path"].as_str().unwrap()).collect();
    refused.sort_unstable();
    assert_eq!(refused, [".envrc", ".vscode", "sub/.hg"], ".git is ignored by the settings");
}

#[tokio::test]
async fn files_for_a_home_are_there_without_a_sandbox_too() {
    let login = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(login.path(), "login").unwrap();
    let script = format!("cp \"$HOME/.agent/auth.json\" seen.txt; {DONE}");
    let mut fixture = Fixture::new(Preset::Contract, &script);
    let file = (".agent/auth.json".to_owned(), login.path().to_owned());
    fixture.spec.home_files = [file].into();
    let (_, artifacts) = fixture.code().await;
    assert!(files(&artifacts).contains(&("seen.txt".to_owned(), "login".to_owned())));
    assert!(login.path().exists());
}

#[tokio::test]
async fn too_many_and_too_large_files_are_refused() {
    for script in [
        "i=0; while [ $i -le 2000 ]; do : > f$i; i=$((i+1)); done",
        "for i in 1 2 3; do head -c 4000000 /dev/zero | tr '\\0' x > f$i; done",
    ] {
        let fixture = Fixture::new(Preset::Contract, &format!("{script}; {DONE}"));
        assert_eq!(fixture.fails(false).await.0, "too_many_files");
    }
}

#[tokio::test]
async fn hostile_paths_in_the_context_never_reach_the_disk() {
    for path in ["../x", "/tmp/botarmy-hostile", "a/../../x", "con", ".git/config", "x/.hg/hgrc"] {
        let fixture = Fixture::new(Preset::Contract, DONE);
        let ended = fixture.run(coder(&[(path, "")])).await;
        assert!(
            matches!(&ended, Err(RunError::Terminal { code, .. }) if code == "malformed_input"),
            "{path}: {ended:?}"
        );
    }
}

#[tokio::test]
async fn exit_codes_mean_what_the_contract_says() {
    for (script, retry, code) in [
        ("exit 75", true, "temporary_failure"),
        ("echo why >&2; exit 3", true, "command_failed"),
        ("kill -9 $$", true, "command_killed"),
        ("true", false, "protocol_error"),
        ("printf '{\"type\":\"resu'", false, "protocol_error"),
        ("echo '{\"type\":\"result\",\"output\":3}'", false, "protocol_error"),
        ("printf '\\377\\376{}\\n'", false, "protocol_error"),
        ("echo '{\"type\":\"result\",\"confidence\":5}'", false, "protocol_error"),
    ] {
        let (found, detail) = Fixture::new(Preset::Contract, script).fails(retry).await;
        assert_eq!(found, code, "{script}: {detail}");
        assert_eq!(detail.contains("\nwhy"), script.contains("why"), "{detail}");
    }
}

#[tokio::test]
async fn invalid_utf_8_is_replaced() {
    let script = r#"printf '{"type":"result","output":{"summary":"a\377b"}}\n'"#;
    let (output, _) = Fixture::new(Preset::Contract, script).code().await;
    assert_eq!(output["summary"], "a\u{fffd}b");
}

#[tokio::test]
async fn a_program_that_is_missing_or_not_executable_fails_for_good() {
    let mut fixture = Fixture::new(Preset::Contract, "");
    fixture.spec.argv = vec!["botarmy-no-such-program".to_owned()];
    assert_eq!(fixture.fails(false).await.0, "command_not_found");
    assert!(!fixture.runner().probe().await.ready);
    let file = fixture.work.path().join("data");
    std::fs::write(&file, "text").unwrap();
    fixture.spec.argv = vec![file.to_string_lossy().into_owned()];
    assert_eq!(fixture.fails(false).await.0, "command_not_executable");
}

#[tokio::test]
async fn unlimited_output_is_stopped_at_the_limit() {
    let before = peak_kib();
    for (preset, script) in [
        (Preset::Contract, "yes | head -c 1000000000"),
        (Preset::Contract, "head -c 1000000000 /dev/zero"),
        (Preset::Plain, "yes | head -c 1000000000"),
    ] {
        let (code, detail) = Fixture::new(preset, script).fails(false).await;
        assert_eq!(code, "output_too_large", "{detail}");
    }
    // 8 MiB, and the memory for reading them.
    assert!(peak_kib() - before < 120_000, "{} KiB more", peak_kib() - before);
}

fn peak_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn unlimited_standard_error_does_no_harm_and_its_end_is_kept() {
    let script =
        "yes complaint | head -c 50000000 >&2; printf '\\033[31mred\\033[0m\\n' >&2; exit 1";
    let (code, detail) = Fixture::new(Preset::Contract, script).fails(true).await;
    assert_eq!(code, "command_failed");
    assert!(detail.len() < 70_000 && detail.ends_with("\nred"), "{}", detail.len());
}

#[tokio::test]
async fn a_program_that_does_not_read_its_input_blocks_nothing() {
    let fixture = Fixture::new(Preset::Contract, DONE);
    let large = "x".repeat(3_000_000);
    let (output, _) = completed(fixture.run(coder(&[("a.txt", &large)])).await);
    assert_eq!(output["summary"], "Done.");
}

#[tokio::test]
async fn processes_that_are_left_behind_end_with_the_program() {
    let beside = tempfile::tempdir().unwrap();
    let pid = beside.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; {DONE}", pid.display());
    let started = Instant::now();
    Fixture::new(Preset::Contract, &script).code().await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "it waited for the process that was left behind"
    );
    gone(&pid).await;
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_ends_at_its_deadline() {
    let beside = tempfile::tempdir().unwrap();
    for (script, words) in [
        ("echo tail >&2; sleep 600", "tail"),
        ("trap '' TERM; echo tail >&2; sleep 600; sleep 600; sleep 600", "tail"),
        ("trap 'echo bye >&2; exit 9' TERM; sleep 600 & wait", "bye"),
    ] {
        let pid = beside.path().join("pid");
        let mut fixture =
            Fixture::new(Preset::Contract, &format!("echo $$ > {}; {script}", pid.display()));
        fixture.limit = Duration::from_secs(2);
        let started = Instant::now();
        let (code, detail) = fixture.fails(true).await;
        assert_eq!(code, "timed_out", "{detail}");
        assert!(detail.contains(words), "{detail}");
        assert!(started.elapsed() < Duration::from_millis(2900), "{:?}", started.elapsed());
        gone(&pid).await;
    }
}

#[tokio::test]
async fn a_program_gets_sigterm_before_its_deadline_and_may_still_finish() {
    let script = format!("trap '{}; exit 0' TERM; sleep 600 & wait", DONE.replace('\'', "'\\''"));
    let mut fixture = Fixture::new(Preset::Contract, &script);
    fixture.limit = Duration::from_secs(3);
    assert_eq!(fixture.code().await.0["summary"], "Done.");
}

#[tokio::test]
async fn a_cancelled_run_ends_within_a_second_with_all_its_processes() {
    let beside = tempfile::tempdir().unwrap();
    let (one, two) = (beside.path().join("one"), beside.path().join("two"));
    let script = format!(
        "trap '' TERM; sleep 600 & echo $! > {}; echo $$ > {}; sleep 600; sleep 600",
        two.display(),
        one.display()
    );
    let fixture = Arc::new(Fixture::new(Preset::Contract, &script));
    let held = Arc::clone(&fixture);
    let run = tokio::spawn(async move { held.run(coder(&[("a.txt", "")])).await });
    while !one.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    run.abort();
    assert!(run.await.unwrap_err().is_cancelled());
    gone(&one).await;
    gone(&two).await;
    assert!(fixture.is_empty().await, "the folder still exists");
}

#[tokio::test]
async fn a_question_keeps_the_folder_for_the_next_attempt() {
    let script = r#"if [ -f mark ]; then
          grep -o '"session":"s1"' >> mark; echo '{"type":"result","output":{"summary":"b"}}'
        else
          echo here > mark; echo '{"type":"ask","question_id":"q","question":"Which?","options":["a"],"session":"s1"}'
        fi"#;
    let fixture = Fixture::new(Preset::Contract, script);
    let job = coder(&[("a.txt", "")]);
    let ended = fixture.run(job.clone()).await.unwrap();
    let Outcome::Ask { question, session, .. } = ended else { panic!("{ended:?}") };
    assert_eq!((question.question.as_str(), question.options.len()), ("Which?", 1));
    let (_, artifacts) =
        completed(fixture.run(resumed(job.clone(), session, HitlAction::Amend)).await);
    let mark = files(&artifacts).into_iter().find(|(path, _)| path == "mark").unwrap();
    assert_eq!(mark.1, "here\n\"session\":\"s1\"\n");
    assert!(fixture.is_empty().await, "the folder still exists");
}

#[tokio::test]
async fn a_plain_test_run_that_fails_is_a_verdict_and_not_an_error() {
    let fixture = Fixture::new(Preset::Plain, "echo 1 passed; exit 0");
    let (output, _) = completed(fixture.run(tester()).await);
    assert_eq!(output["passed"], true);
    let fixture = Fixture::new(Preset::Plain, "cat a.txt; echo '``` broke' >&2; exit 101");
    let (output, artifacts) = completed(fixture.run(tester()).await);
    assert_eq!((&output["passed"], &output["exit_code"]), (&json!(false), &json!(101)));
    let detail = output["failures"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("one\n") && detail.contains("broke"), "{detail}");
    assert!(output["markdown"].as_str().unwrap().contains("\n````\n"));
    assert!(artifacts.is_empty(), "a tester's folder is not collected");
    for (script, code) in [("exit 127", "command_failed"), ("kill -9 $$", "command_killed")] {
        let ended = Fixture::new(Preset::Plain, script).run(tester()).await;
        let Err(RunError::Retryable { code: found, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(found, code);
    }
    let mut fixture = Fixture::new(Preset::Plain, "sleep 600");
    fixture.limit = Duration::from_secs(1);
    let ended = fixture.run(tester()).await;
    assert!(matches!(&ended, Err(RunError::Retryable { code, .. }) if code == "timed_out"));
}

/// Output of Claude Code.
const CLAUDE: &str = r#"{"type":"result","subtype":"success","is_error":false,"duration_ms":2140,"num_turns":2,"result":"I added a button.","session_id":"5b0f7c1e-3c1f-4c58-9b3c-0d7d5f0e6a11","total_cost_usd":0.0123456,"usage":{"input_tokens":12,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":34},"modelUsage":{"claude-sonnet-4-5":{"inputTokens":12}},"permission_denials":[]}"#;

#[tokio::test]
async fn an_answer_of_claude_is_read_with_its_usage_and_files() {
    let script = format!("cat > prompt.txt; echo \"$@\" > args.txt; echo '{CLAUDE}'");
    let ended = Fixture::new(Preset::Claude, &script).run(coder(&[("a.txt", "")])).await.unwrap();
    let Outcome::Completed { output, artifacts, usage, .. } = ended else { panic!("{ended:?}") };
    assert_eq!(output["summary"], "I added a button.");
    assert_eq!((usage.input_tokens, usage.output_tokens), (1112, 34));
    assert_eq!(usage.cost_micro_usd, Some(12_346));
    assert_eq!(usage.model.as_deref(), Some("claude-sonnet-4-5"));
    let files: std::collections::BTreeMap<_, _> = files(&artifacts).into_iter().collect();
    assert_eq!(files["args.txt"], "-p --output-format json --permission-mode acceptEdits\n");
    assert!(files["prompt.txt"].starts_with("Mend it."));
}

#[tokio::test]
async fn is_error_of_claude_counts_more_than_its_subtype() {
    let failed = CLAUDE
        .replace("\"is_error\":false", "\"is_error\":true")
        .replace("I added a button.", "API Error: Connection refused");
    for (exit, expected) in [(1, "command_failed"), (0, "agent_failed")] {
        let fixture = Fixture::new(Preset::Claude, &format!("echo '{failed}'; exit {exit}"));
        let ended = fixture.run(coder(&[("a.txt", "")])).await;
        let Err(RunError::Retryable { code, detail, usage, .. }) = ended else {
            panic!("{ended:?}")
        };
        assert_eq!(code, expected);
        assert!(detail.contains("Connection refused"), "{detail}");
        assert_eq!(usage.output_tokens, 34, "usage of a failed attempt counts too");
    }
}

#[tokio::test]
async fn a_tool_that_claude_was_denied_opens_a_gate_and_is_allowed_after_approval() {
    let denied = CLAUDE.replace(
        "\"permission_denials\":[]",
        r#""permission_denials":[{"tool_name":"Bash","tool_use_id":"t1","tool_input":{"command":"npm test"}}]"#,
    );
    let script = format!(
        "if echo \"$@\" | grep -q -- --resume; then echo \"$@\" > args.txt; cat > prompt.txt; echo '{CLAUDE}'; \
         else echo '{denied}'; fi"
    );
    let fixture = Fixture::new(Preset::Claude, &script);
    let job = coder(&[("a.txt", "")]);
    let ended = fixture.run(job.clone()).await.unwrap();
    let Outcome::Ask { question, session, usage } = ended else { panic!("{ended:?}") };
    assert!(question.question.contains("npm test"), "{}", question.question);
    assert_eq!(usage.output_tokens, 34);
    let (_, artifacts) = completed(fixture.run(resumed(job, session, HitlAction::Approve)).await);
    let files: std::collections::BTreeMap<_, _> = files(&artifacts).into_iter().collect();
    let args = &files["args.txt"];
    assert!(args.contains("--resume 5b0f7c1e-3c1f-4c58-9b3c-0d7d5f0e6a11"), "{args}");
    assert!(args.contains("--allowedTools Bash"), "{args}");
    assert!(files["prompt.txt"].contains("Use the blue one."));
}

#[tokio::test]
async fn the_cost_of_a_claude_session_is_charged_once() {
    let denied = CLAUDE.replace(
        "\"permission_denials\":[]",
        r#""permission_denials":[{"tool_name":"Bash","tool_input":{"command":"npm test"}}]"#,
    );
    let resumed_once = denied.replace("0.0123456", "0.0200000");
    let done = CLAUDE.replace("0.0123456", "0.0500000");
    let script = format!(
        "case \"$*\" in *Bash,Read*) echo '{done}' ;; *--resume*) echo '{}' ;; *) echo '{denied}' ;; esac",
        resumed_once.replace("\"Bash\"", "\"Read\"")
    );
    let fixture = Fixture::new(Preset::Claude, &script);
    let job = coder(&[("a.txt", "")]);
    let mut charged = Vec::new();
    let mut session = None;
    for _ in 0..2 {
        let job = match &session {
            None => job.clone(),
            Some(_) => resumed(job.clone(), session, HitlAction::Approve),
        };
        let ended = fixture.run(job).await.unwrap();
        let Outcome::Ask { session: kept, usage, .. } = ended else { panic!("{ended:?}") };
        charged.push(usage.cost_micro_usd.unwrap());
        session = kept;
    }
    let ended = fixture.run(resumed(job, session, HitlAction::Approve)).await.unwrap();
    let Outcome::Completed { usage, .. } = ended else { panic!("{ended:?}") };
    charged.push(usage.cost_micro_usd.unwrap());
    assert_eq!(charged, [12_346, 7_654, 30_000]);
    assert_eq!(usage.output_tokens, 34, "tokens are those of the run");
}

#[tokio::test]
async fn claude_runs_without_nonessential_traffic() {
    let script = format!(
        "echo \"$CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC\" > said.txt; cat > prompt.txt; echo '{CLAUDE}'"
    );
    let fixture = Fixture::new(Preset::Claude, &script);
    let (_, artifacts) = fixture.code().await;
    let files: std::collections::BTreeMap<_, _> = files(&artifacts).into_iter().collect();
    assert_eq!(files["said.txt"], "1\n");
}

#[test]
fn structured_output_of_claude_is_read_as_an_object() {
    let formed = CLAUDE.replace("\"num_turns\":2", "\"structured_output\":{\"passed\":true}");
    let report = presets::read_claude(&formed, None);
    assert!(matches!(report.answer, Some(Answer::Object(object, _)) if object["passed"] == true));
    // With --verbose it prints a list.
    let report = presets::read_claude(&format!("[{{\"type\":\"system\"}},{CLAUDE}]"), None);
    assert_eq!(report.answer, Some(Answer::Text("I added a button.".to_owned())));
}

/// Output of Codex, with a warning within a completed turn.
const CODEX: &str = r#"{"type":"thread.started","thread_id":"0199a213-81c0-7800-8aa1-bbab2a035a53"}
{"type":"turn.started"}
{"type":"item.completed","item":{"id":"item_0","type":"error","message":"Model metadata not found."}}
{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"Looking."}}
{"type":"item.completed","item":{"id":"item_2","type":"agent_message","text":"Renamed it."}}
{"type":"turn.completed","usage":{"input_tokens":24763,"cached_input_tokens":24448,"output_tokens":122}}"#;

#[tokio::test]
async fn codex_may_warn_within_a_completed_turn_and_gets_an_empty_input() {
    let script =
        format!("cat > stdin.txt; printf '%s\\n' \"$@\" > args.txt; cat <<'END'\n{CODEX}\nEND");
    let ended = Fixture::new(Preset::Codex, &script).run(coder(&[("a.txt", "")])).await.unwrap();
    let Outcome::Completed { output, artifacts, usage, .. } = ended else { panic!("{ended:?}") };
    assert_eq!(output["summary"], "Renamed it.");
    assert_eq!((usage.input_tokens, usage.output_tokens), (24_763, 122));
    let files: std::collections::BTreeMap<_, _> = files(&artifacts).into_iter().collect();
    assert_eq!(files["stdin.txt"], "");
    let expected = "exec\n--json\n--skip-git-repo-check\n-s\nworkspace-write\n--\nMend it.\n";
    assert!(files["args.txt"].starts_with(expected), "{}", files["args.txt"]);
}

#[tokio::test]
async fn a_failed_turn_of_codex_is_an_error_and_a_reconnection_is_not() {
    let failed =
        r#"echo '{"type":"turn.failed","error":{"message":"stream disconnected"}}'; exit 1"#;
    let (code, detail) = Fixture::new(Preset::Codex, failed).fails(true).await;
    assert_eq!(code, "command_failed");
    assert!(detail.contains("stream disconnected"), "{detail}");
    let report = presets::read_codex(&format!(
        "{}\n{CODEX}",
        r#"{"type":"error","message":"Reconnecting... 1/5"}"#
    ));
    assert_eq!((report.error, report.answer), (None, Some(Answer::Text("Renamed it.".to_owned()))));
    // It retries a refused endpoint without end: only the time limit stops it.
    let forever =
        r#"while :; do echo '{"type":"error","message":"Reconnecting"}'; sleep 0.1; done"#;
    let mut fixture = Fixture::new(Preset::Codex, forever);
    fixture.limit = Duration::from_secs(1);
    let (code, detail) = fixture.fails(true).await;
    assert_eq!(code, "timed_out");
    assert!(detail.contains("Reconnecting"), "{detail}");
}

const GEMINI: &str = r##"{
  "session_id": "d3c0",
  "response": "# Plan\n\nSmall steps.",
  "stats": {"models": {"gemini-2.5-pro": {"tokens": {"prompt": 100, "candidates": 20, "total": 130, "cached": 0, "thoughts": 10, "tool": 0}}}}
}"##;

#[tokio::test]
async fn gemini_answers_with_a_document_and_trusts_its_folder() {
    let script = format!(
        "test \"$GEMINI_CLI_TRUST_WORKSPACE\" = true || exit 9; cat <<'END'\nLoaded cached credentials.\n{GEMINI}\nEND"
    );
    let output_type = Some(ArtifactType::ProjectPlan);
    let job = Assignment { agent: AgentType::Analyst, output_type, ..coder(&[("a.txt", "")]) };
    let ended = Fixture::new(Preset::Gemini, &script).run(job).await.unwrap();
    let Outcome::Completed { output, artifacts, usage, .. } = ended else { panic!("{ended:?}") };
    assert_eq!(output["markdown"], "# Plan\n\nSmall steps.");
    assert!(artifacts.is_empty());
    assert_eq!((usage.input_tokens, usage.output_tokens), (100, 30));
    assert_eq!(usage.model.as_deref(), Some("gemini-2.5-pro"));
}

#[test]
fn an_error_of_gemini_is_read() {
    let report =
        presets::read_gemini(r#"{"error":{"type":"Error","message":"No key.","code":41}}"#);
    assert_eq!(report.error.as_deref(), Some("No key."));
}

#[tokio::test]
async fn a_test_run_without_a_verdict_is_invalid_output() {
    let verdict = r#"```json\n{\"passed\": false, \"summary\": \"No.\"}\n```"#;
    let says =
        |words: &str| format!("cat <<'END'\n{}\nEND", CLAUDE.replace("I added a button.", words));
    let (output, _) = completed(Fixture::new(Preset::Claude, &says(verdict)).run(tester()).await);
    assert_eq!(output["passed"], false);
    let ended = Fixture::new(Preset::Claude, &says("Looks good!")).run(tester()).await;
    assert!(matches!(&ended, Err(RunError::InvalidOutput { .. })), "{ended:?}");
}

/// Returns what a coding agent of each preset prints when this is its answer.
fn printed(answer: &str) -> [(Preset, String); 3] {
    let text = Value::from(answer).to_string();
    [
        (Preset::Claude, CLAUDE.replace("\"I added a button.\"", &text)),
        (Preset::Codex, CODEX.replace("\"Renamed it.\"", &text)),
        (Preset::Gemini, GEMINI.replace(r##""# Plan\n\nSmall steps.""##, &text)),
    ]
}

fn prints(text: &str) -> String {
    format!("cat > /dev/null; cat <<'END'\n{text}\nEND")
}

fn planner() -> Assignment {
    let output_type = Some(ArtifactType::ProjectPlan);
    Assignment { agent: AgentType::Analyst, output_type, ..coder(&[("a.txt", "")]) }
}

/// Documents that would not be stored as they are, with the reason.
const LOSSY: [(&str, &str); 4] = [
    (r#"{"goals":[{"a":1,"a":2}]}"#, "goals[0].a: occurs twice in the same object"),
    (r#"{"n":1234567890123456789012345}"#, "n: the number 1234567890123456789012345 cannot"),
    (r#"{"n":{"m":3.141592653589793238}}"#, "n.m: the number 3.141592653589793238 cannot"),
    (r#"{"n":1e-400}"#, "n: the number 1e-400 cannot be stored exactly"),
];

fn is_invalid(ended: &Result<Outcome, RunError>, reason: &str) -> bool {
    matches!(ended, Err(RunError::InvalidOutput { detail, usage })
        if detail.contains(reason) && usage.output_tokens > 0)
}

#[tokio::test]
async fn an_answer_of_a_coding_agent_that_would_lose_a_key_or_a_digit_is_refused() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(128), "]".repeat(128));
    let deep = (deep.as_str(), "is nested more than 128 levels deep");
    for (document, reason) in LOSSY.into_iter().chain([deep]) {
        for answer in [document.to_owned(), format!("```json\n{document}\n```")] {
            for (preset, output) in printed(&answer) {
                let ended = Fixture::new(preset, &prints(&output)).run(planner()).await;
                assert!(is_invalid(&ended, reason), "{preset:?} {document:.60}: {ended:?}");
            }
        }
    }
    let exact = r#"{"n":18446744073709551615,"m":0.30000000000000004,"a":{"a":1}}"#;
    for (preset, output) in printed(exact) {
        let (output, _) = completed(Fixture::new(preset, &prints(&output)).run(planner()).await);
        assert_eq!(Value::Object(output).to_string(), exact, "{preset:?}");
    }
}

#[tokio::test]
async fn the_json_around_an_answer_is_refused_where_it_would_lose_a_key_or_a_digit() {
    let text = "\"I added a button.\"";
    let claude = |formed: &str| CLAUDE.replace("\"num_turns\":2", formed);
    for (document, reason) in LOSSY {
        let output = claude(&format!("\"structured_output\":{document}"));
        for output in [output.clone(), format!("[{{\"type\":\"system\"}},{output}]")] {
            let ended = Fixture::new(Preset::Claude, &prints(&output)).run(planner()).await;
            assert!(is_invalid(&ended, reason), "{output}: {ended:?}");
        }
    }
    let twice = |output: &str, member: &str, value: &str| {
        output.replace(&format!("{member}:{value}"), &format!("{member}:\"\",{member}:{value}"))
    };
    for (preset, output, reason) in [
        (Preset::Claude, twice(CLAUDE, "\"result\"", text), "result: occurs twice"),
        (Preset::Codex, twice(CODEX, "\"text\"", "\"Renamed it.\""), "item.text: occurs twice"),
        (Preset::Codex, CODEX.replace("24763", "18446744073709551616"), "usage.input_tokens: the"),
        (
            Preset::Gemini,
            GEMINI.replace("\"stats\"", "\"response\":\"\",\"stats\""),
            "response: occurs",
        ),
    ] {
        let ended = Fixture::new(preset, &prints(&output)).run(planner()).await;
        assert!(is_invalid(&ended, reason), "{preset:?}: {ended:?}");
    }
    // Other events of a list, and earlier messages, are not the answer.
    let other = r#"{"type":"user","input":{"n":1234567890123456789012345,"a":1,"a":2}}"#;
    let listed = format!("[{other},{CLAUDE},{other}]");
    let earlier = CODEX.replace("\"text\":\"Looking.\"", "\"text\":\"\",\"text\":\"Looking.\"");
    for (preset, output) in [(Preset::Claude, listed), (Preset::Codex, earlier)] {
        let ended = Fixture::new(preset, &prints(&output)).run(planner()).await;
        assert!(ended.is_ok(), "{preset:?}: {ended:?}");
    }
}

#[test]
fn a_prompt_fits_into_an_argument() {
    let mut job = coder(&[]);
    job.instructions = "ż".repeat(200_000);
    let call = presets::call(Preset::Codex, &job, None, false);
    assert!(call.arguments.last().unwrap().len() < 128 << 10);
}
