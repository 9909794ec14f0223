//! The tracer: which traces are recorded, and the queue of their spans.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use botarmy_domain::ports::{Clock, Ids, Tracer};
use botarmy_domain::{Span, Timestamp, TraceContext};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::client::Client;
use crate::export::{Counts, Export};
use crate::settings::{OtelSettings, SetupError};

/// Records spans and sends them to a collector.
pub struct OtelTracer {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    sample_ratio: f64,
    timeout: Duration,
    queue: mpsc::Sender<Span>,
    counts: Arc<Counts>,
    stop: watch::Sender<bool>,
    exporting: Mutex<Option<JoinHandle<()>>>,
}

impl OtelTracer {
    /// Creates a tracer and starts to send its spans. The collector may be away. Must be called inside a
    /// Tokio runtime.
    ///
    /// # Errors
    /// An address that cannot be used, or TLS that cannot be set up.
    pub fn start(
        settings: OtelSettings,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Arc<Self>, SetupError> {
        let client = Client::new(&settings)?;
        let (queue, receiver) = mpsc::channel(settings.queue.max(1));
        let (counts, (stop, stopped)) = (Arc::<Counts>::default(), watch::channel(false));
        let (sample_ratio, timeout) = (settings.sample_ratio, settings.timeout);
        let export = Export {
            client,
            settings,
            queue: receiver,
            counts: Arc::clone(&counts),
            stop: stopped,
        };
        let exporting = Mutex::new(Some(tokio::spawn(export.run())));
        Ok(Arc::new(Self { clock, ids, sample_ratio, timeout, queue, counts, stop, exporting }))
    }

    /// Returns the number of spans that the collector accepted.
    #[must_use]
    pub fn exported(&self) -> u64 {
        self.counts.exported.load(Ordering::Relaxed)
    }

    /// Returns the number of spans that were dropped, because the queue was full or the collector did not
    /// accept them.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Sends the spans that wait, within the time limit of a request. Later spans are dropped.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        let exporting = self.exporting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut exporting) = exporting
            && tokio::time::timeout(self.timeout, &mut exporting).await.is_err()
        {
            exporting.abort();
            warn!("The last traces could not be sent in time");
        }
    }

    /// Returns whether a trace that begins with this id is recorded: the same for every server.
    fn is_sampled(&self, trace_id: u128) -> bool {
        // The last bytes are random in ids of other systems too.
        let part = (trace_id as u64) as f64 / 2.0_f64.powi(64);
        part < self.sample_ratio || self.sample_ratio >= 1.0
    }
}

impl std::fmt::Debug for OtelTracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtelTracer").finish_non_exhaustive()
    }
}

impl Tracer for OtelTracer {
    fn begin(&self, parent: Option<TraceContext>) -> Option<(TraceContext, Timestamp)> {
        let seed = self.ids.seed();
        let context = match parent {
            Some(parent) => parent.with_span(seed as u64),
            None => {
                let is_sampled = self.is_sampled(seed);
                // Another seed, because the id of a span must not be a part of that of its trace.
                is_sampled.then(|| TraceContext::new(seed, self.ids.seed() as u64, true)).flatten()
            }
        };
        Some((context?, self.clock.now()))
    }

    fn end(&self, mut span: Span) {
        span.ended = self.clock.now();
        if self.queue.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::atomic::AtomicU64;

    use botarmy_domain::SpanKind;

    use super::*;

    struct Fixed(AtomicU64);

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(1)
        }
    }

    impl Ids for Fixed {
        fn seed(&self) -> u128 {
            u128::from(self.0.fetch_add(0x4000_0000_0000_0000, Ordering::Relaxed))
        }
    }

    fn tracer(sample_ratio: f64) -> Arc<OtelTracer> {
        let settings = OtelSettings {
            // Nothing listens there.
            endpoint: "http://127.0.0.1:1".to_owned(),
            sample_ratio,
            service: "botarmy".to_owned(),
            version: "1".to_owned(),
            timeout: Duration::from_secs(2),
            queue: 4,
        };
        let fixed = || Arc::new(Fixed(AtomicU64::new(1)));
        OtelTracer::start(settings, fixed(), fixed()).unwrap()
    }

    #[tokio::test]
    async fn the_share_of_recorded_traces_is_that_of_the_settings_but_parents_decide_for_theirs() {
        let begun = |ratio: f64| {
            let tracer = tracer(ratio);
            // Two seeds are taken for a recorded trace, so that all quarters occur.
            (0..4).filter(|n| tracer.is_sampled(n * 0x4000_0000_0000_0000 + 1)).count()
        };
        assert_eq!([begun(0.0), begun(0.5), begun(1.0)], [0, 2, 4]);
        let parent = TraceContext::new(7, 8, true);
        let (context, _) = tracer(0.0).begin(parent).unwrap();
        assert_eq!(context.trace_id(), 7);
        assert_ne!(context.span_id(), 8);
    }

    #[tokio::test]
    async fn spans_beyond_the_queue_and_for_a_collector_that_is_away_are_counted_as_dropped() {
        let tracer = tracer(1.0);
        let context = TraceContext::new(1, 1, true).unwrap();
        let at = Timestamp::from_micros(1);
        for _ in 0..10 {
            tracer.end(Span {
                name: Cow::Borrowed("a"),
                kind: SpanKind::Internal,
                context,
                parent: None,
                began: at,
                ended: at,
                attributes: Vec::new(),
                is_error: false,
            });
        }
        assert_eq!(tracer.dropped(), 6);
        tracer.close().await;
        assert_eq!((tracer.dropped(), tracer.exported()), (10, 0));
    }
}
