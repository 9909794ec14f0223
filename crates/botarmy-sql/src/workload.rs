//! The rows of the two queries about the work that is not finished.

use std::collections::BTreeMap;

use botarmy_domain::hitl::OpenRequests;
use botarmy_domain::{AgentType, StoreError, Timestamp, Workload};

use crate::column::word;

/// Agent type, number of pending tasks, number of those that are ready, and the time since which the
/// oldest of them is.
pub type PendingRow = (String, i64, i64, Option<i64>);

/// Makes the workload of each agent type from the counts of its pending and its working tasks.
///
/// # Errors
/// [`StoreError::Corrupt`] if an agent type cannot be read.
pub fn workload(
    pending: Vec<PendingRow>,
    working: Vec<(String, i64)>,
) -> Result<Vec<Workload>, StoreError> {
    let mut loads: BTreeMap<AgentType, Workload> = BTreeMap::new();
    for (agent, count, ready, since) in pending {
        let load = of(&mut loads, &agent)?;
        (load.pending, load.ready) = (number(count), number(ready));
        load.ready_since = since.map(Timestamp::from_micros);
    }
    for (agent, count) in working {
        of(&mut loads, &agent)?.working = number(count);
    }
    Ok(loads.into_values().collect())
}

fn of<'a>(
    loads: &'a mut BTreeMap<AgentType, Workload>,
    agent: &str,
) -> Result<&'a mut Workload, StoreError> {
    let agent = word("tasks", agent, "agent", agent)?;
    let none = Workload { agent, pending: 0, ready: 0, ready_since: None, working: 0 };
    Ok(loads.entry(agent).or_insert(none))
}

/// Makes the pending requests of each kind from their kind, number and oldest time.
///
/// # Errors
/// [`StoreError::Corrupt`] if a kind cannot be read.
pub fn open_requests(
    rows: Vec<(String, i64, Option<i64>)>,
) -> Result<Vec<OpenRequests>, StoreError> {
    let mut found = Vec::with_capacity(rows.len());
    for (kind, count, oldest) in rows {
        let kind = word("hitl_requests", &kind, "kind", &kind)?;
        let oldest = Timestamp::from_micros(oldest.unwrap_or_default());
        found.push(OpenRequests { kind, count: number(count), oldest });
    }
    found.sort_unstable_by_key(|open| open.kind);
    Ok(found)
}

fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
