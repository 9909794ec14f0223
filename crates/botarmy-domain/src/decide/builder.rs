//! Builder of a decision: working copies of the rows it touches, and the changes so far.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::actor::Actor;
use crate::artifact::{Artifact, ArtifactRef, NewArtifact, digest};
use crate::budget::{BudgetAccount, BudgetKey};
use crate::caller::Place;
use crate::change::{Change, Decision, Row};
use crate::decision_context::{DecisionContext, Defaults};
use crate::error::DomainError;
use crate::event::{self, EventPayload};
use crate::hitl::{HistoryEntry, HitlRequest, HitlState, Roster};
use crate::id_generator::IdGenerator;
use crate::ids::{EventId, HitlRequestId, PrincipalId, ProjectId, TaskId};
use crate::log::{Event, LogId, Origin};
use crate::project::{Counts, Project, ProjectState};
use crate::records::{Listed, RecordKey, RecordValue};
use crate::scope::Snapshot;
use crate::task::{Task, TaskState};
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, HitlStatus, Permission, ProjectStatus, TaskStatus};

/// Minimum distance between two tasks of one project in the queue, so that a project with many
/// pending tasks lets others in between.
const TURN: Duration = Duration::from_millis(10);

pub(super) struct DecisionBuilder<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) id_generator: IdGenerator,
    pub(super) origin: Origin,
    pub(super) defaults: Defaults,
    pub(super) roster: Option<Arc<Roster>>,
    /// Whether people may answer requests that have expired.
    pub(super) in_grace: bool,
    project: Option<Arc<Project>>,
    tasks: BTreeMap<TaskId, Arc<Task>>,
    requests: BTreeMap<HitlRequestId, Arc<HitlRequest>>,
    records: BTreeMap<RecordKey, Option<RecordValue>>,
    pub(super) counts: Counts,
    next_turn: Timestamp,
    changes: Vec<Change>,
    progressed: bool,
}

impl<'a> DecisionBuilder<'a> {
    /// Creates the builder of a decision that needs this permission. There is no way to create one
    /// without a check, so nothing is decided for a caller that may not do it. The check sees the rows
    /// as they are locked for the decision.
    ///
    /// # Errors
    /// That of [`Caller::missing`] if the project does not exist or the caller does not see it;
    /// [`DomainError::NotPermitted`] if it lacks the permission.
    ///
    /// [`Caller::missing`]: crate::caller::Caller::missing
    pub(super) fn new(
        context: &DecisionContext,
        snapshot: &'a Snapshot,
        permission: Permission,
    ) -> Result<Self, DomainError> {
        let place = place_of(snapshot, permission);
        let place = place.map_err(|missing| context.caller.missing(permission, missing))?;
        Self::in_place(context, snapshot, permission, place)
    }

    /// Creates the builder of a decision that needs this permission in a place that its rows do not show:
    /// what is decided about a project and written to the system log.
    ///
    /// # Errors
    /// As [`DecisionBuilder::new`].
    pub(super) fn in_place(
        context: &DecisionContext,
        snapshot: &'a Snapshot,
        permission: Permission,
        place: Place,
    ) -> Result<Self, DomainError> {
        context.caller.check(permission, place)?;
        Ok(Self::checked(context, snapshot))
    }

    /// Creates the builder of a decision about the sessions of a person. It needs no permission for the
    /// person itself, and [`Permission::AccessManage`] for anyone else.
    ///
    /// # Errors
    /// [`DomainError::NotPermitted`] if the caller is another principal without the permission.
    pub(super) fn of_person(
        context: &DecisionContext,
        snapshot: &'a Snapshot,
        person: PrincipalId,
    ) -> Result<Self, DomainError> {
        if context.caller.principal() == Some(person) {
            Ok(Self::checked(context, snapshot))
        } else {
            Self::new(context, snapshot, Permission::AccessManage)
        }
    }

