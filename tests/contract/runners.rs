//! Contract of agent runners, run against every runner.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use botarmy_agents_command::{CommandRunner, CommandSpec};
use botarmy_agents_offline::OfflineRunner;
use botarmy_domain::artifact::{Artifact, NewArtifact, digest};
use botarmy_domain::ports::{AgentRunner, Clock};
use botarmy_domain::task::Answer;
use botarmy_domain::{
    AgentType, ArtifactRef, ArtifactType, Assignment, Handoff, HitlAction, IdGenerator, Outcome,
    Resume, RunContext, RunError, Timestamp,
};
use botarmy_memory::NoopRunner;
use botarmy_server::system::SystemClock;
use botarmy_tests::scripted_runner::{Act, ScriptedRunner};
use serde_json::{Map, Value, json};

/// A runner, with assignments that lead to each kind of result; `None` where it has no such result.
/// A new runner needs one more candidate.
pub struct Candidate {
    pub name: &'static str,
    pub runner: Arc<dyn AgentRunner>,
    pub completes: Assignment,
    pub fails_for_good: Option<Assignment>,
    /// Fails with an error that a retry may avoid.
    pub fails_for_now: Option<Assignment>,
    /// Still runs when the future is dropped; with a function that returns whether it runs.
    pub lasts: Option<(Assignment, Box<dyn Fn() -> bool + Send + Sync>)>,
    /// Asks at first, and completes when it is resumed with the answer.
    pub asks: Option<Assignment>,
    /// Sends far more output than allowed.
    pub floods: Option<Assignment>,
    /// Completes with output that contains invalid UTF-8.
    pub mumbles: Option<Assignment>,
    /// Ends without a result.
    pub dies: Option<Assignment>,
}

fn context() -> RunContext {
    until(Timestamp::from_micros(i64::MAX / 2))
}

fn until(deadline: Timestamp) -> RunContext {
    RunContext { deadline, fence: 1, trace: None, progress: Box::new(|_, _| {}) }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// Returns the assignment of a workflow step with these artifacts.
pub fn step(
    name: &str,
    agent: AgentType,
    output: ArtifactType,
    context: &[(ArtifactType, Value)],
) -> Assignment {
    let mut id_generator = IdGenerator::new(Timestamp::from_micros(1), 1);
    let project_id = id_generator.project();
    let context: Vec<_> = context
        .iter()
        .map(|(artifact_type, content)| {
            let meta = ArtifactRef {
                id: id_generator.context(),
                project_id,
                source_agent: AgentType::Orchestrator,
                artifact_type: *artifact_type,
                digest: digest(content),
                previous: None,
                created_at: id_generator.now(),
            };
            Arc::new(Artifact { meta, content: object(content), metadata: Map::new() })
        })
        .collect();
    let handoff = Handoff {
        from: AgentType::Orchestrator,
        to: agent,
        phase: "Phase".to_owned(),
        step: name.to_owned(),
        context_ids: context.iter().map(|artifact| artifact.meta.id).collect(),
        instructions: name.to_owned(),
        expected_outputs: vec![output],
        priority: 5,
    };
    Assignment {
        project_id,
        project_name: "Recipes".to_owned(),
        task_id: id_generator.task(),
        agent,
        attempt: 1,
        instructions: name.to_owned(),
        handoff: Some(handoff),
        context,
        output_type: Some(output),
        output_schema: None,
        resume: None,
        workflow: None,
    }
}

/// Returns a command that follows its instructions and the file to which it writes the id of its
/// process, whose path is its last argument.
pub fn follower(dir: &std::path::Path) -> (CommandSpec, std::path::PathBuf) {
    let pid = dir.join("pid");
    let script = r#"
        input=$(cat)
        plan='{"type":"artifact","name":"project_plan","content":{"title":"Plan"}}'
        case $input in
        *'"resume":{'*) echo "$plan"; echo '{"type":"result"}' ;;
        *'"instructions":"Fails"'*) echo '{"type":"result","output":"no object"}' ;;
        *'"instructions":"Tires"'*) exit 75 ;;
        *'"instructions":"Lasts"'*) trap '' TERM; echo $$ > "$0"; sleep 600; sleep 600 ;;
        *'"instructions":"Asks"'*)
            echo '{"type":"ask","question_id":"1","question":"Well?","options":[],"session":"s"}' ;;
        *'"instructions":"Floods"'*) yes | head -c 1000000000 ;;
        *'"instructions":"Mumbles"'*) printf '{"type":"result","output":{"title":"\377"}}\n' ;;
        *'"instructions":"Dies"'*) kill -9 $$ ;;
        *) echo "$plan"; echo '{"type":"result","output":{"title":"Plan"}}' ;;
        esac"#;
    let pid_file = pid.to_string_lossy().into_owned();
    let argv = ["/bin/sh", "-c", script, &pid_file].map(str::to_owned);
    (CommandSpec::new(argv), pid)
}

