//! Reading the logs.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::ids::EventId;
use crate::log::{Entry, EntryFilter, HeadMark, LogId};

/// Reads the logs; they are written through the [`super::Ledger`], with what they tell of.
///
/// An implementation
/// - MUST NOT offer a way to change or remove an entry;
/// - MUST answer [`AuditLog::since`] without a gap up to the last entry that was acknowledged;
/// - MUST return an entry so that its hash can be computed again.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AuditLog: Send + Sync + 'static {
    /// Entries that pass the filter, newest first: by position where a project is named, else by
    /// id, which is by time. At most `limit`.
    async fn entries(&self, filter: EntryFilter, limit: u32)
    -> Result<Vec<Arc<Entry>>, StoreError>;

    /// The entry, or `None`.
    async fn entry(&self, id: EventId) -> Result<Option<Arc<Entry>>, StoreError>;

    /// The entries of one log after position `after`, in order; at most `limit`.
    async fn since(
        &self,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<Entry>>, StoreError>;

    /// Where a log ends; `None` for a log nobody has written to.
    async fn head(&self, log: LogId) -> Result<Option<HeadMark>, StoreError>;
}
