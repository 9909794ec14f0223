//! Queries for emergency stops.

use async_trait::async_trait;

use crate::emergency::Stop;
use crate::error::StoreError;

/// Reads emergency stops. Results MUST include everything that was acknowledged before the call.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait EmergencyStops: Send + Sync + 'static {
    /// Returns the stops in force, in the order of their scopes.
    async fn stops(&self) -> Result<Vec<Stop>, StoreError>;
}
