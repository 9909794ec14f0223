//! Submitting, cancelling and retrying tasks.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::decide::tasks;
use botarmy_domain::ports::Tasks;
use botarmy_domain::{
    Caller, ContextId, Error, NewTask, ObjectId, Permission, Scope, Task, TaskId,
};

use super::written;
use crate::engine::Engine;

#[async_trait]
impl Tasks for Engine {
    async fn submit_task(&self, new: NewTask, caller: Caller) -> Result<Arc<Task>, Error> {
        self.check_project(&caller, Permission::ProjectRun, new.project_id).await?;
        let scope = Scope::project(new.project_id);
        let scope = self.with_seen(scope, &caller, &new.context_ids, None).await?;
        let context = self.context(caller);
        let id = context.fork(1).id_generator().task();
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
    /// Adds these artifacts and this task to a scope, without those that the caller does not see. The
    /// decision refuses them like objects that do not exist.
    pub(super) async fn with_seen(
        &self,
        mut scope: Scope,
        caller: &Caller,
        artifacts: &[ContextId],
        task: Option<TaskId>,
    ) -> Result<Scope, Error> {
        let named = artifacts.iter().copied().map(ObjectId::Artifact);
        let named = named.chain(task.map(ObjectId::Task));
        let seen = self.seen(caller, Permission::ProjectRun, named).await?;
        let is_seen = |id: &&ContextId| seen.contains(&ObjectId::Artifact(**id));
        scope.artifacts.extend(artifacts.iter().filter(is_seen));
        scope.tasks.extend(task.filter(|id| seen.contains(&ObjectId::Task(*id))));
        Ok(scope)
    }

    /// Returns the scope of a decision about a task: its project, and everything open there.
    async fn scope_of_task(&self, caller: &Caller, id: TaskId) -> Result<Scope, Error> {
        let task = self.task_for(caller, id, Permission::ProjectRun).await?;
        Ok(Scope::project(task.project_id).task(id).everything_open())
    }
}
