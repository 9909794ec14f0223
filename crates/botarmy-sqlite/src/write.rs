//! Writing what a batch changed, row by row, with statements that are prepared once.

use std::collections::HashMap;

use botarmy_domain::batch::WriteSet;
use botarmy_domain::{
    Artifact, Entry, Head, HitlRequest, HitlStatus, Project, ProjectId, ProjectStatus, Task,
    TaskStatus, Timestamp,
};
use botarmy_sql::{hash_column, integer, json};
use diesel::insert_into;
use diesel::prelude::*;

use crate::record_statements;
use crate::rows::HeadRow;
use crate::schema::{artifacts, events, heads, hitl_people, hitl_requests, projects, tasks};
use crate::statements::Upsert;

/// Writes all changes in the open transaction.
pub(crate) fn write(connection: &mut SqliteConnection, writes: &WriteSet) -> QueryResult<()> {
    writes.heads.iter().try_for_each(|head| write_head(connection, head))?;
    writes.projects.iter().try_for_each(|project| write_project(connection, project))?;
    let mut held = Held::knowing(&writes.projects);
    for task in &writes.tasks {
        let held = held.holds(connection, task)?;
        write_task(connection, task, held)?;
    }
    writes.requests.iter().try_for_each(|request| write_request(connection, request))?;
    writes.artifacts.iter().try_for_each(|artifact| insert_artifact(connection, artifact))?;
    writes.records.iter().try_for_each(|record| record_statements::write(connection, record))?;
    writes.entries.iter().try_for_each(|entry| insert_entry(connection, entry))
}

/// Projects and whether they hold back their tasks, looked up once per project.
#[derive(Default)]
struct Held(HashMap<ProjectId, bool>);

impl Held {
    fn knowing(projects: &[std::sync::Arc<Project>]) -> Self {
        let known = projects.iter().map(|row| (row.id, row.status() != ProjectStatus::Active));
        Self(known.collect())
    }

    fn holds(&mut self, connection: &mut SqliteConnection, task: &Task) -> QueryResult<bool> {
        if task.status() != TaskStatus::Pending {
            return Ok(false);
        }
        if let Some(held) = self.0.get(&task.project_id) {
            return Ok(*held);
        }
        let id = task.project_id.bytes().as_slice();
        let query = projects::table.find(id).select(projects::status);
        let status: Option<String> = query.get_result(connection).optional()?;
        let held = status.as_deref() != Some(ProjectStatus::Active.as_str());
        self.0.insert(task.project_id, held);
        Ok(held)
    }
}

fn write_head(connection: &mut SqliteConnection, head: &Head) -> QueryResult<()> {
    let insert = insert_into(heads::table).values(HeadRow::of(head));
    let otherwise = " ON CONFLICT (log) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, \
                     counts = excluded.counts, next_turn = excluded.next_turn";
    Upsert { insert, otherwise }.execute(connection).map(drop)
}

#[derive(Insertable)]
#[diesel(table_name = projects, treat_none_as_default_value = false)]
struct ProjectRow<'a> {
    id: &'a [u8],
    status: &'a str,
    creator: Option<&'a [u8]>,
    body: String,
}

fn write_project(connection: &mut SqliteConnection, project: &Project) -> QueryResult<()> {
    let insert = insert_into(projects::table).values(ProjectRow {
        id: project.id.bytes(),
        status: project.status().as_str(),
        creator: project.creator.as_ref().map(|id| id.bytes().as_slice()),
        body: json::write(project),
    });
    let otherwise =
        " ON CONFLICT (id) DO UPDATE SET status = excluded.status, body = excluded.body";
    Upsert { insert, otherwise }.execute(connection).map(drop)
}

#[derive(Insertable)]
#[diesel(table_name = tasks, treat_none_as_default_value = false)]
struct TaskRow<'a> {
    id: &'a [u8],
    project_id: &'a [u8],
    agent: &'a str,
    status: &'a str,
    held: bool,
    priority: i64,
    turn_at: i64,
    ready_at: i64,
    lease_expires_at: Option<i64>,
    body: String,
}

/// Writes a task; `held` says whether its project starts nothing new.
pub(crate) fn write_task(
    connection: &mut SqliteConnection,
    task: &Task,
    held: bool,
) -> QueryResult<()> {
    let insert = insert_into(tasks::table).values(TaskRow {
        id: task.id.bytes(),
        project_id: task.project_id.bytes(),
        agent: task.agent.as_str(),
        status: task.status().as_str(),
        held,
        priority: task.priority.into(),
        turn_at: task.turn_at.micros(),
        ready_at: task.ready_at.micros(),
        lease_expires_at: task.lease().map(|lease| lease.expires_at.micros()),
        body: json::write(task),
    });
    let otherwise = " ON CONFLICT (id) DO UPDATE SET status = excluded.status, \
                     held = excluded.held, priority = excluded.priority, \
                     turn_at = excluded.turn_at, ready_at = excluded.ready_at, \
                     lease_expires_at = excluded.lease_expires_at, body = excluded.body";
    Upsert { insert, otherwise }.execute(connection).map(drop)
}

