//! Random interleavings of documents stored by hand, answers, amendments, cancellations and crashes:
//! no step is ever given a document that was not approved, or made by a step that needs no approval.
//!
//! The oracle knows nothing of released artifacts. It follows what people saw and what they answered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::artifact::digest;
use botarmy_domain::batch::{Batch, Rows};
use botarmy_domain::decide::tasks::Work;
use botarmy_domain::decide::{artifacts, hitl, projects, tasks};
use botarmy_domain::{
    AgentType, ArtifactRef, ArtifactType, Caller, Committed, ContextId, Decision, DecisionContext,
    DomainError, Entry, Head, HitlAction, HitlKind, HitlRequest, HitlRequestId, HitlStatus,
    LeaseHolder, LogId, NewArtifact, NewProject, Oversight, Project, ProjectId, Rebuilt, Response,
    Row, RunError, Scope, Snapshot, Task, TaskId, TaskStatus, Timestamp, Usage, WorkerId, Workflow,
};
use botarmy_tests::dice::Dice;
use botarmy_tests::prove::count;
use serde_json::{Map, Value, json};

/// Every kind of step: gated and ungated ones of one type, a tested one and the one that repairs.
const WORKFLOW: &str = r#"
name = "model"
[[step]]
name = "Plan"
phase = "1"
agent = "analyst"
inputs = ["user_input"]
output = "project_plan"
gate = "standard"
[[step]]
name = "Specify"
phase = "1"
agent = "analyst"
inputs = ["user_input", "project_plan"]
output = "software_specification"
gate = "standard"
[[step]]
name = "Write"
phase = "2"
agent = "coder"
inputs = ["project_plan", "software_specification"]
output = "source_code"
[[step]]
name = "Refine"
phase = "2"
agent = "coder"
inputs = ["software_specification", "source_code"]
output = "source_code"
gate = "standard"
[[step]]
name = "Test"
phase = "3"
agent = "tester"
inputs = ["software_specification", "source_code"]
output = "test_results"
[[step]]
name = "Fix"
phase = "3"
agent = "coder"
inputs = ["source_code", "test_results"]
output = "source_code"
gate = "standard"
loop = { with = "Test", until = "passed", max = 2 }
[[step]]
name = "Deploy"
phase = "4"
agent = "deployer"
inputs = ["project_plan", "source_code", "test_results"]
output = "deployment_log"
gate = "standard"
on_expiry = "approve"
"#;

/// Number of commands of an interleaving.
const COMMANDS: u64 = 16;

/// Types that are stored by hand.
const STORED: [ArtifactType; 6] = [
    ArtifactType::UserInput,
    ArtifactType::ProjectPlan,
    ArtifactType::SoftwareSpecification,
    ArtifactType::SourceCode,
    ArtifactType::TestResults,
    ArtifactType::DeploymentLog,
];

/// A project and all its rows, as a store would keep them.
#[derive(Clone)]
struct World {
    now: Timestamp,
    seed: u128,
    id: ProjectId,
    head: Head,
    project: Option<Arc<Project>>,
    tasks: BTreeMap<TaskId, Arc<Task>>,
    requests: BTreeMap<HitlRequestId, Arc<HitlRequest>>,
    artifacts: HashMap<ContextId, ArtifactRef>,
    entries: Vec<Arc<Entry>>,
    oracle: Oracle,
}

/// Documents that people approved, and results of ungated steps.
#[derive(Clone, Default)]
struct Oracle {
    /// Digest of the document of each type that steps may be given now.
    current: BTreeMap<ArtifactType, String>,
    /// Subject of each request as it was first shown: digest of the subject, and of its document.
    shown: BTreeMap<HitlRequestId, (String, String)>,
    /// Document of every subject that a person may have seen.
    subjects: HashMap<String, String>,
    handed_out: u64,
}

impl World {
    fn new(workflow: &Workflow) -> Self {
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let id = DecisionContext::new(now, 0, owner()).fork(9).id_generator().project();
        let mut world = Self {
            now,
            seed: 0,
            id,
            head: Head::empty(LogId::Project(id)),
            project: None,
            tasks: BTreeMap::new(),
            requests: BTreeMap::new(),
            artifacts: HashMap::new(),
            entries: Vec::new(),
            oracle: Oracle::default(),
        };
        let new = NewProject {
            name: "Model".to_owned(),
            description: None,
            workflow: None,
            oversight: Oversight::Standard,
        };
        let scope = Scope::project(id);
        let create =
            |c: &DecisionContext, s: &Snapshot| projects::create(c, s, id, &new, Some(workflow));
        world.run(&scope, create).unwrap();
        let idea = digest(&json!({"idea": "Model"}));
        world.oracle.current.insert(ArtifactType::UserInput, idea);
        world
    }

