//! Reads of the agents' current status. The current status is a table that the commit workers
//! maintain; its history is in the system log.

use async_trait::async_trait;
use botarmy_domain::log::LogId;
use botarmy_domain::page::PART_BYTES;
use botarmy_domain::ports::AgentStatus;
use botarmy_domain::{
    AgentRecord, AgentType, Listed, Page, PastStatus, RecordKind, StoreError, Timestamp,
};
use botarmy_sql::{body, integer};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use crate::part::{Columns, page, part, surplus};
use crate::record_statements;
use crate::schema::events;
use crate::store::PostgresStore;

impl PostgresStore {
    /// Returns the time at which the database was created; in seconds.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn created_at(&self) -> Result<Timestamp, StoreError> {
        const CREATED_AT: &str = "(SELECT EXTRACT(EPOCH FROM MIN(run_on))::bigint \
                                  FROM __diesel_schema_migrations)";
        let seconds: Option<i64> = self
            .read("__diesel_schema_migrations", |connection| {
                let query = diesel::select(sql::<Nullable<BigInt>>(CREATED_AT));
                async move { query.get_result(connection).await }.boxed()
            })
            .await?;
        Ok(Timestamp::from_micros(seconds.unwrap_or(0).saturating_mul(1_000_000)))
    }
}

#[async_trait]
impl AgentStatus for PostgresStore {
    async fn statuses(&self) -> Result<Vec<AgentRecord>, StoreError> {
        let records =
            self.read_records(record_statements::list(RecordKind::Agent, u32::MAX)).await?;
        let of = |agent: &AgentType| {
            let mut records = records.iter().filter_map(AgentRecord::of);
            let record = records.find(|record| record.agent_type == *agent);
            record.map_or_else(|| AgentRecord::idle(*agent), |record| (**record).clone())
        };
        Ok(AgentType::ALL.iter().map(of).collect())
    }

    async fn status_of(&self, agent: AgentType) -> Result<AgentRecord, StoreError> {
        let key = AgentRecord::any_key(agent);
        let records = self.read_records(record_statements::find(RecordKind::Agent, &[key])).await?;
        let record = records.iter().find_map(AgentRecord::of);
        Ok(record.map_or_else(|| AgentRecord::idle(agent), |record| (**record).clone()))
    }

    async fn history(
        &self,
        agent: AgentType,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<PastStatus>, StoreError> {
        const COLUMNS: Columns = Columns { all: "seq, event_data", json: &["event_data"] };
        let query = move || {
            let query = events::table
                .filter(events::event_type.eq("agent_status_changed"))
                .filter(
                    sql::<Bool>("events.event_data ->> 'agent_type' = ")
                        .bind::<Text, _>(agent.as_str()),
                )
                .filter(events::log.eq(LogId::System.key().uuid()))
                .filter(events::seq.lt(before.map_or(i64::MAX, integer)))
                .order(events::seq.desc())
                .limit(surplus(limit))
                .select((events::seq, events::event_data));
            part(query, COLUMNS, PART_BYTES)
        };
        let rows: Vec<((i64, String), i64)> = self
            .read("events", move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        page(rows, limit).try_map(|(seq, row)| {
            let record = body("events", seq, &row)?;
            Ok(PastStatus { seq: u64::try_from(seq).unwrap_or(0), record })
        })
    }
}
