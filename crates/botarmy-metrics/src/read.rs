//! Metrics whose values are read when the text is written.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Names and values of the labels of a series.
pub(crate) type Labels<'a> = &'a [(&'static str, &'a str)];
/// Takes the series of a metric, one after the other.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Labels<'_>, f64);

/// A counter or a gauge with all of its series.
pub(crate) struct Read {
    kind: MetricType,
    read: Box<dyn Fn(Take<'_>) + Send + Sync>,
}

impl Read {
    pub(crate) fn counter(read: impl Fn(Take<'_>) + Send + Sync + 'static) -> Self {
        Self { kind: MetricType::Counter, read: Box::new(read) }
    }

    pub(crate) fn gauge(read: impl Fn(Take<'_>) + Send + Sync + 'static) -> Self {
        Self { kind: MetricType::Gauge, read: Box::new(read) }
    }
}

impl std::fmt::Debug for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Read").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl EncodeMetric for Read {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut written = Ok(());
        (self.read)(&mut |labels, value| {
            if written.is_ok() {
                written =
                    encoder.encode_family(&labels).and_then(|series| self.write(series, value));
            }
        });
        written
    }

    fn metric_type(&self) -> MetricType {
        self.kind
    }
}

impl Read {
    fn write(&self, mut series: MetricEncoder<'_>, value: f64) -> Result<(), std::fmt::Error> {
        // Whole numbers are written without a point, which people and simple parsers expect of counts.
        let whole = (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64);
        match (self.kind, whole) {
            (MetricType::Counter, Some(whole)) => {
                series.encode_counter::<NoLabelSet, _, u64>(&whole.unsigned_abs(), None)
            }
            (MetricType::Counter, None) => {
                series.encode_counter::<NoLabelSet, _, u64>(&value, None)
            }
            (_, Some(whole)) => series.encode_gauge(&whole),
            (_, None) => series.encode_gauge(&value),
        }
    }
}
