//! Raising requests and recording the responses.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::decide::eligibility::Eligibility;
use botarmy_domain::decide::hitl;
use botarmy_domain::hitl::{
    AnswerLink, AnswerLinkText, GateAct, IssuedLink, LinkedRequest, Needs, NewAnswerLink, NewLink,
    Recorded, Vote,
};
use botarmy_domain::ports::Gates;
use botarmy_domain::text::{clean_map, strip_controls};
use botarmy_domain::{
    ArtifactType, BudgetAccount, Caller, Committed, DomainError, Entry, EntryFilter, Error,
    EventPayload, EventType, HitlAction, HitlKind, HitlRequest, HitlRequestId, HitlStatus,
    NewRequest, Permission, Place, Project, ProjectStatus, Responded, Response, Row, Scope, Via,
};
use serde_json::Value;

use super::written;
use crate::engine::Engine;
use crate::output_validation::{OutputSpec, check_response_schema};

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
        check_response_schema(new.response_schema.as_ref())?;
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
        let (action, own) = (response.action, caller.actor());
        let request = self.request_for(&caller, id, Permission::GateAnswer).await?;
        let mut scope = scope_of(&request);
        if response.action == HitlAction::Reject {
            scope = scope.everything_open();
        }
        self.check_amendment(&request, &mut response).await?;
        self.check_response(&request, &response)?;
        let respond = {
            let response = response.clone();
            move |context: &_, snapshot: &_| hitl::respond(context, snapshot, id, &response)
        };
        let responded = move |committed: &Committed| {
            let halted = |project: &Arc<Project>| project.status() == ProjectStatus::Halted;
            let request = committed.request(id)?.clone();
            let is_decided = request.status() != HitlStatus::Pending;
            let own = |vote: &&Vote| vote.voter.is_same(&own);
            let vote = request.votes.iter().find(own).map(|vote| vote.entry);
            let entry = request.reply().and_then(|reply| reply.entry).or(vote);
            Some(Responded {
                entry,
                needs: if is_decided { Needs::default() } else { request.needs() },
                is_decided,
                // The rows alone tell it: a kept reply is made before there are entries.
                workflow_resumed: is_decided
                    && action != HitlAction::Reject
                    && !opens_another(committed, id),
                project_halted: committed.project().is_some_and(halted),
                replayed: false,
                request,
            })
        };
        let context = self.context(caller.clone());
        match self.commit_call(context, scope, respond, responded).await? {
            Some(responded) => Ok(responded),
            None => self.responded_before(id, &caller, &response).await,
        }
    }

    async fn act(
        &self,
        id: HitlRequestId,
        act: GateAct,
        caller: Caller,
    ) -> Result<Arc<HitlRequest>, Error> {
        let request = self.request_for(&caller, id, Permission::GateAnswer).await?;
        let decide = move |context: &_, snapshot: &_| match &act {
            GateAct::Withdraw => hitl::withdraw(context, snapshot, id),
            GateAct::Claim => hitl::claim(context, snapshot, id),
            GateAct::Unclaim => hitl::unclaim(context, snapshot, id),
            GateAct::Delegate { to, comment } => {
                hitl::delegate(context, snapshot, id, to, comment.as_deref())
            }
            GateAct::Extend { by_s, comment } => {
                hitl::extend(context, snapshot, id, *by_s, comment.as_deref())
            }
            GateAct::Escalate => hitl::escalate(context, snapshot, id),
            GateAct::Remind => hitl::remind(context, snapshot, id),
            GateAct::Comment { text, reply_to } => {
                hitl::comment(context, snapshot, id, text, *reply_to)
            }
            GateAct::RevokeLink(link) => hitl::revoke_link(context, snapshot, id, *link),
        };
        let acted = move |committed: &Committed| committed.request(id).cloned();
        let acted =
            self.commit_call(self.context(caller), scope_of(&request), decide, acted).await?;
        match acted {
            Some(request) => Ok(request),
            // It was as wanted already.
            None => self.existing_request(id).await,
        }
    }

    async fn issue_link(
        &self,
        id: HitlRequestId,
        new: NewLink,
        caller: Caller,
    ) -> Result<IssuedLink, Error> {
        let request = self.request_for(&caller, id, Permission::GateAnswer).await?;
        let context = self.context(caller);
        let text = AnswerLinkText::new(id, self.ports.secrets.secret());
        let expires_at = match new.ttl_s {
            Some(ttl_s) => context.now.after(Duration::from_secs(ttl_s.into())),
            None => request.expires_at,
        };
        let digest = text.digest();
        let link = NewAnswerLink {
            person: self.person_of_link(&new, &context.caller)?,
            digest,
            actions: new.actions,
            expires_at,
        };
        let issue = move |context: &_, snapshot: &_| hitl::issue_link(context, snapshot, id, &link);
        let issued = move |committed: &Committed| {
            let link = hitl::link_of(committed.request(id)?, &digest)?.clone();
            Some(IssuedLink { link, text: text.clone() })
        };
        written(self.commit_call(context, scope_of(&request), issue, issued).await?)
    }

    async fn linked(&self, token: &AnswerLinkText) -> Result<LinkedRequest, Error> {
        let (request, link) = self.link(token).await?;
        let refusal = hitl::check_link(&request, &link, self.ports.clock.now()).err();
        let holder = self.holder_of_link(&link);
        let refusal = refusal.or_else(|| holder.as_ref().err().cloned());
        let refusal = match (refusal, holder) {
            (None, Ok(holder)) => self.refusal_of_holder(&request, &holder).await?,
            (refusal, _) => refusal,
        };
        let ids: Vec<_> = request.subject.artifacts.iter().map(|one| one.context_id).collect();
        let artifacts = match refusal {
            None => self.verified_artifacts(&ids).await?,
            Some(_) => Vec::new(),
        };
        Ok(LinkedRequest { request, artifacts, link, refusal })
    }

    async fn respond_with_link(
        &self,
        token: &AnswerLinkText,
        response: Response,
        context: Caller,
    ) -> Result<Responded, Error> {
        let (request, link) = self.link(token).await?;
        let holder = self.holder_of_link(&link)?;
        let caller = context.with_identity_of(&holder).with_via(Via::Link);
        // The same answer once more is answered as the first time, also with a link that is used up.
        if request.recorded(&caller.actor(), &response).is_none() {
            hitl::check_link(&request, &link, self.ports.clock.now())?;
        }
        let response = Response { link: Some(link.id), ..response };
        self.respond(request.id, response, caller).await
    }
}

