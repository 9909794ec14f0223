//! Two stores receive the same random commands; afterwards they hold the same data, including all
//! hashes.

use std::collections::BTreeMap;
use std::time::Duration;

use botarmy_domain::decide::tasks::Work;
use botarmy_domain::decide::{agents, artifacts, hitl, projects, tasks};
use botarmy_domain::log::LogId;
use botarmy_domain::workflow::Workflow;
use botarmy_domain::{
    AgentType, ArtifactType, Caller, Claim, HitlAction, LeaseHolder, NewArtifact, NewProject,
    NewTask, Oversight, ProjectId, ProjectState, Reach, Response, Row, RunError, Scope, TaskId,
    Usage, WorkerId,
};
use botarmy_tests::dice::Dice;
use botarmy_tests::prove::count;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;

use crate::stores::{Stores, memory, postgres, sqlite};

const WORKFLOW: &str = "
name = \"model\"
[[step]]
name = \"Write\"
phase = \"1\"
agent = \"coder\"
output = \"source_code\"
gate = \"standard\"
[[step]]
name = \"Test\"
phase = \"2\"
agent = \"tester\"
inputs = [\"source_code\"]
output = \"test_results\"
[[step]]
name = \"Fix\"
phase = \"2\"
agent = \"coder\"
output = \"source_code\"
replaces_approved = true
loop = { with = \"Test\", until = \"passed\", max = 2 }
";

/// A random command; a number selects one of the existing objects.
#[derive(Debug, Clone)]
enum Command {
    Create { workflow: bool },
    Submit { project: usize, priority: u8 },
    Claim { slots: u32 },
    Complete { task: usize, passed: bool },
    Fail { task: usize, for_good: bool },
    GiveBack { task: usize },
    Lapse { task: usize },
    CancelTask { task: usize },
    Retry { task: usize },
    Respond { request: usize, action: HitlAction },
    Expire { request: usize },
    Store { project: usize },
    Pause { project: usize },
    Resume { project: usize },
    Cancel { project: usize },
    Reopen { project: usize },
    Force { project: usize },
    Refresh { agent: AgentType },
    Pass { seconds: u64 },
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let n = 0..6_usize;
    let action = prop_oneof![
        4 => Just(HitlAction::Approve),
        1 => Just(HitlAction::Reject),
        2 => Just(HitlAction::Amend),
    ];
    let agent = prop_oneof![Just(AgentType::Coder), Just(AgentType::Tester)];
    let command = prop_oneof![
        3 => any::<bool>().prop_map(|workflow| Command::Create { workflow }),
        5 => (n.clone(), 0..11_u8).prop_map(|(project, priority)| Command::Submit { project, priority }),
        8 => (0..4_u32).prop_map(|slots| Command::Claim { slots }),
        8 => (n.clone(), any::<bool>()).prop_map(|(task, passed)| Command::Complete { task, passed }),
        3 => (n.clone(), any::<bool>()).prop_map(|(task, for_good)| Command::Fail { task, for_good }),
        1 => n.clone().prop_map(|task| Command::GiveBack { task }),
        1 => n.clone().prop_map(|task| Command::Lapse { task }),
        1 => n.clone().prop_map(|task| Command::CancelTask { task }),
        2 => n.clone().prop_map(|task| Command::Retry { task }),
        5 => (n.clone(), action).prop_map(|(request, action)| Command::Respond { request, action }),
        1 => n.clone().prop_map(|request| Command::Expire { request }),
        2 => n.clone().prop_map(|project| Command::Store { project }),
        1 => n.clone().prop_map(|project| Command::Pause { project }),
        2 => n.clone().prop_map(|project| Command::Resume { project }),
        1 => n.clone().prop_map(|project| Command::Cancel { project }),
        3 => n.clone().prop_map(|project| Command::Reopen { project }),
        1 => n.prop_map(|project| Command::Force { project }),
        2 => agent.prop_map(|agent| Command::Refresh { agent }),
        1 => (1..400_u64).prop_map(|seconds| Command::Pass { seconds }),
    ];
    proptest::collection::vec(command, 1..60)
}

/// Runs a command; returns a description of its result.
async fn run(stores: &Stores, command: &Command) -> String {
    let context = stores.context();
    let fresh = context.id_generator();
    let project = async |n: usize| -> ProjectId {
        let all = stores.projects.projects(&Reach::everything(), None, None, 100).await.unwrap();
        let found = all.get(n % all.len().max(1)).map(|project| project.id);
        found.unwrap_or_else(|| fresh.clone().project())
    };
    let task = async |n: usize| -> (ProjectId, TaskId, u32) {
        let mut all = Vec::new();
        for project in
            stores.projects.projects(&Reach::everything(), None, None, 100).await.unwrap()
        {
            all.extend(stores.tasks.tasks(project.id, Default::default(), 100).await.unwrap());
        }
        // Tasks with a lease are the interesting ones.
        all.sort_by_key(|task| (task.lease().is_none(), task.id));
        let found = all.get(n % all.len().max(1));
        found.map_or_else(
            || (fresh.clone().project(), fresh.clone().task(), 1),
            |task| (task.project_id, task.id, task.attempt),
        )
    };
    let request = async |n: usize| {
        let all = stores.pending(None, 100).await.unwrap();
        all.get(n % all.len().max(1)).cloned()
    };
    let holder = |fence| LeaseHolder { worker: WorkerId("worker".to_owned()), fence };
    let open = |project, task| Scope::project(project).task(task).everything_open();
    let result = match command.clone() {
        Command::Create { workflow } => {
            let workflow = workflow.then(|| Workflow::from_toml(WORKFLOW).unwrap());
            let id = context.fork(1).id_generator().project();
            let new = NewProject {
                name: "Model".to_owned(),
                description: None,
                workflow: None,
                oversight: Oversight::Standard,
            };
            stores
                .run(Scope::project(id), move |s| {
                    projects::create(&context, s, id, &new, workflow.as_ref())
                })
                .await
        }
        Command::Submit { project: n, priority } => {
            let (project_id, id) = (project(n).await, context.fork(1).id_generator().task());
            let new = NewTask {
                project_id,
                agent: AgentType::Coder,
                instructions: "Do it".to_owned(),
                context_ids: vec![],
                priority: Some(priority),
                max_attempts: Some(2),
            };
            let scope = Scope::project(project_id);
            stores.run(scope, move |s| tasks::submit(&context, s, id, &new)).await
        }
        Command::Claim { slots } => {
            let worker = WorkerId("worker".to_owned());
            let context = context.by(Caller::worker(&worker));
            let claim = Claim {
                reach: Reach::everything(),
                worker,
                slots: BTreeMap::from([(AgentType::Coder, slots), (AgentType::Tester, slots)]),
                lease: Duration::from_secs(300),
                external: None,
                context,
            };
            stores.ledger.claim(claim).await.map_err(Into::into)
        }
        Command::Complete { task: n, passed } => {
            let (project, id, fence) = task(n).await;
            let work = Work {
                output: json!({ "passed": passed }).as_object().cloned().unwrap(),
                artifacts: vec![],
                confidence: Some(0.5),
                usage: Usage::default(),
            };
            stores
                .run(open(project, id), move |s| {
                    tasks::complete(
                        &context.by(Caller::worker(&holder(fence).worker)),
                        s,
                        id,
                        &holder(fence),
                        &work,
                    )
                })
                .await
        }
        Command::Fail { task: n, for_good } => {
            let (project, id, fence) = task(n).await;
            let error = if for_good {
                RunError::terminal("no", "No.")
            } else {
                RunError::retryable("later", "Later.")
            };
            stores
                .run(open(project, id), move |s| {
                    tasks::fail(
                        &context.by(Caller::worker(&holder(fence).worker)),
                        s,
                        id,
                        &holder(fence),
                        &error,
                    )
                })
                .await
        }
        Command::GiveBack { task: n } => {
            let (project, id, fence) = task(n).await;
            stores
                .run(open(project, id), move |s| {
                    tasks::requeue(&context.by(Caller::system()), s, id, &holder(fence), "stopping")
                })
                .await
        }
        Command::Lapse { task: n } => {
            let (project, id, _) = task(n).await;
            stores
                .run(open(project, id), move |s| {
                    tasks::expire_lease(&context.by(Caller::scheduler()), s, id)
                })
                .await
        }
        Command::CancelTask { task: n } => {
            let (project, id, _) = task(n).await;
            stores.run(open(project, id), move |s| tasks::cancel(&context, s, id)).await
        }
        Command::Retry { task: n } => {
            let (project, id, _) = task(n).await;
            stores.run(open(project, id), move |s| tasks::retry(&context, s, id)).await
        }
        Command::Respond { request: n, action } => {
            let Some(request) = request(n).await else { return "no request".to_owned() };
            let response = Response {
                action,
                content: Some("So be it".to_owned()),
                comment: None,
                amended_content: None,
                subject_digest: None,
                response: None,
                in_bulk: false,
                link: None,
            };
            let mut scope = Scope::project(request.project_id).request(request.id);
            scope.tasks.extend(request.task_id);
            let id = request.id;
            stores
                .run(scope.everything_open(), move |s| hitl::respond(&context, s, id, &response))
                .await
        }
        Command::Expire { request: n } => {
            let Some(request) = request(n).await else { return "no request".to_owned() };
            stores.pass(Duration::from_secs(86_400));
            let context = stores.context();
            let mut scope = Scope::project(request.project_id).request(request.id);
            scope.tasks.extend(request.task_id);
            let id = request.id;
            stores
                .run(scope.everything_open(), move |s| {
                    hitl::due(&context.by(Caller::scheduler()), s, id, true)
                })
                .await
        }
        Command::Store { project: n } => {
            let id = project(n).await;
            let document = json!({"by": "hand", "n": n}).as_object().cloned().unwrap();
            let new = NewArtifact::new(ArtifactType::SourceCode, document);
            stores
                .run(Scope::project(id).open_requests(), move |s| {
                    artifacts::store(&context, s, AgentType::Coder, &new)
                })
                .await
        }
        Command::Pause { project: n } => stores.pause(project(n).await).await,
        Command::Resume { project: n } => {
            let scope = Scope::project(project(n).await).open_requests();
            stores.run(scope, move |s| projects::resume(&context, s)).await
        }
        Command::Reopen { project: n } => {
            let id = project(n).await;
            let found = stores.projects.project(id).await.unwrap();
            let rejected = match found.as_ref().map(|project| &project.state) {
                Some(ProjectState::Halted { request_id, .. }) => *request_id,
                _ => None,
            };
            let mut scope = Scope::project(id);
            if let Some(project) = &found {
                let (tasks, requests) = projects::interrupted(project);
                scope.tasks.extend(tasks);
                scope.requests.extend(requests);
            }
            if let Some(rejected) = rejected {
                let request = stores.requests.request(rejected).await.unwrap();
                scope.tasks.extend(request.and_then(|request| request.task_id));
                scope.requests.push(rejected);
            }
            stores.run(scope, move |s| projects::reopen(&context, s, rejected, "once more")).await
        }
        Command::Cancel { project: n } => {
            let scope = Scope::project(project(n).await).everything_open();
            stores.run(scope, move |s| projects::cancel(&context, s)).await
        }
        Command::Force { project: n } => {
            let scope = Scope::project(project(n).await).everything_open();
            stores.run(scope, move |s| projects::force_complete(&context, s)).await
        }
        Command::Refresh { agent } => {
            stores
                .run(Scope::agent(agent), move |s| {
                    agents::refresh(&context.by(Caller::system()), s)
                })
                .await
        }
        Command::Pass { seconds } => {
            stores.pass(Duration::from_secs(seconds));
            return "later".to_owned();
        }
    };
    match result {
        Ok(committed) => {
            let rows = committed.rows.iter().map(|row| match row {
                Row::Project(row) => format!("project {}", row.status()),
                Row::Task(row) => format!("task {}", row.status()),
                Row::Request(row) => format!("request {}", row.status()),
                other => format!("{other:?}").chars().take(8).collect(),
            });
            rows.collect::<Vec<_>>().join(", ")
        }
        Err(error) => error.to_string(),
    }
}

/// Returns everything that a store holds, as text.
async fn all(stores: &Stores) -> Vec<String> {
    let mut lines = Vec::new();
    let projects = stores.projects.projects(&Reach::everything(), None, None, 1000).await.unwrap();
    for project in &projects {
        lines.push(format!("{project:?}"));
        lines.push(format!("{:?}", stores.projects.overview(project.id).await.unwrap()));
        for task in stores.tasks.tasks(project.id, Default::default(), 1000).await.unwrap() {
            lines.push(format!("{task:?}"));
        }
        lines.push(format!("{:?}", stores.tasks.status(project.id, 1000).await.unwrap()));
        for request in stores.requests.requests(project.id, None, None, 1000).await.unwrap() {
            lines.push(format!("{request:?}"));
        }
        for artifact in
            stores.context.artifacts(project.id, Default::default(), 1000).await.unwrap()
        {
            lines.push(format!("{artifact:?}"));
        }
    }
    for log in projects.iter().map(|p| LogId::Project(p.id)).chain([LogId::System]) {
        for entry in stores.audit.since(log, 0, 10_000).await.unwrap() {
            lines.push(format!("{entry:?}"));
        }
    }
    lines.push(format!("{:?}", stores.agents.statuses().await.unwrap()));
    lines
}

/// Runs random commands against two empty stores: this many cases in every test run, a hundred
/// times as many under `just prove`.
fn compare<A, B>(cases: u32, one: fn() -> A, other: fn() -> B)
where
    A: Future<Output = Option<Stores>>,
    B: Future<Output = Option<Stores>>,
{
    let cases = count(cases, cases * 100);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if runtime.block_on(other()).is_none() {
        return;
    }
    let rng_seed = RngSeed::Fixed(Dice::new().seed());
    let config = Config { cases, rng_seed, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&commands(), |commands| {
        runtime.block_on(async {
            let (one, other) = (one().await.unwrap(), other().await.unwrap());
            for command in &commands {
                let (said, also) = (run(&one, command).await, run(&other, command).await);
                prop_assert_eq!(said, also, "{:?}", command);
            }
            one.check().await;
            other.check().await;
            let (left, right) = (all(&one).await, all(&other).await);
            for (left, right) in left.iter().zip(&right) {
                prop_assert_eq!(left, right);
            }
            prop_assert_eq!(left.len(), right.len());
            Ok(())
        })
    });
    outcome.unwrap();
}

#[test]
fn memory_and_sqlite_hold_the_same_after_the_same_commands() {
    compare(24, memory, sqlite);
}

#[test]
fn sqlite_and_postgres_hold_the_same_after_the_same_commands() {
    compare(16, sqlite, postgres);
}
