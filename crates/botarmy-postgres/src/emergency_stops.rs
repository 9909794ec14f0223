//! Reading what is stopped.

use async_trait::async_trait;
use botarmy_domain::ports::EmergencyStops;
use botarmy_domain::{Stop, StoreError};
use botarmy_sql::body;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use crate::schema::emergency_stops;
use crate::store::PostgresStore;

#[async_trait]
impl EmergencyStops for PostgresStore {
    async fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        let rows: Vec<(String, String)> = self
            .read("emergency_stops", |connection| {
                async move { emergency_stops::table.load(connection).await }.boxed()
            })
            .await?;
        let read = |(scope, row): &(String, String)| body("emergency_stops", scope, row);
        let mut stops: Vec<Stop> = rows.iter().map(read).collect::<Result<_, _>>()?;
        stops.sort_by_key(|stop| stop.scope);
        Ok(stops)
    }
}
