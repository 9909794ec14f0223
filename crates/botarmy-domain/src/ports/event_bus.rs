//! News for whoever watches.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::ids::{ProjectId, TaskId};
use crate::log::Entry;
use crate::timestamp::Timestamp;
use crate::vocabulary::AgentType;

/// Something worth telling.
#[derive(Debug, Clone)]
pub enum BusMessage {
    /// An entry was committed.
    Entry(Arc<Entry>),
    /// A task says how it is getting on. Not in the log.
    Progress(Arc<TaskProgress>),
    /// Some news were lost on the way: read the log.
    Lagged,
}

/// How a task is getting on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskProgress {
    /// The project.
    pub project_id: ProjectId,
    /// The task.
    pub task_id: TaskId,
    /// Who works on it.
    pub agent_type: AgentType,
    /// A line for people.
    pub message: String,
    /// 0 to 100, where it is known.
    pub percent: Option<u8>,
    /// When.
    pub at: Timestamp,
}

/// Carries news to everybody who subscribed. The bus carries news, the log carries truth: news
/// may come late, out of order or not at all.
///
/// An implementation
/// - MUST NOT make the publisher wait for a slow subscriber;
/// - MUST hold a bounded number of news for each subscriber, and say [`BusMessage::Lagged`] when it had to
///   drop some.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EventBus: Send + Sync + 'static {
    /// Tells everybody.
    ///
    /// # Errors
    /// When the news did not leave; whoever needs them will find them in the log.
    async fn publish(&self, news: Vec<BusMessage>) -> Result<(), StoreError>;

    /// Hears everything that is published from now on.
    ///
    /// # Errors
    /// When the bus is away.
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError>;
}

/// One ear on the bus.
#[async_trait]
pub trait Subscription: Send + 'static {
    /// The next news; `None` when the bus is gone for good.
    async fn next(&mut self) -> Option<BusMessage>;
}
