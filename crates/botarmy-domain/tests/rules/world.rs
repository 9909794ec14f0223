//! The smallest ledger there is: a batch that is never written anywhere. Enough to bring a
//! project, a task or a request into any state and to see what each action makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::batch::{Batch, Rows};
use botarmy_domain::decide::tasks::{Inquiry, Work};
use botarmy_domain::decide::{hitl, projects, refusals, tasks};
use botarmy_domain::hitl::Roster;
use botarmy_domain::replay::Replay;
use botarmy_domain::{
    AgentType, Caller, Committed, Decision, DecisionContext, Defaults, DomainError, Entry,
    HitlAction, HitlRequest, HitlRequestId, LeaseHolder, LogId, NewProject, NewRequest, NewTask,
    Oversight, ProjectId, Question, Response, Row, RunError, Scope, Snapshot, TaskId, Timestamp,
    Usage, Via, WorkerId, Workflow,
};
use serde_json::Map;

pub struct World {
    batch: Batch,
    pub now: Timestamp,
    seed: u128,
    pub defaults: Defaults,
    /// People who can sign in; none on an open server.
    pub roster: Option<Arc<Roster>>,
    /// Party that does what is not done by workers and timers.
    pub caller: Caller,
    pub entries: Vec<Arc<Entry>>,
    /// Requests in their last states.
    pub requests: BTreeMap<HitlRequestId, Arc<HitlRequest>>,
    pub project: ProjectId,
}

pub type Outcome = Result<Committed, DomainError>;

impl World {
    /// A world with one active project that is driven by hand.
    pub fn new() -> Self {
        Self::with(None)
    }

