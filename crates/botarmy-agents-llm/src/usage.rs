//! Tokens, their cost, and the meter that counts them during a run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use botarmy_domain::RunContext;
use tokio::time::Instant;

/// Least time between two progress messages about an answer.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Price of a model, in US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Price of the tokens read.
    pub input_per_mtok: f64,
    /// Price of the tokens written.
    pub output_per_mtok: f64,
}

/// Numbers of tokens read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
}

/// Numbers of tokens that a provider counted; `None` for those that it did not report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
}

impl Counted {
    /// Returns `true` if nothing was counted.
    pub(crate) const fn is_nothing(self) -> bool {
        self.input.is_none() && self.output.is_none()
    }
}

/// Returns the cost of tokens in millionths of a US dollar.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "prices are not negative, and no run uses 2^53 tokens"
)]
pub(crate) fn cost(tokens: Tokens, price: Price) -> u64 {
    // A dollar per million tokens is a micro-dollar per token.
    let input = tokens.input as f64 * price.input_per_mtok;
    let output = tokens.output as f64 * price.output_per_mtok;
    (input + output).ceil() as u64
}

/// Bytes of a token in an estimate. Every model counts differently; four is close enough for English
/// and code.
pub(crate) const BYTES_PER_TOKEN: usize = 4;

/// Estimates the number of tokens in a text of this many bytes.
pub(crate) const fn approximate_tokens(bytes: usize) -> usize {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Usage of a run so far, and the time of its last progress message.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    settled: Mutex<Tokens>,
    sent: AtomicUsize,
    received: AtomicUsize,
    reported: Mutex<Option<Instant>>,
}

impl Meter {
    /// Records that a request of this many bytes is sent.
    pub(crate) fn begin(&self, bytes: usize) {
        self.sent.store(bytes, Ordering::Relaxed);
        self.received.store(0, Ordering::Relaxed);
    }

    /// Records that bytes of the answer arrived, and reports progress at most once per
    /// [`PROGRESS_INTERVAL`].
    pub(crate) fn received(&self, bytes: usize, label: &str, context: &RunContext) {
        let all = self.received.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let now = Instant::now();
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.is_none_or(|last| now.duration_since(last) >= PROGRESS_INTERVAL) {
            *reported = Some(now);
            (context.progress)(format!("{label}: {} of the answer so far", size(all)), None);
        }
    }

    /// Adds the usage of the request.
    pub(crate) fn settle(&self, tokens: Tokens) {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        settled.input = settled.input.saturating_add(tokens.input);
        settled.output = settled.output.saturating_add(tokens.output);
        self.sent.store(0, Ordering::Relaxed);
        self.received.store(0, Ordering::Relaxed);
    }

    /// Returns the usage of an answer: the tokens that the provider counted, and an estimate of those
    /// that it did not count.
    pub(crate) fn of_answer(&self, counted: Counted) -> Tokens {
        let estimate = |bytes: &AtomicUsize| approximate_tokens(bytes.load(Ordering::Relaxed));
        Tokens {
            input: counted.input.unwrap_or_else(|| estimate(&self.sent) as u64),
            output: counted.output.unwrap_or_else(|| estimate(&self.received) as u64),
        }
    }

    /// Returns the usage of a request that failed; nothing if the provider counted nothing and no
    /// byte of an answer arrived.
    pub(crate) fn of_failure(&self, counted: Counted) -> Tokens {
        if counted.is_nothing() && self.received.load(Ordering::Relaxed) == 0 {
            return Tokens::default();
        }
        self.of_answer(counted)
    }

    /// Returns the usage of all requests.
    pub(crate) fn used(&self) -> Tokens {
        *self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(bytes: usize) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{} KB", bytes / 1024) }
}
