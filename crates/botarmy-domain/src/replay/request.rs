//! Events of a request to people.

use serde_json::json;

use super::facts::{Answered, RequestFacts};
use super::row::{Difference, Row};
use super::text::short;
use super::{Replay, at};
use crate::actor::Actor;
use crate::budget::BudgetQuestion;
use crate::event::{
    BudgetExhausted, EventPayload as E, HitlRequestCreated, HitlResponse, HitlTimeout,
    HitlVoteCast, RequestOpened,
};
use crate::hitl::{
    Delegate, GateClaim, GateComment, HistoryEntry, HitlRequest, HitlState, REOPENED, Reply,
    SUBJECT_CHANGED, Schedule, Vote,
};
use crate::ids::{HitlRequestId, ProjectId};
use crate::log::{Entry, LogId};
use crate::timestamp::Timestamp;
use crate::vocabulary::{HitlAction, HitlKind, HitlStatus};

impl Replay {
    pub(super) fn apply_to_request(&mut self, entry: &Entry, payload: E) {
        match payload {
            E::HitlRequestCreated(HitlRequestCreated::Opened(opened)) => {
                self.request_opened(entry, opened);
            }
            E::HitlResponse(response) => self.responded(entry, response),
            E::HitlTimeout(timeout) => self.timed_out(entry, &timeout),
            E::HitlCancelled(cancelled) => {
                let Some(request) = self.changed(entry, cancelled.hitl_request_id) else { return };
                let reason = cancelled.reason;
                request.history.push(history(entry, "cancel", None, Some(reason.clone())));
                request.state = HitlState::Cancelled { at: at(entry), reason: short(reason) };
                if request.budget.is_some() {
                    self.requeue_waiting(entry, cancelled.hitl_request_id);
                }
            }
            E::BudgetExhausted(exhausted) => self.exhausted(entry, &exhausted),
            payload => {
                let id = entry.hitl_request_id;
                if let Some(request) = id.and_then(|id| self.changed(entry, id)) {
                    change(request, entry, payload);
                }
            }
        }
    }

    /// Returns a request that this entry changes.
    fn changed(&mut self, entry: &Entry, id: HitlRequestId) -> Option<&mut HitlRequest> {
        let facts = self.requests.get_mut(&id)?;
        facts.seq = entry.seq;
        Some(&mut facts.request)
    }

    /// Stops or starts the clocks of all pending requests.
    pub(super) fn change_clocks(&mut self, entry: &Entry, change: fn(&mut HitlRequest, Timestamp)) {
        for facts in self.requests.values_mut() {
            if facts.status() == HitlStatus::Pending {
                facts.seq = entry.seq;
                change(&mut facts.request, at(entry));
            }
        }
    }

    fn request_opened(&mut self, entry: &Entry, opened: RequestOpened) {
        let id = opened.hitl_request_id;
        // Only the question of an attempt has a usage; the attempt's task waits for the answer.
        if let (Some(usage), Some(task)) = (&opened.usage, entry.task_id) {
            self.asked(task, usage);
            self.wait(entry, task, id);
        }
        let mut asked = vec![history(entry, "created", None, None)];
        if let Some(before) = opened.previous_request_id {
            asked = self.history_of(before);
            asked.push(history(entry, REOPENED, None, self.reopened_for()));
            if let (HitlKind::Question, Some(task)) = (opened.kind, entry.task_id) {
                self.wait_again(entry, task, id);
            }
        }
        let mut schedule = Schedule::default();
        if opened.clock_stopped {
            schedule.paused_at = Some(at(entry));
        }
        let project = entry.project_id.unwrap_or_else(|| ProjectId::from_uuid(uuid::Uuid::nil()));
        let request = HitlRequest {
            task_id: entry.task_id,
            step: opened.step,
            agent: opened.agent_type,
            options: opened.options,
            replaces: opened.replaces,
            previous_request_id: opened.previous_request_id,
            policy: opened.policy,
            planned: opened.planned,
            response_schema: opened.response_schema,
            round: opened.round.unwrap_or(1),
            assignees: opened.assignees,
            delegates: opened.delegates,
            schedule,
            history: asked,
            expires_at: opened.expires_at,
            ..HitlRequest::new(
                (id, project),
                opened.kind,
                opened.question,
                opened.subject,
                (at(entry), 0),
            )
        };
        self.requests.insert(id, RequestFacts { seq: entry.seq, request: short(request) });
    }

    /// Returns the history of a request.
    fn history_of(&self, id: HitlRequestId) -> Vec<HistoryEntry> {
        self.requests.get(&id).map(|facts| facts.request.history.clone()).unwrap_or_default()
    }

    /// Returns the reason for which the project was reopened last.
    fn reopened_for(&self) -> Option<String> {
        self.project.as_ref().and_then(|project| project.reopened_for.clone())
    }

    /// Returns whether the project has a workflow.
    fn has_workflow(&self) -> bool {
        self.project.as_ref().is_some_and(|project| project.plan.is_some())
    }

