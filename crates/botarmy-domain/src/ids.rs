//! One id type for each noun. New ids are UUID version 7 (RFC 9562), so they sort by time of
//! creation and a list can page by id alone.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Text that is not an id in one of the accepted forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID: expected 8-4-4-4-12 hexadecimal digits, or 32 without hyphens")]
pub struct MalformedId;

/// Parses a UUID in one of the two accepted forms: hyphenated, or 32 hexadecimal digits.
///
/// # Errors
/// [`MalformedId`] for anything else, including the braced and URN forms.
pub fn parse_uuid(text: &str) -> Result<Uuid, MalformedId> {
    match text.len() {
        32 | 36 => Uuid::try_parse(text).map_err(|_| MalformedId),
        _ => Err(MalformedId),
    }
}

macro_rules! id {
    ($($(#[$meta:meta])* $name:ident)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Creates an id from a UUID.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// Returns the UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// Returns the id that comes next in the order of ids.
            #[must_use]
            pub const fn successor(self) -> Self {
                Self(Uuid::from_u128(self.0.as_u128().wrapping_add(1)))
            }

            /// Returns the sixteen bytes that a store keeps.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = MalformedId;
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                parse_uuid(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

id! {
    /// Id of a project.
    ProjectId
    /// Id of a task.
    TaskId
    /// Id of a human-in-the-loop request.
    HitlRequestId
    /// Id of an artifact.
    ContextId
    /// Id of a log entry.
    EventId
    /// Id of a principal. It follows from the name of a local principal, or from the issuer and the
    /// subject of one at an OpenID provider, so a name belongs to one principal for ever.
    PrincipalId
    /// Id of a credential: of an API key, or of a session.
    CredentialId
    /// Id of a subscription of a webhook.
    WebhookId
    /// Id of an attempt to deliver the message of a webhook.
    DeliveryId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_in_either_case_are_the_same_id() {
        let hyphenated: ProjectId = "0190A0B0-0000-7000-8000-00000000000A".parse().unwrap();
        let plain: ProjectId = "0190a0b000007000800000000000000a".parse().unwrap();
        assert_eq!(hyphenated, plain);
        assert_eq!(plain.to_string(), "0190a0b0-0000-7000-8000-00000000000a");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "{0190a0b0-0000-7000-8000-00000000000a}",
            "urn:uuid:0190a0b0-0000-7000-8000-00000000000a",
            "0190a0b0-0000-7000-8000-00000000000g",
            "0190a0b0-0000-7000-8000-0000000000",
        ] {
            assert_eq!(text.parse::<TaskId>(), Err(MalformedId), "{text}");
        }
    }
}
