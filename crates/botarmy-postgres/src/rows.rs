//! Conversions from rows to entities. An error names the row that cannot be read.

use std::sync::Arc;

use botarmy_domain::log::{Entry, Head, HeadMark, LogId, hash_text};
use botarmy_domain::{
    Artifact, ArtifactRef, ContextId, EventId, HitlRequestId, ProjectId, StoreError, Task, TaskId,
    TaskState, Timestamp,
};
use botarmy_sql::{Column, body};
use diesel::prelude::*;
use diesel::sql_types::Uuid as SqlUuid;
use uuid::Uuid;

use crate::part::Columns;
use crate::schema::{artifacts, events};

/// An id as the only column, with this name.
#[derive(QueryableByName)]
pub(crate) struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    pub(crate) id: Uuid,
}

/// The columns of the end of a log: its key, position, hash, counts and next turn.
pub(crate) type HeadRow = (Uuid, i64, Vec<u8>, String, i64);

/// Reads the end of a log.
pub(crate) fn head((log, seq, hash, counts, next_turn): HeadRow) -> Result<Head, StoreError> {
    let row = log.to_string();
    let column = Column { table: "heads", row: &row };
    Ok(Head {
        log: LogId::from_key(ProjectId::from_uuid(log)),
        seq: column.number("seq", seq)?,
        hash: hash_text(&hash),
        counts: column.json("counts", &counts)?,
        next_turn: Timestamp::from_micros(next_turn),
    })
}

/// Returns the position and hash of the last entry of a log.
pub(crate) fn head_mark(log: LogId, seq: i64, hash: &[u8]) -> Result<HeadMark, StoreError> {
    let row = log.key().to_string();
    let seq = Column { table: "heads", row: &row }.number("seq", seq)?;
    Ok(HeadMark { seq, hash: hash_text(hash) })
}

/// The columns of a task: its key, the expiry of its lease, its body.
pub(crate) type TaskRow = (Uuid, Option<i64>, String);

/// Reads a task. The expiry of the lease is taken from the column; the body has the value from the
/// start of the lease.
pub(crate) fn task((id, lease_expires_at, text): TaskRow) -> Result<Task, StoreError> {
    let mut task: Task = body("tasks", id, &text)?;
    if let (TaskState::Working { lease }, Some(expiry)) = (&mut task.state, lease_expires_at) {
        lease.expires_at = Timestamp::from_micros(expiry);
    }
    Ok(task)
}

/// Reads tasks.
pub(crate) fn tasks(rows: Vec<TaskRow>) -> Result<Vec<Arc<Task>>, StoreError> {
    rows.into_iter().map(|row| task(row).map(Arc::new)).collect()
}

/// An artifact without its content.
#[derive(Queryable, Selectable)]
#[diesel(table_name = artifacts)]
pub(crate) struct ArtifactRefRow {
    id: Uuid,
    project_id: Uuid,
    source_agent: String,
    artifact_type: String,
    digest: Vec<u8>,
    previous: Option<Uuid>,
    created_at: i64,
}

impl ArtifactRefRow {
    pub(crate) fn artifact_ref(&self) -> Result<ArtifactRef, StoreError> {
        let row = self.id.to_string();
        let column = Column { table: "artifacts", row: &row };
        Ok(ArtifactRef {
            id: ContextId::from_uuid(self.id),
            project_id: ProjectId::from_uuid(self.project_id),
            source_agent: column.word("source_agent", &self.source_agent)?,
            artifact_type: column.word("artifact_type", &self.artifact_type)?,
            digest: hash_text(&self.digest),
            previous: self.previous.map(ContextId::from_uuid),
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

/// An artifact.
#[derive(Queryable, Selectable)]
#[diesel(table_name = artifacts)]
pub(crate) struct ArtifactRow {
    #[diesel(embed)]
    meta: ArtifactRefRow,
    metadata: String,
    content: String,
}

impl ArtifactRow {
    pub(crate) fn artifact(&self) -> Result<Arc<Artifact>, StoreError> {
        let meta = self.meta.artifact_ref()?;
        let row = meta.id.to_string();
        let column = Column { table: "artifacts", row: &row };
        let metadata = column.json("metadata", &self.metadata)?;
        let content = column.json("content", &self.content)?;
        Ok(Arc::new(Artifact { meta, content, metadata }))
    }
}

/// An entry of a log.
#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = events)]
pub(crate) struct EventRow {
    id: Uuid,
    log: Uuid,
    seq: i64,
    event_type: String,
    event_source: String,
    task_id: Option<Uuid>,
    hitl_request_id: Option<Uuid>,
    created_at: i64,
    hash: Vec<u8>,
    event_metadata: String,
    event_data: String,
}

/// Columns of an entry in a page.
pub(crate) const LISTED_EVENT: Columns = Columns {
    all: "id, log, seq, event_type, event_source, task_id, hitl_request_id, created_at, hash, \
          event_metadata, event_data",
    json: &["event_metadata", "event_data"],
};

impl EventRow {
    /// Returns the size of the texts, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.event_metadata.len() + self.event_data.len()
    }

    pub(crate) fn entry(&self) -> Result<Arc<Entry>, StoreError> {
        let row = self.id.to_string();
        let column = Column { table: "events", row: &row };
        let log = LogId::from_key(ProjectId::from_uuid(self.log));
        Ok(Arc::new(Entry {
            id: EventId::from_uuid(self.id),
            project_id: log.project(),
            task_id: self.task_id.map(TaskId::from_uuid),
            hitl_request_id: self.hitl_request_id.map(HitlRequestId::from_uuid),
            event_type: column.word("event_type", &self.event_type)?,
            event_source: column.word("event_source", &self.event_source)?,
            event_data: column.json("event_data", &self.event_data)?,
            event_metadata: column.json("event_metadata", &self.event_metadata)?,
            created_at: Timestamp::from_micros(self.created_at),
            seq: column.number("seq", self.seq)?,
            hash: hash_text(&self.hash),
        }))
    }
}
