//! Artifacts that are handed over, reviewed or packed: their contents are checked against their
//! digests, because a digest is what people approve and what the log records.

use std::sync::Arc;

use botarmy_domain::{Artifact, ContextId, StoreError};

use crate::engine::Engine;

impl Engine {
    /// Returns these artifacts in this order, without those that do not exist.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a content does not have its digest.
    pub(crate) async fn verified_artifacts(
        &self,
        ids: &[ContextId],
    ) -> Result<Vec<Arc<Artifact>>, StoreError> {
        let artifacts = self.ports.stores.context.artifacts_by_id(ids).await?;
        verify_contents(&artifacts)?;
        Ok(artifacts)
    }
}

/// Checks the contents of artifacts against their digests.
pub(crate) fn verify_contents(artifacts: &[Arc<Artifact>]) -> Result<(), StoreError> {
    artifacts.iter().try_for_each(|artifact| artifact.verify())
}
