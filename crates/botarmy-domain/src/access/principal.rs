//! Principals: the persons and programs that hold grants.

use std::collections::BTreeSet;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::api_key::ApiKey;
use super::grant::Grant;
use super::rights::Rights;
use crate::error::DomainError;
use crate::hitl::Delegation;
use crate::ids::PrincipalId;
use crate::record::{ColumnKind, ColumnValue, Record, RecordTable};
use crate::text;
use crate::timestamp::Timestamp;
use crate::vocabulary::{Permission, PrincipalKind};

/// Longest name of a principal or of a group, in characters.
const MAX_NAME: usize = 128;
/// Largest number of groups of a principal.
const MAX_GROUPS: usize = 64;
/// Names under which the log records parts of the server, commands, and callers of an open server.
const RESERVED: [&str; 6] = ["system", "scheduler", "anonymous", "local", "terminal", "external"];
/// Beginning of the names of the workers that a server runs itself.
const WORKER: &str = "worker-";

/// A person or a program that holds grants. It is never removed, so that the log can always be read:
/// one that was deleted keeps its name, and its id is never given to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Id, which follows from the name or from the identity at a provider.
    pub id: PrincipalId,
    /// Kind; it belongs to the principal, not to its credentials.
    pub kind: PrincipalKind,
    /// Name, as the log records it.
    pub name: String,
    /// Identity at an OpenID provider; `None` for a local principal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openid: Option<OpenIdSubject>,
    /// Groups that it is in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// Grants.
    #[serde(default)]
    pub grants: Vec<Grant>,
    /// Person who answers requests in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Delegation>,
    /// Whether its credentials are refused for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Time of deletion; its credentials are refused for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Identity of a person at an OpenID provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenIdSubject {
    /// Issuer, as in its tokens.
    pub issuer: String,
    /// Subject, which the issuer never gives to another.
    pub subject: String,
}

impl Principal {
    /// Returns the id of the local principal with this name. It follows from the form in which names are
    /// compared, so that of two principals whose names readers could confuse, one exists at most.
    #[must_use]
    pub fn local_id(name: &str) -> PrincipalId {
        id_of(&["local", &folded(name)])
    }

    /// Returns whether this is the id of the local principal with this name, also of one whose id was
    /// made of the name in lower case, as it once was.
    #[must_use]
    pub fn is_local_id(id: PrincipalId, name: &str) -> bool {
        id == Self::local_id(name) || id == id_of(&["local", &name.to_lowercase()])
    }

    /// Returns the id of a person at an OpenID provider.
    #[must_use]
    pub fn openid_id(subject: &OpenIdSubject) -> PrincipalId {
        id_of(&["openid", &subject.issuer, &subject.subject])
    }

    /// Returns whether its credentials are accepted.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.disabled && self.deleted_at.is_none()
    }

    /// Returns whether it is active and may manage principals and keys.
    #[must_use]
    pub fn manages_access(&self) -> bool {
        self.is_active() && Rights::of(&self.grants, None).has_globally(Permission::AccessManage)
    }

    /// Returns whether it may manage principals and keys with this key at this time.
    #[must_use]
    pub fn manages_access_with(&self, key: &ApiKey, now: Timestamp) -> bool {
        let is_valid = self.is_active()
            && key.principal == self.id
            && key.revoked_at.is_none()
            && !key.has_expired(now);
        is_valid
            && Rights::of(&self.grants, key.grants.as_deref())
                .has_globally(Permission::AccessManage)
    }

    /// Returns whether readers could take a name for that of the principal: they differ in nothing but
    /// case, compatible forms of characters, the number of spaces, and characters that are not visible.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        folded(&self.name) == folded(name)
    }
}

/// Returns the id of an identity.
fn id_of(parts: &[&str]) -> PrincipalId {
    PrincipalId::from_uuid(derived_uuid("botarmy.principal/1", parts))
}

