//! Reading what the agents are doing. The board is a table that the lanes keep; what was on it
//! before is in the system log.

use async_trait::async_trait;
use botarmy_domain::log::LogId;
use botarmy_domain::ports::AgentStatus;
use botarmy_domain::{AgentRecord, AgentType, StoreError};
use botarmy_sql::body;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;

use crate::schema::{agents, events};
use crate::store::PostgresStore;

#[async_trait]
impl AgentStatus for PostgresStore {
    async fn statuses(&self) -> Result<Vec<AgentRecord>, StoreError> {
        let rows: Vec<(String, String)> = self
            .read("agents", |connection| {
                async move { agents::table.load(connection).await }.boxed()
            })
            .await?;
        let of = |agent: &AgentType| {
            let row = rows.iter().find(|(name, _)| name == agent.as_str());
            row.map_or(Ok(AgentRecord::idle(*agent)), |(name, row)| body("agents", name, row))
        };
        AgentType::ALL.iter().map(of).collect()
    }

    async fn status_of(&self, agent: AgentType) -> Result<AgentRecord, StoreError> {
        let query = move || agents::table.find(agent.as_str()).select(agents::body);
        let row: Option<String> = self
            .read("agents", move |connection| {
                async move { query().get_result(connection).await.optional() }.boxed()
            })
            .await?;
        row.map_or(Ok(AgentRecord::idle(agent)), |row| body("agents", agent, &row))
    }

    async fn history(&self, agent: AgentType, limit: u32) -> Result<Vec<AgentRecord>, StoreError> {
        let query = move || {
            events::table
                .filter(events::event_type.eq("agent_status_changed"))
                .filter(
                    sql::<Bool>("events.event_data ->> 'agent_type' = ")
                        .bind::<Text, _>(agent.as_str()),
                )
                .filter(events::log.eq(LogId::System.key().uuid()))
                .order(events::seq.desc())
                .limit(limit.into())
                .select((events::seq, events::event_data))
        };
        let rows: Vec<(i64, String)> = self
            .read("events", move |connection| async move { query().load(connection).await }.boxed())
            .await?;
        rows.iter().map(|(seq, row)| body("events", seq, row)).collect()
    }
}
