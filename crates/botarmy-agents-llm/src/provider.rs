//! The configuration of a model provider.

use std::time::Duration;

/// Protocol of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenAI's chat completions.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's generateContent.
    Gemini,
    /// Ollama's chat.
    Ollama,
    /// OpenAI's chat completions, spoken by another server.
    Compatible,
}

impl ProviderKind {
    /// Returns the provider's public base URL; `None` where there is no such thing.
    #[must_use]
    pub const fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("https://api.openai.com/v1/"),
            Self::Anthropic => Some("https://api.anthropic.com/v1/"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com/v1beta/"),
            Self::Ollama => Some("http://localhost:11434/"),
            Self::Compatible => None,
        }
    }

    /// Returns `true` if the provider constrains answers to a schema. Not every compatible server
    /// does.
    #[must_use]
    pub const fn has_schema(self) -> bool {
        !matches!(self, Self::Compatible)
    }

    /// Returns `true` if the provider always requires a key.
    #[must_use]
    pub const fn needs_key(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic | Self::Gemini)
    }
}

/// An API key. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Creates a key from a text without its surrounding white space, such as the end of a line;
    /// `None` if nothing is left.
    #[must_use]
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty()).then(|| Self(key.to_owned()))
    }

    /// Returns the key, for a request and nothing else.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Configuration of a provider.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Name of its section in the settings.
    pub name: String,
    /// Protocol of its API.
    pub kind: ProviderKind,
    /// Base URL of its API.
    pub base_url: String,
    /// API key, where the provider requires one.
    pub key: Option<Key>,
    /// Environment variable that the key comes from, for error messages; `None` if it has no key or
    /// its name is not to be shown.
    pub key_env: Option<String>,
    /// Most tokens of one answer.
    pub max_tokens: u32,
    /// Most tokens of context in a request, estimated at four bytes each.
    pub context_tokens: usize,
    /// Most time without a byte of the answer.
    pub silence: Duration,
    /// `true` if requests ask the provider to constrain the answer to a schema.
    pub schema: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_no_white_space_around_it_and_is_never_shown() {
        let key = Key::new(" s3cr3t\n").unwrap();
        assert_eq!((format!("{key:?}").as_str(), key.secret()), ("Key(…)", "s3cr3t"));
        assert!(Key::new(" \n").is_none());
    }
}
