//! The driving port for reading the logs: all that the live streams need of it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::caller::Caller;
use crate::error::Error;
use crate::ids::{EventId, ProjectId, TaskId};
use crate::log::{Entry, EntryFilter, HeadMark, Line, LogId, LogSpan, Verification};
use crate::page::Page;
use crate::replay::StateVerification;
use crate::timestamp::Timestamp;

/// Reads logs on behalf of a caller, which sees those of the projects that it may read.
///
/// An implementation
/// - MUST include everything that was acknowledged before the call;
/// - MUST NOT leave out an entry between two that it returns of one log;
/// - MUST end a page with the entry with which it has [`crate::page::PART_BYTES`];
/// - MUST NOT change anything.
///
/// # Errors
/// A refusal, or the error of the store.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait LogQueries: Send + Sync + 'static {
    /// Returns whether the project exists.
    async fn project_exists(&self, caller: &Caller, id: ProjectId) -> Result<bool, Error>;

    /// Returns the end of a log, or `None` for a log without entries. Every project has a log
    /// with entries.
    async fn log_head(&self, caller: &Caller, log: LogId) -> Result<Option<HeadMark>, Error>;

    /// Returns the entries of one log after the position `after`, in order; at most `limit`, and
    /// only so many that they have about [`crate::page::PART_BYTES`].
    async fn log_entries(
        &self,
        caller: &Caller,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error>;

    /// Returns for each log the first and the last position of its entries of this time or later, to
    /// the millisecond. Returns `None` if there are more than `limit` such entries in all. A caller
    /// that does not see every log is refused.
    async fn log_spans(
        &self,
        caller: &Caller,
        from: Timestamp,
        limit: u32,
    ) -> Result<Option<Vec<LogSpan>>, Error>;

    /// Returns the entry.
    async fn entry(&self, caller: &Caller, id: EventId) -> Result<Arc<Entry>, Error>;

    /// Returns entries of all logs that pass the filter, newest first.
    async fn entries(
        &self,
        caller: &Caller,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error>;

    /// Returns entries of a project that pass the filter, newest first. A project that does not
    /// exist is refused.
    async fn project_entries(
        &self,
        caller: &Caller,
        id: ProjectId,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error>;

    /// Returns entries about a task that pass the filter, newest first. A task that does not exist
    /// is refused.
    async fn task_entries(
        &self,
        caller: &Caller,
        id: TaskId,
        filter: EntryFilter,
        limit: u32,
    ) -> Result<Page<Arc<Entry>>, Error>;

    /// Returns the lines of an export of one log after the position `after`, in order; at most
    /// `limit` and about [`crate::page::PART_BYTES`], without the last line of the export. An entry that cannot be read is named in its
    /// place instead of failing the call.
    async fn log_lines(
        &self,
        caller: &Caller,
        log: LogId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Line>, Error>;

    /// Checks a log, entry by entry, up to its end at the time of the call, and that it contains the
    /// head `expected`. It is read `page` entries at a time.
    async fn verify_log(
        &self,
        caller: &Caller,
        log: LogId,
        expected: Option<HeadMark>,
        page: u32,
    ) -> Result<Verification, Error>;

    /// Checks a log as [`LogQueries::verify_log`] does, and if it is valid, compares the stored
    /// state of its objects with it.
    async fn verify_state(
        &self,
        caller: &Caller,
        log: LogId,
        expected: Option<HeadMark>,
        page: u32,
    ) -> Result<StateVerification, Error>;
}
