//! A closed loop: a fixed number of clients with one request in flight each, until the time is up.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::stats::Samples;

/// Result of a load.
pub(crate) struct Outcome {
    /// Requests per second, over all clients.
    pub(crate) rate: f64,
    /// Durations of the requests.
    pub(crate) samples: Samples,
}

/// Runs `clients` loops of `ask` for `time`, after a warm-up of a quarter of it.
pub(crate) async fn drive<F, A>(
    address: SocketAddr,
    clients: usize,
    time: Duration,
    ask: F,
) -> Result<Outcome>
where
    F: Fn(usize, Connection) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<Connection>> + Send,
{
    let begin = Instant::now() + time / 4;
    let end = begin + time;
    let mut loops = JoinSet::new();
    for n in 0..clients {
        let mut connection = Connection::open(address).await?;
        let ask = ask.clone();
        loops.spawn(async move {
            let mut samples = Samples::default();
            loop {
                let asked = Instant::now();
                if asked >= end {
                    return anyhow::Ok(samples);
                }
                connection = ask(n, connection).await?;
                let answered = Instant::now();
                if asked >= begin && answered <= end {
                    samples.push(answered - asked);
                }
            }
        });
    }
    let mut samples = Samples::default();
    while let Some(one) = loops.join_next().await {
        samples.extend(one??);
    }
    Ok(Outcome { rate: samples.len() as f64 / time.as_secs_f64(), samples })
}
