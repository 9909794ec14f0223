//! Reading what is stopped.

use async_trait::async_trait;
use botarmy_domain::ports::EmergencyStops;
use botarmy_domain::{Stop, StoreError};
use botarmy_sql::body;
use diesel::prelude::*;

use crate::error::reading;
use crate::schema::emergency_stops;
use crate::store::SqliteStore;

#[async_trait]
impl EmergencyStops for SqliteStore {
    async fn stops(&self) -> Result<Vec<Stop>, StoreError> {
        self.read_now(|connection| {
            let rows: Vec<(String, String)> = emergency_stops::table
                .load(connection)
                .map_err(|error| reading("emergency_stops", error))?;
            let read = |(scope, row): &(String, String)| body("emergency_stops", scope, row);
            let mut stops: Vec<Stop> = rows.iter().map(read).collect::<Result<_, _>>()?;
            stops.sort_by_key(|stop| stop.scope);
            Ok(stops)
        })
    }
}
