//! The ledger port: every change goes through the queue of the writer.

use async_trait::async_trait;
use botarmy_domain::ports::{Decide, Ledger};
use botarmy_domain::{Claim, Committed, CredentialId, Error, Scope, StoreError, TaskId, Timestamp};
use tokio::sync::oneshot;

use crate::error::closed;
use crate::store::SqliteStore;
use crate::writer::{Extension, Job};

#[async_trait]
impl Ledger for SqliteStore {
    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error> {
        let (caller, answer) = oneshot::channel();
        self.enqueue(Job::Transact(scope, decide, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed().into()))
    }

    async fn claim(&self, claim: Claim) -> Result<Committed, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.enqueue(Job::Claim(claim, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn extend(&self, task: TaskId, fence: u32, until: Timestamp) -> Result<bool, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.enqueue(Job::Extend(Extension { task, fence, until }, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn note_key_use(&self, key: CredentialId, at: Timestamp) -> Result<(), StoreError> {
        let (caller, answer) = oneshot::channel();
        self.enqueue(Job::NoteKeyUse(key, at, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn forget_replies(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.enqueue(Job::Forget(now, limit, caller)).await?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }
}
