//! Conversions from rows to entities. An error names the row that cannot be read.

use std::sync::Arc;

use botarmy_domain::log::{Entry, Head, HeadMark, LogId, hash_text};
use botarmy_domain::{
    Artifact, ArtifactRef, ContextId, EventId, HitlRequestId, ProjectId, StoreError, TaskId,
    Timestamp,
};
use botarmy_sql::{Column, corrupt, hash_column, integer, json};
use diesel::prelude::*;
use diesel::sql_types::Binary;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::schema::{artifacts, events, heads};

/// Reads entities from their keys and bodies.
pub(crate) fn bodies<T: DeserializeOwned>(
    table: &'static str,
    rows: impl IntoIterator<Item = (Vec<u8>, String)>,
) -> Result<Vec<Arc<T>>, StoreError> {
    botarmy_sql::bodies(table, rows.into_iter().map(|(id, text)| (key_text(&id), text)))
}

/// Reads the id of a project where it is the key.
pub(crate) fn project_id(table: &'static str, key: &[u8]) -> Result<ProjectId, StoreError> {
    let uuid = Uuid::from_slice(key).map_err(|error| corrupt(table, key_text(key), error))?;
    Ok(ProjectId::from_uuid(uuid))
}

/// Returns a key as it appears in errors: a UUID if it is one.
pub(crate) fn key_text(key: &[u8]) -> String {
    Uuid::from_slice(key).map_or_else(|_| format!("{key:?}"), |uuid| uuid.to_string())
}

/// Reads an id from its sixteen bytes.
fn uuid(column: Column<'_>, name: &str, bytes: &[u8]) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(|error| column.bad(name, error))
}

/// An id as the only column, with this name.
#[derive(QueryableByName)]
pub(crate) struct IdRow {
    #[diesel(sql_type = Binary)]
    id: Vec<u8>,
}

impl IdRow {
    pub(crate) fn uuid(&self) -> QueryResult<Uuid> {
        Uuid::from_slice(&self.id)
            .map_err(|error| diesel::result::Error::DeserializationError(error.into()))
    }
}

/// The end of a log: its position, hash and counts.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = heads, treat_none_as_default_value = false)]
pub(crate) struct HeadRow {
    pub(crate) log: Vec<u8>,
    pub(crate) seq: i64,
    pub(crate) hash: Vec<u8>,
    pub(crate) counts: String,
    pub(crate) next_turn: i64,
}

impl HeadRow {
    pub(crate) fn of(head: &Head) -> Self {
        Self {
            log: head.log.key().bytes().to_vec(),
            seq: integer(head.seq),
            hash: hash_column(&head.hash).to_vec(),
            counts: json::write(&head.counts),
            next_turn: head.next_turn.micros(),
        }
    }

    pub(crate) fn head(self) -> Result<Head, StoreError> {
        let row = key_text(&self.log);
        let column = Column { table: "heads", row: &row };
        Ok(Head {
            log: LogId::from_key(ProjectId::from_uuid(uuid(column, "log", &self.log)?)),
            seq: column.number("seq", self.seq)?,
            hash: hash_text(&self.hash),
            counts: column.json("counts", &self.counts)?,
            next_turn: Timestamp::from_micros(self.next_turn),
        })
    }
}

/// Returns the position and hash of the last entry of a log.
pub(crate) fn head_mark(log: LogId, seq: i64, hash: &[u8]) -> Result<HeadMark, StoreError> {
    let row = log.key().to_string();
    let seq = Column { table: "heads", row: &row }.number("seq", seq)?;
    Ok(HeadMark { seq, hash: hash_text(hash) })
}

/// An artifact without its content.
#[derive(Queryable, Selectable)]
#[diesel(table_name = artifacts)]
pub(crate) struct ArtifactRefRow {
    id: Vec<u8>,
    project_id: Vec<u8>,
    source_agent: String,
    artifact_type: String,
    digest: Vec<u8>,
    previous: Option<Vec<u8>>,
    created_at: i64,
}

impl ArtifactRefRow {
    pub(crate) fn artifact_ref(&self) -> Result<ArtifactRef, StoreError> {
        let row = key_text(&self.id);
        let column = Column { table: "artifacts", row: &row };
        let previous = self.previous.as_ref();
        Ok(ArtifactRef {
            id: ContextId::from_uuid(uuid(column, "id", &self.id)?),
            project_id: ProjectId::from_uuid(uuid(column, "project_id", &self.project_id)?),
            source_agent: column.word("source_agent", &self.source_agent)?,
            artifact_type: column.word("artifact_type", &self.artifact_type)?,
            digest: hash_text(&self.digest),
            previous: previous
                .map(|id| uuid(column, "previous", id).map(ContextId::from_uuid))
                .transpose()?,
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
    /// Returns the size of the texts, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.metadata.len() + self.content.len()
    }

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
    id: Vec<u8>,
    log: Vec<u8>,
    seq: i64,
    event_type: String,
    event_source: String,
    task_id: Option<Vec<u8>>,
    hitl_request_id: Option<Vec<u8>>,
    created_at: i64,
    hash: Vec<u8>,
    event_metadata: String,
    event_data: String,
}

impl EventRow {
    /// Returns the size of the texts, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.event_metadata.len() + self.event_data.len()
    }

    pub(crate) fn entry(&self) -> Result<Arc<Entry>, StoreError> {
        let row = key_text(&self.id);
        let column = Column { table: "events", row: &row };
        let id =
            |name, id: &Option<Vec<u8>>| id.as_ref().map(|id| uuid(column, name, id)).transpose();
        let log = LogId::from_key(ProjectId::from_uuid(uuid(column, "log", &self.log)?));
        Ok(Arc::new(Entry {
            id: EventId::from_uuid(uuid(column, "id", &self.id)?),
            project_id: log.project(),
            task_id: id("task_id", &self.task_id)?.map(TaskId::from_uuid),
            hitl_request_id: id("hitl_request_id", &self.hitl_request_id)?
                .map(HitlRequestId::from_uuid),
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
