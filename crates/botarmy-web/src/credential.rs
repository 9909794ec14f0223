//! Credentials in texts where they do not belong.

/// Beginnings of the credentials of this server: keys, tokens of leases, sessions,
/// sign-in links, tickets and answer links.
const PREFIXES: [&str; 6] =
    ["botarmy_k_", "botarmy_w_", "botarmy_s_", "botarmy_l_", "botarmy_t_", "botarmy_a_"];

/// Returns whether a text has a credential of this server in it. Such a text must not be logged.
#[must_use]
pub fn has_credential(text: &str) -> bool {
    text.contains("botarmy_") && PREFIXES.iter().any(|prefix| text.contains(prefix))
}