    fn context(&self) -> DecisionContext {
        DecisionContext::new(self.now, self.seed, owner())
    }

    fn decide(
        &self,
        batch: &mut Batch,
        scope: &Scope,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>,
        rebuilt: Option<&Rebuilt>,
    ) -> Result<Committed, DomainError> {
        let read_set = batch.read_set([scope]);
        let open = |task: &&Arc<Task>| !task.status().is_final();
        let pending = |request: &&Arc<HitlRequest>| request.status() == HitlStatus::Pending;
        let tasks = self.tasks.values().filter(|t| read_set.tasks.contains(&t.id) || open(t));
        let requests = self.requests.values();
        let requests = requests.filter(|r| read_set.requests.contains(&r.id) || pending(r));
        let found = |id: &ContextId| self.artifacts.get(id).cloned();
        batch.admit(
            &read_set,
            Rows {
                heads: vec![self.head.clone()],
                projects: self.project.iter().cloned().collect(),
                tasks: tasks.map(|task| Task::clone(task)).collect(),
                requests: requests.map(|request| HitlRequest::clone(request)).collect(),
                artifacts: read_set.artifacts.iter().filter_map(found).collect(),
                ..Rows::default()
            },
        );
        let context = self.context();
        batch.decide(scope, |snapshot| match Rebuilt::complete(rebuilt, snapshot)? {
            Some(snapshot) => decide(&context, &snapshot),
            None => decide(&context, snapshot),
        })
    }

    /// Takes a decision and keeps it, as the orchestrator does.
    fn run(
        &mut self,
        scope: &Scope,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>,
    ) -> Result<Committed, DomainError> {
        self.seed += 1;
        self.now = self.now.after(Duration::from_micros(1));
        let rebuilt = self.is_old().then(|| self.rebuild());
        let mut batch = Batch::default();
        let committed = self.decide(&mut batch, scope, decide, rebuilt.as_ref())?;
        let written = batch.take_write_set();
        for head in written.heads {
            self.head = head;
        }
        for project in written.projects {
            self.project = Some(project);
        }
        self.tasks.extend(written.tasks.into_iter().map(|task| (task.id, task)));
        self.requests.extend(written.requests.into_iter().map(|request| (request.id, request)));
        for artifact in &written.artifacts {
            self.artifacts.insert(artifact.meta.id, artifact.meta.clone());
        }
        self.entries.extend(written.entries);
        for row in &committed.rows {
            if let Row::Request(request) = row
                && let Some(artifact) = request.subject.artifacts.first()
            {
                let (subject, document) = (request.subject.digest.clone(), artifact.digest.clone());
                self.oracle.subjects.insert(subject.clone(), document.clone());
                self.oracle.shown.entry(request.id).or_insert((subject, document));
            }
        }
        Ok(committed)
    }

    /// Loses a decision before it is committed: nothing must remain of it.
    fn crash_before(
        &self,
        scope: &Scope,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>,
    ) {
        let rebuilt = self.is_old().then(|| self.rebuild());
        drop(self.decide(&mut Batch::default(), scope, decide, rebuilt.as_ref()));
    }

    /// Reads every row back from its JSON.
    fn restart(&mut self) {
        macro_rules! again {
            ($row:expr) => {
                Arc::new(serde_json::from_str(&serde_json::to_string(&**$row).unwrap()).unwrap())
            };
        }
        self.project = self.project.as_ref().map(|project| again!(project));
        self.tasks.values_mut().for_each(|task| *task = again!(task));
        self.requests.values_mut().for_each(|request| *request = again!(request));
        let working: Vec<_> = self.tasks_with(TaskStatus::Working);
        for task in working {
            let holder = task.lease().unwrap().holder();
            let scope = Scope::project(self.id).task(task.id);
            self.run(&scope, |c, s| tasks::requeue(c, s, task.id, &holder, "restarted")).unwrap();
        }
    }

    /// Takes the record of released artifacts away, as if an older version had written the project.
    fn forget_released(&mut self) {
        let mut project = Project::clone(self.project.as_ref().unwrap());
        let plan = project.plan.as_mut().unwrap();
        let Some(recorded) = plan.progress.released.take() else { return };
        assert_eq!(self.rebuild().released, recorded, "the log does not say the same");
        self.project = Some(Arc::new(project));
    }

