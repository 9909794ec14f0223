//! Reading what was spent.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::BudgetStore;
use botarmy_domain::{BudgetAccount, BudgetKey, StoreError};
use botarmy_sql::body;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use crate::schema::purses;
use crate::store::PostgresStore;

#[async_trait]
impl BudgetStore for PostgresStore {
    async fn account(&self, key: BudgetKey) -> Result<Option<Arc<BudgetAccount>>, StoreError> {
        let row: Option<String> = self
            .read("purses", move |connection| {
                let query = purses::table.find(key.to_string()).select(purses::body);
                async move { query.get_result(connection).await.optional() }.boxed()
            })
            .await?;
        row.map(|row| body("purses", key, &row)).transpose()
    }
}
