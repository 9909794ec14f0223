//! A project with a review after a step and one before another, and its rows as a store keeps them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::batch::{Batch, Rows};
use botarmy_domain::decide::tasks::Work;
use botarmy_domain::decide::{projects, tasks};
use botarmy_domain::hitl::{Escalation, GateSettings, Policy, Roster, Selector, Veto};
use botarmy_domain::replay::Replay;
use botarmy_domain::vocabulary::{AnswerAuth, Need, ReviewTime};
use botarmy_domain::{
    ArtifactRef, Authentication, Caller, Committed, ContextId, Decision, DecisionContext, Defaults,
    DomainError, Entry, Exclusion, Head, HitlRequest, HitlRequestId, HitlStatus, LeaseHolder,
    LogId, NewProject, OnExpiry, Oversight, Principal, PrincipalKind, Project, ProjectId, Role,
    Scope, Snapshot, Task, TaskId, TaskStatus, Timestamp, Usage, WorkerId, Workflow,
};
use serde_json::{Map, Value, json};

use super::mutants::Mutant;
use crate::counted::Dice;
use crate::people::{principal, roster, with_proof};

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
name = "Deploy"
phase = "2"
agent = "deployer"
inputs = ["project_plan"]
output = "deployment_log"
gate = "standard"
"#;

/// Names of the steps. The first is reviewed after it ran, the second before it runs.
pub const STEPS: [&str; 2] = ["Plan", "Deploy"];
/// People; the first owns the key of the worker, the second starts the project.
pub const PEOPLE: usize = 6;
pub const MAKER: usize = 0;
pub const STARTER: usize = 1;
/// Times of a request, in seconds.
pub const TTL_S: u32 = 5_000;

/// A project and all its rows, as a store would keep them, with the people of its server.
#[derive(Clone)]
pub struct Stage {
    pub now: Timestamp,
    seed: u128,
    pub id: ProjectId,
    head: Head,
    pub project: Option<Arc<Project>>,
    pub tasks: BTreeMap<TaskId, Arc<Task>>,
    pub requests: BTreeMap<HitlRequestId, Arc<HitlRequest>>,
    pub artifacts: HashMap<ContextId, ArtifactRef>,
    pub newest: Option<ArtifactRef>,
    entries: Vec<Arc<Entry>>,
    pub people: Vec<Principal>,
    pub service: Principal,
    roster: Option<Arc<Roster>>,
    defaults: Defaults,
    pub policies: Arc<[Policy; 2]>,
    pub mutant: Option<Mutant>,
}

/// Draws a policy that a workflow could have.
fn draw_policy(when: ReviewTime, dice: &mut Dice) -> Policy {
    let approvals = 1 + u32::try_from(dice.below(3)).unwrap();
    let mut groups = BTreeMap::new();
    for group in ["a", "b"] {
        if dice.happens(35) && (groups.len() as u32) < approvals {
            groups.insert(group.to_owned(), 1);
        }
    }
    let group = |name: &str| Selector::Group(name.to_owned());
    let candidates = match dice.below(5) {
        0 => vec![group("a"), group("b")],
        1 => vec![Selector::Role(Role::Reviewer)],
        2 => vec![group("a"), Selector::User("p3".to_owned()), Selector::User("p4".to_owned())],
        _ => Policy::implicit().candidates,
    };
    let veto = match dice.below(3) {
        0 => Veto::None,
        1 => Veto::Groups(BTreeSet::from(["a".to_owned()])),
        _ => Veto::Any,
    };
    let parts = [Exclusion::Author, Exclusion::Starter, Exclusion::Amender];
    let exclude = parts.into_iter().filter(|_| dice.happens(35)).collect();
    let escalate = (0..dice.below(3)).map(|n| Escalation {
        after_s: 1_000 * (u32::try_from(n).unwrap() + 1),
        to: vec![if n == 0 { group("c") } else { Selector::Role(Role::Reviewer) }],
        ttl_s: None,
    });
    let escalate = escalate.collect();
    let on_expiry = match dice.below(3) {
        0 => OnExpiry::Reject,
        1 if approvals == 1 => OnExpiry::Approve,
        _ => OnExpiry::KeepWaiting,
    };
    let named = Policy::named(if when == ReviewTime::After { "after" } else { "before" });
    Policy {
        approvals: Some(approvals),
        groups,
        candidates,
        assignees: if dice.happens(20) { vec![group("c")] } else { Vec::new() },
        veto,
        exclude,
        digest: if dice.happens(50) { Need::Required } else { Need::Optional },
        comment: if dice.happens(50) { named.comment.clone() } else { BTreeSet::new() },
        when,
        auth: if dice.happens(15) { AnswerAuth::Interactive } else { AnswerAuth::Any },
        ttl_s: Some(TTL_S),
        on_expiry: Some(on_expiry),
        remind_after_s: vec![500],
        escalate,
        max_extensions: 2,
        max_rounds: 2,
        links: dice.happens(70),
        bulk: dice.happens(70),
        ..named
    }
}

