//! Reading what the agents are doing. The board is a table that the writer keeps; what was on it
//! before is in the system log.

use async_trait::async_trait;
use botarmy_domain::log::LogId;
use botarmy_domain::ports::AgentStatus;
use botarmy_domain::{AgentRecord, AgentType, StoreError};
use botarmy_sql::body;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::error::reading;
use crate::schema::{agents, events};
use crate::statements::{EventIsAgentStatus, limited};
use crate::store::SqliteStore;

#[async_trait]
impl AgentStatus for SqliteStore {
    async fn statuses(&self) -> Result<Vec<AgentRecord>, StoreError> {
        self.read_now(|connection| {
            let rows: Vec<(String, String)> =
                agents::table.load(connection).map_err(|error| reading("agents", error))?;
            let of = |agent: &AgentType| {
                let row = rows.iter().find(|(name, _)| name == agent.as_str());
                row.map_or(Ok(AgentRecord::idle(*agent)), |(name, row)| body("agents", name, row))
            };
            AgentType::ALL.iter().map(of).collect()
        })
    }

    async fn status_of(&self, agent: AgentType) -> Result<AgentRecord, StoreError> {
        self.read_now(|connection| {
            let query = agents::table.find(agent.as_str()).select(agents::body);
            let row: Option<String> = query
                .get_result(connection)
                .optional()
                .map_err(|error| reading("agents", error))?;
            row.map_or(Ok(AgentRecord::idle(agent)), |row| body("agents", agent, &row))
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
