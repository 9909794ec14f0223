//! Settings of the OpenID provider with which people sign in.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use botarmy_domain::Role;
use serde::Deserialize;

use super::Http;
use crate::environment::VariableName;

/// Longest name of a group, in characters.
const MAX_GROUP: usize = 128;

/// `[oidc]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Oidc {
    pub issuer: String,
    pub client_id: String,
    pub client_secret_env: VariableName,
    pub groups_claim: String,
    pub scopes: Vec<String>,
    #[serde(default)]
    pub grants: BTreeMap<String, Vec<String>>,
}

impl Oidc {
    /// Returns `true` if people can sign in with an OpenID provider.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        !self.issuer.is_empty()
    }

    /// Returns the roles on all projects that the groups of the provider have, by the names of the
    /// groups.
    ///
    /// # Panics
    /// If the settings were not checked.
    pub(crate) fn group_roles(&self) -> BTreeMap<String, BTreeSet<Role>> {
        let roles = |(group, names): (&String, &Vec<String>)| {
            let roles = roles(group, names).expect("the settings are checked when they are read");
            (group.clone(), roles)
        };
        self.grants.iter().map(roles).collect()
    }

    /// Checks the settings by themselves.
    ///
    /// # Errors
    /// A setting that is missing, or one that cannot be used.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if !self.client_secret_env.is_possible() {
            bail!(
                "oidc.client_secret_env must be the name of an environment variable, of letters, \
                 digits and _; the secret itself belongs into that variable"
            );
        }
        if self.client_secret_env.as_str().starts_with("BOTARMY_") {
            bail!(
                "oidc.client_secret_env must not begin with BOTARMY_, because such a variable is a \
                 setting"
            );
        }
        for (group, names) in &self.grants {
            roles(group, names)?;
        }
        if !self.is_used() {
            let is_set = [
                ("client_id", !self.client_id.is_empty()),
                ("client_secret_env", !self.client_secret_env.is_empty()),
                ("grants", !self.grants.is_empty()),
            ];
            if let Some((name, _)) = is_set.iter().find(|(_, is_set)| *is_set) {
                bail!("oidc.{name} is set and oidc.issuer is not; set both, or neither");
            }
            return Ok(());
        }
        #[cfg(feature = "openid")]
        if let Err(error) = botarmy_openid::check_issuer(&self.issuer) {
            bail!("oidc.issuer: {error}");
        }
        if self.client_id.trim().is_empty() {
            bail!("oidc.client_id is missing: the id of this server at the provider");
        }
        if self.groups_claim.trim().is_empty() {
            bail!("oidc.groups_claim is empty; it is the name of the claim with a person's groups");
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            bail!("oidc.scopes must have \"openid\", without which there is no ID token");
        }
        if let Some(scope) = self.scopes.iter().find(|scope| !is_scope(scope)) {
            bail!("oidc.scopes: {scope:?} is no scope; write each in a text of its own");
        }
        if self.grants.is_empty() {
            bail!(
                "oidc.grants is empty, so that none of the people at the provider has a role here; \
                 name a group, such as [oidc.grants] army-admins = [\"admin\"]"
            );
        }
        let is_group = |name: &str| {
            !name.trim().is_empty()
                && name.chars().count() <= MAX_GROUP
                && !name.chars().any(char::is_control)
        };
        if let Some(group) = self.grants.keys().find(|group| !is_group(group)) {
            bail!("oidc.grants: {group:?} is no name of a group: up to {MAX_GROUP} characters");
        }
        Ok(())
    }

    /// Checks that the provider can send people back: the addresses to which it does are registered
    /// there, and must not follow from what a client says.
    ///
    /// # Errors
    /// A public address that is missing, or is not encrypted.
    pub(super) fn check_exposure(&self, http: &Http) -> anyhow::Result<()> {
        if !self.is_used() || http.host.is_loopback() {
            return Ok(());
        }
        match http.public_url()? {
            None => bail!(
                "oidc.issuer needs http.public_url, because http.host = {} is not a loopback address: \
                 the provider sends people back to the public address with /console/login/callback \
                 at its end. docs/security.md explains it.",
                http.host
            ),
            Some(url) if !url.origin().starts_with("https://") => bail!(
                "http.public_url = {:?} must begin with https:// if people sign in with oidc.issuer, \
                 because browsers keep the cookies of a sign-in on encrypted pages only",
                http.public_url
            ),
            Some(_) => Ok(()),
        }
    }
}

/// Returns the roles of a group.
///
/// # Errors
/// A role that does not exist, or none.
fn roles(group: &str, names: &[String]) -> anyhow::Result<BTreeSet<Role>> {
    let mut roles = BTreeSet::new();
    for name in names {
        match name.parse() {
            Ok(role) => roles.insert(role),
            Err(error) => bail!("oidc.grants: the group {group:?} has an unknown role: {error}"),
        };
    }
    if roles.is_empty() {
        bail!("oidc.grants: the group {group:?} has no role; name one, or leave it out");
    }
    Ok(roles)
}

/// Returns `true` for the name of a scope (RFC 6749, section 3.3).
fn is_scope(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
    !name.is_empty() && name.chars().all(is_allowed)
}
