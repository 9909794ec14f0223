//! Payloads of events about artifacts and packages.

use crate::artifact::ArtifactRef;
use crate::ids::ContextId;
use crate::timestamp::Timestamp;
use crate::vocabulary::{AgentType, ArtifactType};
use serde::{Deserialize, Serialize};

/// An artifact was stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactCreated {
    /// Id of the artifact.
    pub context_id: ContextId,
    /// Type of the artifact.
    pub artifact_type: ArtifactType,
    /// SHA-256 of its canonical content, in hexadecimal.
    pub digest: String,
    /// Agent type that produced it.
    pub source_agent: AgentType,
    /// Version that it replaces.
    pub previous: Option<ContextId>,
}

impl From<&ArtifactRef> for ArtifactCreated {
    fn from(artifact: &ArtifactRef) -> Self {
        Self {
            context_id: artifact.id,
            artifact_type: artifact.artifact_type,
            digest: artifact.digest.clone(),
            source_agent: artifact.source_agent,
            previous: artifact.previous,
        }
    }
}

/// A package was generated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactsGenerated {
    /// Sentence for people.
    pub message: String,
    /// Whether the package can be downloaded.
    pub download_available: bool,
    /// Time at which the package was built.
    pub generated_at: Timestamp,
    /// Number of files in the package.
    pub artifact_count: usize,
    /// Digest of the package.
    pub digest: String,
}

/// A package was deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactsDeleted {
    /// Digest of the package.
    pub digest: String,
    /// Time at which the package was built.
    pub generated_at: Timestamp,
}
