//! Tokens and money that an attempt used.

use serde::{Deserialize, Serialize};

/// What an attempt used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The provider, such as `offline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_micro_usd: Option<u64>,
}

impl Usage {
    /// True when nothing was used and nobody named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True when it cost neither tokens nor money, whoever did the work.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.input_tokens == 0
            && self.output_tokens == 0
            && matches!(self.cost_micro_usd, None | Some(0))
    }

    /// Adds what another attempt used.
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
