//! Tokens and cost of an attempt.

use serde::{Deserialize, Serialize};

/// Resources used by an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Provider, such as `offline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Number of input tokens.
    pub input_tokens: u64,
    /// Number of output tokens.
    pub output_tokens: u64,
    /// Cost in millionths of a US dollar; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
}

impl Usage {
    /// Returns whether nothing was used and neither provider nor model is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether the attempt used no tokens and cost nothing, regardless of provider.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.input_tokens == 0
            && self.output_tokens == 0
            && matches!(self.cost_micro_usd, None | Some(0))
    }

    /// Adds the usage of another attempt.
    pub fn add(&mut self, other: &Self) {
        self.provider = other.provider.clone().or_else(|| self.provider.take());
        self.model = other.model.clone().or_else(|| self.model.take());
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cost_micro_usd = match (self.cost_micro_usd, other.cost_micro_usd) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
    }
}
