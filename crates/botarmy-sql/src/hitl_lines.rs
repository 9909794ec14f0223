//! Input of the statistics of requests: conversion of the columns that both databases
//! select.

use botarmy_domain::hitl::{Counted, HitlLine};
use botarmy_domain::{AgentType, StoreError, Timestamp};

use crate::{corrupt, word};

const TABLE: &str = "hitl_requests";

/// A number of pending requests: kind, agent type, policy, number, and number of those that are overdue.
pub type CountedRow = (String, Option<String>, Option<String>, i64, i64);

/// A request that is not pending: status, kind, agent type, policy, time of creation, and time and author
/// of the reply.
pub type LineRow =
    (String, String, Option<String>, Option<String>, i64, Option<String>, Option<String>);

/// Returns the expression that counts the requests that are overdue at this time.
#[must_use]
pub fn overdue(now: Timestamp) -> String {
    format!("count(*) FILTER (WHERE answer_by <= {})", now.micros())
}

/// Reads the numbers of pending requests.
///
/// # Errors
/// [`StoreError::Corrupt`] for an unknown word.
pub fn counted(rows: Vec<CountedRow>) -> Result<Vec<Counted>, StoreError> {
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    let read = |(kind, agent, policy, count, overdue): CountedRow| {
        Ok(Counted {
            kind: word(TABLE, "pending", "kind", &kind)?,
            agent: agent_type(agent.as_deref())?,
            policy,
            count: number(count),
            overdue: number(overdue),
        })
    };
    rows.into_iter().map(read).collect()
}

/// Reads requests that are not pending.
///
/// # Errors
/// [`StoreError::Corrupt`] for an unknown word or a malformed time.
pub fn lines(rows: Vec<LineRow>) -> Result<Vec<HitlLine>, StoreError> {
    let read = |(status, kind, agent, policy, created_at, at, by): LineRow| {
        let at = at.as_deref().map(Timestamp::parse).transpose();
        let at = at.map_err(|error| corrupt(TABLE, created_at, format!("state.at: {error}")))?;
        let columns = (
            word(TABLE, created_at, "status", &status)?,
            word(TABLE, created_at, "kind", &kind)?,
            agent_type(agent.as_deref())?,
        );
        let reply = at.zip(by.as_deref());
        Ok(HitlLine::new(columns, policy, Timestamp::from_micros(created_at), reply))
    };
    rows.into_iter().map(read).collect()
}

fn agent_type(agent: Option<&str>) -> Result<Option<AgentType>, StoreError> {
    agent.map(|agent| word(TABLE, agent, "agent", agent)).transpose()
}