/// Returns a runner of commands, with assignments that lead to each kind of result.
pub fn command(
    runner: CommandRunner,
    at_work: impl Fn() -> bool + Send + Sync + 'static,
) -> Candidate {
    Candidate {
        name: "command",
        runner: Arc::new(runner),
        completes: planning("Project Planning"),
        fails_for_good: Some(planning("Fails")),
        lasts: Some((planning("Lasts"), Box::new(at_work))),
        asks: Some(planning("Asks")),
        fails_for_now: Some(planning("Tires")),
        floods: Some(planning("Floods")),
        mumbles: Some(planning("Mumbles")),
        dies: Some(planning("Dies")),
    }
}

fn planning(name: &str) -> Assignment {
    let idea = [(ArtifactType::UserInput, json!({"idea": "A recipe-sharing site"}))];
    step(name, AgentType::Analyst, ArtifactType::ProjectPlan, &idea)
}

/// Returns whether the process whose id is in this file is running.
fn lives(file: &std::path::Path) -> bool {
    let pid = std::fs::read_to_string(file).unwrap_or_default();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !pid.trim().is_empty()
        && stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn candidates(deploy_dir: &std::path::Path) -> Vec<Candidate> {
    let scripted = Arc::new(
        ScriptedRunner::new(|_| Act::Content(json!({"done": true})))
            .on_step("Fails", std::iter::repeat_n(Act::terminal("no", "No."), 8))
            .on_step("Lasts", std::iter::repeat_n(Act::Hang, 8))
            .on_step("Tires", std::iter::repeat_n(Act::retryable("busy", "Later."), 8))
            .on_step("Dies", std::iter::repeat_n(Act::Panic, 8))
            .on_step("Asks", [Act::ask("Well?", &[])]),
    );
    let at_work = Arc::clone(&scripted);
    let (spec, pid) = follower(deploy_dir);
    let runner = CommandRunner::new("fake", spec, deploy_dir.join("work"), Arc::new(SystemClock));
    let not_files = [(ArtifactType::SourceCode, json!({"files": "none"}))];
    let broken = step("Deployment", AgentType::Deployer, ArtifactType::DeploymentLog, &not_files);
    vec![
        Candidate {
            name: "scripted",
            runner: scripted,
            completes: planning("Project Planning"),
            fails_for_good: Some(planning("Fails")),
            lasts: Some((planning("Lasts"), Box::new(move || at_work.running() > 0))),
            asks: Some(planning("Asks")),
            fails_for_now: Some(planning("Tires")),
            floods: None,
            mumbles: None,
            dies: Some(planning("Dies")),
        },
        command(runner, move || lives(&pid)),
        Candidate {
            name: "noop",
            runner: Arc::new(NoopRunner),
            completes: planning("Project Planning"),
            fails_for_good: None,
            lasts: None,
            asks: None,
            fails_for_now: None,
            floods: None,
            mumbles: None,
            dies: None,
        },
        Candidate {
            name: "offline",
            runner: Arc::new(OfflineRunner::new(deploy_dir)),
            completes: planning("Project Planning"),
            fails_for_good: Some(broken),
            lasts: None,
            asks: None,
            fails_for_now: None,
            floods: None,
            mumbles: None,
            dies: None,
        },
    ]
}

/// Checks one rule; returns whether it applies to the candidate.
pub type Contract = for<'a> fn(&'a Candidate) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// Names and functions of the rules; a new MUST needs a new line.
pub const CONTRACTS: [(&str, Contract); 12] = [
    ("completes_with_the_artifact_that_is_expected", |c| Box::pin(completes(c))),
    ("does_the_same_assignment_twice_with_the_same_result", |c| Box::pin(repeats(c))),
    ("says_that_another_try_would_not_help", |c| Box::pin(fails_for_good(c))),
    ("stops_within_a_second_when_it_is_dropped", |c| Box::pin(stops(c))),
    ("honours_its_deadline", |c| Box::pin(honours_its_deadline(c))),
    ("says_that_another_try_may_help", |c| Box::pin(fails_for_now(c))),
    ("is_not_flooded", |c| Box::pin(is_not_flooded(c))),
    ("takes_what_is_no_utf_8", |c| Box::pin(takes_what_is_no_utf_8(c))),
    ("does_not_take_silence_for_success", |c| Box::pin(notices_silence(c))),
    ("asks_by_returning_and_goes_on_with_the_answer", |c| Box::pin(asks(c))),
    ("probes_without_working", |c| Box::pin(probes(c))),
    ("serves_many_at_once", |c| Box::pin(serves_many(c))),
];

