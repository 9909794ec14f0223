//! The requests that wait, read up to a limit.

use std::sync::Arc;

use botarmy_domain::hitl::PendingQuery;
use botarmy_domain::{DomainError, Error, HitlRequest, HitlRequestId};
use botarmy_web::Problem;

use crate::context::PageContext;
use crate::view::waiting::{self, Waiting};

/// Number of requests that are read at once.
const WINDOW: u32 = 100;
/// Largest number of requests that are read.
const MAX_READ: usize = 500;

/// Requests that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) requests: Vec<Arc<HitlRequest>>,
    /// Whether there are more.
    has_more: bool,
}

impl Queue {
    /// Returns their number, as the navigation shows it.
    pub(super) fn count(&self) -> Waiting {
        let most = waiting::MAX_COUNTED as usize;
        let count = self.requests.len();
        Waiting::of(count.min(most), count > most || self.has_more)
    }
}

/// Reads the requests of all projects that wait for the person.
pub(super) async fn read(context: &PageContext) -> Result<Queue, Problem> {
    read_of(context, &PendingQuery { mine: true, ..PendingQuery::default() }).await
}

/// Reads the requests that a query selects.
pub(super) async fn read_of(context: &PageContext, query: &PendingQuery) -> Result<Queue, Problem> {
    let mut queue = Queue::default();
    let mut after: Option<HitlRequestId> = None;
    loop {
        let (queries, query) = (&context.console.queries, query.clone());
        let page = queries.pending_requests(context.caller(), query, after, WINDOW).await;
        let page = match page {
            // A person without any role has an empty inbox.
            Err(Error::Refused(DomainError::NotPermitted { .. })) => return Ok(queue),
            page => page?,
        };
        after = page.last_before_next().map(|last| last.id);
        queue.requests.extend(page.items);
        queue.has_more = after.is_some();
        if after.is_none() || queue.requests.len() >= MAX_READ {
            return Ok(queue);
        }
    }
}
