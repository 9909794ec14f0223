//! Settings of the tracer, and what is wrong with them.

use std::time::Duration;

use botarmy_tls::TrustError;

/// Settings of the tracer.
#[derive(Debug, Clone, PartialEq)]
pub struct OtelSettings {
    /// Address of the collector, such as `http://127.0.0.1:4318`.
    pub endpoint: String,
    /// Share of the traces that begin here and are recorded, from 0 to 1.
    pub sample_ratio: f64,
    /// Name of the service in the traces.
    pub service: String,
    /// Version of the service in the traces.
    pub version: String,
    /// Time that the collector has to accept a batch, and the end of the process for the last one.
    pub timeout: Duration,
    /// Largest number of spans that wait to be sent.
    pub queue: usize,
}

/// A tracer cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address is not one of a collector. It is not shown, because it may have a password.
    #[error("must be an http:// or https:// URL without a user, a query or a fragment")]
    Endpoint,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// The certificates of the system cannot be used.
    #[error("the certificates of the system cannot be used")]
    Trust(#[from] TrustError),
    /// The HTTP client cannot be created.
    #[error("the HTTP client cannot be created")]
    Http(#[from] reqwest::Error),
}
