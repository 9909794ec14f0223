//! Queries for budget accounts.

use std::sync::Arc;

use async_trait::async_trait;

use crate::budget::{BudgetAccount, BudgetKey};
use crate::error::StoreError;

/// Reads budget accounts. Results MUST include everything that was acknowledged before the call.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BudgetStore: Send + Sync + 'static {
    /// Returns the budget account, or `None` while it has no limit, reservation or usage.
    async fn account(&self, key: BudgetKey) -> Result<Option<Arc<BudgetAccount>>, StoreError>;
}
