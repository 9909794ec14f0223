//! Messages from Redis that wait to be read, in bounded memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Approximate memory of a message beside its bytes.
const OVERHEAD: usize = 64;

/// Received messages that wait to be read, in bounded memory.
#[derive(Debug)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    some: Notify,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// `None` where messages were dropped; never two of them in a row.
    messages: VecDeque<Option<Vec<u8>>>,
    bytes: usize,
}

impl Inbox {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { waiting: Mutex::default(), some: Notify::new(), max_bytes }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message, or a gap if there is no room for it.
    pub(crate) fn put(&self, message: Vec<u8>) {
        let mut waiting = self.waiting();
        let size = message.len() + OVERHEAD;
        if waiting.bytes + size > self.max_bytes {
            waiting.miss();
        } else {
            waiting.bytes += size;
            waiting.messages.push_back(Some(message));
        }
        drop(waiting);
        self.some.notify_one();
    }

    /// Adds a gap, because messages may have been missed.
    pub(crate) fn miss(&self) {
        self.waiting().miss();
        self.some.notify_one();
    }

    /// Waits for the next message. Returns `None` for a gap, in its place between earlier and later
    /// messages.
    pub(crate) async fn next(&self) -> Option<Vec<u8>> {
        loop {
            if let Some(next) = self.waiting().take() {
                return next;
            }
            self.some.notified().await;
        }
    }
}

impl Waiting {
    fn miss(&mut self) {
        if !matches!(self.messages.back(), Some(None)) {
            self.messages.push_back(None);
        }
    }

    fn take(&mut self) -> Option<Option<Vec<u8>>> {
        let next = self.messages.pop_front()?;
        self.bytes -= next.as_ref().map_or(0, |message| message.len() + OVERHEAD);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_inbox_says_so_where_it_was_full() {
        let inbox = Inbox::new(10 + 2 * OVERHEAD);
        inbox.put(vec![1; 6]);
        inbox.put(vec![2; 6]);
        inbox.put(vec![2; 6]);
        inbox.put(vec![3; 4]);
        assert_eq!(inbox.next().await, Some(vec![1; 6]));
        inbox.put(vec![4; 6]);
        assert_eq!(inbox.next().await, None, "whatever else keeps coming");
        assert_eq!(inbox.next().await, Some(vec![3; 4]));
        assert_eq!(inbox.next().await, Some(vec![4; 6]), "there was room again");
        assert_eq!(inbox.waiting().bytes, 0);
    }

    #[test]
    fn messages_with_nothing_in_them_fill_it_too() {
        let inbox = Inbox::new(10 * OVERHEAD);
        (0..1000).for_each(|_| inbox.put(Vec::new()));
        assert_eq!(inbox.waiting().messages.len(), 11, "ten, and that there were more");
    }
}
