//! Reads of the agents' current status. The current status is a table that the writer maintains;
//! its history is in the system log.

use async_trait::async_trait;
use botarmy_domain::log::LogId;
use botarmy_domain::ports::AgentStatus;
use botarmy_domain::{
    AgentRecord, AgentType, Listed, Page, PastStatus, RecordKind, StoreError, Timestamp,
};
use botarmy_sql::{body, integer};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::error::reading;
use crate::record_statements;
use crate::schema::events;
use crate::statements::{EventIsAgentStatus, limited, page};
use crate::store::SqliteStore;

impl SqliteStore {
    /// Returns the time at which the database was created; in seconds.
    ///
    /// # Errors
    /// The error of the database.
    pub fn created_at(&self) -> Result<Timestamp, StoreError> {
        const CREATED_AT: &str = "(SELECT CAST(strftime('%s', MIN(run_on)) AS INTEGER) \
                                  FROM __diesel_schema_migrations)";
        self.read_now(|connection| {
            let seconds: Option<i64> = diesel::select(sql::<Nullable<BigInt>>(CREATED_AT))
                .get_result(connection)
                .map_err(|error| reading("__diesel_schema_migrations", error))?;
            Ok(Timestamp::from_micros(seconds.unwrap_or(0).saturating_mul(1_000_000)))
        })
    }
}

#[async_trait]
impl AgentStatus for SqliteStore {
    async fn statuses(&self) -> Result<Vec<AgentRecord>, StoreError> {
        self.read_now(|connection| {
            let records = record_statements::list(connection, RecordKind::Agent, u32::MAX)?;
            let of = |agent: &AgentType| {
                let mut records = records.iter().filter_map(AgentRecord::of);
                let record = records.find(|record| record.agent_type == *agent);
                record.map_or_else(|| AgentRecord::idle(*agent), |record| (**record).clone())
            };
            Ok(AgentType::ALL.iter().map(of).collect())
        })
    }

    async fn status_of(&self, agent: AgentType) -> Result<AgentRecord, StoreError> {
        self.read_now(|connection| {
            let record = record_statements::read(connection, AgentRecord::any_key(agent))?;
            let record = record.as_ref().and_then(AgentRecord::of);
            Ok(record.map_or_else(|| AgentRecord::idle(agent), |record| (**record).clone()))
        })
    }

    async fn history(
        &self,
        agent: AgentType,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<PastStatus>, StoreError> {
        self.read_list(limit, move |connection| {
            let system = LogId::System.key();
            let query = events::table
                .filter(EventIsAgentStatus)
                .filter(
                    sql::<diesel::sql_types::Bool>("events.event_data ->> '$.agent_type' = ")
                        .bind::<Text, _>(agent.as_str()),
                )
                .filter(events::log.eq(system.bytes().as_slice()))
                .filter(events::seq.lt(before.map_or(i64::MAX, integer)))
                .order(events::seq.desc())
                .select((events::seq, events::event_data));
            page(connection, "events", limited(query, limit), |(seq, row): &(i64, String)| {
                let record = body("events", seq, row)?;
                Ok((PastStatus { seq: u64::try_from(*seq).unwrap_or(0), record }, row.len()))
            })
        })
        .await
    }
}
