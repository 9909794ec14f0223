//! The figures that only the store knows: the queue, leases and open requests. They are read at most once
//! in a while, whoever scrapes, and a store that hangs does not hold up the others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::hitl::OpenRequests;
use botarmy_domain::ports::{Clock, HitlStore, TaskStore};
use botarmy_domain::{StoreError, Timestamp, Workload};
use tokio::time::Instant;
use tracing::warn;

use crate::read::Take;

/// The figures of the store. Clones share them.
#[derive(Clone)]
pub(crate) struct StoreFigures(Arc<Inner>);

struct Inner {
    source: Box<dyn Source>,
    clock: Arc<dyn Clock>,
    /// Time for which figures that were read are shown again.
    refresh: Duration,
    timeout: Duration,
    /// The last figures; none if they could not be read.
    last: Mutex<Option<Arc<Figures>>>,
    /// Time of the last attempt; held while one goes on.
    read_at: tokio::sync::Mutex<Option<Instant>>,
    errors: AtomicU64,
}

/// Source of the figures.
#[async_trait]
pub(crate) trait Source: Send + Sync + 'static {
    async fn read(&self, now: Timestamp) -> Result<Figures, StoreError>;
}

/// The ports that have the figures.
pub(crate) struct Ports {
    pub(crate) tasks: Arc<dyn TaskStore>,
    pub(crate) requests: Arc<dyn HitlStore>,
}

#[async_trait]
impl Source for Ports {
    async fn read(&self, now: Timestamp) -> Result<Figures, StoreError> {
        let work = self.tasks.workload(now).await?;
        Ok(Figures { at: now, work, requests: self.requests.open_requests().await? })
    }
}

/// Figures of one moment.
pub(crate) struct Figures {
    at: Timestamp,
    work: Vec<Workload>,
    requests: Vec<OpenRequests>,
}

impl StoreFigures {
    pub(crate) fn new(
        source: impl Source,
        clock: Arc<dyn Clock>,
        refresh: Duration,
        timeout: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            source: Box::new(source),
            clock,
            refresh,
            timeout,
            last: Mutex::default(),
            read_at: tokio::sync::Mutex::default(),
            errors: AtomicU64::new(0),
        }))
    }

    /// Reads the figures again unless they are recent. Figures that cannot be read are left out until
    /// they can, because earlier ones would look like a queue that stands still.
    pub(crate) async fn refresh(&self) {
        let inner = &*self.0;
        let mut read_at = inner.read_at.lock().await;
        if read_at.is_some_and(|at| at.elapsed() < inner.refresh) {
            return;
        }
        let reading = inner.source.read(inner.clock.now());
        let error = match tokio::time::timeout(inner.timeout, reading).await {
            Ok(Ok(figures)) => {
                inner.keep(Some(figures));
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {} ms", inner.timeout.as_millis())),
        };
        if let Some(error) = error {
            inner.keep(None);
            inner.errors.fetch_add(1, Ordering::Relaxed);
            warn!(error, "The figures of the store cannot be read: {error}");
        }
        *read_at = Some(Instant::now());
    }

    fn with(&self, show: impl FnOnce(&Figures)) {
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(figures) = last {
            show(&figures);
        }
    }

    /// Reads the pending tasks by agent type and by whether they can be claimed.
    pub(crate) fn tasks(&self, take: Take<'_>) {
        self.with(|figures| {
            for work in &figures.work {
                let states = [("ready", work.ready), ("waiting", work.pending - work.ready)];
                for (state, count) in states {
                    take(&[("agent", work.agent.as_str()), ("state", state)], count as f64);
                }
            }
        });
    }

    /// Reads the age of the oldest task that can be claimed, by agent type.
    pub(crate) fn oldest_task(&self, take: Take<'_>) {
        self.with(|figures| {
            for work in &figures.work {
                let age = work.ready_since.map_or(0.0, |since| seconds(figures.at, since));
                take(&[("agent", work.agent.as_str())], age);
            }
        });
    }

    /// Reads the tasks that workers hold, by agent type.
    pub(crate) fn leases(&self, take: Take<'_>) {
        self.with(|figures| {
            for work in &figures.work {
                take(&[("agent", work.agent.as_str())], work.working as f64);
            }
        });
    }

    /// Reads the requests that wait for a person, by kind.
    pub(crate) fn open_requests(&self, take: Take<'_>) {
        self.with(|figures| {
            for open in &figures.requests {
                take(&[("kind", open.kind.as_str())], open.count as f64);
            }
        });
    }

    /// Reads the age of the oldest request that waits for a person, by kind.
    pub(crate) fn oldest_request(&self, take: Take<'_>) {
        self.with(|figures| {
            for open in &figures.requests {
                take(&[("kind", open.kind.as_str())], seconds(figures.at, open.oldest));
            }
        });
    }

    /// Reads the number of times that the figures could not be read.
    pub(crate) fn errors(&self, take: Take<'_>) {
        take(&[], self.0.errors.load(Ordering::Relaxed) as f64);
    }
}

