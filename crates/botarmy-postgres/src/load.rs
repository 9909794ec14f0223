//! Loading the read set of a batch: one statement for each kind of row, for all decisions together.
//! The statements are pipelined.

use std::collections::BTreeSet;
use std::sync::Arc;

use botarmy_domain::batch::{ReadSet, Rows};
use botarmy_domain::{
    AgentFacts, AgentType, HitlRequest, LogId, Project, RecordKey, StoreError, Task, TaskId,
};
use botarmy_sql::body;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::DbError;
use crate::load_error::LoadError;
use crate::record_statements;
use crate::rows::{self, ArtifactRefRow, HeadRow, TaskRow};
use crate::schema::artifacts;
use crate::statements::{
    Heads, LockedHeads, LockedNames, OpenRequests, OpenTasks, Pending, Projects, Requests, Tasks,
    Working,
};

type Body = (Uuid, String);

/// Locks those of these records that decisions about other logs write too, one after the other in
/// the order of their names and until the transaction ends. A record that does not exist yet is
/// locked as well. The ends of logs are locked before records.
pub(crate) async fn lock_shared_records(
    mut connection: &AsyncPgConnection,
    keys: &BTreeSet<RecordKey>,
) -> Result<(), DbError> {
    let shared = keys.iter().filter(|key| key.kind().is_shared());
    let names: Vec<_> = shared.map(ToString::to_string).collect();
    if !names.is_empty() {
        let _: Vec<bool> = LockedNames { names }.load(&mut connection).await?;
    }
    Ok(())
}

/// Loads the rows of a read set.
pub(crate) async fn load(
    connection: &AsyncPgConnection,
    read_set: &ReadSet,
) -> Result<Rows, LoadError> {
    let logs: Vec<_> = read_set.heads.iter().map(|log| log.key().uuid()).collect();
    let project_ids = uuids(&read_set.projects, |id| id.uuid());
    let task_ids = uuids(&read_set.tasks, |id| id.uuid());
    let open_tasks = uuids(&read_set.open_tasks, |id| id.uuid());
    let request_ids = uuids(&read_set.requests, |id| id.uuid());
    let open_requests = uuids(&read_set.open_requests, |id| id.uuid());
    // Statements without keys are not sent; the others are pipelined in this order.
    let (heads, projects, tasks, open_tasks, requests, open_requests, rest) = tokio::join!(
        biased;
        unless_empty(logs, async |logs| Heads { logs }.load::<HeadRow>(&mut &*connection).await),
        unless_empty(project_ids, async |ids| {
            Projects { ids }.load::<Body>(&mut &*connection).await
        }),
        unless_empty(task_ids, async |ids| Tasks { ids }.load::<TaskRow>(&mut &*connection).await),
        unless_empty(open_tasks, async |projects| {
            OpenTasks { projects }.load::<TaskRow>(&mut &*connection).await
        }),
        unless_empty(request_ids, async |ids| {
            Requests { ids }.load::<Body>(&mut &*connection).await
        }),
        unless_empty(open_requests, async |projects| {
            OpenRequests { projects }.load::<Body>(&mut &*connection).await
        }),
        rare(connection, read_set),
    );
    let mut loaded = rest?;
    loaded.heads = heads?.into_iter().map(rows::head).collect::<Result<_, _>>()?;
    loaded.projects =
        entities::<Project>("projects", projects?)?.into_iter().map(Arc::new).collect();
    let all_tasks = tasks?.into_iter().chain(open_tasks?);
    loaded.tasks = all_tasks.map(rows::task).collect::<Result<Vec<Task>, _>>()?;
    let all_requests = requests?.into_iter().chain(open_requests?);
    loaded.requests = entities::<HitlRequest>("hitl_requests", all_requests)?;
    Ok(loaded)
}

