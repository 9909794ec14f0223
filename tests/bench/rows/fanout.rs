//! Delivery of one event of a project to a thousand subscribers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

use super::{project, task};
use crate::Scale;
use crate::client::Connection;
use crate::pairs::{Figure, Unit};
use crate::server::{Server, data_dir, setting};
use crate::stats::{Samples, ms};
use crate::subscribers::{TIMEOUT, connect};
use crate::table::Line;

const SUBSCRIBERS: usize = 1000;
/// Approximate length of a frame in bytes.
const FRAME: usize = 1024;

/// Record of one event's delivery.
struct Round {
    began: Instant,
    /// Number of subscribers that have received it.
    have: AtomicUsize,
    /// Times of the first and the last delivery, in nanoseconds.
    first: AtomicU64,
    last: AtomicU64,
    all: Notify,
}

pub(crate) const FIGURES: &[Figure] = &[Figure {
    name: "event delivered to 1,000 subscribers, the last, p50",
    unit: Unit::Milliseconds,
}];

pub(crate) async fn sample(scale: Scale) -> Result<Vec<f64>> {
    let deliveries = drive(SUBSCRIBERS, scale.of(60, 30)).await?;
    Ok(vec![ms(deliveries.last.p50())])
}

/// Result of a fan-out.
struct Deliveries {
    /// From writing the request to the first subscriber's having read the frame.
    first: Samples,
    /// The same for the last subscriber.
    last: Samples,
    /// Length of a frame in bytes.
    bytes: usize,
    connected: Duration,
    /// Memory that the server holds with all subscribers connected, in bytes.
    memory: Option<u64>,
}

pub(crate) async fn measure(scale: Scale) -> Result<Vec<Line>> {
    let subscribers = scale.of(SUBSCRIBERS, 200);
    let deliveries = drive(subscribers, scale.of(200, 40)).await?;
    let goal = [("p99", deliveries.last.p99(), Duration::from_millis(100))];
    let what = format!("event delivered to {subscribers} subscribers");
    Ok(vec![Line::times(&what, &goal).note(format!(
        "{} events of {} bytes, from writing the request to the last subscriber's having read it \
         (p50 {:.1} ms; the first p50 {:.1} ms); the subscribers connected in {:.2} s and the \
         server then held {} MB",
        deliveries.last.len(),
        deliveries.bytes,
        ms(deliveries.last.p50()),
        ms(deliveries.first.p50()),
        deliveries.connected.as_secs_f64(),
        deliveries.memory.map_or_else(|| "?".to_owned(), |bytes| (bytes / 1_000_000).to_string()),
    ))])
}

/// Delivers this many events to this many subscribers.
async fn drive(subscribers: usize, events: usize) -> Result<Deliveries> {
    let data = data_dir()?;
    let server = Server::start(data.path(), &[setting::NO_CODER]).await?;
    let mut connection = Connection::open(server.address).await?;
    let project = project(&mut connection).await?;
    let rounds = events + 5;
    let rounds: Arc<[Round]> = (0..rounds).map(|_| Round::new()).collect();
    let bytes = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    for _ in 0..subscribers {
        let mut socket = connect(server.address, &format!("project_id={project}")).await?;
        let (rounds, bytes) = (Arc::clone(&rounds), Arc::clone(&bytes));
        tokio::spawn(async move {
            let mut round = 0;
            while let Some(Ok(message)) = socket.next().await {
                let Message::Text(text) = message else { continue };
                if text.contains("\"task_created\"") {
                    bytes.store(text.len(), Ordering::Relaxed);
                    rounds[round].has(subscribers);
                    round += 1;
                }
            }
        });
    }
    let connected = began.elapsed();
    let memory = crate::machine::resident(server.pid());

    // A frame has 376 bytes in addition to the instructions.
    let path = format!("/api/v1/projects/{project}/tasks");
    let body = task(FRAME - 376).to_string();
    let (mut last, mut first) = (Samples::default(), Samples::default());
    for (n, round) in rounds.iter().enumerate() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let asked = round.began.elapsed();
        let status = connection.post(&path, body.as_bytes()).await?.status;
        if status != 201 {
            bail!("a task was answered {status}");
        }
        let all = tokio::time::timeout(TIMEOUT, round.all.notified()).await;
        all.context("not every subscriber received the event")?;
        let at = |time: &AtomicU64| Duration::from_nanos(time.load(Ordering::Relaxed));
        if n >= 5 {
            first.push(at(&round.first).saturating_sub(asked));
            last.push(at(&round.last).saturating_sub(asked));
        }
    }
    server.stop().await?;
    let bytes = bytes.load(Ordering::Relaxed);
    Ok(Deliveries { first, last, bytes, connected, memory })
}

impl Round {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            have: AtomicUsize::new(0),
            first: AtomicU64::new(u64::MAX),
            last: AtomicU64::new(0),
            all: Notify::new(),
        }
    }

    fn has(&self, all: usize) {
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.first.fetch_min(now, Ordering::Relaxed);
        self.last.fetch_max(now, Ordering::Relaxed);
        if self.have.fetch_add(1, Ordering::AcqRel) + 1 == all {
            self.all.notify_one();
        }
    }
}