/// Returns the scope of a decision about a request: its project and its task.
pub(crate) fn scope_of(request: &HitlRequest) -> Scope {
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
    /// Returns the result of a response that was recorded before, as it was then. A rejection that halted
    /// its project is followed by that in the log.
    async fn responded_before(
        &self,
        id: HitlRequestId,
        caller: &Caller,
        response: &Response,
    ) -> Result<Responded, Error> {
        let request = self.existing_request(id).await?;
        let recorded = request.recorded(&caller.actor(), response);
        let audit = &self.ports.stores.audit;
        let filter = EntryFilter { request: Some(id), ..EntryFilter::default() };
        let entries = audit.entries(filter, MAX_ENTRIES).await?;
        let entry = match recorded {
            Some(Recorded::Vote(entry) | Recorded::Decision(Some(entry))) => {
                entries.iter().find(|one| one.id == entry)
            }
            _ => entries.iter().find(is_response),
        };
        if let (Some(Recorded::Vote(id)), Some(entry)) = (recorded, entry) {
            let needs = match EventPayload::of(entry) {
                Ok(EventPayload::HitlVoteCast(vote)) => vote.needs,
                _ => Needs::default(),
            };
            return Ok(Responded {
                needs,
                entry: Some(id),
                is_decided: false,
                workflow_resumed: false,
                project_halted: false,
                replayed: true,
                request,
            });
        }
        let (mut workflow_resumed, mut project_halted) = (entry.is_some_and(resumes), false);
        if entry.is_none() {
            workflow_resumed = request.status() != HitlStatus::Rejected;
        }
        if let Some(response) = entry.filter(|_| request.status() == HitlStatus::Rejected) {
            let next = audit.since(response.log(), response.seq, 1).await?;
            project_halted = next.first().is_some_and(|next| {
                next.event_type == EventType::ProjectHalted
                    && next.created_at == response.created_at
            });
        }
        let entry = entry.map(|entry| entry.id);
        let (needs, is_decided) = (Needs::default(), true);
        let replayed = true;
        Ok(Responded {
            request,
            entry,
            needs,
            is_decided,
            workflow_resumed,
            project_halted,
            replayed,
        })
    }

    async fn existing_request(&self, id: HitlRequestId) -> Result<Arc<HitlRequest>, Error> {
        let request = self.ports.stores.requests.request(id).await?;
        Ok(request.ok_or_else(|| DomainError::not_found("Request", id))?)
    }

    /// Returns the request and the link of a token.
    async fn link(&self, token: &AnswerLinkText) -> Result<(Arc<HitlRequest>, AnswerLink), Error> {
        let unknown = || DomainError::not_found("Link", "with this token");
        let request = self.ports.stores.requests.request(token.request()).await?;
        let request = request.ok_or_else(unknown)?;
        let link = hitl::link_of(&request, &token.digest()).cloned().ok_or_else(unknown)?;
        Ok((request, link))
    }

    /// Returns the person of a link as the caller, with its present rights.
    fn holder_of_link(&self, link: &AnswerLink) -> Result<Caller, DomainError> {
        let Some(roster) = self.roster() else {
            return Ok(Caller::named_in_link(&link.person.name));
        };
        let person = link.person.principal.and_then(|id| roster.person(id));
        person.map(|person| person.with_link(Some(link.id))).ok_or_else(|| DomainError::Gone {
            code: "link_person_gone",
            detail: format!("{} cannot sign in any more, so the link is void.", link.person.name),
        })
    }

    /// Returns the reason for which the person of a link may not answer any more; without that right, the
    /// person sees nothing either.
    async fn refusal_of_holder(
        &self,
        request: &HitlRequest,
        holder: &Caller,
    ) -> Result<Option<DomainError>, Error> {
        let project = self.existing_project(request.project_id).await?;
        let (settings, roster) = (&self.settings.defaults.gates, self.roster());
        let roster = roster.as_deref();
        let eligibility = Eligibility { request, project: &project, settings, roster };
        let place = Place::Project { id: project.id, creator: project.creator };
        let is_asked = holder.check(Permission::GateAnswer, place).is_ok()
            && eligibility.check_asked(holder).is_ok();
        Ok((!is_asked).then(|| DomainError::Gone {
            code: "link_person_not_eligible",
            detail: format!("{} may not answer the request any more.", holder.name()),
        }))
    }

    /// Returns the person who is to answer with a new link.
    fn person_of_link(&self, new: &NewLink, caller: &Caller) -> Result<Caller, DomainError> {
        let Some(roster) = self.roster() else {
            return Ok(Caller::named_in_link(new.person.as_deref().unwrap_or(caller.name())));
        };
        let person = match (&new.person, caller.principal()) {
            (Some(text), _) => roster.find(text),
            (None, Some(id)) => roster.person(id),
            (None, None) => None,
        };
        person.map(|person| person.with_link(None)).ok_or_else(|| {
            DomainError::invalid("person", "must be the name or the id of a person who can sign in")
        })
    }

    /// Checks that an answer has the form that its request asks for.
    fn check_response(&self, request: &HitlRequest, response: &Response) -> Result<(), Error> {
        let (Some(schema), Some(answer)) = (&request.response_schema, &response.response) else {
            return Ok(());
        };
        let mut errors = self.output_validator.errors_of(schema, answer);
        for error in &mut errors {
            error.pointer.insert_str(0, "/response");
        }
        if errors.is_empty() { Ok(()) } else { Err(DomainError::InvalidDocument(errors).into()) }
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