async fn completes(candidate: &Candidate) -> bool {
    let outcome = candidate.runner.run(candidate.completes.clone(), context()).await.unwrap();
    let Outcome::Completed { artifacts, .. } = outcome else { panic!("{outcome:?}") };
    let made: Vec<_> = artifacts.iter().map(|artifact| artifact.artifact_type).collect();
    assert_eq!(made, [candidate.completes.output_type.unwrap()]);
    true
}

async fn repeats(candidate: &Candidate) -> bool {
    let mut results: Vec<Vec<NewArtifact>> = Vec::new();
    for attempt in 1..=2 {
        let job = Assignment { attempt, ..candidate.completes.clone() };
        match candidate.runner.run(job, context()).await.unwrap() {
            Outcome::Completed { artifacts, .. } => results.push(artifacts),
            other @ Outcome::Ask { .. } => panic!("{other:?}"),
        }
    }
    assert_eq!(results[0], results[1]);
    true
}

async fn fails_for_good(candidate: &Candidate) -> bool {
    let Some(job) = &candidate.fails_for_good else { return false };
    let ended = candidate.runner.run(job.clone(), context()).await;
    let Err(RunError::Terminal { code, detail, .. }) = ended else { panic!("{ended:?}") };
    assert!(!code.is_empty() && !detail.is_empty());
    true
}

async fn stops(candidate: &Candidate) -> bool {
    let Some((job, at_work)) = &candidate.lasts else { return false };
    let runner = Arc::clone(&candidate.runner);
    let (job, started) = (job.clone(), Instant::now());
    let run = tokio::spawn(async move { runner.run(job, context()).await });
    while !at_work() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(started.elapsed() < Duration::from_secs(5), "it does not start");
    }
    run.abort();
    let dropped = Instant::now();
    while at_work() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(dropped.elapsed() < Duration::from_secs(1), "it goes on working");
    }
    true
}

async fn honours_its_deadline(candidate: &Candidate) -> bool {
    let Some((job, at_work)) = &candidate.lasts else { return false };
    let limit = Duration::from_secs(1);
    let context = until(SystemClock.now().after(limit));
    // The worker enforces deadlines in the same way.
    let ended = tokio::time::timeout(limit, candidate.runner.run(job.clone(), context)).await;
    assert!(matches!(&ended, Err(_) | Ok(Err(RunError::Retryable { .. }))), "{ended:?}");
    let over = Instant::now();
    while at_work() {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(over.elapsed() < Duration::from_secs(1), "it goes on working");
    }
    true
}

async fn fails_for_now(candidate: &Candidate) -> bool {
    let Some(job) = &candidate.fails_for_now else { return false };
    let ended = candidate.runner.run(job.clone(), context()).await;
    let Err(RunError::Retryable { code, detail, .. }) = ended else { panic!("{ended:?}") };
    assert!(!code.is_empty() && !detail.is_empty());
    true
}

async fn is_not_flooded(candidate: &Candidate) -> bool {
    let Some(job) = &candidate.floods else { return false };
    let run = candidate.runner.run(job.clone(), context());
    let ended = tokio::time::timeout(Duration::from_secs(30), run).await.unwrap();
    assert!(matches!(&ended, Err(RunError::Terminal { .. })), "{ended:?}");
    true
}

