//! Reading what was spent.

use std::sync::Arc;

use async_trait::async_trait;

use crate::budget::{BudgetAccount, BudgetKey};
use crate::error::StoreError;

/// Reads budget accounts. What it answers MUST include everything that was acknowledged before the call.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BudgetStore: Send + Sync + 'static {
    /// The budget account; `None` while nothing was set, reserved or spent.
    async fn account(&self, key: BudgetKey) -> Result<Option<Arc<BudgetAccount>>, StoreError>;
}