impl Inner {
    fn keep(&self, figures: Option<Figures>) {
        let figures = figures.map(Arc::new);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }
}

fn seconds(now: Timestamp, then: Timestamp) -> f64 {
    now.since(then).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use botarmy_domain::{AgentType, HitlKind};
    use tokio::time::advance;

    use super::*;

    struct Now;

    impl Clock for Now {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(60_000_000)
        }
    }

    /// Store that answers until it hangs.
    struct Store {
        reads: Arc<AtomicU64>,
        answers: u64,
    }

    #[async_trait]
    impl Source for Store {
        async fn read(&self, at: Timestamp) -> Result<Figures, StoreError> {
            if self.reads.fetch_add(1, Ordering::Relaxed) >= self.answers {
                std::future::pending::<()>().await;
            }
            let ready_since = Some(Timestamp::from_micros(50_000_000));
            let agent = AgentType::Coder;
            let work = vec![Workload { agent, pending: 3, ready: 2, ready_since, working: 1 }];
            let oldest = Timestamp::from_micros(0);
            let requests = vec![OpenRequests { kind: HitlKind::Question, count: 4, oldest }];
            Ok(Figures { at, work, requests })
        }
    }

    fn figures(answers: u64) -> (StoreFigures, Arc<AtomicU64>) {
        let (refresh, timeout) = (Duration::from_secs(5), Duration::from_secs(1));
        let reads = Arc::<AtomicU64>::default();
        let store = Store { reads: Arc::clone(&reads), answers };
        (StoreFigures::new(store, Arc::new(Now), refresh, timeout), reads)
    }

    fn read(read: impl FnOnce(Take<'_>)) -> Vec<(String, f64)> {
        let mut found = Vec::new();
        read(&mut |labels, value| {
            let labels: Vec<_> = labels.iter().map(|(_, value)| *value).collect();
            found.push((labels.join(" "), value));
        });
        found
    }

    #[tokio::test(start_paused = true)]
    async fn many_scrapers_cost_one_query_in_a_while() {
        let (figures, reads) = figures(u64::MAX);
        for _ in 0..2 {
            for _ in 0..100 {
                figures.refresh().await;
            }
            advance(Duration::from_secs(5)).await;
        }
        assert_eq!(reads.load(Ordering::Relaxed), 2);
        let both = [("coder ready".to_owned(), 2.0), ("coder waiting".to_owned(), 1.0)];
        assert_eq!(read(|take| figures.tasks(take)), both);
        assert_eq!(read(|take| figures.oldest_task(take)), [("coder".to_owned(), 10.0)]);
        assert_eq!(read(|take| figures.leases(take)), [("coder".to_owned(), 1.0)]);
        assert_eq!(read(|take| figures.open_requests(take)), [("question".to_owned(), 4.0)]);
        assert_eq!(read(|take| figures.oldest_request(take)), [("question".to_owned(), 60.0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_costs_its_figures_and_the_time_limit_once_in_a_while() {
        let (figures, reads) = figures(1);
        figures.refresh().await;
        advance(Duration::from_secs(5)).await;
        let began = Instant::now();
        for _ in 0..100 {
            figures.refresh().await;
        }
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        assert_eq!(reads.load(Ordering::Relaxed), 2);
        assert_eq!(read(|take| figures.errors(take)), [(String::new(), 1.0)]);
        assert!(read(|take| figures.tasks(take)).is_empty());
    }
}
