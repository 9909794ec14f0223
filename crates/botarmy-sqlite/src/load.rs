//! Loading the read set of a batch, on the connection that writes.

use std::sync::Arc;

use botarmy_domain::batch::{ReadSet, Rows};
use botarmy_domain::ids::{ProjectId, TaskId};
use botarmy_domain::{
    AgentFacts, AgentType, Claim, HitlKind, HitlRequest, StopScope, Task, Timestamp,
};
use botarmy_sql::dialect::Dialect;
use botarmy_sql::{body, reach};
use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::load_error::LoadError;
use crate::record_statements;
use crate::rows::{ArtifactRefRow, HeadRow, key_text};
use crate::schema::{artifacts, emergency_stops, heads, hitl_requests, projects, tasks};
use crate::statements::{ProjectIsOpen, RequestIsPending, TaskIsPending, TaskIsWorking, limited};

/// Loads the rows of a read set. Rows are fetched one by one: a statement that is prepared once and
/// finds its row by key costs a few microseconds, less than preparing one for many.
pub(crate) fn load(
    connection: &mut SqliteConnection,
    read_set: &ReadSet,
) -> Result<Rows, LoadError> {
    let mut loaded = Rows::default();
    for log in &read_set.heads {
        let key = log.key();
        let query = heads::table.find(key.bytes().as_slice()).select(HeadRow::as_select());
        if let Some(row) = query.get_result(connection).optional()? {
            loaded.heads.push(row.head()?);
        }
    }
    for id in &read_set.projects {
        let query = projects::table.find(id.bytes().as_slice()).select(projects::body);
        let row: Option<String> = query.get_result(connection).optional()?;
        let project = row.map(|row| body("projects", id, &row)).transpose()?;
        loaded.projects.extend(project.map(Arc::new));
    }
    for id in &read_set.tasks {
        loaded.tasks.extend(task(connection, *id)?);
    }
    for project in &read_set.open_tasks {
        loaded.tasks.extend(open_tasks(connection, *project)?);
    }
    for id in &read_set.requests {
        let query = hitl_requests::table.find(id.bytes().as_slice()).select(hitl_requests::body);
        let row: Option<String> = query.get_result(connection).optional()?;
        loaded.requests.extend(row.map(|row| body("hitl_requests", id, &row)).transpose()?);
    }
    for project in &read_set.open_requests {
        loaded.requests.extend(open_requests(connection, *project)?);
    }
    for id in &read_set.artifacts {
        let query = artifacts::table.find(id.bytes().as_slice());
        let row = query.select(ArtifactRefRow::as_select()).get_result(connection).optional()?;
        loaded.artifacts.extend(row.map(|row| row.artifact_ref()).transpose()?);
    }
    for key in &read_set.records {
        loaded.records.extend(record_statements::find(connection, *key)?);
    }
    for agent in &read_set.agent_facts {
        loaded.agent_facts.push((*agent, facts(connection, *agent)?));
    }
    Ok(loaded)
}

/// Loads a task by its id.
pub(crate) fn task(
    connection: &mut SqliteConnection,
    id: TaskId,
) -> Result<Option<Task>, LoadError> {
    let query = tasks::table.find(id.bytes().as_slice()).select(tasks::body);
    let row: Option<String> = query.get_result(connection).optional()?;
    Ok(row.map(|row| body("tasks", id, &row)).transpose()?)
}

fn open_tasks(
    connection: &mut SqliteConnection,
    project: ProjectId,
) -> Result<Vec<Task>, LoadError> {
    let rows = tasks::table
        .filter(tasks::project_id.eq(project.bytes().as_slice()))
        .filter(tasks::status.ne("completed"))
        .filter(tasks::status.ne("failed"))
        .filter(tasks::status.ne("cancelled"))
        .select((tasks::id, tasks::body))
        .load(connection)?;
    entities("tasks", rows)
}

fn open_requests(
    connection: &mut SqliteConnection,
    project: ProjectId,
) -> Result<Vec<HitlRequest>, LoadError> {
    let rows = hitl_requests::table
        .filter(hitl_requests::project_id.eq(project.bytes().as_slice()))
        .filter(hitl_requests::status.eq("pending"))
        .select((hitl_requests::id, hitl_requests::body))
        .load(connection)?;
    entities("hitl_requests", rows)
}