/// Loads a read set from one snapshot. The inner error is a row that cannot be read. The snapshot
/// stays open until [`end_instant`].
pub(crate) async fn load_one_instant(
    connection: &AsyncPgConnection,
    read_set: &ReadSet,
) -> Result<Result<Rows, StoreError>, DbError> {
    let mut begin = connection;
    let (begun, loaded) = tokio::join!(
        biased;
        begin.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
        load(connection, read_set),
    );
    begun?;
    match loaded {
        Ok(loaded) => Ok(Ok(loaded)),
        Err(LoadError::Row(error)) => Ok(Err(error)),
        Err(LoadError::Database(db_error)) => Err(db_error),
    }
}

/// Ends the snapshot. Nothing was written, so this can be pipelined before the next statement.
pub(crate) async fn end_instant(mut connection: &AsyncPgConnection) -> Result<(), DbError> {
    Ok(connection.batch_execute("COMMIT").await?)
}

/// Loads the rows that few decisions need.
async fn rare(mut connection: &AsyncPgConnection, read_set: &ReadSet) -> Result<Rows, LoadError> {
    let mut loaded = Rows::default();
    if !read_set.artifacts.is_empty() {
        let rows: Vec<ArtifactRefRow> = artifacts::table
            .filter(artifacts::id.eq_any(uuids(&read_set.artifacts, |id| id.uuid())))
            .select(ArtifactRefRow::as_select())
            .load(&mut connection)
            .await?;
        loaded.artifacts =
            rows.iter().map(ArtifactRefRow::artifact_ref).collect::<Result<_, _>>()?;
    }
    loaded.records = record_statements::load(connection, &read_set.records).await?;
    for agent in &read_set.agent_facts {
        loaded.agent_facts.push((*agent, facts(connection, *agent).await?));
    }
    Ok(loaded)
}

/// Locks the ends of these logs one after the other and returns them.
pub(crate) async fn lock(
    mut connection: &AsyncPgConnection,
    logs: impl IntoIterator<Item = LogId>,
) -> Result<Vec<HeadRow>, DbError> {
    let logs = logs.into_iter().map(|log| log.key().uuid()).collect();
    Ok(LockedHeads { logs }.load(&mut connection).await?)
}

fn uuids<T>(ids: &std::collections::BTreeSet<T>, uuid: impl Fn(&T) -> Uuid) -> Vec<Uuid> {
    ids.iter().map(uuid).collect()
}

async fn unless_empty<T>(
    keys: Vec<Uuid>,
    load: impl AsyncFnOnce(Vec<Uuid>) -> QueryResult<Vec<T>>,
) -> QueryResult<Vec<T>> {
    if keys.is_empty() { Ok(Vec::new()) } else { load(keys).await }
}

fn entities<T: DeserializeOwned>(
    table: &'static str,
    rows: impl IntoIterator<Item = Body>,
) -> Result<Vec<T>, LoadError> {
    rows.into_iter().map(|(id, text)| Ok(body(table, id, &text)?)).collect()
}

/// Loads the facts about an agent type that follow from leases and gates.
async fn facts(
    mut connection: &AsyncPgConnection,
    agent: AgentType,
) -> Result<AgentFacts, LoadError> {
    let agent = agent.as_str();
    let (working, pending) = tokio::join!(
        biased;
        Working { agent }.get_result::<(i64, Option<Uuid>)>(&mut &*connection),
        Pending { agent }.get_result::<(i64, Option<Uuid>)>(&mut &*connection),
    );
    let (working, oldest) = working?;
    let (waiting, failure) = pending?;
    let failures = Requests { ids: failure.into_iter().collect() };
    let failure: Vec<Body> = match failures.ids.as_slice() {
        [] => Vec::new(),
        _ => failures.load(&mut connection).await?,
    };
    let failure = entities::<HitlRequest>("hitl_requests", failure)?.into_iter().last();
    Ok(AgentFacts {
        working: u32::try_from(working).unwrap_or(u32::MAX),
        current_task: oldest.map(TaskId::from_uuid),
        waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
        failure: failure.map(|request| (request.created_at, request.question)),
    })
}
