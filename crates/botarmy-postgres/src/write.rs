//! Writing what a batch changed: all of it in one statement, whose parameters are columns.

use std::collections::{BTreeSet, HashMap};

use botarmy_domain::batch::WriteSet;
use botarmy_domain::{
    Artifact, Entry, Head, HitlRequest, HitlStatus, LogId, Project, ProjectId, ProjectStatus, Task,
    TaskStatus, Timestamp,
};
use botarmy_sql::{hash_column, integer, json};
use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use crate::json_text::JsonText;
use crate::read_view::ReadView;
use crate::record_statements::RecordWrites;
use crate::statements::{WriteAll, WriteRows, WriteTasks};

/// Writes the changes of every log whose end has not moved since it was read; returns the ids of
/// these logs.
pub(crate) async fn write(
    mut connection: &AsyncPgConnection,
    writes: &WriteSet,
    seen: &ReadView,
) -> QueryResult<Vec<LogId>> {
    let only_tasks =
        writes.projects.is_empty() && writes.requests.is_empty() && writes.artifacts.is_empty();
    let people: Vec<_> =
        writes.requests.iter().map(|request| (request, request.people())).collect();
    let plain = writes.records.is_empty() && people.iter().all(|(_, people)| people.is_empty());
    let moved: Vec<Uuid> = match (plain, only_tasks) {
        (true, true) => WriteTasks::of(writes, seen).load(&mut connection).await?,
        (true, false) => WriteRows::of(writes, seen).load(&mut connection).await?,
        (false, _) => {
            let mut statement = WriteAll::of(writes, seen);
            people.iter().for_each(|(request, people)| statement.people(request, people));
            statement.load(&mut connection).await?
        }
    };
    Ok(moved.into_iter().map(|log| LogId::from_key(ProjectId::from_uuid(log))).collect())
}

/// The same methods for all statements; only the names of the types differ.
macro_rules! common {
    ($($statement:ident),+) => {$(
        impl $statement {
            fn head(&mut self, head: &Head, previous: &str) {
                self.logs.push(head.log.key().uuid());
                self.log_seqs.push(integer(head.seq));
                self.log_hashes.push(hash_column(&head.hash));
                self.log_previous.push(hash_column(previous));
                self.log_counts.push(text(&head.counts));
                self.log_turns.push(head.next_turn.micros());
            }

            fn task(&mut self, task: &Task, held: bool) {
                self.tasks.push(task.id.uuid());
                self.task_projects.push(task.project_id.uuid());
                self.task_agents.push(task.agent.as_str());
                self.task_statuses.push(task.status().as_str());
                self.task_held.push(held);
                self.task_attempts.push(i32::try_from(task.attempt).unwrap_or(i32::MAX));
                self.task_priorities.push(task.priority.into());
                self.task_turns.push(task.turn_at.micros());
                self.task_ready.push(task.ready_at.micros());
                self.task_leases.push(task.lease().map(|lease| lease.expires_at.micros()));
                self.task_bodies.push(text(task));
            }

            fn entry(&mut self, entry: &Entry) {
                self.events.push(entry.id.uuid());
                self.event_logs.push(entry.log().key().uuid());
                self.event_seqs.push(integer(entry.seq));
                self.event_types.push(entry.event_type.as_str());
                self.event_sources.push(entry.event_source.as_str());
                self.event_tasks.push(entry.task_id.map(|id| id.uuid()));
                self.event_requests.push(entry.hitl_request_id.map(|id| id.uuid()));
                self.event_times.push(entry.created_at.micros());
                self.event_hashes.push(hash_column(&entry.hash));
                self.event_metadata.push(text(&entry.event_metadata));
                self.event_data.push(text(&entry.event_data));
            }

            fn common(&mut self, writes: &WriteSet, seen: &ReadView) {
                writes.heads.iter().for_each(|head| self.head(head, seen.hash(head.log)));
                let held = held(&writes.projects, seen);
                writes.tasks.iter().for_each(|task| self.task(task, held(task)));
                writes.entries.iter().for_each(|entry| self.entry(entry));
            }
        }
    )+};
}

