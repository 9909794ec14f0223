//! The ledger port: every change goes through the commit worker of its log.

use async_trait::async_trait;
use botarmy_domain::ports::{Decide, Ledger};
use botarmy_domain::{Claim, Committed, CredentialId, Error, Scope, StoreError, TaskId, Timestamp};
use tokio::sync::oneshot;

use crate::claims::{Extension, Request};
use crate::job::{Job, Message};
use crate::store::{PostgresStore, closed};

#[async_trait]
impl Ledger for PostgresStore {
    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error> {
        let (caller, answer) = oneshot::channel();
        let log = scope.log;
        self.enqueue(log, Message::Decide(Job::new(scope, decide, caller))).await?;
        answer.await.unwrap_or_else(|_| Err(closed().into()))
    }

    async fn claim(&self, claim: Claim) -> Result<Committed, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.request(Request::Claim(Box::new(claim), caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn extend(&self, task: TaskId, fence: u32, until: Timestamp) -> Result<bool, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.request(Request::Extend(Extension { task, fence, until }, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn note_key_use(&self, key: CredentialId, at: Timestamp) -> Result<(), StoreError> {
        let (caller, answer) = oneshot::channel();
        self.request(Request::NoteKeyUse(key, at, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn forget_replies(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.request(Request::Forget(now, limit, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}
