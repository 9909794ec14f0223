//! Artifacts: documents made by agents and people. Immutable and content-addressed; a new version
//! refers to the previous one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::StoreError;
use crate::ids::{ContextId, ProjectId};
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, ArtifactType};

/// One immutable document in the context store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// The artifact without its content.
    #[serde(flatten)]
    pub meta: ArtifactRef,
    /// The document.
    pub content: Map<String, Value>,
    /// Metadata by its author, in free form.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// An artifact without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// Id of the artifact.
    pub id: ContextId,
    /// Project that it belongs to.
    pub project_id: ProjectId,
    /// Agent type that produced it.
    pub source_agent: AgentType,
    /// Type of the artifact.
    pub artifact_type: ArtifactType,
    /// SHA-256 of the content's canonical JSON, in lower-case hexadecimal; `docs/log.md` describes
    /// it.
    pub digest: String,
    /// Version that it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ContextId>,
    /// Time of creation.
    pub created_at: Timestamp,
}

/// An artifact that is not stored yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewArtifact {
    /// Type of the artifact.
    pub artifact_type: ArtifactType,
    /// The document.
    pub content: Map<String, Value>,
    /// Metadata by its author, in free form.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

impl Artifact {
    /// Checks that the content is the one that the digest was computed from.
    ///
    /// A content that is not has one of two outcomes. When a task is handed out, its attempt fails
    /// with the code [`RELEASED_BYTES_DIFFER`] and a person is asked, because the project cannot go on
    /// and another attempt would be given the same. Everywhere else, where a document is read,
    /// reviewed or packed, the request fails with the error of this function: nothing is handed over,
    /// and nothing changes.
    ///
    /// [`RELEASED_BYTES_DIFFER`]: crate::decide::tasks::RELEASED_BYTES_DIFFER
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is not.
    pub fn verify(&self) -> Result<(), StoreError> {
        if self.is_intact() {
            return Ok(());
        }
        Err(StoreError::Corrupt {
            table: "artifacts",
            row: self.meta.id.to_string(),
            detail: format!("its content does not have the digest {}", self.meta.digest),
        })
    }

    /// Returns whether the content is the one that the digest was computed from. [`Artifact::verify`]
    /// names the outcomes if it is not.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        has_digest(&self.content, &self.meta.digest)
    }
}

impl NewArtifact {
    /// Creates an artifact without metadata.
    #[must_use]
    pub fn new(artifact_type: ArtifactType, content: Map<String, Value>) -> Self {
        Self { artifact_type, content, metadata: Map::new() }
    }
}

/// Returns the canonical JSON of a value: RFC 8785, with every digit of its integers.
#[must_use]
pub fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    crate::canonical::canonical(value)
}

/// Returns the SHA-256 of a value's canonical JSON, in lower-case hexadecimal.
#[must_use]
pub fn digest<T: Serialize>(value: &T) -> String {
    // Struct fields keep the order of the source; the maps of a `Value` may be sorted.
    let value = serde_json::to_value(value).expect("hashed values are JSON with string keys");
    digest_bytes(&crate::canonical::form_2(&value))
}

/// Returns whether `digest` is that of the value: in the present form or, if the value contains
/// numbers of 2^53 or more, in the form of earlier versions, which rounds them.
#[must_use]
pub fn has_digest(value: &Map<String, Value>, digest: &str) -> bool {
    use crate::canonical::{form_1, form_2};
    digest_bytes(&form_2(value)) == digest
        || form_1(value).is_some_and(|text| digest_bytes(&text) == digest)
}

/// Returns the SHA-256 of bytes, in lower-case hexadecimal.
#[must_use]
pub fn digest_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Encodes bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Filter for the artifacts of a project. A field that is `None` does not restrict the result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArtifactFilter {
    /// Type of the artifact.
    pub artifact_type: Option<ArtifactType>,
    /// Agent type that produced it.
    pub source_agent: Option<AgentType>,
    /// Artifact after which the page begins.
    pub after: Option<ContextId>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_keys() {
        assert_eq!(digest(&json!({"a": 1, "b": [2.0]})), digest(&json!({"b": [2], "a": 1})));
        assert_ne!(digest(&json!({"a": 1})), digest(&json!({"a": 2})));
        assert_eq!(
            digest_bytes(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_digest_shows_every_digit_of_an_integer_and_one_of_an_earlier_version_stays_valid() {
        let object = |n: u64| json!({"n": n}).as_object().cloned().unwrap();
        let (approved, changed) = (object(9_007_199_254_740_992), object(9_007_199_254_740_993));
        assert_ne!(digest(&approved), digest(&changed));
        assert!(has_digest(&approved, &digest(&approved)));
        assert!(!has_digest(&changed, &digest(&approved)));
        assert!(!has_digest(&approved, &digest(&changed)));
        // SHA-256 of {"n":9007199254740992}, which earlier versions hashed for both.
        let earlier = digest_bytes(b"{\"n\":9007199254740992}");
        assert!(has_digest(&approved, &earlier) && has_digest(&changed, &earlier));
        assert!(!has_digest(&object(9_007_199_254_740_994), &earlier));
    }
}