    pub fn with(workflow: Option<&Workflow>) -> Self {
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let context = DecisionContext::new(now, 0, user());
        let project = context.fork(9).id_generator().project();
        let mut world = Self {
            batch: Batch::default(),
            now,
            seed: 0,
            defaults: Defaults::default(),
            roster: None,
            caller: user(),
            entries: Vec::new(),
            requests: BTreeMap::new(),
            project,
        };
        let new = NewProject {
            name: "Project".to_owned(),
            description: Some("An idea".to_owned()),
            workflow: None,
            oversight: Oversight::Standard,
        };
        world
            .run(&Scope::project(project), |context, snapshot| {
                projects::create(context, snapshot, project, &new, workflow)
            })
            .unwrap();
        world
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    pub fn run(
        &mut self,
        scope: &Scope,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>,
    ) -> Outcome {
        let read_set = self.batch.read_set([scope]);
        self.batch.admit(&read_set, Rows::default());
        self.seed += 1;
        self.now = self.now.after(Duration::from_micros(1));
        let context = self.context();
        let committed = self.batch.decide(scope, |snapshot| decide(&context, snapshot))?;
        self.entries.extend(committed.entries.iter().cloned());
        for row in &committed.rows {
            if let Row::Request(request) = row {
                self.requests.insert(request.id, Arc::clone(request));
            }
        }
        Ok(committed)
    }

    /// Checks that the log of the project states every request as it is stored.
    pub fn check_replay(&self) {
        let log = LogId::Project(self.project);
        let mut replay = Replay::of(log);
        for entry in self.entries.iter().filter(|entry| entry.log() == log) {
            replay.apply(entry).unwrap();
        }
        for request in self.requests.values() {
            replay.request(request).unwrap_or_else(|error| panic!("{error:?} of {request:?}"));
        }
    }

    fn context(&self) -> DecisionContext {
        let (defaults, roster) = (self.defaults.clone(), self.roster.clone());
        let context = DecisionContext::new(self.now, self.seed, self.caller.clone());
        DecisionContext { defaults, roster, ..context }
    }

    fn scope(&self) -> Scope {
        Scope::project(self.project).everything_open()
    }

    // Projects.

    pub fn pause(&mut self) -> Outcome {
        self.run(&self.scope(), projects::pause)
    }

    pub fn resume(&mut self) -> Outcome {
        self.run(&self.scope(), projects::resume)
    }

    /// Reopens the project, which this request halted.
    pub fn reopen(&mut self, rejected: HitlRequestId) -> Outcome {
        let project = self.project;
        let seen = self.look(&Scope::project(project)).project.unwrap();
        let (tasks, requests) = projects::interrupted(&seen);
        let mut scope = Scope::project(self.project).request(rejected);
        scope.tasks.extend(tasks);
        scope.tasks.extend(self.task_of(rejected));
        scope.requests.extend(requests);
        self.run(&scope, |c, s| projects::reopen(c, s, Some(rejected), "a mistake"))
    }

    pub fn cancel(&mut self) -> Outcome {
        self.run(&self.scope(), projects::cancel)
    }

    pub fn force(&mut self) -> Outcome {
        self.run(&self.scope(), projects::force_complete)
    }

    pub fn start(&mut self, workflow: &Workflow) -> Outcome {
        self.run(&self.scope(), |c, s| projects::start(c, s, workflow, None))
    }

    // Tasks.

    pub fn submit(&mut self) -> Result<TaskId, DomainError> {
        let id = self.context().fork(5).id_generator().task();
        let new = NewTask {
            project_id: self.project,
            agent: AgentType::Coder,
            instructions: "Do it".to_owned(),
            context_ids: vec![],
            priority: None,
            max_attempts: Some(2),
        };
        self.run(&self.scope(), |c, s| tasks::submit(c, s, id, &new))?;
        Ok(id)
    }

    pub fn claim(&mut self, id: TaskId) -> Outcome {
        let lease = Duration::from_secs(300);
        self.run(&self.scope().task(id), |c, s| {
            tasks::claim(&c.by(Caller::worker(&worker())), s, id, &worker(), lease, None)
        })
    }

    pub fn complete(
        &mut self,
        id: TaskId,
        fence: u32,
        output: Map<String, serde_json::Value>,
    ) -> Outcome {
        let holder = LeaseHolder { worker: worker(), fence };
        let work = Work { output, artifacts: vec![], confidence: None, usage: Usage::default() };
        self.run(&self.scope().task(id), |c, s| {
            tasks::complete(&c.by(Caller::worker(&holder.worker)), s, id, &holder, &work)
        })
    }

    pub fn fail(&mut self, id: TaskId, fence: u32, for_good: bool) -> Outcome {
        let holder = LeaseHolder { worker: worker(), fence };
        let error = if for_good {
            RunError::terminal("no", "No.")
        } else {
            RunError::retryable("not_now", "Not now.")
        };
        self.run(&self.scope().task(id), |c, s| {
            tasks::fail(&c.by(Caller::worker(&holder.worker)), s, id, &holder, &error)
        })
    }

    pub fn ask(&mut self, id: TaskId, fence: u32) -> Outcome {
        let holder = LeaseHolder { worker: worker(), fence };
        let inquiry = Inquiry {
            question: Question {
                question: "Well?".to_owned(),
                options: vec![],
                artifacts: vec![],
                policy: None,
                assignees: Vec::new(),
                response_schema: None,
            },
            usage: Usage::default(),
            session: None,
        };
        self.run(&self.scope().task(id), |c, s| {
            tasks::ask(&c.by(Caller::worker(&holder.worker)), s, id, &holder, &inquiry)
        })
    }

    pub fn refuse(&mut self, id: TaskId, fence: u32, reason: &str) -> Outcome {
        let holder = LeaseHolder { worker: worker(), fence };
        self.run(&self.scope().task(id), |c, s| {
            let until = c.now.after(Duration::from_secs(300));
            let c = c.by(Caller::worker(&holder.worker));
            refusals::refuse_result(&c, s, id, &holder, reason, until)
        })
    }

    pub fn expire_lease(&mut self, id: TaskId) -> Outcome {
        self.run(&self.scope().task(id), |c, s| {
            tasks::expire_lease(&c.by(Caller::scheduler()), s, id)
        })
    }

    pub fn requeue(&mut self, id: TaskId, fence: u32) -> Outcome {
        let holder = LeaseHolder { worker: worker(), fence };
        self.run(&self.scope().task(id), |c, s| {
            tasks::requeue(&c.by(Caller::system()), s, id, &holder, "stopping")
        })
    }

    pub fn cancel_task(&mut self, id: TaskId) -> Outcome {
        self.run(&self.scope().task(id), |c, s| tasks::cancel(c, s, id))
    }

    pub fn retry(&mut self, id: TaskId) -> Outcome {
        self.run(&self.scope().task(id), |c, s| tasks::retry(c, s, id))
    }

    // Requests.

    pub fn raise(&mut self) -> Result<HitlRequestId, DomainError> {
        let id = self.context().fork(6).id_generator().request();
        let new = NewRequest {
            project_id: self.project,
            task_id: None,
            question: "Well?".to_owned(),
            options: vec![],
            ttl_s: Some(60),
            artifacts: vec![],
            policy: None,
            assignees: Vec::new(),
            response_schema: None,
        };
        self.run(&self.scope(), |c, s| hitl::raise(c, s, id, &new))?;
        Ok(id)
    }

    pub fn respond(&mut self, id: HitlRequestId, action: HitlAction) -> Outcome {
        let content = (action == HitlAction::Amend).then(|| "Otherwise".to_owned());
        self.answer(id, &Response { content, ..Response::new(action) })
    }

    /// Answers a request as the caller of this world.
    pub fn answer(&mut self, id: HitlRequestId, response: &Response) -> Outcome {
        self.on(id, |c, s| hitl::respond(c, s, id, response))
    }

    /// Answers a request as this caller.
    pub fn answer_as(
        &mut self,
        caller: &Caller,
        id: HitlRequestId,
        response: &Response,
    ) -> Outcome {
        self.on(id, |c, s| hitl::respond(&c.by(caller.clone()), s, id, response))
    }

    /// Decides about a request.
    pub fn on(
        &mut self,
        id: HitlRequestId,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>,
    ) -> Outcome {
        let mut scope = self.scope().request(id);
        // The task a request is about belongs to its scope, final or not.
        scope.tasks.extend(self.task_of(id));
        self.run(&scope, decide)
    }

    /// Does what is due on a request.
    pub fn expire(&mut self, id: HitlRequestId) -> Outcome {
        self.on(id, |c, s| hitl::due(&c.by(Caller::scheduler()), s, id, true))
    }

    /// Returns a request as it is.
    pub fn request(&mut self, id: HitlRequestId) -> Arc<HitlRequest> {
        let scope = Scope::project(self.project).request(id);
        Arc::clone(&self.look_at_log(&scope).requests[&id])
    }

    fn task_of(&self, id: HitlRequestId) -> Option<TaskId> {
        self.entries.iter().find(|e| e.hitl_request_id == Some(id)).and_then(|e| e.task_id)
    }

    // Looking.

    pub fn look(&mut self, scope: &Scope) -> Snapshot {
        let seen = std::cell::RefCell::new(None);
        let looked = self.run(scope, |context, snapshot| {
            *seen.borrow_mut() = Some(snapshot.clone());
            tasks::claim(
                &context.by(Caller::worker(&worker())),
                snapshot,
                context.id_generator().task(),
                &worker(),
                Duration::ZERO,
                None,
            )
        });
        assert!(looked.is_err(), "looking changes nothing");
        seen.into_inner().unwrap()
    }

    /// Looks at rows of the system log.
    pub fn look_at_log(&mut self, scope: &Scope) -> Snapshot {
        let seen = std::cell::RefCell::new(None);
        let looked = self.run(scope, |_, snapshot| {
            *seen.borrow_mut() = Some(snapshot.clone());
            Err(DomainError::BadRequest("only a look".to_owned()))
        });
        assert!(looked.is_err(), "looking changes nothing");
        seen.into_inner().unwrap()
    }

    pub fn pending_requests(&mut self) -> Vec<HitlRequestId> {
        let scope = self.scope();
        self.look(&scope).requests.keys().copied().collect()
    }
}

pub fn user() -> Caller {
    Caller::person("someone").with_via(Via::Rest)
}

pub fn worker() -> WorkerId {
    WorkerId("worker".to_owned())
}
