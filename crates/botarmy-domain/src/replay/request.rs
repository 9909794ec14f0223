//! Events of a request to people.

use serde_json::json;

use super::facts::{Answered, RequestFacts};
use super::row::{Difference, Row};
use super::text::short;
use super::{Replay, at};
use crate::budget::BudgetQuestion;
use crate::event::{
    BudgetExhausted, EventPayload as E, HitlRequestCreated, HitlResponse, HitlTimeout,
    RequestOpened, SubjectChanged,
};
use crate::hitl::{HistoryEntry, HitlRequest, HitlState, REOPENED, Reply};
use crate::ids::HitlRequestId;
use crate::log::{Entry, LogId};
use crate::vocabulary::{HitlAction, HitlKind, HitlStatus};

impl Replay {
    pub(super) fn apply_to_request(&mut self, entry: &Entry, payload: E) {
        match payload {
            E::HitlRequestCreated(HitlRequestCreated::Opened(opened)) => {
                self.request_opened(entry, opened);
            }
            E::HitlRequestCreated(HitlRequestCreated::SubjectChanged(changed)) => {
                self.subject_changed(entry, changed);
            }
            E::HitlResponse(response) => self.responded(entry, response),
            E::HitlTimeout(timeout) => self.timed_out(entry, &timeout),
            E::HitlCancelled(cancelled) => {
                let Some(request) = self.requests.get_mut(&cancelled.hitl_request_id) else {
                    return;
                };
                request.seq = entry.seq;
                let reason = cancelled.reason;
                request.history.push(history(entry, "cancel", None, Some(reason.clone())));
                request.state = HitlState::Cancelled { at: at(entry), reason: short(reason) };
                if request.budget.is_some() {
                    self.requeue_waiting(entry, cancelled.hitl_request_id);
                }
            }
            E::BudgetExhausted(exhausted) => self.exhausted(entry, &exhausted),
            _ => {}
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
        let request = RequestFacts {
            seq: entry.seq,
            task_id: entry.task_id,
            step: opened.step,
            agent: opened.agent_type,
            kind: opened.kind,
            question: short(opened.question),
            options: short(opened.options),
            subject: opened.subject,
            budget: None,
            state: HitlState::Pending,
            history: asked,
            expires_at: opened.expires_at,
            created_at: at(entry),
        };
        self.requests.insert(id, request);
    }

    /// Returns the history of a request.
    fn history_of(&self, id: HitlRequestId) -> Vec<HistoryEntry> {
        self.requests.get(&id).map(|request| request.history.clone()).unwrap_or_default()
    }

    /// Returns the reason for which the project was reopened last.
    fn reopened_for(&self) -> Option<String> {
        self.project.as_ref().and_then(|project| project.reopened_for.clone())
    }

    /// Returns whether the project has a workflow.
    fn has_workflow(&self) -> bool {
        self.project.as_ref().is_some_and(|project| project.plan.is_some())
    }

    fn subject_changed(&mut self, entry: &Entry, changed: SubjectChanged) {
        let Some(request) = self.requests.get_mut(&changed.hitl_request_id) else { return };
        request.seq = entry.seq;
        request.question = short(changed.question);
        request.subject = changed.subject;
        request.expires_at = changed.expires_at;
        request.history.push(history(entry, "subject_changed", None, None));
    }

    fn exhausted(&mut self, entry: &Entry, exhausted: &BudgetExhausted) {
        let id = exhausted.hitl_request_id;
        if let Some(task) = entry.task_id {
            self.wait(entry, task, id);
        }
        // Further tasks wait for the request that the first of them opened.
        if let Some(request) = self.requests.get_mut(&id) {
            request.budget.get_or_insert(BudgetQuestion {
                account: exhausted.account,
                limit: exhausted.limit,
                needs: exhausted.needs,
            });
        }
    }

    fn responded(&mut self, entry: &Entry, response: HitlResponse) {
        let id = response.hitl_request_id;
        let Some(request) = self.requests.get_mut(&id) else { return };
        let reply = Reply {
            by: entry.actor().to_owned(),
            at: at(entry),
            content: response.user_response,
            comment: response.response_comment,
            amended_content: response.amended_content,
        };
        let action = response.action;
        let content = reply.content.as_deref();
        let comment = reply.comment.clone();
        request.seq = entry.seq;
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
        let Some(request) = self.requests.get_mut(&id) else { return };
        let comment = Some(timeout.comment.clone());
        let (action, state) = match timeout.status {
            HitlStatus::Approved => {
                let reply = Reply {
                    by: entry.actor().to_owned(),
                    at: at(entry),
                    content: None,
                    comment: comment.clone(),
                    amended_content: None,
                };
                ("approve", HitlState::Approved(reply))
            }
            HitlStatus::Pending => ("extend", HitlState::Pending),
            _ => ("expire", HitlState::Expired { at: at(entry) }),
        };
        request.seq = entry.seq;
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
            let reply = Reply {
                by: entry.actor().to_owned(),
                at: at(entry),
                content: None,
                comment: Some("nobody answered in time".to_owned()),
                amended_content: None,
            };
            self.answer_task(entry, task, id, HitlAction::Reject, &reply);
        }
    }
}

impl RequestFacts {
    pub(super) const fn status(&self) -> HitlStatus {
        self.state.status()
    }

    pub(super) fn compare(&self, stored: &HitlRequest, log: LogId) -> Result<(), Box<Difference>> {
        let row = Row::new("hitl_requests", stored.id, self.seq);
        row.compare("project_id", &log.project(), &Some(stored.project_id))?;
        row.compare_within("state", &self.state, &short(stored.state.clone()))?;
        row.compare("task_id", &self.task_id, &stored.task_id)?;
        row.compare("step", &self.step, &stored.step)?;
        row.compare("agent", &self.agent, &stored.agent)?;
        row.compare("kind", &self.kind, &stored.kind)?;
        row.compare("question", &self.question, &short(stored.question.clone()))?;
        row.compare("options", &self.options, &short(stored.options.clone()))?;
        row.compare_within("subject", &self.subject, &stored.subject)?;
        row.compare("budget", &self.budget, &stored.budget)?;
        row.compare("history", &self.history, &short(stored.history.clone()))?;
        row.compare("expires_at", &self.expires_at, &stored.expires_at)?;
        row.compare("created_at", &self.created_at, &stored.created_at)
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
