//! Events of a task.

use serde_json::Value;

use super::facts::TaskFacts;
use super::row::{Difference, Row};
use super::text::{Text, short};
use super::{Replay, at};
use crate::artifact::digest;
use crate::event::{EventPayload as E, TaskCreated, TaskRetryScheduled, TaskStarted};
use crate::handoff::Handoff;
use crate::hitl::Reply;
use crate::ids::{HitlRequestId, TaskId};
use crate::lease::Lease;
use crate::log::{Entry, LogId};
use crate::task::{Answer, RefusedResult, Task, TaskError, TaskState};
use crate::usage::Usage;
use crate::vocabulary::{HitlAction, TaskStatus};

impl Replay {
    pub(super) fn apply_to_task(&mut self, entry: &Entry, payload: E) {
        let Some(id) = entry.task_id else { return };
        match payload {
            E::HandoffCreated(created) => {
                return self.handed_off(entry, id, created.handoff, created.run);
            }
            E::TaskCreated(created) => return self.task_created(entry, id, created),
            _ => {}
        }
        let answered = self.answered.take().filter(|answered| answered.task_id == Some(id));
        let Some(task) = self.tasks.get_mut(&id) else { return };
        task.seq = entry.seq;
        match payload {
            E::TaskStarted(started) => task.start(entry, &started),
            E::TaskCompleted(completed) => {
                task.usage.add(&completed.usage);
                task.refused_result = None;
                task.state = comparable(TaskState::Completed {
                    at: at(entry),
                    output: Value::Object(completed.output),
                    artifacts: completed.artifacts,
                    result_digest: None,
                });
            }
            E::TaskFailed(failed) => {
                task.failures = failed.failures;
                task.usage = failed.usage;
                let error = TaskError { code: failed.code, message: failed.error };
                task.state = TaskState::Failed { at: at(entry), error: short(error) };
            }
            E::TaskRetryScheduled(scheduled) => {
                // A retry on request, because of the answer.
                if let Some(answered) = answered.filter(|_| scheduled.failures.is_none()) {
                    task.context_ids.extend(answered.feedback);
                    if let Some(text) = answered.content {
                        task.instructions.push_str("\n\n");
                        task.instructions.push_str(&text);
                    }
                }
                task.schedule_retry(scheduled);
            }
            // Without a status, the failure that follows states it.
            E::TaskLeaseExpired(expired) if expired.status.is_some() => task.requeue(entry),
            E::TaskResultRefused(refused) => {
                let count = task.refused_result.as_ref().map_or(0, |before| before.count) + 1;
                let (reason, at) = (short(refused.reason), at(entry));
                task.refused_result = Some(RefusedResult { reason, at, count });
            }
            E::TaskCancelled(cancelled) => {
                task.state = TaskState::Cancelled {
                    at: at(entry),
                    by: cancelled.cancelled_by,
                    reason: short(cancelled.reason),
                };
            }
            _ => {}
        }
    }

    fn handed_off(&mut self, entry: &Entry, id: TaskId, handoff: Handoff, run: u32) {
        if let Some(project) = &mut self.project
            && let Some(plan) = &mut project.plan
        {
            project.seq = entry.seq;
            plan.runs.insert(handoff.step.clone(), (id, run));
        }
        self.handoffs.insert(id, short(handoff));
    }

    fn task_created(&mut self, entry: &Entry, id: TaskId, created: TaskCreated) {
        let handoff = self.handoffs.remove(&id);
        let plan = self.project.as_ref().and_then(|project| project.plan.as_ref());
        let step = handoff.as_ref().and_then(|handoff| plan?.workflow.step(&handoff.step));
        let task = TaskFacts {
            seq: entry.seq,
            agent: created.agent_type,
            instructions: Text::of(created.instructions),
            context_ids: created.context_ids,
            priority: created.priority,
            max_attempts: created.max_attempts,
            attempt: 0,
            failures: 0,
            output_type: handoff.as_ref().and_then(|h| h.expected_outputs.first().copied()),
            timeout_s: step.and_then(|step| step.timeout_s),
            handoff,
            state: TaskState::Pending { last_error: None },
            answers: Vec::new(),
            usage: Usage::default(),
            refused_result: None,
            started_at: None,
            ready_at: at(entry),
            created_at: at(entry),
        };
        self.tasks.insert(id, task);
    }

    /// Makes a task wait for a request.
    pub(super) fn wait(&mut self, entry: &Entry, task: TaskId, request_id: HitlRequestId) {
        if let Some(task) = self.tasks.get_mut(&task) {
            task.seq = entry.seq;
            task.state = TaskState::WaitingForHitl { request_id };
        }
    }

    /// Has a cancelled task wait for its question again.
    pub(super) fn wait_again(&mut self, entry: &Entry, id: TaskId, request_id: HitlRequestId) {
        let cancelled = |task: &TaskFacts| task.status() == TaskStatus::Cancelled;
        if self.tasks.get(&id).is_some_and(cancelled) {
            self.wait(entry, id, request_id);
        }
    }

