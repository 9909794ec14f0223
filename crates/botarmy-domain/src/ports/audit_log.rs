//! Queries for the logs.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::ids::EventId;
use crate::log::{Entry, EntryFilter, HeadMark, LogId};

/// Size of the data of the entries after which [`AuditLog::since`] ends a list, in bytes. So a
/// reader holds this much and one entry, however large the entries of a log are.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// Reads the logs. Entries are written through the [`super::Ledger`], together with the changes
/// that they record.
///
/// An implementation
/// - MUST NOT offer a way to change or remove an entry;
/// - MUST answer [`AuditLog::since`] without a gap up to the last entry that was acknowledged;
/// - MUST return an entry so that its hash can be computed again.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AuditLog: Send + Sync + 'static {
    /// Returns entries that pass the filter, newest first: by position if the filter names a
    /// project, otherwise by id, which is in order of time. At most `limit`.
    async fn entries(&self, filter: EntryFilter, limit: u32)
    -> Result<Vec<Arc<Entry>>, StoreError>;

    /// Returns the entry, or `None`.
    async fn entry(&self, id: EventId) -> Result<Option<Arc<Entry>>, StoreError>;

    /// Returns the entries of one log after position `after`, in order; at most `limit`, and fewer
    /// if they are large: an implementation MUST end the list with the entry with which their data
    /// reach [`PAGE_BYTES`], and MUST NOT return an empty list where there is an entry.
    async fn since(
        &self,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Arc<Entry>>, StoreError>;

    /// Returns the end of a log, or `None` for a log without entries.
    async fn head(&self, log: LogId) -> Result<Option<HeadMark>, StoreError>;
}
