//! Reading records.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::ids::{CredentialId, ProjectId};
use crate::records::{Listed, RecordKey, RecordKind, RecordValue};
use crate::timestamp::Timestamp;

/// Reads records of every kind.
///
/// An implementation
/// - MUST include everything that was acknowledged before the call;
/// - MUST return the records of a list in the order of their keys as they are stored.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// Returns the record with this key, or `None` where there is none.
    async fn find(&self, key: RecordKey) -> Result<Option<RecordValue>, StoreError>;

    /// Returns the records of a kind, at most `limit`.
    async fn list(&self, kind: RecordKind, limit: u32) -> Result<Vec<RecordValue>, StoreError>;

    /// Returns all records of these kinds, kind by kind, as they are together after one commit.
    async fn together(&self, kinds: &'static [RecordKind]) -> Result<Vec<RecordValue>, StoreError>;

    /// Returns the time of the last use of each key that was used.
    async fn key_uses(&self) -> Result<Vec<(CredentialId, Timestamp)>, StoreError>;

    /// Returns the projects whose package was made before `time`, at most `limit`.
    async fn packages_before(
        &self,
        time: Timestamp,
        limit: u32,
    ) -> Result<Vec<ProjectId>, StoreError>;
}

/// Reads of one kind of record, for every implementation of [`Records`].
pub trait RecordsExt: Records {
    /// Returns the record of this kind with this key, or `None` where there is none.
    fn record<R: Listed>(
        &self,
        key: R::Key,
    ) -> impl Future<Output = Result<Option<Arc<R>>, StoreError>> + Send {
        async move {
            let found = self.find(R::any_key(key)).await?;
            Ok(found.as_ref().and_then(R::of).cloned())
        }
    }

    /// Returns all records of this kind, in the order of their keys.
    fn all<R: Listed>(&self) -> impl Future<Output = Result<Vec<Arc<R>>, StoreError>> + Send {
        async move {
            let found = self.list(R::KIND, u32::MAX).await?;
            let mut records: Vec<Arc<R>> = found.iter().filter_map(R::of).cloned().collect();
            records.sort_by_key(|record| record.key());
            Ok(records)
        }
    }
}

impl<T: Records + ?Sized> RecordsExt for T {}