impl Stage {
    /// Creates a project whose first step has just begun, with people and policies at random.
    pub fn new(dice: &mut Dice) -> Self {
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let id = DecisionContext::new(now, 0, Caller::system()).fork(9).id_generator().project();
        let policies = [ReviewTime::After, ReviewTime::Before].map(|when| draw_policy(when, dice));
        let settings = GateSettings { allow_expiry_approval: true, ..GateSettings::default() };
        let defaults = Defaults { gates: Arc::new(settings), ..Defaults::default() };
        let people = (0..PEOPLE).map(|n| {
            let groups: Vec<_> = ["a", "b", "c"].into_iter().filter(|_| dice.happens(50)).collect();
            let mut roles = vec![Role::Viewer];
            let more = [(Role::Reviewer, 85), (Role::Operator, if n < 3 { 100 } else { 0 })];
            roles.extend(more.into_iter().filter(|(_, chance)| dice.happens(*chance)).map(|r| r.0));
            roles.extend((n == MAKER).then_some(Role::Worker));
            roles.extend((n == PEOPLE - 1).then_some(Role::Admin));
            principal(&format!("p{n}"), PrincipalKind::Person, &groups, &roles)
        });
        let people = people.collect();
        let service = principal("ci", PrincipalKind::Service, &["a", "b", "c"], &[Role::Admin]);
        let mut stage = Self {
            now,
            seed: 0,
            id,
            head: Head::empty(LogId::Project(id)),
            project: None,
            tasks: BTreeMap::new(),
            requests: BTreeMap::new(),
            artifacts: HashMap::new(),
            newest: None,
            entries: Vec::new(),
            people,
            service,
            roster: None,
            defaults,
            policies: Arc::new(policies),
            mutant: None,
        };
        stage.people_changed();
        let new = NewProject {
            name: "Model".to_owned(),
            description: None,
            workflow: None,
            oversight: Oversight::Standard,
        };
        let mut workflow = Workflow::from_toml(WORKFLOW).unwrap();
        workflow.policies = stage.policies.to_vec();
        for policy in &workflow.policies {
            policy.check().unwrap();
        }
        workflow.steps[0].policy = Some("after".to_owned());
        workflow.steps[1].policy = Some("before".to_owned());
        let starter = stage.person(STARTER, Authentication::Session);
        stage
            .run(&Scope::project(id), &starter, |c, s| {
                projects::create(c, s, id, &new, Some(&workflow))
            })
            .unwrap();
        stage
    }

    /// Makes the changes of people known to decisions.
    pub fn people_changed(&mut self) {
        self.roster = roster(&self.people);
    }

    /// Returns this person with this proof.
    pub fn person(&self, n: usize, proof: Authentication) -> Caller {
        with_proof(&self.people[n], proof)
    }

    /// Returns the worker with the key of its owner.
    pub fn worker(&self) -> Caller {
        self.person(MAKER, Authentication::Key).as_worker(&WorkerId::external("p0/worker"))
    }

    /// Returns the number of the person with this principal.
    pub fn number(&self, id: botarmy_domain::PrincipalId) -> usize {
        self.people.iter().position(|person| person.id == id).unwrap()
    }

