//! Submitting, cancelling and retrying tasks.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::decide::tasks;
use botarmy_domain::ports::Tasks;
use botarmy_domain::{Caller, DomainError, Error, NewTask, Permission, Scope, Task, TaskId};

use super::written;
use crate::engine::Engine;

#[async_trait]
impl Tasks for Engine {
    async fn submit_task(&self, new: NewTask, caller: Caller) -> Result<Arc<Task>, Error> {
        let context = self.context(caller);
        let id = context.fork(1).id_generator().task();
        let scope = Scope::project(new.project_id).artifacts(&new.context_ids);
        let submit = move |context: &_, snapshot: &_| tasks::submit(context, snapshot, id, &new);
        written(self.commit_call(context, scope, submit, move |done| done.task(id).cloned()).await?)
    }

    async fn cancel_task(&self, id: TaskId, caller: Caller) -> Result<Arc<Task>, Error> {
        let scope = self.scope_of_task(&caller, id).await?;
        let context = self.context(caller);
        let cancel = move |context: &_, snapshot: &_| tasks::cancel(context, snapshot, id);
        written(self.commit_call(context, scope, cancel, move |done| done.task(id).cloned()).await?)
    }

    async fn retry_task(&self, id: TaskId, caller: Caller) -> Result<Arc<Task>, Error> {
        let scope = self.scope_of_task(&caller, id).await?;
        let context = self.context(caller);
        let retry = move |context: &_, snapshot: &_| tasks::retry(context, snapshot, id);
        written(self.commit_call(context, scope, retry, move |done| done.task(id).cloned()).await?)
    }
}

impl Engine {
    /// Returns the scope of a decision about a task: its project, and everything open there.
    async fn scope_of_task(&self, caller: &Caller, id: TaskId) -> Result<Scope, Error> {
        let task = self.ports.stores.tasks.task(id).await?;
        let project = task.as_ref().map(|task| task.project_id);
        let permission = Permission::ProjectRun;
        self.check_seen_object(caller, project, permission, "Task", id).await?;
        let task = task.ok_or_else(|| DomainError::not_found("Task", id))?;
        Ok(Scope::project(task.project_id).task(id).everything_open())
    }
}
