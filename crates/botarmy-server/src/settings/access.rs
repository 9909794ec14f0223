//! Settings of access control and of limits for callers.

use std::fmt;

use anyhow::bail;
use botarmy_domain::ApiKeyText;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// `[access]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Access {
    pub mode: AccessMode,
    pub key_days: u32,
    pub session_idle_s: u64,
    pub session_max_s: u64,
    pub docs_public: bool,
    pub first_key: FirstKey,
}

/// Requests that a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessMode {
    /// Those with a valid key.
    Keys,
    /// All of them.
    Open,
}

/// The library that reads the settings names no values that are possible.
impl<'de> Deserialize<'de> for AccessMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "keys" => Ok(Self::Keys),
            "open" => Ok(Self::Open),
            _ => Err(D::Error::custom("must be \"keys\" or \"open\"")),
        }
    }
}

impl Access {
    /// Returns `true` if requests need a key.
    #[must_use]
    pub fn needs_keys(&self) -> bool {
        self.mode == AccessMode::Keys
    }

    /// Checks the first key.
    ///
    /// # Errors
    /// A text that is no key.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if !self.first_key.0.is_empty() && self.first_key.key().is_none() {
            bail!(
                "access.first_key is not a key of this server: it begins with botarmy_k_, has 59 \
                 characters, and the last six are a checksum of the others"
            );
        }
        Ok(())
    }
}

/// Key of the first administrator; empty for none. It is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct FirstKey(String);

impl FirstKey {
    /// Returns the key, if there is one.
    pub(crate) fn key(&self) -> Option<ApiKeyText> {
        self.0.parse().ok()
    }
}

impl fmt::Debug for FirstKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "(not shown)" })
    }
}

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Limits {
    pub person_units_per_s: u32,
    pub person_burst: u32,
    pub service_units_per_s: u32,
    pub service_burst: u32,
    pub person_requests: u32,
    pub person_polls: u32,
    pub person_streams: u32,
    pub person_heavy: u32,
    pub service_requests: u32,
    pub service_polls: u32,
    pub service_streams: u32,
    pub service_heavy: u32,
    pub failures_burst: u32,
    pub failures_per_minute: u32,
    pub logins_per_minute: u32,
}
