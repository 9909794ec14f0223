//! Reading what was spent.

use std::sync::Arc;

use async_trait::async_trait;

use crate::budget::{Purse, PurseKey};
use crate::error::StoreError;

/// Reads purses. What it answers MUST include everything that was acknowledged before the call.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BudgetStore: Send + Sync + 'static {
    /// The purse; `None` while nothing was set, reserved or spent.
    async fn purse(&self, key: PurseKey) -> Result<Option<Arc<Purse>>, StoreError>;
}
