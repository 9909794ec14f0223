//! Raising requests and recording the responses.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::decide::hitl;
use botarmy_domain::ports::Gates;
use botarmy_domain::{
    BudgetAccount, Caller, DomainError, Error, HitlAction, HitlRequest, HitlRequestId, NewRequest,
    Responded, Response, Scope,
};

use super::written;
use crate::engine::Engine;

#[async_trait]
impl Gates for Engine {
    async fn raise_request(
        &self,
        new: NewRequest,
        caller: Caller,
    ) -> Result<Arc<HitlRequest>, Error> {
        let context = self.context(caller);
        let id = context.fork(1).id_generator().request();
        let mut scope = Scope::project(new.project_id).artifacts(&new.artifacts);
        scope.tasks.extend(new.task_id);
        let raise = move |context: &_, snapshot: &_| hitl::raise(context, snapshot, id, &new);
        written(self.commit(context, scope, raise).await?.request(id))
    }

    async fn respond(
        &self,
        id: HitlRequestId,
        response: Response,
        caller: Caller,
    ) -> Result<Responded, Error> {
        let mut scope = self.scope_of_request(id).await?;
        let workflow_resumed = response.action != HitlAction::Reject;
        if !workflow_resumed {
            scope = scope.everything_open();
        }
        let respond =
            move |context: &_, snapshot: &_| hitl::respond(context, snapshot, id, &response);
        let committed = self.commit(self.context(caller), scope, respond).await?;
        Ok(Responded { request: written(committed.request(id))?, workflow_resumed })
    }
}

impl Engine {
    /// Returns the scope of a decision about a request: its project and its task.
    pub(crate) async fn scope_of_request(&self, id: HitlRequestId) -> Result<Scope, Error> {
        let request = self.ports.stores.requests.request(id).await?;
        let request = request.ok_or_else(|| DomainError::not_found("Request", id))?;
        let mut scope = Scope::project(request.project_id).request(id);
        scope.tasks.extend(request.task_id);
        if let Some(question) = &request.budget {
            // Other tasks may wait for the same budget, and go on with the same answer.
            scope = scope.everything_open().record::<BudgetAccount>(question.account);
        }
        Ok(scope)
    }
}