    fn exhausted(&mut self, entry: &Entry, exhausted: &BudgetExhausted) {
        let id = exhausted.hitl_request_id;
        if let Some(task) = entry.task_id {
            self.wait(entry, task, id);
        }
        // Further tasks wait for the request that the first of them opened.
        if let Some(facts) = self.requests.get_mut(&id) {
            facts.request.budget.get_or_insert(BudgetQuestion {
                account: exhausted.account,
                limit: exhausted.limit,
                needs: exhausted.needs,
            });
        }
    }

    fn responded(&mut self, entry: &Entry, response: HitlResponse) {
        let id = response.hitl_request_id;
        let Some(request) = self.changed(entry, id) else { return };
        // Older versions kept neither votes nor the entry.
        let is_vote = response.policy_digest.is_some();
        let reply = Reply {
            by: entry.actor().to_owned(),
            principal: entry.principal().filter(|_| is_vote),
            entry: is_vote.then_some(entry.id),
            at: at(entry),
            content: response.user_response,
            comment: response.response_comment,
            amended_content: response.amended_content,
            response: response.response,
        };
        let action = response.action;
        if let (HitlAction::Approve | HitlAction::Reject, Some(policy_digest), Some(auth)) =
            (action, response.policy_digest, response.auth)
        {
            let vote = Vote {
                entry: entry.id,
                voter: party(entry),
                on_behalf_of: response.on_behalf_of,
                action,
                groups: response.groups,
                auth,
                via: response.via,
                subject_digest: response.subject_digest,
                policy_digest,
                content: reply.content.clone(),
                comment: reply.comment.clone(),
                at: at(entry),
            };
            cast(request, vote);
        }
        use_link(request, entry, response.link_id);
        request.claim = None;
        let content = reply.content.as_deref();
        let comment = reply.comment.clone();
        request.history.push(history(entry, action.as_str(), content, comment));
        request.state = action.decides(short(reply.clone()));
        let (task_id, kind, is_budget) = (request.task_id, request.kind, request.budget.is_some());
        if action == HitlAction::Reject {
            // In a workflow it halts the project.
            let goes_on = !is_budget && !self.has_workflow();
            if let (true, HitlKind::Question, Some(task)) = (goes_on, kind, task_id) {
                self.answer_task(entry, task, id, action, &reply);
            }
            return;
        }
        if is_budget {
            self.requeue_waiting(entry, id);
        } else if let (HitlKind::Question, Some(task)) = (kind, task_id) {
            self.answer_task(entry, task, id, action, &reply);
        } else {
            let (seq, content) = (entry.seq, reply.content);
            self.answered = Some(Answered { seq, task_id, content, feedback: None });
        }
    }

    fn timed_out(&mut self, entry: &Entry, timeout: &HitlTimeout) {
        let id = timeout.hitl_request_id;
        let Some(request) = self.changed(entry, id) else { return };
        let comment = Some(timeout.comment.clone());
        let (action, state) = match timeout.status {
            HitlStatus::Approved => {
                let reply = unanswered(entry, comment.clone());
                ("approve", HitlState::Approved(reply))
            }
            HitlStatus::Pending => {
                request.schedule.answer_by.get_or_insert(timeout.expired_at);
                ("extend", HitlState::Pending)
            }
            _ => ("expire", HitlState::Expired { at: at(entry) }),
        };
        request.state = state;
        request.expires_at = timeout.expires_at;
        request.history.push(history(entry, action, None, comment));
        let (task_id, kind, status) = (request.task_id, request.kind, request.status());
        let is_budget = request.budget.is_some();
        if is_budget && status != HitlStatus::Pending {
            self.requeue_waiting(entry, id);
        } else if let (HitlStatus::Expired, HitlKind::Question, Some(task)) =
            (status, kind, task_id)
            && !self.has_workflow()
        {
            let reply = unanswered(entry, Some("nobody answered in time".to_owned()));
            self.answer_task(entry, task, id, HitlAction::Reject, &reply);
        }
    }
}