#[derive(Insertable)]
#[diesel(table_name = hitl_requests, treat_none_as_default_value = false)]
struct RequestRow<'a> {
    id: &'a [u8],
    project_id: &'a [u8],
    agent: Option<&'a str>,
    kind: &'a str,
    status: &'a str,
    expires_at: i64,
    created_at: i64,
    due_at: Option<i64>,
    answer_by: Option<i64>,
    policy: Option<&'a str>,
    restricted: bool,
    body: String,
}

fn write_request(connection: &mut SqliteConnection, request: &HitlRequest) -> QueryResult<()> {
    let insert = insert_into(hitl_requests::table).values(RequestRow {
        id: request.id.bytes(),
        project_id: request.project_id.bytes(),
        agent: request.agent.map(|agent| agent.as_str()),
        kind: request.kind.as_str(),
        status: request.status().as_str(),
        expires_at: request.expires_at.micros(),
        created_at: request.created_at.micros(),
        due_at: request.due().map(|(at, _)| at.micros()),
        answer_by: request.overdue_from().map(Timestamp::micros),
        policy: request.policy_name(),
        restricted: !request.is_open_to_all(),
        body: json::write(request),
    });
    let otherwise = " ON CONFLICT (id) DO UPDATE SET status = excluded.status, \
                     expires_at = excluded.expires_at, due_at = excluded.due_at, \
                     answer_by = excluded.answer_by, body = excluded.body";
    Upsert { insert, otherwise }.execute(connection)?;
    write_people(connection, request)
}

/// Replaces the people whom a request asks. Most requests name none.
fn write_people(connection: &mut SqliteConnection, request: &HitlRequest) -> QueryResult<()> {
    let people = request.people();
    if people.is_empty() {
        return Ok(());
    }
    let id = request.id.bytes().as_slice();
    diesel::delete(hitl_people::table.filter(hitl_people::request_id.eq(id)))
        .execute(connection)?;
    if request.status() != HitlStatus::Pending {
        return Ok(());
    }
    people.iter().try_for_each(|who| {
        let row = (hitl_people::who.eq(who), hitl_people::request_id.eq(id));
        insert_into(hitl_people::table).values(row).execute(connection).map(drop)
    })
}

#[derive(Insertable)]
#[diesel(table_name = artifacts, treat_none_as_default_value = false)]
struct ArtifactRow<'a> {
    id: &'a [u8],
    project_id: &'a [u8],
    source_agent: &'a str,
    artifact_type: &'a str,
    digest: &'a [u8],
    previous: Option<&'a [u8]>,
    created_at: i64,
    metadata: String,
    content: String,
}

fn insert_artifact(connection: &mut SqliteConnection, artifact: &Artifact) -> QueryResult<()> {
    let meta = &artifact.meta;
    let row = ArtifactRow {
        id: meta.id.bytes(),
        project_id: meta.project_id.bytes(),
        source_agent: meta.source_agent.as_str(),
        artifact_type: meta.artifact_type.as_str(),
        digest: &hash_column(&meta.digest),
        previous: meta.previous.as_ref().map(|id| id.bytes().as_slice()),
        created_at: meta.created_at.micros(),
        metadata: json::write(&artifact.metadata),
        content: json::write(&artifact.content),
    };
    insert_into(artifacts::table).values(row).execute(connection).map(drop)
}

#[derive(Insertable)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
struct EventRow<'a> {
    id: &'a [u8],
    log: &'a [u8],
    seq: i64,
    event_type: &'a str,
    event_source: &'a str,
    task_id: Option<&'a [u8]>,
    hitl_request_id: Option<&'a [u8]>,
    created_at: i64,
    hash: &'a [u8],
    event_metadata: String,
    event_data: String,
}

fn insert_entry(connection: &mut SqliteConnection, entry: &Entry) -> QueryResult<()> {
    let log = entry.log().key();
    let row = EventRow {
        id: entry.id.bytes(),
        log: log.bytes(),
        seq: integer(entry.seq),
        event_type: entry.event_type.as_str(),
        event_source: entry.event_source.as_str(),
        task_id: entry.task_id.as_ref().map(|id| id.bytes().as_slice()),
        hitl_request_id: entry.hitl_request_id.as_ref().map(|id| id.bytes().as_slice()),
        created_at: entry.created_at.micros(),
        hash: &hash_column(&entry.hash),
        event_metadata: json::write(&entry.event_metadata),
        event_data: json::write(&entry.event_data),
    };
    insert_into(events::table).values(row).execute(connection).map(drop)
}
