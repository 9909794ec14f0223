//! `[gates]`: what every policy of a request has at least.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::bail;
use botarmy_domain::hitl::GateSettings;
use botarmy_domain::vocabulary::{Exclusion, Need, OnExpiry};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// `[gates]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Gates {
    pub allow_expiry_approval: bool,
    pub min_approvals: u32,
    #[serde(deserialize_with = "words")]
    pub exclude: Vec<Exclusion>,
    #[serde(deserialize_with = "word")]
    pub digest: Need,
    pub claim_s: u32,
    pub grace_s: u32,
    #[serde(default)]
    pub groups: BTreeMap<String, BTreeSet<String>>,
}

impl Gates {
    /// Checks that expiry approves only where it may. `on_expiry` is the rule of requests whose step sets
    /// none.
    pub(super) fn check(&self, on_expiry: OnExpiry) -> anyhow::Result<()> {
        if on_expiry == OnExpiry::Approve && !self.allow_expiry_approval {
            bail!(
                "orchestrator.on_expiry: `approve` goes on with results that nobody reviewed; it needs \
                 gates.allow_expiry_approval = true"
            );
        }
        if on_expiry == OnExpiry::Approve && self.min_approvals > 1 {
            bail!("orchestrator.on_expiry: cannot be `approve` with gates.min_approvals above 1");
        }
        Ok(())
    }

    /// Returns the rules of the server for requests.
    pub(crate) fn rules(&self) -> Arc<GateSettings> {
        Arc::new(GateSettings {
            min_approvals: self.min_approvals,
            exclude: self.exclude.clone(),
            digest: self.digest,
            allow_expiry_approval: self.allow_expiry_approval,
            claim_s: self.claim_s,
            grace_s: self.grace_s,
            groups: self.groups.clone(),
        })
    }
}

/// Reads a word, with the words that are possible in the error, which the library of the settings leaves
/// out.
fn word<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// Reads a list of words, as [`word`] does.
fn words<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<Vec<T>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    words.iter().map(|word| word.parse().map_err(D::Error::custom)).collect()
}