    /// Takes a decision in a transaction that is not committed.
    pub fn decide(
        &self,
        batch: &mut Batch,
        scope: &Scope,
        caller: &Caller,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>,
    ) -> Result<Committed, DomainError> {
        let read_set = batch.read_set([scope]);
        let open = |task: &&Arc<Task>| !task.status().is_final();
        let pending = |request: &&Arc<HitlRequest>| request.status() == HitlStatus::Pending;
        let tasks = self.tasks.values().filter(|t| read_set.tasks.contains(&t.id) || open(t));
        let requests = self.requests.values();
        let requests = requests.filter(|r| read_set.requests.contains(&r.id) || pending(r));
        batch.admit(
            &read_set,
            Rows {
                heads: vec![self.head.clone()],
                projects: self.project.iter().cloned().collect(),
                tasks: tasks.map(|task| Task::clone(task)).collect(),
                requests: requests.map(|request| self.read(request)).collect(),
                ..Rows::default()
            },
        );
        let context = DecisionContext {
            defaults: self.defaults.clone(),
            roster: self.roster.clone(),
            ..DecisionContext::new(self.now, self.seed, caller.clone())
        };
        batch.decide(scope, |snapshot| decide(&context, snapshot))
    }

    fn read(&self, request: &HitlRequest) -> HitlRequest {
        let mut request = request.clone();
        if let Some(mutant) = self.mutant {
            mutant.change_read(&mut request);
        }
        request
    }

    /// Returns the entries of the log.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(AsRef::as_ref)
    }

    /// Takes a decision and keeps it, as the orchestrator does.
    pub fn run(
        &mut self,
        scope: &Scope,
        caller: &Caller,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>,
    ) -> Result<Committed, DomainError> {
        self.seed += 1;
        self.now = self.now.after(Duration::from_micros(1));
        let mut batch = Batch::default();
        let committed = self.decide(&mut batch, scope, caller, decide)?;
        let before = self.mutant.map(|_| self.clone());
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
            if artifact.meta.artifact_type == botarmy_domain::ArtifactType::ProjectPlan {
                self.newest = Some(artifact.meta.clone());
            }
        }
        self.entries.extend(written.entries);
        if let (Some(mutant), Some(before)) = (self.mutant, before) {
            mutant.spoil(self, &before, &committed);
        }
        Ok(committed)
    }

    /// Executes the next task, if there is one. Returns the document that was made.
    pub fn work(&mut self, dice: &mut Dice) -> Option<Map<String, Value>> {
        let ready = |task: &&Arc<Task>| task.status() == TaskStatus::Pending;
        let task = self.tasks.values().find(ready)?.id;
        let scope = Scope::project(self.id).everything_open().task(task);
        let (caller, lease) = (self.worker(), Duration::from_secs(300));
        let id = WorkerId::external("p0/worker");
        let claim = |c: &DecisionContext, s: &Snapshot| tasks::claim(c, s, task, &id, lease, None);
        let started = self.run(&scope, &caller, claim).ok()?;
        let fence = started.task(task)?.attempt;
        let holder = LeaseHolder { worker: id, fence };
        let output = document(dice);
        let work = Work {
            output: output.clone(),
            artifacts: vec![],
            confidence: None,
            usage: Usage::default(),
        };
        self.run(&scope, &caller, |c, s| tasks::complete(c, s, task, &holder, &work)).ok()?;
        Some(output)
    }

    /// Reads every row back from its JSON, as after a crash.
    pub fn restart(&mut self) {
        macro_rules! again {
            ($row:expr) => {
                Arc::new(serde_json::from_str(&serde_json::to_string(&**$row).unwrap()).unwrap())
            };
        }
        self.project = self.project.as_ref().map(|project| again!(project));
        self.tasks.values_mut().for_each(|task| *task = again!(task));
        self.requests.values_mut().for_each(|request| *request = again!(request));
    }

    /// Checks that the log states every request as it is stored.
    pub fn check_replay(&self) {
        let mut replay = Replay::of(LogId::Project(self.id));
        self.entries.iter().for_each(|entry| replay.apply(entry).unwrap());
        for request in self.requests.values() {
            replay.request(request).unwrap_or_else(|error| panic!("{error:?} of {request:?}"));
        }
        let counts = &self.head.counts;
        replay.project(self.project.as_deref().map(|project| (project, counts))).unwrap();
    }
}

/// Returns a document that is unlike every other.
pub fn document(dice: &mut Dice) -> Map<String, Value> {
    json!({"n": dice.below(1 << 50)}).as_object().cloned().unwrap()
}
