//! A double of an OpenTelemetry collector, which keeps the spans that it is sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use botarmy_otel::proto::{ExportTraceServiceRequest, KeyValue, Value};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A span that arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Id of the trace, in hexadecimal.
    pub trace: String,
    /// Id of the span, in hexadecimal.
    pub id: String,
    /// Id of the span that caused it; empty for the first of a trace.
    pub parent: String,
    /// Name.
    pub name: String,
    /// Kind, by its number in OTLP.
    pub kind: i32,
    /// Attributes, with numbers as text.
    pub attributes: BTreeMap<String, String>,
    /// Name of the service.
    pub service: String,
    /// Whether it failed.
    pub is_error: bool,
    /// Time from its beginning to its end, in nanoseconds; negative if they are in the wrong order.
    pub nanos: i64,
}

/// A running collector.
pub struct Collector {
    /// `http://127.0.0.1:PORT`
    pub base: String,
    spans: Arc<Mutex<Vec<Received>>>,
    serving: JoinHandle<()>,
}

impl Collector {
    /// Starts a collector.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::<Mutex<Vec<Received>>>::default();
        let kept = Arc::clone(&spans);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    if let Some(body) = take(socket).await {
                        kept.lock().unwrap().extend(read(&body));
                    }
                });
            }
        });
        Self { base, spans, serving }
    }

    /// Returns the spans that have arrived.
    ///
    /// # Panics
    /// If what arrived could not be read.
    #[must_use]
    pub fn spans(&self) -> Vec<Received> {
        self.spans.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Takes one request and accepts it; returns its body.
async fn take(mut socket: TcpStream) -> Option<Vec<u8>> {
    let (mut bytes, mut part) = (Vec::new(), vec![0; 65_536]);
    let head = loop {
        let count = socket.read(&mut part).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    assert!(text.starts_with("post /v1/traces http/1.1\r\n"), "{text}");
    assert!(text.contains("\r\ncontent-type: application/x-protobuf\r\n"), "{text}");
    let (_, length) = text.split_once("\r\ncontent-length: ")?;
    let length: usize = length.split("\r\n").next()?.parse().ok()?;
    while bytes.len() < head + length {
        let count = socket.read(&mut part).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
    }
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    socket.write_all(answer.as_bytes()).await.ok()?;
    Some(bytes.split_off(head))
}

fn read(body: &[u8]) -> Vec<Received> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut received = Vec::new();
    for resource in request.resource_spans {
        let described = attributes(&resource.resource.unwrap().attributes);
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let nanos = |time: u64| i64::try_from(time).unwrap();
            received.push(Received {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                kind: span.kind,
                attributes: attributes(&span.attributes),
                service: described["service.name"].clone(),
                is_error: span.status.is_some_and(|status| status.code == 2),
                nanos: nanos(span.end_time_unix_nano) - nanos(span.start_time_unix_nano),
            });
        }
    }
    received
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |one: &KeyValue| match one.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Int(number)) => number.to_string(),
        None => String::new(),
    };
    list.iter().map(|one| (one.key.clone(), text(one))).collect()
}
