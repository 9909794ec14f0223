//! The statuses of the agent types as far as this replica knows them without asking.
//!
//! Each record carries the position in the system log at which it was read, and only moves forward.
//! A replica remembers every status that it committed or received, and never answers with an older
//! one: a client that changes a status through it sees the change.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use botarmy_domain::event::agent_record_of;
use botarmy_domain::{AgentRecord, AgentType, BusMessage, LogId};
use tokio::sync::Notify;

/// A record, and the position in the system log that it is valid for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Marked {
    pub(crate) seq: u64,
    pub(crate) record: AgentRecord,
}

impl Marked {
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (seq, record) = text.split_once(' ')?;
        Some(Self { seq: seq.parse().ok()?, record: serde_json::from_str(record).ok()? })
    }
}

/// Statuses that this replica knows without asking.
#[derive(Debug)]
pub(crate) struct StatusCache {
    known: Mutex<BTreeMap<AgentType, Marked>>,
    /// Number of reasons so far to distrust the copy in Redis.
    pub(crate) reasons: AtomicU64,
    /// Number of reasons when the copy was last compared with the store.
    pub(crate) dealt_with: AtomicU64,
    pub(crate) stale: Notify,
}

impl Default for StatusCache {
    /// Creates a cache that was not compared with the store yet.
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            reasons: AtomicU64::new(1),
            dealt_with: AtomicU64::new(0),
            stale: Notify::new(),
        }
    }
}

impl StatusCache {
    pub(crate) fn known(&self) -> MutexGuard<'_, BTreeMap<AgentType, Marked>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a status that this or another replica committed. Returns `None` for other messages.
    pub(crate) fn note(&self, news: &BusMessage) -> Option<Marked> {
        let BusMessage::Entry(entry) = news else { return None };
        if entry.log() != LogId::System {
            return None;
        }
        let marked = Marked { seq: entry.seq, record: agent_record_of(entry)? };
        self.remember(&marked);
        Some(marked)
    }

    pub(crate) fn remember(&self, marked: &Marked) {
        let mut known = self.known();
        let before = known.get(&marked.record.agent_type);
        if before.is_none_or(|before| before.seq <= marked.seq) {
            known.insert(marked.record.agent_type, marked.clone());
        }
    }

    /// Marks the copy in Redis as incomplete. The store is read until the copy was compared again.
    pub(crate) fn distrust(&self) {
        self.reasons.fetch_add(1, Ordering::AcqRel);
        self.stale.notify_one();
    }

    /// Merges records of the store, and returns the newest record of every agent type. With
    /// `foreign`, statuses known `before` the store was read are of another database and are
    /// forgotten; those noted since then are kept.
    pub(crate) fn take_in(
        &self,
        records: &[Marked],
        before: &BTreeMap<AgentType, Marked>,
        foreign: bool,
    ) -> Vec<Marked> {
        if foreign {
            self.known().retain(|agent, marked| before.get(agent) != Some(marked));
        }
        records.iter().for_each(|one| self.remember(one));
        self.known().values().cloned().collect()
    }

    pub(crate) fn is_trusted(&self) -> bool {
        self.dealt_with.load(Ordering::Acquire) == self.reasons.load(Ordering::Acquire)
    }

    /// Returns the newer of the copy in Redis and the known status, for every agent type. Returns
    /// `None` if the copy lacks one.
    pub(crate) fn newest(&self, mut copy: HashMap<AgentType, Marked>) -> Option<Vec<AgentRecord>> {
        let known = self.known();
        let newest = |agent: &AgentType| {
            let there = copy.remove(agent)?;
            let here = known.get(agent).filter(|here| here.seq >= there.seq);
            Some(here.map_or(there.record, |here| here.record.clone()))
        };
        AgentType::ALL.iter().map(newest).collect()
    }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::AgentStatusKind;

    use super::*;

    fn marked(seq: u64, status: AgentStatusKind) -> Marked {
        Marked { seq, record: AgentRecord { status, ..AgentRecord::idle(AgentType::Coder) } }
    }

    fn whole(coder: Marked) -> HashMap<AgentType, Marked> {
        let idle =
            |agent: &AgentType| (*agent, Marked { seq: 0, record: AgentRecord::idle(*agent) });
        let mut all: HashMap<_, _> = AgentType::ALL.iter().map(idle).collect();
        all.insert(AgentType::Coder, coder);
        all
    }

    fn coder(status_cache: &[AgentRecord]) -> AgentStatusKind {
        status_cache.iter().find(|record| record.agent_type == AgentType::Coder).unwrap().status
    }

    #[test]
    fn a_replica_never_answers_with_less_than_it_knows() {
        let status_cache = StatusCache::default();
        status_cache.remember(&marked(5, AgentStatusKind::Working));
        status_cache.remember(&marked(4, AgentStatusKind::Error));
        let older = status_cache.newest(whole(marked(3, AgentStatusKind::Idle))).unwrap();
        assert_eq!(coder(&older), AgentStatusKind::Working);
        let newer = status_cache.newest(whole(marked(6, AgentStatusKind::Idle))).unwrap();
        assert_eq!(coder(&newer), AgentStatusKind::Idle);
        assert_eq!(newer.iter().map(|r| r.agent_type).collect::<Vec<_>>(), AgentType::ALL);
    }

    #[test]
    fn a_board_that_lacks_an_agent_is_none() {
        let mut copy = whole(marked(3, AgentStatusKind::Idle));
        copy.remove(&AgentType::Tester);
        assert!(StatusCache::default().newest(copy).is_none());
    }

    #[test]
    fn what_was_committed_while_a_foreign_board_was_found_out_is_kept() {
        let status_cache = StatusCache::default();
        let of = |agent_type, seq| Marked { seq, record: AgentRecord::idle(agent_type) };
        status_cache.remember(&marked(900, AgentStatusKind::Error));
        status_cache.remember(&of(AgentType::Tester, 900));
        let before = status_cache.known().clone();
        let committed = of(AgentType::Analyst, 12);
        status_cache.remember(&committed);
        let picture = [AgentType::Analyst, AgentType::Coder, AgentType::Tester];
        let picture = picture.map(|agent| of(agent, 10));
        let written = status_cache.take_in(&picture, &before, true);
        let seqs: Vec<_> = written.iter().map(|one| (one.record.agent_type, one.seq)).collect();
        assert!(seqs.contains(&(AgentType::Analyst, 12)), "{seqs:?}");
        assert!(seqs.contains(&(AgentType::Coder, 10)), "{seqs:?}");
        assert!(seqs.contains(&(AgentType::Tester, 10)), "{seqs:?}");
        assert_eq!(written, status_cache.known().values().cloned().collect::<Vec<_>>());
    }

    #[test]
    fn what_stands_on_the_board_comes_back() {
        let marked = marked(7, AgentStatusKind::WaitingForHitl);
        let text = format!("7 {}", serde_json::to_string(&marked.record).unwrap());
        assert_eq!(Marked::read(&text), Some(marked));
        for bad in ["", "7", "x {}", "7 {}", "7 {\"agent_type\":\"typist\"}"] {
            assert_eq!(Marked::read(bad), None, "{bad}");
        }
    }
}