    fn is_old(&self) -> bool {
        let plan = self.project.as_ref().and_then(|project| project.plan.as_ref());
        plan.is_some_and(|plan| plan.progress.released.is_none())
    }

    fn rebuild(&self) -> Rebuilt {
        let mut rebuilt = Rebuilt::new(self.id);
        self.entries.iter().for_each(|entry| rebuilt.read(entry).unwrap());
        rebuilt
    }

    fn tasks_with(&self, status: TaskStatus) -> Vec<Arc<Task>> {
        self.tasks.values().filter(|task| task.status() == status).cloned().collect()
    }

    fn pending_requests(&self) -> Vec<Arc<HitlRequest>> {
        let pending = |request: &&Arc<HitlRequest>| request.status() == HitlStatus::Pending;
        self.requests.values().filter(pending).cloned().collect()
    }

    fn is_reviewed(&self, task: TaskId) -> bool {
        let of_task = |request: &&Arc<HitlRequest>| request.task_id == Some(task);
        let approval = |request: &Arc<HitlRequest>| request.kind == HitlKind::Approval;
        self.pending_requests().iter().filter(of_task).any(approval)
    }

    /// Hands a task out, and checks every input of its step.
    fn claim(&mut self, task: TaskId) {
        let scope = Scope::project(self.id).task(task);
        let (worker, lease) = (worker(), Duration::from_secs(300));
        // What has to be rebuilt is rebuilt by the requeueing of a task, as after a restart.
        if self.is_old() {
            let scope = Scope::project(self.id).open_requests();
            let new = NewArtifact::new(ArtifactType::AgentOutput, Map::new());
            let note = |c: &DecisionContext, s: &Snapshot| {
                artifacts::store(c, s, AgentType::Orchestrator, &new)
            };
            if self.run(&scope, note).is_err() {
                return;
            }
        }
        let claim =
            |c: &DecisionContext, s: &Snapshot| tasks::claim(c, s, task, &worker, lease, None);
        let Ok(committed) = self.run(&scope, claim) else { return };
        let task = committed.task(task).unwrap();
        let project = self.project.as_ref().unwrap();
        let step = project.plan.as_ref().unwrap().workflow.step(task.step().unwrap()).unwrap();
        let mut given = 0;
        for id in &task.context_ids {
            let artifact = &self.artifacts[id];
            if artifact.artifact_type == ArtifactType::HitlResponse {
                continue;
            }
            assert!(step.inputs.contains(&artifact.artifact_type));
            assert_eq!(
                self.oracle.current.get(&artifact.artifact_type),
                Some(&artifact.digest),
                "\"{}\" is given an unapproved {}",
                step.name,
                artifact.artifact_type
            );
            given += 1;
        }
        let known = step.inputs.iter().filter(|input| self.oracle.current.contains_key(*input));
        assert_eq!(given, known.count(), "\"{}\" lacks an input", step.name);
        self.oracle.handed_out += given as u64;
    }

    fn complete(&mut self, task: &Task, dice: &mut Dice) {
        let fence = task.attempt;
        let holder = LeaseHolder { worker: worker(), fence };
        let output = document(dice);
        let confidence = (dice.below(8) == 0).then_some(0.1);
        let made = digest(&output);
        let work = Work { output, artifacts: vec![], confidence, usage: Usage::default() };
        let scope = Scope::project(self.id).task(task.id);
        let id = task.id;
        let complete =
            |c: &DecisionContext, s: &Snapshot| tasks::complete(c, s, id, &holder, &work);
        if dice.below(10) == 0 {
            return self.crash_before(&scope, complete);
        }
        if self.run(&scope, complete).is_ok() && !self.is_reviewed(id) {
            self.oracle.current.insert(task.output_type.unwrap(), made);
        }
    }

    fn fail(&mut self, task: &Task, dice: &mut Dice) {
        let holder = LeaseHolder { worker: worker(), fence: task.attempt };
        let error = match dice.below(2) {
            0 => RunError::terminal("no", "No."),
            _ => RunError::retryable("later", "Later."),
        };
        let scope = Scope::project(self.id).task(task.id);
        drop(self.run(&scope, |c, s| tasks::fail(c, s, task.id, &holder, &error)));
        self.now = self.now.after(Duration::from_secs(10));
    }

