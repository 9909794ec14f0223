//! States that health checks report.

/// How a part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Healthy(String),
    /// It does not.
    Unhealthy(String),
    /// This profile does not use it.
    NotConfigured,
}

/// Whether a runner could work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// It could.
    pub ready: bool,
    /// A sentence for people.
    pub message: String,
}
