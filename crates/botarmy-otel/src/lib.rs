//! Traces for an OpenTelemetry collector, over OTLP/HTTP in protobuf. [`OtelTracer`] implements the port
//! `Tracer`: spans go into a bounded queue, and a task sends them in batches.
//!
//! **Invariant:** nothing waits for the collector. What does not fit into the queue, or cannot be sent, is
//! dropped and counted.

mod client;
mod export;
pub mod proto;
mod settings;
mod tracer;

pub use settings::{OtelSettings, SetupError};
pub use tracer::OtelTracer;
