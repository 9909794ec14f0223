//! The ledger that counts what is committed through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use botarmy_domain::event::agent_type_of;
use botarmy_domain::ports::{CommitObserver, Decide, Ledger};
use botarmy_domain::{
    AgentType, Claim, Committed, CredentialId, Entry, Error, EventType, HitlStatus, Scope,
    StoreError, TaskId, Timestamp,
};

use crate::histogram::{DECISIONS, Histogram, SECONDS};
use crate::read::Take;

/// Results of a decision, in the order of their counters.
const RESULTS: [&str; 4] = ["committed", "unchanged", "refused", "failed"];

/// The counts of a ledger. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Commits(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    results: [AtomicU64; RESULTS.len()],
    /// Entries by the position of their type in the vocabulary.
    entries: Box<[AtomicU64]>,
    /// Requests to people by the position of their new status.
    answers: Box<[AtomicU64]>,
    /// Expired leases by the position of the agent type.
    expired: Box<[AtomicU64]>,
    duration: Histogram,
    transaction: Histogram,
    batch: Histogram,
}

fn zeros(count: usize) -> Box<[AtomicU64]> {
    std::iter::repeat_with(AtomicU64::default).take(count).collect()
}

impl Commits {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Counts {
            results: Default::default(),
            entries: zeros(EventType::ALL.len()),
            answers: zeros(HitlStatus::ALL.len()),
            expired: zeros(AgentType::ALL.len()),
            duration: Histogram::new(SECONDS),
            transaction: Histogram::new(SECONDS),
            batch: Histogram::new(DECISIONS),
        }))
    }

    /// Returns the time from the call of the ledger to the answer, for decisions that were committed.
    pub(crate) fn duration(&self) -> Histogram {
        self.0.duration.clone()
    }

    /// Returns the time of transactions.
    pub(crate) fn transaction(&self) -> Histogram {
        self.0.transaction.clone()
    }

    /// Returns the number of decisions in a transaction.
    pub(crate) fn batch(&self) -> Histogram {
        self.0.batch.clone()
    }

    /// Reads the number of decisions by result.
    pub(crate) fn results(&self, take: Take<'_>) {
        for (result, count) in RESULTS.iter().zip(&self.0.results) {
            take(&[("result", result)], count.load(Ordering::Relaxed) as f64);
        }
    }

    /// Reads the number of entries by type, of the types that occurred.
    pub(crate) fn entries(&self, take: Take<'_>) {
        for (kind, count) in EventType::ALL.iter().zip(&self.0.entries) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                take(&[("type", kind.as_str())], count as f64);
            }
        }
    }

    /// Reads the number of requests to people that ended, by status.
    pub(crate) fn answers(&self, take: Take<'_>) {
        for (status, count) in HitlStatus::ALL.iter().zip(&self.0.answers) {
            if *status != HitlStatus::Pending {
                take(&[("outcome", status.as_str())], count.load(Ordering::Relaxed) as f64);
            }
        }
    }

    /// Reads the number of expired leases by agent type.
    pub(crate) fn expired(&self, take: Take<'_>) {
        for (agent, count) in AgentType::ALL.iter().zip(&self.0.expired) {
            take(&[("agent", agent.as_str())], count.load(Ordering::Relaxed) as f64);
        }
    }

    fn count(&self, entries: &[Arc<Entry>]) {
        for entry in entries {
            // The vocabulary is in the order of its variants; a test says so.
            self.0.entries[entry.event_type as usize].fetch_add(1, Ordering::Relaxed);
            match entry.event_type {
                EventType::HitlResponse | EventType::HitlTimeout | EventType::HitlCancelled => {
                    let status = entry.event_data.get("status").and_then(|status| status.as_str());
                    if let Some(status) = status.and_then(|word| word.parse::<HitlStatus>().ok()) {
                        self.0.answers[status as usize].fetch_add(1, Ordering::Relaxed);
                    }
                }
                EventType::TaskLeaseExpired => {
                    if let Some(agent) = agent_type_of(entry) {
                        self.0.expired[agent as usize].fetch_add(1, Ordering::Relaxed);
                    }
                }
                _ => {}
            }
        }
    }
}

impl CommitObserver for Commits {
    fn committed(&self, decisions: usize, elapsed: Duration) {
        self.0.batch.observe_number(decisions);
        self.0.transaction.observe(elapsed);
    }
}

/// Counts the decisions and claims that pass through it.
pub struct MeteredLedger {
    inner: Arc<dyn Ledger>,
    commits: Commits,
}

impl MeteredLedger {
    pub(crate) fn new(inner: Arc<dyn Ledger>, commits: Commits) -> Self {
        Self { inner, commits }
    }
}

#[async_trait]
impl Ledger for MeteredLedger {
    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error> {
        let began = Instant::now();
        let result = self.inner.transact(scope, decide).await;
        let index = match &result {
            Ok(committed) if committed.entries.is_empty() => 1,
            Ok(committed) => {
                self.commits.0.duration.observe(began.elapsed());
                self.commits.count(&committed.entries);
                0
            }
            Err(Error::Refused(_)) => 2,
            Err(_) => 3,
        };
        self.commits.0.results[index].fetch_add(1, Ordering::Relaxed);
        result
    }

    async fn claim(&self, claim: Claim) -> Result<Committed, StoreError> {
        let claimed = self.inner.claim(claim).await;
        if let Ok(committed) = &claimed {
            self.commits.count(&committed.entries);
        }
        claimed
    }

    async fn extend(&self, task: TaskId, fence: u32, until: Timestamp) -> Result<bool, StoreError> {
        self.inner.extend(task, fence, until).await
    }

    async fn note_key_use(&self, key: CredentialId, at: Timestamp) -> Result<(), StoreError> {
        self.inner.note_key_use(key, at).await
    }

    async fn forget_replies(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        self.inner.forget_replies(now, limit).await
    }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::ports::MockLedger;
    use botarmy_domain::{DomainError, LogId};

    use super::*;

    #[test]
    fn vocabularies_are_in_the_order_of_their_variants() {
        assert!(EventType::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
        assert!(HitlStatus::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
        assert!(AgentType::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
    }

    #[tokio::test]
    async fn refused_and_failed_decisions_are_told_apart_from_those_that_changed_nothing() {
        let mut ledger = MockLedger::new();
        let mut results = [
            Err(Error::Refused(DomainError::not_found("task", "t"))),
            Err(StoreError::Conflict.into()),
            Ok(Committed::default()),
            Ok(Committed::default()),
        ]
        .into_iter();
        let next = move |_, _| results.next().unwrap_or(Err(StoreError::Conflict.into()));
        ledger.expect_transact().returning(next);
        let commits = Commits::new();
        let metered = MeteredLedger::new(Arc::new(ledger), commits.clone());
        for _ in 0..4 {
            let decide: Decide = Box::new(|_| Err(DomainError::not_found("task", "t")));
            drop(metered.transact(Scope::log(LogId::System), decide).await);
        }
        let mut found = Vec::new();
        commits.results(&mut |labels, count| found.push((labels[0].1.to_owned(), count)));
        let expected = [("committed", 0.0), ("unchanged", 2.0), ("refused", 1.0), ("failed", 1.0)];
        assert_eq!(found, expected.map(|(result, count)| (result.to_owned(), count)));
    }
}
