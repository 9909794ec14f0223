//! The logs that the runner of one subscription has to look at. Their number is limited: beyond it the
//! store is searched.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use botarmy_domain::{LogId, WebhookFilter};
use tokio::sync::Notify;

/// Largest number of logs that wait.
const MAX_WAITING: usize = 10_000;

/// Logs that wait for one runner, each once.
#[derive(Debug)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    /// Notified when there is something to look at.
    pub(super) news: Notify,
    /// Filter of the subscription, as it was last read.
    filter: RwLock<WebhookFilter>,
    /// Whether the runner has ended.
    has_ended: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    logs: VecDeque<LogId>,
    known: HashSet<LogId>,
    /// Log with which the search of the store goes on.
    search: Option<LogId>,
}

/// Work of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A log to look at.
    Log(LogId),
    /// The store has to be searched from this log on.
    Search(LogId),
    /// There is nothing.
    Nothing,
}

impl Inbox {
    /// Creates the inbox of a runner, which begins with a search.
    pub(super) fn new(filter: WebhookFilter) -> Self {
        let inbox = Self {
            waiting: Mutex::default(),
            news: Notify::new(),
            filter: RwLock::new(filter),
            has_ended: AtomicBool::new(false),
        };
        inbox.search_from(LogId::System);
        inbox
    }

    /// Notes that the runner has ended, so that another may begin.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Returns the number of logs that wait.
    pub(super) fn len(&self) -> usize {
        self.lock().logs.len()
    }

    pub(super) fn filter(&self) -> WebhookFilter {
        self.filter.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_filter(&self, filter: WebhookFilter) {
        *self.filter.write().unwrap_or_else(PoisonError::into_inner) = filter;
    }

    /// Adds a log. One that finds no room is found by a search.
    pub(super) fn add(&self, log: LogId) {
        self.lock().add(log);
        self.news.notify_one();
    }

    /// Adds a log before all others.
    pub(super) fn add_first(&self, log: LogId) {
        let mut waiting = self.lock();
        if !waiting.known.insert(log) {
            waiting.logs.retain(|other| *other != log);
        }
        waiting.logs.push_front(log);
        drop(waiting);
        self.news.notify_one();
    }

    /// Lets the store be searched from a log on; from the first one, everything is found.
    pub(super) fn search_from(&self, log: LogId) {
        self.lock().search = Some(log);
        self.news.notify_one();
    }

    /// Takes the next work. Logs come before a search, which may find as many as have room.
    pub(super) fn take(&self) -> Next {
        let mut waiting = self.lock();
        if let Some(log) = waiting.logs.pop_front() {
            waiting.known.remove(&log);
            return Next::Log(log);
        }
        waiting.search.take().map_or(Next::Nothing, Next::Search)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn add(&mut self, log: LogId) {
        if self.known.contains(&log) {
            return;
        }
        if self.logs.len() >= MAX_WAITING {
            self.search = Some(LogId::System);
            return;
        }
        self.known.insert(log);
        self.logs.push_back(log);
    }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::ProjectId;

    use super::*;

    fn log(n: u128) -> LogId {
        LogId::Project(ProjectId::from_uuid(
            botarmy_domain::ids::parse_uuid(&format!("{n:032x}")).unwrap(),
        ))
    }

    #[test]
    fn a_log_waits_once_and_comes_back_after_it_was_taken() {
        let inbox = Inbox::new(WebhookFilter::default());
        [1, 2, 1].into_iter().for_each(|n| inbox.add(log(n)));
        assert_eq!(inbox.take(), Next::Log(log(1)));
        inbox.add(log(1));
        assert_eq!([inbox.take(), inbox.take()], [Next::Log(log(2)), Next::Log(log(1))]);
        assert_eq!(inbox.take(), Next::Search(LogId::System), "every runner begins with a search");
        assert_eq!(inbox.take(), Next::Nothing);
    }

    #[test]
    fn a_log_that_is_tried_again_comes_before_all_others() {
        let inbox = Inbox::new(WebhookFilter::default());
        [1, 2, 3].into_iter().for_each(|n| inbox.add(log(n)));
        inbox.add_first(log(3));
        assert_eq!([inbox.take(), inbox.take()], [Next::Log(log(3)), Next::Log(log(1))]);
        inbox.add_first(log(3));
        assert_eq!([inbox.take(), inbox.take()], [Next::Log(log(3)), Next::Log(log(2))]);
        assert_eq!(inbox.take(), Next::Search(LogId::System));
    }

    #[test]
    fn more_logs_than_there_is_room_for_are_searched() {
        let inbox = Inbox::new(WebhookFilter::default());
        for n in 1..=MAX_WAITING as u128 + 1 {
            inbox.add(log(n));
        }
        for n in 1..=MAX_WAITING as u128 {
            assert_eq!(inbox.take(), Next::Log(log(n)));
        }
        assert_eq!(inbox.take(), Next::Search(LogId::System));
    }
}
