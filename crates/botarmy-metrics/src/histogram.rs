//! A histogram of atomic numbers. The one of the library takes a lock for every observation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds of durations, from a commit in memory to a client that waits long.
pub(crate) const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Upper bounds of durations of requests: fewer, because every route has them.
pub(crate) const REQUEST_SECONDS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0];
/// Upper bounds of durations of attempts.
pub(crate) const ATTEMPT_SECONDS: &[f64] = &[0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];
/// Upper bounds of numbers of decisions.
pub(crate) const DECISIONS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// A histogram. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bounds: &'static [f64],
    /// Number of observations up to each bound, and above the last; not cumulative.
    counts: Box<[AtomicU64]>,
    /// Sum of the observations, in millionths.
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self(Arc::new(Inner { bounds, counts, sum: AtomicU64::new(0) }))
    }

    /// Counts a duration.
    pub(crate) fn observe(&self, elapsed: Duration) {
        self.add(elapsed.as_secs_f64(), u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
    }

    /// Counts a number.
    pub(crate) fn observe_number(&self, number: usize) {
        self.add(number as f64, (number as u64).saturating_mul(1_000_000));
    }

    fn is_empty(&self) -> bool {
        self.0.counts.iter().all(|count| count.load(Ordering::Relaxed) == 0)
    }

    fn add(&self, value: f64, millionths: u64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < value);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum.fetch_add(millionths, Ordering::Relaxed);
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let bounds = self.0.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.0.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.0.sum.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// Histograms of one metric that has two labels.
#[derive(Debug)]
pub(crate) struct Labelled {
    pub(crate) names: [&'static str; 2],
    pub(crate) series: Vec<([&'static str; 2], Histogram)>,
}

impl EncodeMetric for Labelled {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (values, histogram) in self.series.iter().filter(|(_, one)| !one.is_empty()) {
            let labels = [(self.names[0], values[0]), (self.names[1], values[1])];
            histogram.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::prometheus_text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_value_is_counted_in_every_bucket_that_reaches_it() {
        let histogram = Histogram::new(&[0.001, 0.01]);
        for micros in [1_000, 1_001, 2_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register("d", "D", histogram);
        encode(&mut text, &registry).unwrap();
        for line in [
            "d_bucket{le=\"0.001\"} 1",
            "d_bucket{le=\"0.01\"} 2",
            "d_bucket{le=\"+Inf\"} 3",
            "d_sum 2.002001",
            "d_count 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