    fn store(&mut self, dice: &mut Dice) {
        let artifact_type = STORED[dice.below(STORED.len() as u64) as usize];
        let new = NewArtifact::new(artifact_type, document(dice));
        let scope = Scope::project(self.id).open_requests();
        let store =
            |c: &DecisionContext, s: &Snapshot| artifacts::store(c, s, AgentType::Coder, &new);
        if dice.below(10) == 0 {
            return self.crash_before(&scope, store);
        }
        drop(self.run(&scope, store));
    }

    fn answer(&mut self, dice: &mut Dice) {
        let open = self.pending_requests();
        let Some(request) = open.get(dice.below(open.len().max(1) as u64) as usize) else { return };
        let action = match dice.below(10) {
            0 => HitlAction::Reject,
            1..=3 => HitlAction::Amend,
            _ => HitlAction::Approve,
        };
        let is_amended = action == HitlAction::Amend;
        let amended_content = (is_amended && dice.below(2) == 0).then(|| document(dice));
        let is_reworded = is_amended && amended_content.is_none();
        let content = is_reworded.then(|| "Otherwise".to_owned());
        // A person names what was shown first, what is under review now, or nothing.
        let first = self.oracle.shown.get(&request.id).cloned();
        let (subject_digest, seen) = match dice.below(3) {
            0 => (None, first.map(|(_, document)| document)),
            1 => first.map_or((None, None), |(subject, document)| (Some(subject), Some(document))),
            _ => {
                let subject = request.subject.digest.clone();
                let document = self.oracle.subjects.get(&subject).cloned();
                (Some(subject), document)
            }
        };
        let amendment = amended_content.as_ref().map(digest);
        let response = Response {
            action,
            content,
            comment: None,
            amended_content,
            subject_digest,
            response: None,
            in_bulk: false,
            link: None,
        };
        let mut scope = Scope::project(self.id).request(request.id).everything_open();
        scope.tasks.extend(request.task_id);
        let (id, is_approval) = (request.id, request.kind == HitlKind::Approval);
        let respond = |c: &DecisionContext, s: &Snapshot| hitl::respond(c, s, id, &response);
        if dice.below(10) == 0 {
            return self.crash_before(&scope, respond);
        }
        if self.run(&scope, respond).is_err() || !is_approval {
            return;
        }
        let approved = if action == HitlAction::Approve { seen } else { amendment };
        if let Some(approved) = approved {
            self.approved(request, approved);
        }
    }

    fn approved(&mut self, request: &HitlRequest, document: String) {
        let step = request.step.as_deref().unwrap();
        let project = self.project.as_ref().unwrap();
        let output = project.plan.as_ref().unwrap().workflow.step(step).unwrap().output;
        self.oracle.current.insert(output, document);
    }

    /// Lets a deadline pass.
    fn expire(&mut self, dice: &mut Dice) {
        let open = self.pending_requests();
        let Some(request) = open.get(dice.below(open.len().max(1) as u64) as usize) else { return };
        self.now = self.now.after(Duration::from_secs(90_000));
        let mut scope = Scope::project(self.id).request(request.id).everything_open();
        scope.tasks.extend(request.task_id);
        let id = request.id;
        let expired = self.run(&scope, |c, s| hitl::due(&c.by(Caller::scheduler()), s, id, true));
        let is_approved = expired.is_ok() && self.requests[&id].status() == HitlStatus::Approved;
        if is_approved && request.kind == HitlKind::Approval {
            // Nobody answers: the rule of the step approves whatever is under review.
            let document = request.subject.artifacts[0].digest.clone();
            self.approved(request, document);
        }
    }

    fn reopen(&mut self) {
        let project = Arc::clone(self.project.as_ref().unwrap());
        let botarmy_domain::ProjectState::Halted { request_id: Some(rejected), .. } = project.state
        else {
            return;
        };
        let (tasks, requests) = projects::interrupted(&project);
        let mut scope = Scope::project(self.id).request(rejected);
        scope.tasks.extend(tasks);
        scope.tasks.extend(self.requests[&rejected].task_id);
        scope.requests.extend(requests);
        self.run(&scope, |c, s| projects::reopen(c, s, Some(rejected), "once more")).unwrap();
    }

