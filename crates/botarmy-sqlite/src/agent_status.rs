//! Reads of the agents' current status. The current status is a table that the writer maintains;
//! its history is in the system log.

use async_trait::async_trait;
use botarmy_domain::log::LogId;
use botarmy_domain::ports::AgentStatus;
use botarmy_domain::{AgentRecord, AgentType, Listed, RecordKind, StoreError};
use botarmy_sql::body;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::error::reading;
use crate::record_statements;
use crate::schema::events;
use crate::statements::{EventIsAgentStatus, limited};
use crate::store::SqliteStore;

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

    async fn history(&self, agent: AgentType, limit: u32) -> Result<Vec<AgentRecord>, StoreError> {
        self.read_list(limit, move |connection| {
            let system = LogId::System.key();
            let query = events::table
                .filter(EventIsAgentStatus)
                .filter(
                    sql::<diesel::sql_types::Bool>("events.event_data ->> '$.agent_type' = ")
                        .bind::<Text, _>(agent.as_str()),
                )
                .filter(events::log.eq(system.bytes().as_slice()))
                .order(events::seq.desc())
                .select((events::seq, events::event_data));
            let rows: Vec<(i64, String)> =
                limited(query, limit).load(connection).map_err(|error| reading("events", error))?;
            rows.iter().map(|(seq, row)| body("events", seq, row)).collect()
        })
        .await
    }
}