fn entities<T: DeserializeOwned>(
    table: &'static str,
    rows: Vec<(Vec<u8>, String)>,
) -> Result<Vec<T>, LoadError> {
    rows.into_iter().map(|(id, row)| Ok(body(table, key_text(&id), &row)?)).collect()
}

/// Loads the facts about an agent type that follow from leases and gates.
fn facts(connection: &mut SqliteConnection, agent: AgentType) -> Result<AgentFacts, LoadError> {
    let working = || {
        tasks::table
            .inner_join(projects::table)
            .filter(TaskIsWorking)
            .filter(tasks::agent.eq(agent.as_str()))
            .filter(ProjectIsOpen)
    };
    let pending = || {
        hitl_requests::table
            .inner_join(projects::table)
            .filter(RequestIsPending)
            .filter(hitl_requests::agent.eq(agent.as_str()))
            .filter(ProjectIsOpen)
    };
    let failure = HitlKind::Failure.as_str();
    let tasks: i64 = working().select(count_star()).get_result(connection)?;
    let oldest = limited(working().select(tasks::id).order(tasks::id), 1);
    let oldest: Option<Vec<u8>> = oldest.get_result(connection).optional()?;
    let waiting: i64 = pending()
        .filter(hitl_requests::kind.ne(failure))
        .select(count_star())
        .get_result(connection)?;
    let failures = pending()
        .filter(hitl_requests::kind.eq(failure))
        .order((hitl_requests::created_at.desc(), hitl_requests::id.desc()))
        .select((hitl_requests::id, hitl_requests::body));
    let failure: Option<(Vec<u8>, String)> =
        limited(failures, 1).get_result(connection).optional()?;
    let failure = failure
        .map(|(id, row)| body::<HitlRequest>("hitl_requests", key_text(&id), &row))
        .transpose()?;
    Ok(AgentFacts {
        working: u32::try_from(tasks).unwrap_or(u32::MAX),
        current_task: oldest.and_then(|id| Uuid::from_slice(&id).ok()).map(TaskId::from_uuid),
        waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
        failure: failure.map(|request| (request.created_at, request.question)),
    })
}

/// Loads the next tasks for a worker: for each agent type as many as it has slots.
pub(crate) fn candidates(
    connection: &mut SqliteConnection,
    claim: &Claim,
) -> QueryResult<Vec<(ProjectId, TaskId)>> {
    let mut candidates = Vec::new();
    let within = reach::filter(Dialect::SQLITE, "tasks.project_id", &claim.reach);
    let stopped: Vec<String> =
        emergency_stops::table.select(emergency_stops::scope).load(connection)?;
    let is_stopped = |scope: StopScope| stopped.iter().any(|stop| *stop == scope.to_string());
    for (agent, slots) in &claim.slots {
        // A stopped project holds its tasks itself.
        if is_stopped(StopScope::Everything) || is_stopped(StopScope::Agent(*agent)) {
            continue;
        }
        candidates.extend(next_in_queue(
            connection,
            *agent,
            claim.context.now,
            *slots,
            within.as_deref(),
        )?);
    }
    Ok(candidates)
}

fn next_in_queue(
    connection: &mut SqliteConnection,
    agent: AgentType,
    now: Timestamp,
    slots: u32,
    within: Option<&str>,
) -> QueryResult<Vec<(ProjectId, TaskId)>> {
    let queue = tasks::table
        .filter(TaskIsPending)
        .filter(tasks::held.eq(false))
        .filter(tasks::agent.eq(agent.as_str()))
        .filter(tasks::ready_at.le(now.micros()))
        .order((tasks::priority.desc(), tasks::turn_at, tasks::id))
        .select((tasks::project_id, tasks::id));
    let rows: Vec<(Vec<u8>, Vec<u8>)> = match within {
        None => limited(queue, slots).load(connection)?,
        Some(within) => limited(queue.filter(sql::<Bool>(within)), slots).load(connection)?,
    };
    let uuid = |bytes: &[u8]| Uuid::from_slice(bytes).ok();
    let ids = rows.iter().filter_map(|(project, task)| Some((uuid(project)?, uuid(task)?)));
    Ok(ids.map(|(p, t)| (ProjectId::from_uuid(p), TaskId::from_uuid(t))).collect())
}
