//! Raising requests and recording the responses.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::decide::hitl;
use botarmy_domain::ports::Gates;
use botarmy_domain::text::{clean_map, strip_controls};
use botarmy_domain::{
    ArtifactType, BudgetAccount, Caller, Committed, DomainError, Entry, EntryFilter, Error,
    EventType, HitlAction, HitlKind, HitlRequest, HitlRequestId, HitlStatus, NewRequest,
    Permission, Project, ProjectStatus, Responded, Response, Row, Scope,
};

use serde_json::Value;

use super::written;
use crate::engine::Engine;
use crate::output_validation::OutputSpec;

/// Largest number of entries of a request that are searched for its response, the newest first.
const MAX_ENTRIES: u32 = 1_000;

#[async_trait]
impl Gates for Engine {
    async fn raise_request(
        &self,
        new: NewRequest,
        caller: Caller,
    ) -> Result<Arc<HitlRequest>, Error> {
        self.check_project(&caller, Permission::ProjectRun, new.project_id).await?;
        let scope = Scope::project(new.project_id);
        let scope = self.with_seen(scope, &caller, &new.artifacts, new.task_id).await?;
        let context = self.context(caller);
        let id = context.fork(1).id_generator().request();
        let raise = move |context: &_, snapshot: &_| hitl::raise(context, snapshot, id, &new);
        let raised = move |committed: &Committed| committed.request(id).cloned();
        written(self.commit_call(context, scope, raise, raised).await?)
    }

    async fn respond(
        &self,
        id: HitlRequestId,
        response: Response,
        caller: Caller,
    ) -> Result<Responded, Error> {
        let mut response = response;
        let action = response.action;
        let request = self.request_for(&caller, id, Permission::GateAnswer).await?;
        let mut scope = scope_of(&request);
        if response.action == HitlAction::Reject {
            scope = scope.everything_open();
        }
        self.check_amendment(&request, &mut response).await?;
        let respond =
            move |context: &_, snapshot: &_| hitl::respond(context, snapshot, id, &response);
        let responded = move |committed: &Committed| {
            let halted = |project: &Arc<Project>| project.status() == ProjectStatus::Halted;
            Some(Responded {
                request: committed.request(id)?.clone(),
                // The rows alone tell it: a kept reply is made before there are entries.
                workflow_resumed: action != HitlAction::Reject && !opens_another(committed, id),
                project_halted: committed.project().is_some_and(halted),
                replayed: false,
            })
        };
        let context = self.context(caller);
        match self.commit_call(context, scope, respond, responded).await? {
            Some(responded) => Ok(responded),
            None => self.responded_before(id).await,
        }
    }
}

/// Returns the scope of a decision about a request: its project and its task.
fn scope_of(request: &HitlRequest) -> Scope {
    let mut scope = Scope::project(request.project_id).request(request.id);
    scope.tasks.extend(request.task_id);
    if let Some(question) = &request.budget {
        // Other tasks may wait for the same budget, and go on with the same answer.
        scope = scope.everything_open().record::<BudgetAccount>(question.account);
    }
    scope
}

/// Returns whether a decision about a request opened another one for its step, as the amendment of a
/// person does that needs the approval of another.
fn opens_another(committed: &Committed, id: HitlRequestId) -> bool {
    let step = committed.request(id).map(|request| &request.step);
    committed.rows.iter().any(|row| match row {
        Row::Request(other) => other.id != id && other.step.is_some() && Some(&other.step) == step,
        _ => false,
    })
}

/// Returns whether an entry is the response to a request.
fn is_response(entry: &&Arc<Entry>) -> bool {
    entry.event_type == EventType::HitlResponse
}

/// Returns whether work went on after the response of this entry.
fn resumes(response: &Arc<Entry>) -> bool {
    response.event_data.get("workflow_resumed").and_then(Value::as_bool) == Some(true)
}

impl Engine {
    /// Returns the result of a response that was recorded before. A rejection that halted its project
    /// is followed by that in the log.
    async fn responded_before(&self, id: HitlRequestId) -> Result<Responded, Error> {
        let request = self.ports.stores.requests.request(id).await?;
        let request = request.ok_or_else(|| DomainError::not_found("Request", id))?;
        let audit = &self.ports.stores.audit;
        let filter = EntryFilter { request: Some(id), ..EntryFilter::default() };
        let entries = audit.entries(filter, MAX_ENTRIES).await?;
        let response = entries.iter().find(is_response);
        let (mut workflow_resumed, mut project_halted) = (response.is_some_and(resumes), false);
        if response.is_none() {
            workflow_resumed = request.status() != HitlStatus::Rejected;
        }
        if let Some(response) = response.filter(|_| request.status() == HitlStatus::Rejected) {
            let next = audit.since(response.log(), response.seq, 1).await?;
            project_halted = next.first().is_some_and(|next| {
                next.event_type == EventType::ProjectHalted
                    && next.created_at == response.created_at
            });
        }
        Ok(Responded { request, workflow_resumed, project_halted, replayed: true })
    }

    /// Returns the scope of a decision about a request: its project and its task.
    pub(crate) async fn scope_of_request(&self, id: HitlRequestId) -> Result<Scope, Error> {
        let request = self.ports.stores.requests.request(id).await?;
        let request = request.ok_or_else(|| DomainError::not_found("Request", id))?;
        Ok(scope_of(&request))
    }

    /// Checks that the document of an amendment has the form that its step requires, as if an agent
    /// had made it, and removes control characters from it. The definition and the step of a request
    /// never change, so this holds until the decision.
    async fn check_amendment(
        &self,
        request: &HitlRequest,
        response: &mut Response,
    ) -> Result<(), Error> {
        let document = response.amended_content.as_mut();
        let is_result = response.action == HitlAction::Amend && request.kind == HitlKind::Approval;
        let (Some(document), true) = (document, is_result) else { return Ok(()) };
        let project = self.existing_project(request.project_id).await?;
        let step = request.step.as_deref();
        let step = step.and_then(|step| project.plan.as_ref()?.workflow.step(step));
        clean_map(document);
        if step.map(|step| step.output) != Some(ArtifactType::SourceCode) {
            strip_controls(document);
        }
        let Some(step) = step.filter(|_| request.status() == HitlStatus::Pending) else {
            return Ok(());
        };
        let spec =
            OutputSpec { output_type: Some(step.output), schema: step.output_schema.clone() };
        let mut errors = self.output_validator.errors(&spec, document);
        if errors.is_empty() {
            return Ok(());
        }
        for error in &mut errors {
            error.pointer.insert_str(0, "/amended_content");
        }
        Err(DomainError::InvalidDocument(errors).into())
    }
}
