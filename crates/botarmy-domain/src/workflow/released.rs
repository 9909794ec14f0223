//! Released artifacts: those that steps are given as their inputs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ContextId, HitlRequestId};
use crate::vocabulary::ArtifactType;

/// An artifact that steps are given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Id of the artifact.
    pub context_id: ContextId,
    /// Digest of its content.
    pub digest: String,
    /// Request in which it was approved or amended; `None` for the result of an ungated step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<HitlRequestId>,
}

/// The artifact of each type that steps are given.
pub type ReleasedArtifacts = BTreeMap<ArtifactType, Released>;
