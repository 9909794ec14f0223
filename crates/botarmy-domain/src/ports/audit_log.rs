//! Queries for the logs.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::ids::EventId;
use crate::log::{Entry, EntryFilter, HeadMark, LogId, LogSpan};
use crate::page::Page;
use crate::timestamp::Timestamp;

/// Reads the logs. Entries are written through the [`super::Ledger`], together with the changes
/// that they record.
///
/// An implementation
/// - MUST NOT offer a way to change or remove an entry;
/// - MUST return a span of [`AuditLog::spans`] for each log with an acknowledged entry of that time;
/// - MUST answer [`AuditLog::since`] without a gap up to the last entry that was acknowledged;
/// - MUST return an entry so that its hash can be computed again;
/// - MUST end a page with the entry with which it has [`crate::page::PART_BYTES`], and MUST NOT read
///   much more than that.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AuditLog: Send + Sync + 'static {
    /// Returns entries that pass the filter, newest first: by position if the filter names a
    /// project, otherwise by id, which is in order of time. At most `limit`.
    async fn entries(
        &self,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, StoreError>;

    /// Returns the entry, or `None`.
    async fn entry(&self, id: EventId) -> Result<Option<Arc<Entry>>, StoreError>;

    /// Returns the entries of one log after position `after`, in order; at most `limit`.
    async fn since(
        &self,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, StoreError>;

    /// Returns for each log the first and the last position of its entries of this time or later,
    /// to the millisecond, in the order of logs. Returns `None` if there are more than `limit` such
    /// entries in all.
    async fn spans(&self, from: Timestamp, limit: u32) -> Result<Option<Vec<LogSpan>>, StoreError>;

    /// Returns the end of a log, or `None` for a log without entries.
    async fn head(&self, log: LogId) -> Result<Option<HeadMark>, StoreError>;
}