    fn step(&mut self, dice: &mut Dice) {
        let pick = |tasks: &[Arc<Task>], dice: &mut Dice| {
            tasks.get(dice.below(tasks.len().max(1) as u64) as usize).cloned()
        };
        match dice.below(100) {
            0..=19 => {
                if let Some(task) = pick(&self.tasks_with(TaskStatus::Pending), dice) {
                    self.claim(task.id);
                }
            }
            20..=44 => {
                if let Some(task) = pick(&self.tasks_with(TaskStatus::Working), dice) {
                    self.complete(&task, dice);
                } else if let Some(task) = pick(&self.tasks_with(TaskStatus::Pending), dice) {
                    self.claim(task.id);
                }
            }
            45..=59 => self.store(dice),
            60..=84 => self.answer(dice),
            85..=87 => {
                if let Some(task) = pick(&self.tasks_with(TaskStatus::Working), dice) {
                    self.fail(&task, dice);
                }
            }
            88 => self.expire(dice),
            89..=91 => self.restart(),
            92..=94 => self.forget_released(),
            95..=97 => self.reopen(),
            98 => {
                let scope = Scope::project(self.id).everything_open();
                drop(match dice.below(2) {
                    0 => self.run(&scope, projects::pause),
                    _ => self.run(&scope, projects::resume),
                });
            }
            _ if dice.below(10) == 0 => {
                let scope = Scope::project(self.id).everything_open();
                drop(self.run(&scope, projects::cancel));
            }
            _ => {
                let scope = Scope::project(self.id).everything_open();
                drop(self.run(&scope, projects::resume));
            }
        }
    }
}

fn owner() -> Caller {
    Caller::person("owner")
}

fn worker() -> WorkerId {
    WorkerId("worker".to_owned())
}

/// Returns a document that is unlike every other.
fn document(dice: &mut Dice) -> Map<String, Value> {
    let content = json!({"n": dice.below(1 << 50), "passed": dice.below(2) == 0});
    content.as_object().cloned().unwrap()
}

/// Returns a project in which every step up to this one is done and approved, and the next one waits.
fn done_until(workflow: &Workflow, step: &str) -> World {
    let mut world = World::new(workflow);
    // The work of this start is always the same.
    let mut dice = Dice::of(1);
    loop {
        if let Some(task) = world.tasks_with(TaskStatus::Pending).first().cloned() {
            let before =
                workflow.steps.iter().position(|one| Some(one.name.as_str()) == task.step());
            if before > workflow.steps.iter().position(|one| one.name == step) {
                return world;
            }
            world.claim(task.id);
        } else if let Some(task) = world.tasks_with(TaskStatus::Working).first().cloned() {
            world.complete(&task, &mut dice);
        } else {
            world.answer(&mut dice);
            if world.pending_requests().is_empty()
                && world.tasks_with(TaskStatus::Pending).is_empty()
            {
                world.reopen();
            }
        }
    }
}

/// Runs one interleaving; returns the number of documents that were handed out.
fn interleave(mut world: World, mut dice: Dice) -> u64 {
    let seed = dice.seed();
    let before = world.oracle.handed_out;
    let run = std::panic::AssertUnwindSafe(|| {
        for _ in 0..COMMANDS {
            world.step(&mut dice);
        }
    });
    if let Err(panic) = std::panic::catch_unwind(run) {
        println!("this interleaving: BOTARMY_TEST_SEED={seed}");
        std::panic::resume_unwind(panic);
    }
    world.oracle.handed_out - before
}

#[test]
fn no_unapproved_document_is_ever_handed_out() {
    let workflow = Workflow::from_toml(WORKFLOW).unwrap();
    let starts = [
        World::new(&workflow),
        done_until(&workflow, "Plan"),
        done_until(&workflow, "Specify"),
        done_until(&workflow, "Refine"),
    ];
    let mut seeds = Dice::new();
    let rounds = count(20_000, 200_000);
    let interleavings: Vec<_> = (0..rounds)
        .map(|round| {
            // The seed of a later round repeats it as the first one.
            let dice = if round == 0 { seeds.clone() } else { seeds.fork() };
            // Seeds are odd, so their last bit says nothing.
            ((dice.seed() >> 1) as usize % starts.len(), dice)
        })
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = interleavings.len().div_ceil(threads);
    let handed_out: u64 = std::thread::scope(|scope| {
        let running: Vec<_> = interleavings
            .chunks(share)
            .map(|some| {
                let starts = &starts;
                scope.spawn(move || {
                    let of = |(start, dice): &(usize, Dice)| {
                        interleave(starts[*start].clone(), dice.clone())
                    };
                    some.iter().map(of).sum::<u64>()
                })
            })
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).sum()
    });
    println!("{handed_out} documents were handed out");
    assert!(handed_out > u64::from(rounds) / 4, "too few documents were handed out: {handed_out}");
}