/// Applies an entry that changes nothing but its request.
fn change(request: &mut HitlRequest, entry: &Entry, payload: E) {
    match payload {
        E::HitlRequestCreated(HitlRequestCreated::SubjectChanged(changed)) => {
            request.question = short(changed.question);
            request.subject = changed.subject;
            request.expires_at = changed.expires_at;
            request.history.push(history(entry, SUBJECT_CHANGED, None, None));
        }
        E::HitlSubjectChanged(changed) => {
            use_link(request, entry, changed.link_id);
            request.subject = changed.subject;
            request.votes.clear();
            request.claim = None;
            request.history.push(history(entry, SUBJECT_CHANGED, None, None));
        }
        E::HitlVoteCast(vote) => voted(request, entry, vote),
        E::HitlVoteWithdrawn(_) => {
            let own = party(entry);
            request.votes.retain(|vote| !vote.voter.is_same(&own));
            request.history.push(history(entry, "withdraw", None, None));
        }
        E::HitlClaimed(claimed) => {
            request.claim = Some(GateClaim { by: party(entry), until: claimed.until });
        }
        E::HitlUnclaimed(_) => request.claim = None,
        E::HitlDelegated(delegated) => {
            let (of, to) = (delegated.of, delegated.to);
            request.delegates.push(Delegate { of, to, at: at(entry) });
            let by = party(entry);
            request.claim = request.claim.take().filter(|claim| !claim.by.is_same(&by));
        }
        E::HitlCommented(commented) => request.comments.push(short(GateComment {
            id: entry.id,
            by: party(entry),
            at: at(entry),
            text: commented.text,
            reply_to: commented.reply_to,
        })),
        E::HitlReminded(reminded) => {
            if !reminded.by_hand {
                request.schedule.reminded += reminded.skipped + 1;
            }
            request.schedule.reminded_at = Some(at(entry));
        }
        E::HitlEscalated(escalated) => {
            request.schedule.escalated = escalated.level;
            request.schedule.remind_from = Some(request.clock(at(entry)));
            request.schedule.reminded = 0;
            request.expires_at = escalated.expires_at;
            for selector in escalated.to {
                if !request.escalated_to.contains(&selector) {
                    request.escalated_to.push(selector);
                }
            }
            request.delegates.extend(escalated.delegates);
            request.unsatisfiable = escalated.unsatisfiable;
            request.history.push(history(entry, "escalate", None, None));
        }
        E::HitlExtended(extended) => {
            request.schedule.extended += 1;
            request.expires_at = extended.expires_at;
            if request.schedule.answer_by.is_some() {
                request.schedule.answer_by = Some(extended.expires_at);
            }
            request.history.push(history(entry, "extend", None, extended.comment));
        }
        E::HitlUnsatisfiable(changed) => request.unsatisfiable = changed.unsatisfiable,
        E::HitlLinkIssued(issued) => {
            request.add_link(issued.link);
        }
        E::HitlLinkRevoked(revoked) => {
            for link in request.links.iter_mut().filter(|link| link.id == revoked.link_id) {
                link.revoked_at = Some(at(entry));
            }
        }
        _ => {}
    }
}

fn voted(request: &mut HitlRequest, entry: &Entry, vote: HitlVoteCast) {
    let content = vote.user_response.as_deref();
    let comment = vote.response_comment.clone();
    request.history.push(history(entry, vote.action.as_str(), content, comment));
    request.claim = None;
    use_link(request, entry, vote.link_id);
    let vote = Vote {
        entry: entry.id,
        voter: party(entry),
        on_behalf_of: vote.on_behalf_of,
        action: vote.action,
        groups: vote.groups,
        auth: vote.auth,
        via: vote.via,
        subject_digest: vote.subject_digest,
        policy_digest: vote.policy_digest,
        content: vote.user_response,
        comment: vote.response_comment,
        at: at(entry),
    };
    cast(request, vote);
}

fn cast(request: &mut HitlRequest, vote: Vote) {
    let is_other =
        |other: &Vote| !other.voter.is_same(&vote.voter) && !other.place().is_same(vote.place());
    request.votes.retain(is_other);
    request.votes.push(short(vote));
}

fn use_link(request: &mut HitlRequest, entry: &Entry, id: Option<crate::ids::CredentialId>) {
    for link in request.links.iter_mut().filter(|link| Some(link.id) == id) {
        link.used_at = Some(at(entry));
    }
}

/// Returns the party that caused an entry.
fn party(entry: &Entry) -> Actor {
    Actor { name: entry.actor().to_owned(), principal: entry.principal() }
}

/// Returns the reply of the timers in the place of a person.
fn unanswered(entry: &Entry, comment: Option<String>) -> Reply {
    Reply { comment, ..Reply::new(entry.actor(), at(entry)) }
}

impl RequestFacts {
    pub(super) const fn status(&self) -> HitlStatus {
        self.request.status()
    }

    pub(super) fn compare(&self, stored: &HitlRequest, log: LogId) -> Result<(), Box<Difference>> {
        let row = Row::new("hitl_requests", stored.id, self.seq);
        row.compare("project_id", &log.project(), &Some(stored.project_id))?;
        let (mut expected, stored) = (self.request.clone(), short(stored.clone()));
        row.compare_within("state", &expected.state, &stored.state)?;
        row.compare_within("subject", &expected.subject, &stored.subject)?;
        // No event states these, and none stated the replacement once.
        expected.project_id = stored.project_id;
        expected.on_expiry = stored.on_expiry;
        expected.ttl_s = stored.ttl_s;
        expected.updated_at = stored.updated_at;
        expected.replaces = stored.replaces;
        row.compare_members(&expected, &stored)
    }
}

fn history(
    entry: &Entry,
    action: &str,
    content: Option<&str>,
    comment: Option<String>,
) -> HistoryEntry {
    short(HistoryEntry {
        timestamp: at(entry),
        action: action.to_owned(),
        user_id: entry.actor().to_owned(),
        principal: entry.principal(),
        content: content.map(|content| json!({ "user_content": content })),
        comment,
    })
}
