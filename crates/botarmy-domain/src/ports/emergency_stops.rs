//! Reading what is stopped.

use async_trait::async_trait;

use crate::emergency::Stop;
use crate::error::StoreError;

/// Reads emergency stops. What it answers MUST include everything that was acknowledged before the
/// call.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EmergencyStops: Send + Sync + 'static {
    /// The stops that nobody has released, in the order of their scopes.
    async fn stops(&self) -> Result<Vec<Stop>, StoreError>;
}