/// Returns the UUID (version 8) of a text.
pub(super) fn derived_uuid(purpose: &str, parts: &[&str]) -> Uuid {
    let digest = Sha256::digest([purpose, &parts.join("\0")].join("\0"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Returns the name of a principal or of a group without surrounding white space.
///
/// # Errors
/// [`DomainError::Invalid`] for a name that is blank, too long, or not of one visible line. A slash is
/// refused because the names of lease holders have one between their parts.
pub(crate) fn sound_name(field: &'static str, name: &str) -> Result<String, DomainError> {
    let invalid = |message: &str| Err(DomainError::invalid(field, message));
    let Some(name) = text::non_blank(name) else { return invalid("must not be blank") };
    if name.chars().count() > MAX_NAME {
        return invalid("must be at most 128 characters");
    }
    if name.contains('/') {
        return invalid("must not have slashes");
    }
    let is_unsound =
        |c: &char| c.is_control() || text::is_invisible(*c) || (c.is_whitespace() && *c != ' ');
    if let Some(c) = name.chars().find(is_unsound) {
        let code = u32::from(c);
        return invalid(&format!(
            "must not have control characters, invisible characters or white space other than \
             spaces, such as U+{code:04X}"
        ));
    }
    Ok(name.to_owned())
}

/// Returns the name of a new principal, as [`sound_name`] does, in canonical composition.
///
/// # Errors
/// Also for a name with spaces in a row, which pages show as one, and for a name that the log gives to
/// something else.
pub(crate) fn new_name(name: &str) -> Result<String, DomainError> {
    let name = sound_name("name", name)?;
    if name.contains("  ") {
        let message = "must not have two spaces in a row, which cannot be told from one";
        return Err(DomainError::invalid("name", message));
    }
    let name = ComposingNormalizerBorrowed::new_nfc().normalize(&name).into_owned();
    let folded = folded(&name);
    let is_of_worker = folded
        .strip_prefix(WORKER)
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if is_of_worker || RESERVED.contains(&folded.as_str()) {
        let message = "must not be a name under which the log records parts of the server, commands \
                       or unknown callers";
        return Err(DomainError::invalid("name", message));
    }
    // The workers of a person at a provider have its id in their names.
    if Uuid::try_parse(&folded).is_ok() {
        return Err(DomainError::invalid("name", "must not be a UUID"));
    }
    Ok(name)
}

/// Returns the form of a name in which it is compared with others: compatibility composition (NFKC) in
/// full case folding, without characters that are not visible, and with single spaces.
fn folded(name: &str) -> String {
    let normalizer = ComposingNormalizerBorrowed::new_nfkc();
    let visible: String = name.chars().filter(|c| !text::is_invisible(*c)).collect();
    let folded = CaseMapper::new().fold_string(&normalizer.normalize(&visible)).into_owned();
    let words: Vec<_> = folded.split_whitespace().collect();
    normalizer.normalize(&words.join(" ")).into_owned()
}

/// Returns the names of groups.
///
/// # Errors
/// [`DomainError::Invalid`] for too many groups, or for a name that [`sound_name`] refuses.
pub(crate) fn sound_groups(groups: &[String]) -> Result<BTreeSet<String>, DomainError> {
    if groups.len() > MAX_GROUPS {
        return Err(DomainError::invalid(
            "groups",
            format!("must name at most {MAX_GROUPS} groups"),
        ));
    }
    groups.iter().map(|group| sound_name("groups", group)).collect()
}

impl Record for Principal {
    type Key = PrincipalId;

    const TABLE: RecordTable =
        RecordTable { name: "principals", key: ("id", ColumnKind::Id), extra: &[] };

    fn key(&self) -> PrincipalId {
        self.id
    }

    fn stored_key(key: PrincipalId) -> ColumnValue {
        ColumnValue::Id(key.uuid())
    }
}

/// Counter of the changes of principals, grants, keys and sessions. A server that remembers them
/// compares it with its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AccessVersion {
    /// Number of changes so far.
    pub version: u64,
}

impl AccessVersion {
    /// The key: there is one such record.
    pub const KEY: PrincipalId = PrincipalId::from_uuid(Uuid::nil());
}

impl Record for AccessVersion {
    type Key = PrincipalId;

    const TABLE: RecordTable =
        RecordTable { name: "access_version", key: ("id", ColumnKind::Id), extra: &[] };

    fn key(&self) -> PrincipalId {
        Self::KEY
    }

    fn stored_key(key: PrincipalId) -> ColumnValue {
        ColumnValue::Id(key.uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_follows_from_the_identity() {
        for (one, other) in
            [("Ada", "ada"), ("\u{ff41}da", "ada"), ("Stra\u{df}e", "strasse"), ("a  b", "A b")]
        {
            assert_eq!(Principal::local_id(one), Principal::local_id(other), "{one:?}");
        }
        // Ids are stored, and those of most names never changed.
        let id = id_of(&["local", "ada l."]);
        assert!(Principal::is_local_id(id, "Ada L.") && Principal::local_id("Ada L.") == id);
        let former = id_of(&["local", "stra\u{df}e"]);
        assert!(Principal::is_local_id(former, "Stra\u{df}e"));
        assert!(!Principal::is_local_id(former, "Strasse"));
        assert_ne!(Principal::local_id("ada"), Principal::local_id("bob"));
        let subject = |issuer: &str, subject: &str| {
            Principal::openid_id(&OpenIdSubject {
                issuer: issuer.to_owned(),
                subject: subject.to_owned(),
            })
        };
        assert_ne!(subject("a", "bc"), subject("ab", "c"));
        assert_eq!(Principal::local_id("ada").uuid().get_version_num(), 8);
    }

    #[test]
    fn a_new_name_is_not_mistaken_for_another() {
        assert_eq!(new_name("Ame\u{301}lie").as_deref(), Ok("Am\u{e9}lie"));
        for name in [
            "system",
            "System",
            "\u{ff53}ystem",
            "SCHEDULER",
            "anonymou\u{17f}",
            "local",
            "terminal",
            "worker-0123456789abcdef",
            "0190a0b0-0000-7000-8000-00000000000a",
            "sys\u{200d}tem",
            "a\u{ad}da",
            "a\u{fff9}da",
            "a\u{fffb}da",
            "Ada  L.",
        ] {
            assert!(new_name(name).is_err(), "{name:?}");
        }
        for name in ["systems", "worker-1", "Local hero"] {
            assert_eq!(new_name(name).as_deref(), Ok(name));
        }
        let called = |name: &str| Principal {
            id: Principal::local_id(name),
            kind: PrincipalKind::Service,
            name: name.to_owned(),
            openid: None,
            groups: BTreeSet::new(),
            grants: Vec::new(),
            delegation: None,
            disabled: false,
            deleted_at: None,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        };
        for (one, other) in [
            ("Ada", "aDA"),
            ("ame\u{301}", "AM\u{c9}"),
            ("a\u{200b}b", "ab"),
            ("\u{ff41}", "a"),
            ("a  b", "a b"),
        ] {
            assert!(called(one).is_called(other), "{one:?} {other:?}");
        }
        assert!(!called("ada").is_called("adam"));
    }

    #[test]
    fn names_are_of_one_visible_line_without_slashes() {
        assert_eq!(sound_name("name", " Ada L. ").as_deref(), Ok("Ada L."));
        for name in
            ["", " ", "a/b", "a\nb", "\u{202e}a", "\u{200b}", "a\u{200b}b", &"a".repeat(129)]
        {
            assert!(sound_name("name", name).is_err(), "{name:?}");
        }
        for c in ['\u{fff9}', '\u{fffa}', '\u{fffb}', '\u{70f}', '\u{13430}', '\u{1d159}', '\u{a0}']
        {
            let error = sound_name("name", &format!("a{c}b")).unwrap_err().to_string();
            assert!(error.contains(&format!("U+{:04X}", u32::from(c))), "{error}");
        }
    }
}