    /// Requeues the tasks that wait for a request.
    pub(super) fn requeue_waiting(&mut self, entry: &Entry, request: HitlRequestId) {
        for task in self.tasks.values_mut() {
            if matches!(task.state, TaskState::WaitingForHitl { request_id } if request_id == request)
            {
                task.seq = entry.seq;
                task.requeue(entry);
            }
        }
    }

    /// Requeues the task that asked, together with the answer.
    pub(super) fn answer_task(
        &mut self,
        entry: &Entry,
        task: TaskId,
        question_id: HitlRequestId,
        action: HitlAction,
        reply: &Reply,
    ) {
        let Some(task) = self.tasks.get_mut(&task) else { return };
        if !matches!(task.state, TaskState::WaitingForHitl { request_id } if request_id == question_id)
        {
            return;
        }
        let content = reply.amended_content.clone();
        task.answers.push(short(Answer {
            question_id,
            action,
            comment: reply.comment.clone(),
            content: content.or_else(|| reply.content.clone().map(Value::String)),
        }));
        task.seq = entry.seq;
        task.requeue(entry);
    }

    /// Ends an attempt that asked a question.
    pub(super) fn asked(&mut self, task: TaskId, usage: &Usage) {
        if let Some(task) = self.tasks.get_mut(&task) {
            task.refused_result = None;
            task.usage.add(usage);
        }
    }
}

impl TaskFacts {
    pub(super) const fn status(&self) -> TaskStatus {
        self.state.status()
    }

    fn requeue(&mut self, entry: &Entry) {
        self.state = TaskState::Pending { last_error: None };
        self.ready_at = at(entry);
    }

    fn start(&mut self, entry: &Entry, started: &TaskStarted) {
        self.attempt = started.attempt;
        self.refused_result = None;
        if let Some(ids) = &started.context_ids {
            // What was added to the task since its hand-off stays at the end.
            if let Some(handoff) = &mut self.handoff {
                let added = self.context_ids.len().saturating_sub(handoff.context_ids.len());
                handoff.context_ids = ids[..ids.len().saturating_sub(added)].to_vec();
            }
            self.context_ids.clone_from(ids);
        }
        self.started_at = Some(at(entry));
        self.state = TaskState::Working {
            lease: Lease {
                worker: started.worker.clone(),
                fence: started.attempt,
                started_at: at(entry),
                expires_at: at(entry),
                first_call_by: None,
            },
        };
    }

    fn schedule_retry(&mut self, scheduled: TaskRetryScheduled) {
        // A retry on request begins to count anew and keeps the usage.
        self.failures = scheduled.failures.unwrap_or(0);
        if let Some(usage) = scheduled.usage {
            self.usage = usage;
        }
        self.ready_at = scheduled.retry_at;
        self.state = TaskState::Pending { last_error: short(scheduled.error) };
    }

    pub(super) fn compare(&self, stored: &Task, log: LogId) -> Result<(), Box<Difference>> {
        let row = Row::new("tasks", stored.id, self.seq);
        row.compare("project_id", &log.project(), &Some(stored.project_id))?;
        row.compare_within("state", &self.state, &comparable(stored.state.clone()))?;
        row.compare("agent", &self.agent, &stored.agent)?;
        row.compare(
            "instructions",
            &self.instructions.short(),
            &short(stored.instructions.clone()),
        )?;
        row.compare("context_ids", &self.context_ids, &stored.context_ids)?;
        row.compare("priority", &self.priority, &stored.priority)?;
        row.compare("max_attempts", &self.max_attempts, &stored.max_attempts)?;
        row.compare("attempt", &self.attempt, &stored.attempt)?;
        row.compare("failures", &self.failures, &stored.failures)?;
        row.compare("handoff", &self.handoff, &short(stored.handoff.clone()))?;
        row.compare("output_type", &self.output_type, &stored.output_type)?;
        row.compare("timeout_s", &self.timeout_s, &stored.timeout_s)?;
        row.compare("answers", &self.answers, &short(stored.answers.clone()))?;
        row.compare("usage", &self.usage, &stored.usage)?;
        row.compare("refused_result", &self.refused_result, &short(stored.refused_result.clone()))?;
        row.compare("started_at", &self.started_at, &stored.started_at)?;
        row.compare("ready_at", &self.ready_at, &stored.ready_at)?;
        row.compare("created_at", &self.created_at, &stored.created_at)
    }
}

/// Returns the state with the digest of the output in its place, its texts in the short form, and
/// without the end of the lease, which heartbeats move and no event states.
pub(super) fn comparable(state: TaskState) -> TaskState {
    match state {
        TaskState::Completed { at, output, artifacts, .. } => {
            let output = Value::String(digest(&output));
            TaskState::Completed { at, output, artifacts, result_digest: None }
        }
        TaskState::Working { mut lease } => {
            lease.expires_at = lease.started_at;
            lease.first_call_by = None;
            TaskState::Working { lease }
        }
        other => short(other),
    }
}
