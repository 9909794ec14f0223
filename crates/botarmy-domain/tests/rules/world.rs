//! The smallest ledger there is: a batch that is never written anywhere. Enough to bring a
//! project, a task or a request into any state and to see what each action makes of it.

use std::sync::Arc;
use std::time::Duration;

use botarmy_domain::batch::{Batch, Rows};
use botarmy_domain::decide::tasks::{Holder, Inquiry, Work};
use botarmy_domain::decide::{Defaults, hitl, projects, tasks};
use botarmy_domain::ports::{NewProject, NewRequest, NewTask, Question, Response, RunError, Usage};
use botarmy_domain::{
    AgentType, Committed, Decision, DomainError, Entry, HitlAction, HitlRequestId, Moment, Origin,
    Oversight, ProjectId, Scope, Snapshot, TaskId, Timestamp, WorkerId, Workflow,
};
use serde_json::Map;

pub struct World {
    batch: Batch,
    pub now: Timestamp,
    seed: u128,
    pub entries: Vec<Arc<Entry>>,
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
        let moment = Moment { at: now, seed: 0 };
        let project = moment.fork(9).id_generator().project();
        let mut world =
            Self { batch: Batch::default(), now, seed: 0, entries: Vec::new(), project };
        let new = NewProject {
            name: "Project".to_owned(),
            description: Some("An idea".to_owned()),
            workflow: None,
            oversight: Oversight::Standard,
        };
        let defaults = Defaults::default();
        world
            .run(&Scope::project(project), |snapshot, moment| {
                projects::create(snapshot, project, &new, workflow, moment, &user(), defaults)
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
        decide: impl Fn(&Snapshot, Moment) -> Result<Decision, DomainError>,
    ) -> Outcome {
        let read_set = self.batch.read_set([scope]);
        self.batch.admit(&read_set, Rows::default());
        self.seed += 1;
        self.now = self.now.after(Duration::from_micros(1));
        let moment = Moment { at: self.now, seed: self.seed };
        let committed = self.batch.decide(scope, |snapshot| decide(snapshot, moment))?;
        self.entries.extend(committed.entries.iter().cloned());
        Ok(committed)
    }

    fn scope(&self) -> Scope {
        Scope::project(self.project).everything_open()
    }

    // Projects.

    pub fn pause(&mut self) -> Outcome {
        self.run(&self.scope(), |s, m| projects::pause(s, m, &user()))
    }

    pub fn resume(&mut self) -> Outcome {
        self.run(&self.scope(), |s, m| projects::resume(s, m, &user(), Defaults::default()))
    }

    pub fn cancel(&mut self) -> Outcome {
        self.run(&self.scope(), |s, m| projects::cancel(s, m, &user()))
    }

    pub fn force(&mut self) -> Outcome {
        self.run(&self.scope(), |s, m| projects::force_complete(s, m, &user()))
    }

    pub fn start(&mut self, workflow: &Workflow) -> Outcome {
        let defaults = Defaults::default();
        self.run(&self.scope(), |s, m| projects::start(s, workflow, None, m, &user(), defaults))
    }

    // Tasks.

    pub fn submit(&mut self) -> Result<TaskId, DomainError> {
        let id = Moment { at: self.now, seed: self.seed }.fork(5).id_generator().task();
        let new = NewTask {
            project_id: self.project,
            agent: AgentType::Coder,
            instructions: "Do it".to_owned(),
            context_ids: vec![],
            priority: None,
            max_attempts: Some(2),
        };
        self.run(&self.scope(), |s, m| tasks::submit(s, id, &new, m, &user()))?;
        Ok(id)
    }

    pub fn claim(&mut self, id: TaskId) -> Outcome {
        let lease = Duration::from_secs(300);
        self.run(&self.scope().task(id), |s, m| tasks::claim(s, id, &worker(), lease, m))
    }

    pub fn complete(
        &mut self,
        id: TaskId,
        fence: u32,
        output: Map<String, serde_json::Value>,
    ) -> Outcome {
        let holder = Holder { worker: worker(), fence };
        let work = Work { output, artifacts: vec![], confidence: None, usage: Usage::default() };
        let defaults = Defaults::default();
        self.run(&self.scope().task(id), |s, m| tasks::complete(s, id, &holder, &work, m, defaults))
    }

    pub fn fail(&mut self, id: TaskId, fence: u32, for_good: bool) -> Outcome {
        let holder = Holder { worker: worker(), fence };
        let error = if for_good {
            RunError::terminal("no", "No.")
        } else {
            RunError::retryable("not_now", "Not now.")
        };
        let defaults = Defaults::default();
        self.run(&self.scope().task(id), |s, m| tasks::fail(s, id, &holder, &error, m, defaults))
    }

    pub fn ask(&mut self, id: TaskId, fence: u32) -> Outcome {
        let holder = Holder { worker: worker(), fence };
        let inquiry = Inquiry {
            question: Question { question: "Well?".to_owned(), options: vec![], artifacts: vec![] },
            usage: Usage::default(),
            session: None,
        };
        let defaults = Defaults::default();
        self.run(&self.scope().task(id), |s, m| tasks::ask(s, id, &holder, &inquiry, m, defaults))
    }

    pub fn expire_lease(&mut self, id: TaskId) -> Outcome {
        self.run(&self.scope().task(id), |s, m| tasks::expire_lease(s, id, m, Defaults::default()))
    }

    pub fn requeue(&mut self, id: TaskId, fence: u32) -> Outcome {
        let holder = Holder { worker: worker(), fence };
        self.run(&self.scope().task(id), |s, m| tasks::requeue(s, id, &holder, "stopping", m))
    }

    pub fn cancel_task(&mut self, id: TaskId) -> Outcome {
        self.run(&self.scope().task(id), |s, m| {
            tasks::cancel(s, id, m, &user(), Defaults::default())
        })
    }

    pub fn retry(&mut self, id: TaskId) -> Outcome {
        self.run(&self.scope().task(id), |s, m| tasks::retry(s, id, m, &user()))
    }

    // Requests.

    pub fn raise(&mut self) -> Result<HitlRequestId, DomainError> {
        let id = Moment { at: self.now, seed: self.seed }.fork(6).id_generator().request();
        let new = NewRequest {
            project_id: self.project,
            task_id: None,
            question: "Well?".to_owned(),
            options: vec![],
            ttl_s: Some(60),
            artifacts: vec![],
        };
        let defaults = Defaults::default();
        self.run(&self.scope(), |s, m| hitl::raise(s, id, &new, m, &user(), defaults))?;
        Ok(id)
    }

    pub fn respond(&mut self, id: HitlRequestId, action: HitlAction) -> Outcome {
        let response = Response {
            action,
            content: (action == HitlAction::Amend).then(|| "Otherwise".to_owned()),
            comment: None,
            amended_content: None,
            subject_digest: None,
        };
        let defaults = Defaults::default();
        let mut scope = self.scope().request(id);
        // The task a request is about belongs to its scope, final or not.
        scope.tasks.extend(self.task_of(id));
        self.run(&scope, |s, m| hitl::respond(s, id, &response, m, &user(), defaults))
    }

    pub fn expire(&mut self, id: HitlRequestId) -> Outcome {
        self.run(&self.scope().request(id), |s, m| hitl::expire(s, id, m, Defaults::default()))
    }

    fn task_of(&self, id: HitlRequestId) -> Option<TaskId> {
        self.entries.iter().find(|e| e.hitl_request_id == Some(id)).and_then(|e| e.task_id)
    }

    // Looking.

    pub fn look(&mut self, scope: &Scope) -> Snapshot {
        let seen = std::cell::RefCell::new(None);
        let looked = self.run(scope, |snapshot, moment| {
            *seen.borrow_mut() = Some(snapshot.clone());
            tasks::claim(snapshot, moment.id_generator().task(), &worker(), Duration::ZERO, moment)
        });
        assert!(looked.is_err(), "looking changes nothing");
        seen.into_inner().unwrap()
    }

    pub fn pending_requests(&mut self) -> Vec<HitlRequestId> {
        let scope = self.scope();
        self.look(&scope).requests.keys().copied().collect()
    }
}

pub fn user() -> Origin {
    Origin::user("someone")
}

pub fn worker() -> WorkerId {
    WorkerId("worker".to_owned())
}
