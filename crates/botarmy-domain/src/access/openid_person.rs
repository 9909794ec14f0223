//! A person as an OpenID provider describes it, in the form in which a principal can have it.

use std::collections::BTreeSet;

use super::openid::OpenIdIdentity;
use super::principal::{Principal, sound_groups, sound_name};
use crate::text;

/// Largest number of groups of a provider that are kept.
const MAX_GROUPS: usize = 64;
/// Longest name of a person, in characters.
const MAX_NAME: usize = 128;

/// Returns the name of a person without the characters that a name may not have, or in its place the
/// subject, or the id.
pub(crate) fn shown_name(identity: &OpenIdIdentity) -> String {
    let cleaned = |name: &str| -> Option<String> {
        let visible = |c: &char| !c.is_control() && !text::is_invisible(*c);
        let name: String = name.chars().filter(visible).take(MAX_NAME).collect();
        let words: Vec<_> = name.split(' ').filter(|word| !word.is_empty()).collect();
        sound_name("name", &words.join(" ").replace('/', "-")).ok()
    };
    cleaned(&identity.name)
        .or_else(|| cleaned(&identity.subject.subject))
        .unwrap_or_else(|| format!("person {}", Principal::openid_id(&identity.subject)))
}

/// Returns the groups that can be kept: the first ones whose names are suitable.
pub(crate) fn kept_groups(groups: &[String]) -> BTreeSet<String> {
    let suitable = |group: &&String| sound_groups(std::slice::from_ref(*group)).is_ok();
    let kept: Vec<String> = groups.iter().filter(suitable).take(MAX_GROUPS).cloned().collect();
    sound_groups(&kept).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::principal::OpenIdSubject;
    use super::*;

    fn identity(name: &str, subject: &str) -> OpenIdIdentity {
        let subject =
            OpenIdSubject { issuer: "https://id.example".to_owned(), subject: subject.to_owned() };
        OpenIdIdentity { subject, name: name.to_owned(), groups: Vec::new() }
    }

    #[test]
    fn every_name_of_a_provider_becomes_one_that_a_principal_can_have() {
        assert_eq!(shown_name(&identity("Ada L.", "1")), "Ada L.");
        assert_eq!(shown_name(&identity(" Sales/Ada\n\u{202e} ", "1")), "Sales-Ada");
        assert_eq!(shown_name(&identity("Ada  \u{fff9}L.", "1")), "Ada L.");
        assert_eq!(shown_name(&identity("\n", "4711")), "4711");
        assert!(shown_name(&identity("", "\u{200b}")).starts_with("person "));
        for name in ["", "/", "a\0b", "\u{202e}", &"ä/".repeat(200), " \u{200b} "] {
            let shown = shown_name(&identity(name, "s"));
            assert_eq!(sound_name("name", &shown).as_deref(), Ok(shown.as_str()), "{name:?}");
        }
    }

    #[test]
    fn groups_that_cannot_be_kept_do_not_keep_a_person_out() {
        let mut groups = vec!["a/b".to_owned(), String::new(), "\n".to_owned(), "x".repeat(129)];
        assert_eq!(kept_groups(&groups), BTreeSet::new());
        groups.extend((0..200).map(|n| format!("group {n}")));
        let kept = kept_groups(&groups);
        assert_eq!(kept.len(), MAX_GROUPS);
        assert!(kept.contains("group 0") && kept.contains("group 63"));
    }
}
