//! States that health checks report.

/// Condition of one component of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The component works; the text describes it.
    Healthy(String),
    /// The component does not work; the text gives the cause.
    Unhealthy(String),
    /// The configuration does not use the component.
    NotConfigured,
}

/// Result of checking whether an agent runner can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Whether the runner can work.
    pub ready: bool,
    /// Explanation for people.
    pub message: String,
}