common!(WriteTasks, WriteRows, WriteAll);

/// Returns a predicate for pending tasks that their project holds back.
fn held<'a>(
    written: &'a [std::sync::Arc<Project>],
    seen: &'a ReadView,
) -> impl Fn(&Task) -> bool + 'a {
    let now: HashMap<_, _> =
        written.iter().map(|row| (row.id, row.status() == ProjectStatus::Active)).collect();
    move |task| {
        let is_active = || seen.is_active(task.project_id);
        task.status() == TaskStatus::Pending
            && !now.get(&task.project_id).copied().unwrap_or_else(is_active)
    }
}

fn text<T: serde::Serialize>(value: &T) -> JsonText {
    JsonText(json::write(value))
}

impl WriteTasks {
    fn of(writes: &WriteSet, seen: &ReadView) -> Self {
        let mut statement = Self::default();
        statement.common(writes, seen);
        statement
    }
}

impl WriteRows {
    fn of(writes: &WriteSet, seen: &ReadView) -> Self {
        let mut statement = Self::default();
        statement.common(writes, seen);
        statement.rows(writes);
        statement
    }
}

impl WriteAll {
    fn of(writes: &WriteSet, seen: &ReadView) -> Self {
        let records = RecordWrites::of(&writes.records);
        let mut statement = Self { records, ..Self::default() };
        statement.common(writes, seen);
        statement.rows(writes);
        statement
    }
}

impl WriteAll {
    /// Replaces the people whom a request asks.
    fn people(&mut self, request: &HitlRequest, people: &BTreeSet<String>) {
        if people.is_empty() {
            return;
        }
        self.asking.push(request.id.uuid());
        self.asking_projects.push(request.project_id.uuid());
        if request.status() == HitlStatus::Pending {
            self.asked.extend(people.iter().cloned());
            self.asked_by.extend(people.iter().map(|_| request.id.uuid()));
        }
    }
}

/// The same methods for the statements with projects, requests and artifacts.
macro_rules! rows {
    ($($statement:ident),+) => {$(
        impl $statement {
            fn rows(&mut self, writes: &WriteSet) {
                writes.projects.iter().for_each(|project| self.project(project));
                writes.requests.iter().for_each(|request| self.request(request));
                writes.artifacts.iter().for_each(|artifact| self.artifact(artifact));
            }

            fn project(&mut self, project: &Project) {
                self.projects.push(project.id.uuid());
                self.project_statuses.push(project.status().as_str());
                self.project_creators.push(project.creator.map(|id| id.uuid()));
                self.project_bodies.push(text(project));
            }

            fn request(&mut self, request: &HitlRequest) {
                self.requests.push(request.id.uuid());
                self.request_projects.push(request.project_id.uuid());
                self.request_agents.push(request.agent.map(|agent| agent.as_str()));
                self.request_kinds.push(request.kind.as_str());
                self.request_statuses.push(request.status().as_str());
                self.request_expiries.push(request.expires_at.micros());
                self.request_times.push(request.created_at.micros());
                self.request_due.push(request.due().map(|(at, _)| at.micros()));
                self.request_answers.push(request.overdue_from().map(Timestamp::micros));
                self.request_policies.push(request.policy_name().map(str::to_owned));
                self.request_restricted.push(!request.is_open_to_all());
                self.request_bodies.push(text(request));
            }

            fn artifact(&mut self, artifact: &Artifact) {
                let meta = &artifact.meta;
                self.artifacts.push(meta.id.uuid());
                self.artifact_projects.push(meta.project_id.uuid());
                self.artifact_agents.push(meta.source_agent.as_str());
                self.artifact_types.push(meta.artifact_type.as_str());
                self.artifact_digests.push(hash_column(&meta.digest));
                self.artifact_previous.push(meta.previous.map(|id| id.uuid()));
                self.artifact_times.push(meta.created_at.micros());
                self.artifact_metadata.push(text(&artifact.metadata));
                self.artifact_contents.push(text(&artifact.content));
            }
        }
    )+};
}

rows!(WriteRows, WriteAll);
