//! Sending spans in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use botarmy_domain::{Span, SpanKind, SpanValue, Timestamp};
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::client::Client;
use crate::proto::{
    AnyValue, ExportTraceServiceRequest, InstrumentationScope, KeyValue, Resource, ResourceSpans,
    ScopeSpans, Status, Value,
};
use crate::settings::OtelSettings;

/// Largest number of spans in a request, which the SDKs of OpenTelemetry have too.
const BATCH: usize = 512;
/// Time for which spans are collected before they are sent.
const COLLECT: Duration = Duration::from_secs(1);
/// Flag of a sampled trace.
const SAMPLED: u32 = 1;
/// Code of a span that failed.
const ERROR: i32 = 2;

/// Numbers of spans, since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) exported: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

/// The task that sends the spans of a queue.
pub(crate) struct Export {
    pub(crate) client: Client,
    pub(crate) settings: OtelSettings,
    pub(crate) queue: mpsc::Receiver<Span>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Export {
    /// Sends spans until it is stopped, and then those that wait.
    pub(crate) async fn run(mut self) {
        let (mut batch, mut is_failing) = (Vec::with_capacity(BATCH), false);
        while self.collect(&mut batch).await {
            let count = batch.len() as u64;
            match self.client.send(self.encoded(batch.drain(..))).await {
                Ok(()) => {
                    self.counts.exported.fetch_add(count, Ordering::Relaxed);
                    if std::mem::take(&mut is_failing) {
                        info!("Traces are sent again");
                    }
                }
                Err(error) => {
                    self.counts.dropped.fetch_add(count, Ordering::Relaxed);
                    if !std::mem::replace(&mut is_failing, true) {
                        warn!(error, "Traces cannot be sent and are dropped: {error}");
                    }
                }
            }
        }
    }

    /// Fills a batch: what arrives within a moment after the first span. Returns `false` when nothing waits
    /// and the end has come.
    async fn collect(&mut self, batch: &mut Vec<Span>) -> bool {
        if !*self.stop.borrow() {
            tokio::select! {
                count = self.queue.recv_many(batch, BATCH) => if count == 0 { return false },
                _ = self.stop.changed() => {}
            }
        }
        let until = Instant::now() + COLLECT;
        while batch.len() < BATCH && !*self.stop.borrow() {
            let room = BATCH - batch.len();
            tokio::select! {
                received = timeout_at(until, self.queue.recv_many(batch, room)) => {
                    if matches!(received, Ok(0) | Err(_)) { break }
                }
                _ = self.stop.changed() => {}
            }
        }
        while batch.len() < BATCH
            && let Ok(span) = self.queue.try_recv()
        {
            batch.push(span);
        }
        !batch.is_empty()
    }

    fn encoded(&self, spans: impl Iterator<Item = Span>) -> Vec<u8> {
        let settings = &self.settings;
        let resource = vec![
            attribute("service.name", SpanValue::Text(settings.service.clone())),
            attribute("service.version", SpanValue::Text(settings.version.clone())),
        ];
        let scope =
            InstrumentationScope { name: "botarmy".to_owned(), version: settings.version.clone() };
        let scope_spans = ScopeSpans { scope: Some(scope), spans: spans.map(message).collect() };
        let resource_spans = ResourceSpans {
            resource: Some(Resource { attributes: resource }),
            scope_spans: vec![scope_spans],
        };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
    }
}

fn message(span: Span) -> crate::proto::Span {
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Consumer => 5,
    };
    crate::proto::Span {
        trace_id: span.context.trace_id().to_be_bytes().to_vec(),
        span_id: span.context.span_id().to_be_bytes().to_vec(),
        parent_span_id: span.parent.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
        name: span.name.into_owned(),
        kind,
        start_time_unix_nano: nanos(span.began),
        end_time_unix_nano: nanos(span.ended),
        attributes: span.attributes.into_iter().map(|(key, value)| attribute(key, value)).collect(),
        status: span.is_error.then_some(Status { code: ERROR }),
        flags: SAMPLED,
    }
}

fn attribute(key: &str, value: SpanValue) -> KeyValue {
    let value = match value {
        SpanValue::Text(text) => Value::String(text),
        SpanValue::Number(number) => Value::Int(number),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.micros()).unwrap_or(0).saturating_mul(1000)
}