    /// Creates the builder of a decision whose caller was checked.
    fn checked(context: &DecisionContext, snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            id_generator: context.id_generator(),
            origin: context.caller.origin(),
            defaults: context.defaults.clone(),
            roster: context.roster.clone(),
            in_grace: context.in_grace,
            project: snapshot.project.clone(),
            tasks: snapshot.tasks.clone(),
            requests: snapshot.requests.clone(),
            records: snapshot.records.clone(),
            counts: snapshot.head.counts,
            next_turn: snapshot.head.next_turn,
            changes: Vec::new(),
            progressed: snapshot.is_rebuilt,
        }
    }

    /// Returns whether anything was decided so far.
    pub(super) const fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Returns the decision. If the project's progress changed, its row goes with the last event.
    pub(super) fn finish(mut self) -> Decision {
        if let (true, Some(project), Some(last)) =
            (self.progressed, self.project, self.changes.last_mut())
        {
            last.rows.push(Row::Project(project));
        }
        Decision { changes: self.changes, counts: self.counts, next_turn: self.next_turn }
    }

    pub(super) const fn at(&self) -> Timestamp {
        self.id_generator.now()
    }

    // Reading.

    /// Returns the party on whose behalf the decision is taken.
    pub(super) fn actor(&self) -> Actor {
        let principal = self.origin.proof.as_ref().and_then(|proof| proof.principal);
        Actor { name: self.origin.actor.clone(), principal }
    }

    /// Returns the project as this decision leaves it.
    pub(super) fn project(&self) -> Result<&Arc<Project>, DomainError> {
        self.project
            .as_ref()
            .ok_or_else(|| DomainError::not_found("Project", self.snapshot.head.log.key()))
    }

    /// Returns where the decision takes place.
    pub(super) fn place(&self) -> Place {
        match &self.project {
            Some(project) => Place::Project { id: project.id, creator: project.creator },
            None => Place::Installation,
        }
    }

    /// Returns the project if it accepts new work.
    pub(super) fn active_project(&self) -> Result<&Arc<Project>, DomainError> {
        let project = self.project()?;
        match project.status() {
            ProjectStatus::Active => Ok(project),
            status => Err(DomainError::conflict(
                "project_not_active",
                format!("Project {} is {status}; only an active project accepts this.", project.id),
            )),
        }
    }

    /// Reopens a project that is driven by hand and completed by itself: its user goes on.
    pub(super) fn reopen_by_itself(&mut self) -> Result<(), DomainError> {
        let project = self.project()?;
        if project.reopens_by_itself() {
            let active = Project { state: ProjectState::Active, ..(**project).clone() };
            let payload = EventPayload::ProjectReopened(event::ProjectReopened {
                status: ProjectStatus::Active,
                reopened_by: self.origin.actor.clone(),
                was: ProjectStatus::Completed,
                reason: None,
            });
            self.put_project(active, &payload);
        }
        Ok(())
    }

    /// Returns the project if it has not ended.
    pub(super) fn open_project(&self) -> Result<&Arc<Project>, DomainError> {
        let project = self.project()?;
        if project.status().is_open() {
            return Ok(project);
        }
        Err(DomainError::conflict(
            "project_over",
            format!(
                "Project {} is {}; nothing more can be done with it.",
                project.id,
                project.status()
            ),
        ))
    }

    pub(super) fn task(&self, id: TaskId) -> Result<Arc<Task>, DomainError> {
        self.tasks.get(&id).cloned().ok_or_else(|| DomainError::not_found("Task", id))
    }

    pub(super) fn request(&self, id: HitlRequestId) -> Result<Arc<HitlRequest>, DomainError> {
        self.requests.get(&id).cloned().ok_or_else(|| DomainError::not_found("Request", id))
    }

    pub(super) fn open_tasks(&self) -> Vec<Arc<Task>> {
        self.tasks.values().filter(|task| !task.status().is_final()).cloned().collect()
    }

    pub(super) fn open_requests(&self) -> Vec<Arc<HitlRequest>> {
        let pending = |request: &&Arc<HitlRequest>| request.status() == HitlStatus::Pending;
        self.requests.values().filter(pending).cloned().collect()
    }

    /// Returns whether the scope names this budget account.
    pub(super) fn has_account(&self, key: BudgetKey) -> bool {
        self.records.contains_key(&BudgetAccount::any_key(key))
    }

    /// Returns a budget account as this decision leaves it; an empty one where there is none.
    pub(super) fn account(&self, key: BudgetKey) -> BudgetAccount {
        self.record(key)
            .map_or_else(|| BudgetAccount::new(key), |account| BudgetAccount::clone(account))
    }

    /// Returns all records of the scope as this decision leaves them.
    pub(super) const fn records(&self) -> &BTreeMap<RecordKey, Option<RecordValue>> {
        &self.records
    }

    /// Returns a record of the scope as this decision leaves it.
    pub(super) fn record<R: Listed>(&self, key: R::Key) -> Option<&Arc<R>> {
        self.records.get(&R::any_key(key))?.as_ref().and_then(R::of)
    }

    // Writing.

    fn push(
        &mut self,
        row: Option<Row>,
        payload: &EventPayload,
        task_id: Option<TaskId>,
        hitl_request_id: Option<HitlRequestId>,
    ) {
        let event = self.id_generator.event();
        self.push_as(event, row, payload, task_id, hitl_request_id);
    }

    fn push_as(
        &mut self,
        id: EventId,
        row: Option<Row>,
        payload: &EventPayload,
        task_id: Option<TaskId>,
        hitl_request_id: Option<HitlRequestId>,
    ) {
        let event = Event {
            id,
            event_type: payload.event_type(),
            origin: self.origin.clone(),
            task_id,
            hitl_request_id,
            data: payload.to_data(),
            at: self.at(),
        };
        self.changes.push(Change { rows: row.into_iter().collect(), event });
    }

    /// Adds an event that changes no row.
    pub(super) fn note(&mut self, payload: &EventPayload, task_id: Option<TaskId>) {
        self.push(None, payload, task_id, None);
    }
    pub(super) fn put_row(&mut self, row: Row, payload: &EventPayload) {
        self.note(payload, None);
        self.and_row(row);
    }

    /// Writes a row that the last event changed.
    pub(super) fn and_row(&mut self, row: Row) {
        match &row {
            Row::Record(record) => drop(self.records.insert(record.key(), Some(record.clone()))),
            Row::NoRecord(key) => drop(self.records.insert(*key, None)),
            _ => {}
        }
        self.changes.last_mut().expect("an event came before").rows.push(row);
    }

    /// Writes the project in a new state, together with the event that caused it.
    pub(super) fn put_project(&mut self, mut project: Project, payload: &EventPayload) {
        project.updated_at = self.at();
        let project = Arc::new(project);
        self.project = Some(Arc::clone(&project));
        self.push(Some(Row::Project(project)), payload, None, None);
    }

    /// Changes the project's progress because of an event of this decision.
    pub(super) fn update_plan(&mut self, change: impl FnOnce(&mut crate::project::Plan)) {
        let at = self.at();
        let Some(project) = &mut self.project else { return };
        let project = Arc::make_mut(project);
        let Some(plan) = &mut project.plan else { return };
        change(plan);
        project.updated_at = at;
        self.progressed = true;
    }

    /// Writes a task in a new state.
    pub(super) fn put_task(&mut self, task: Task, payload: &EventPayload) {
        let id = task.id;
        let row = self.task_row(task);
        self.push(Some(row), payload, Some(id), None);
    }

    /// Writes a task in a state that the last event caused.
    pub(super) fn and_task(&mut self, task: Task) {
        let row = self.task_row(task);
        self.and_row(row);
    }

    fn task_row(&mut self, mut task: Task) -> Row {
        task.updated_at = self.at();
        let before = self.tasks.get(&task.id).map(|task| task.status());
        if before.is_none() {
            task.trace = self.origin.trace;
        }
        self.counts.moved(before, task.status());
        let task = Arc::new(task);
        self.tasks.insert(task.id, Arc::clone(&task));
        Row::Task(task)
    }

    /// Writes a request in a new state.
    pub(super) fn put_request(&mut self, request: HitlRequest, payload: &EventPayload) {
        let event = self.id_generator.event();
        self.put_request_as(event, request, payload);
    }

    /// Writes a request in a new state that names the id of the event.
    pub(super) fn put_request_as(
        &mut self,
        event: EventId,
        request: HitlRequest,
        payload: &EventPayload,
    ) {
        let (id, task_id) = (request.id, request.task_id);
        let row = self.request_row(request);
        self.push_as(event, Some(row), payload, task_id, Some(id));
    }

    /// Writes a request in a state that the last event caused.
    pub(super) fn and_request(&mut self, request: HitlRequest) {
        let row = self.request_row(request);
        self.and_row(row);
    }

    fn request_row(&mut self, mut request: HitlRequest) -> Row {
        request.updated_at = self.at();
        let id = request.id;
        let was_open = self.requests.get(&id).is_some_and(|r| r.status() == HitlStatus::Pending);
        let is_open = request.status() == HitlStatus::Pending;
        self.counts.open_requests =
            self.counts.open_requests + u32::from(is_open) - u32::from(was_open);
        let request = Arc::new(request);
        self.requests.insert(id, Arc::clone(&request));
        Row::Request(request)
    }

    /// Stores an artifact as the newest of its type.
    pub(super) fn store_artifact(
        &mut self,
        project_id: ProjectId,
        source_agent: AgentType,
        new: NewArtifact,
        task_id: Option<TaskId>,
    ) -> ArtifactRef {
        let latest = self.project.as_ref().and_then(|project| project.plan.as_ref());
        let meta = ArtifactRef {
            id: self.id_generator.context(),
            project_id,
            source_agent,
            artifact_type: new.artifact_type,
            digest: digest(&new.content),
            previous: latest.and_then(|plan| plan.progress.latest.get(&new.artifact_type).copied()),
            created_at: self.at(),
        };
        self.counts.artifacts += 1;
        let (id, artifact_type) = (meta.id, meta.artifact_type);
        self.update_plan(|plan| {
            plan.progress.latest.insert(artifact_type, id);
        });
        let artifact =
            Artifact { meta: meta.clone(), content: new.content, metadata: new.metadata };
        let payload = EventPayload::ArtifactCreated(event::ArtifactCreated::from(&meta));
        self.push(Some(Row::Artifact(Arc::new(artifact))), &payload, task_id, None);
        meta
    }

    /// Returns the queue position of a task that is created now: its time of creation, but at least
    /// [`TURN`] after the previous task of the same project.
    pub(super) fn take_turn(&mut self) -> Timestamp {
        let turn = self.at().max(self.next_turn);
        self.next_turn = turn.after(TURN);
        turn
    }

    // Steps that several use cases share.

    pub(super) fn cancel_task(&mut self, task: &Task, reason: &str) {
        let by = self.origin.actor.clone();
        let state =
            TaskState::Cancelled { at: self.at(), by: by.clone(), reason: reason.to_owned() };
        let was = task.status();
        let cancelled = Task { state, ..task.clone() };
        let payload = EventPayload::TaskCancelled(event::TaskCancelled {
            agent_type: task.agent,
            status: TaskStatus::Cancelled,
            was,
            cancelled_by: by,
            reason: reason.to_owned(),
        });
        self.put_task(cancelled, &payload);
    }

    pub(super) fn cancel_request(&mut self, request: &HitlRequest, reason: &str) {
        let mut request = request.clone();
        request.state = HitlState::Cancelled { at: self.at(), reason: reason.to_owned() };
        request.history.push(self.history("cancel", None, Some(reason.to_owned())));
        let payload = EventPayload::HitlCancelled(event::HitlCancelled {
            hitl_request_id: request.id,
            status: HitlStatus::Cancelled,
            reason: reason.to_owned(),
            agent_type: request.agent,
        });
        self.put_request(request, &payload);
    }

    /// Cancels everything that is still open, so that nothing outlives its project. The scope must
    /// include everything open.
    pub(super) fn close_everything(&mut self, reason: &str) {
        for task in self.open_tasks() {
            self.cancel_task(&task, reason);
        }
        for request in self.open_requests() {
            self.cancel_request(&request, reason);
        }
    }

    /// Halts the project because of a request that was rejected or has expired.
    pub(super) fn halt(&mut self, request: HitlRequestId, reason: &str) -> Result<(), DomainError> {
        let mut project = (**self.project()?).clone();
        let by = self.origin.actor.clone();
        project.state = ProjectState::Halted {
            at: self.at(),
            by: by.clone(),
            reason: reason.to_owned(),
            request_id: Some(request),
        };
        let payload = EventPayload::ProjectHalted(event::ProjectHalted {
            status: ProjectStatus::Halted,
            halted_by: by,
            reason: reason.to_owned(),
        });
        self.put_project(project, &payload);
        self.close_everything("the project was halted");
        Ok(())
    }

    pub(super) fn history(
        &self,
        action: &str,
        content: Option<&str>,
        comment: Option<String>,
    ) -> HistoryEntry {
        HistoryEntry {
            timestamp: self.at(),
            action: action.to_owned(),
            user_id: self.origin.actor.clone(),
            principal: self.origin.proof.as_ref().and_then(|proof| proof.principal),
            content: content.map(|content| json!({"user_content": content})),
            comment,
        }
    }
}

/// Returns where a decision about these rows takes place.
fn place_of(snapshot: &Snapshot, permission: Permission) -> Result<Place, DomainError> {
    match (snapshot.head.log, &snapshot.project) {
        (LogId::System, _) => Ok(Place::Installation),
        (LogId::Project(id), Some(project)) => Ok(Place::Project { id, creator: project.creator }),
        (LogId::Project(_), None) if permission == Permission::ProjectCreate => {
            Ok(Place::NewProject)
        }
        (LogId::Project(id), None) => Err(DomainError::not_found("Project", id)),
    }
}

/// Returns the JSON object of a literal.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => unreachable!("written as an object"),
    }
}