async fn takes_what_is_no_utf_8(candidate: &Candidate) -> bool {
    let Some(job) = &candidate.mumbles else { return false };
    let ended = candidate.runner.run(job.clone(), context()).await.unwrap();
    let Outcome::Completed { output, .. } = ended else { panic!("{ended:?}") };
    assert!(Value::Object(output).to_string().contains('\u{fffd}'));
    true
}

async fn notices_silence(candidate: &Candidate) -> bool {
    let Some(job) = &candidate.dies else { return false };
    let (runner, job) = (Arc::clone(&candidate.runner), job.clone());
    // The worker detects a panic because it runs each agent in a separate task.
    if let Ok(ended) = tokio::spawn(async move { runner.run(job, context()).await }).await {
        assert!(ended.is_err(), "{ended:?}");
    }
    true
}

async fn asks(candidate: &Candidate) -> bool {
    let Some(job) = &candidate.asks else { return false };
    let outcome = candidate.runner.run(job.clone(), context()).await.unwrap();
    let Outcome::Ask { session, .. } = outcome else { panic!("{outcome:?}") };
    let mut id_generator = IdGenerator::new(Timestamp::from_micros(2), 2);
    let answer = Answer {
        question_id: id_generator.request(),
        action: HitlAction::Approve,
        comment: None,
        content: None,
    };
    let resume = Some(Resume { session, answers: vec![answer] });
    let job = Assignment { attempt: job.attempt + 1, resume, ..job.clone() };
    let outcome = candidate.runner.run(job, context()).await.unwrap();
    assert!(matches!(outcome, Outcome::Completed { .. }), "{outcome:?}");
    true
}

async fn probes(candidate: &Candidate) -> bool {
    let probe = candidate.runner.probe().await;
    assert!(probe.ready, "{}", probe.message);
    assert!(!candidate.runner.kind().is_empty());
    true
}

async fn serves_many(candidate: &Candidate) -> bool {
    let done = Arc::new(AtomicUsize::new(0));
    let runs: Vec<_> = (0..16)
        .map(|_| {
            let (runner, job, done) =
                (Arc::clone(&candidate.runner), candidate.completes.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                runner.run(job, context()).await.unwrap();
                done.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    for run in runs {
        run.await.unwrap();
    }
    assert_eq!(done.load(Ordering::SeqCst), 16);
    true
}

/// Checks a candidate against all rules; returns those that do not apply to it.
pub async fn examine(candidate: &Candidate) -> Vec<&'static str> {
    let mut left_out = Vec::new();
    for (name, contract) in CONTRACTS {
        if contract(candidate).await {
            println!("{}: {name}", candidate.name);
        } else {
            left_out.push(name);
        }
    }
    assert_eq!(candidate.runner.kind(), candidate.name);
    left_out
}

#[tokio::test]
async fn every_runner_keeps_its_contract() {
    let deploy_dir = tempfile::tempdir().unwrap();
    let mut left_out = Vec::new();
    for candidate in candidates(deploy_dir.path()) {
        left_out.push((candidate.name, examine(&candidate).await));
    }
    let expected = [
        // It returns values, not bytes; the orchestrator limits their size.
        ("scripted", vec!["is_not_flooded", "takes_what_is_no_utf_8"]),
        ("command", vec![]),
        // It completes every assignment at once.
        (
            "noop",
            vec![
                "says_that_another_try_would_not_help",
                "stops_within_a_second_when_it_is_dropped",
                "honours_its_deadline",
                "says_that_another_try_may_help",
                "is_not_flooded",
                "takes_what_is_no_utf_8",
                "does_not_take_silence_for_success",
                "asks_by_returning_and_goes_on_with_the_answer",
            ],
        ),
        // It ends within milliseconds, waits for no one, and never asks.
        (
            "offline",
            vec![
                "stops_within_a_second_when_it_is_dropped",
                "honours_its_deadline",
                "says_that_another_try_may_help",
                "is_not_flooded",
                "takes_what_is_no_utf_8",
                "does_not_take_silence_for_success",
                "asks_by_returning_and_goes_on_with_the_answer",
            ],
        ),
    ];
    assert_eq!(left_out, expected);
}
