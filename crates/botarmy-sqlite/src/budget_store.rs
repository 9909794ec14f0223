//! Reading what was spent.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::BudgetStore;
use botarmy_domain::{BudgetAccount, BudgetKey, StoreError};
use botarmy_sql::body;
use diesel::prelude::*;

use crate::error::reading;
use crate::schema::purses;
use crate::store::SqliteStore;

#[async_trait]
impl BudgetStore for SqliteStore {
    async fn account(&self, key: BudgetKey) -> Result<Option<Arc<BudgetAccount>>, StoreError> {
        self.read_now(|connection| {
            let query = purses::table.find(key.to_string()).select(purses::body);
            let row: Option<String> = query
                .get_result(connection)
                .optional()
                .map_err(|error| reading("purses", error))?;
            row.map(|row| body("purses", key, &row)).transpose()
        })
    }
}
