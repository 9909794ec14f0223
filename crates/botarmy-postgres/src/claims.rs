//! Claims of tasks, extensions of leases, notes of the uses of keys, and the removal of kept replies.
//! They have a connection of their own, so that they do not wait behind decisions.
//!
//! A claim locks the ends of logs and tasks in the order of the queue and skips rows that another
//! transaction has locked. Only when it finds no unlocked task, although tasks are pending, does it
//! wait for the lock of a single log, without holding any other lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use botarmy_domain::batch::{Batch, Rows};
use botarmy_domain::{
    AgentType, Claim, Committed, CredentialId, LogId, Project, ProjectId, Scope, StoreError,
    TaskId, Timestamp,
};
use botarmy_sql::body;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};
use uuid::Uuid;

use crate::error::DbError;
use crate::head_cache::HeadCache;
use crate::in_doubt::{committed, first_id, is_among};
use crate::job::guarded;
use crate::pessimistic::finish;
use crate::read_view::ReadView;
use crate::statements::{
    ExtendLease, ForgetReplies, NextInQueue, NoteKeyUse, Projects, QueueRow, Waiting,
};
use crate::within::Within;
use crate::writer::{Writer, in_time};
use crate::{load, rows};

/// Maximum number of attempts of a claim after transient errors.
const TRIES: u32 = 3;
/// Maximum number of rounds of a claim while pending tasks are locked by other transactions.
const ROUNDS: u64 = 3;
/// Maximum number of unreadable tasks at the front of the queue that a claim skips.
const MAX_SPARE: u32 = 64;
/// Interval between attempts to reach the database while the outcome of a claim is unknown.
const AGAIN: Duration = Duration::from_millis(250);

/// Request to this worker, with the channel for its result.
pub(crate) enum Request {
    /// Claims tasks for a worker.
    Claim(Box<Claim>, oneshot::Sender<Result<Committed, StoreError>>),
    /// Extends a lease.
    Extend(Extension, oneshot::Sender<Result<bool, StoreError>>),
    /// Removes kept replies that have expired.
    Forget(Timestamp, u32, oneshot::Sender<Result<u32, StoreError>>),
    /// Notes that a key was used.
    NoteKeyUse(CredentialId, Timestamp, oneshot::Sender<Result<(), StoreError>>),
    /// Closes the queue; waiting jobs are still processed.
    Close,
}

/// Request to extend a lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extension {
    pub(crate) task: TaskId,
    pub(crate) fence: u32,
    pub(crate) until: Timestamp,
}

/// The worker that processes claims and extensions.
pub(crate) struct Claims {
    writer: Writer,
    queue: mpsc::Receiver<Request>,
    head_cache: HeadCache,
    /// Number of unreadable tasks at the front of the queue; the next round selects as many more.
    unreadable: u32,
}

impl Claims {
    pub(crate) const fn new(
        writer: Writer,
        queue: mpsc::Receiver<Request>,
        head_cache: HeadCache,
    ) -> Self {
        Self { writer, queue, head_cache, unreadable: 0 }
    }

    /// Processes the queue until it is closed and empty.
    pub(crate) async fn run(mut self) {
        let mut requests = Vec::new();
        while self.queue.recv_many(&mut requests, 256).await > 0 {
            let mut extensions = Vec::new();
            let mut claims = Vec::new();
            let mut removals = Vec::new();
            let mut uses = Vec::new();
            for request in requests.drain(..) {
                match request {
                    Request::Claim(claim, caller) => claims.push((claim, caller)),
                    Request::Extend(extension, caller) => extensions.push((extension, caller)),
                    Request::Forget(now, limit, caller) => removals.push((now, limit, caller)),
                    Request::NoteKeyUse(key, at, caller) => uses.push((key, at, caller)),
                    Request::Close => self.queue.close(),
                }
            }
            if !extensions.is_empty() {
                self.extend(extensions).await;
            }
            for (claim, caller) in claims {
                drop(caller.send(self.claim(&claim).await));
            }
            for (now, limit, caller) in removals {
                drop(caller.send(self.forget(now, limit).await));
            }
            for (key, at, caller) in uses {
                drop(caller.send(self.note_key_use(key, at).await));
            }
        }
    }

    /// Extends leases one by one, so that a locked row delays the others only briefly.
    async fn extend(
        &mut self,
        extensions: Vec<(Extension, oneshot::Sender<Result<bool, StoreError>>)>,
    ) {
        let limit = self.writer.settings.timeout;
        let mut lost = None;
        match self.writer.open().await {
            Ok(connection) => {
                let one = async |extension: Extension| {
                    in_time(limit, extend(connection, extension)).await
                };
                let all = join_all(extensions.iter().map(|(extension, _)| one(*extension))).await;
                for ((_, caller), held) in extensions.into_iter().zip(all) {
                    drop(caller.send(held.map_err(|db_error| {
                        let error = db_error.store_error();
                        lost = Some(db_error);
                        error
                    })));
                }
            }
            Err(db_error) => {
                for (_, caller) in extensions {
                    drop(caller.send(Err(db_error.store_error())));
                }
            }
        }
        if let Some(db_error) = lost {
            self.writer.recover(db_error).await;
        }
    }

    async fn forget(&mut self, now: Timestamp, most: u32) -> Result<u32, StoreError> {
        let limit = self.writer.settings.timeout;
        let forgotten = match self.writer.open().await {
            Ok(connection) => in_time(limit, forget(connection, now, most)).await,
            Err(db_error) => return Err(db_error.store_error()),
        };
        self.recovered(forgotten).await
    }

    async fn note_key_use(&mut self, key: CredentialId, at: Timestamp) -> Result<(), StoreError> {
        let limit = self.writer.settings.timeout;
        let noted = match self.writer.open().await {
            Ok(connection) => in_time(limit, note_key_use(connection, key, at)).await,
            Err(db_error) => return Err(db_error.store_error()),
        };
        self.recovered(noted).await
    }

    /// Returns the result of a statement; after an error, makes sure that the connection can be used.
    async fn recovered<T>(&mut self, result: Result<T, DbError>) -> Result<T, StoreError> {
        match result {
            Ok(done) => Ok(done),
            Err(db_error) => {
                let error = db_error.store_error();
                self.writer.recover(db_error).await;
                Err(error)
            }
        }
    }

    async fn claim(&mut self, claim: &Claim) -> Result<Committed, StoreError> {
        let mut committed = Committed::default();
        let mut slots = claim.slots.clone();
        slots.retain(|_, slots| *slots > 0);
        for round in 0..ROUNDS {
            if slots.is_empty() {
                break;
            }
            let mut claim = Claim { slots: slots.clone(), ..claim.clone() };
            if round > 0 {
                // The tasks of a round fork the context by number from 0, so rounds count down from
                // the maximum.
                claim.context = claim.context.fork(u64::MAX - round);
            }
            let claimed = self.one_round(&claim, round > 0).await;
            let claimed = match claimed {
                Ok(claimed) => claimed,
                // The tasks of earlier rounds are committed; return them.
                Err(error) if !committed.rows.is_empty() => {
                    warn!(%error, "Claim failed; returning the tasks claimed before");
                    break;
                }
                Err(error) => return Err(error),
            };
            for (agent, started) in claimed.started {
                if let Some(slots) = slots.get_mut(&agent) {
                    *slots = slots.saturating_sub(started);
                }
            }
            slots.retain(|_, slots| *slots > 0);
            committed.extend(claimed.committed);
            if !claimed.is_more_waiting {
                break;
            }
        }
        Ok(committed)
    }

    async fn one_round(&mut self, claim: &Claim, waits: bool) -> Result<Claimed, StoreError> {
        let limit = self.writer.settings.timeout;
        let (mut in_doubt, mut unreadable) = (Vec::new(), 0);
        let (began, mut tries) = (Instant::now(), 1);
        loop {
            let connection = match self.writer.open().await {
                Ok(connection) => connection,
                // Without an answer, tasks that may have been claimed would be idle until their
                // leases expire.
                Err(_) if !in_doubt.is_empty() && began.elapsed() < limit * 3 => {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                Err(db_error) => return Err(db_error.store_error()),
            };
            let spare = self.unreadable;
            let trying = Round { connection, claim, waits, head_cache: &self.head_cache, spare };
            match in_time(limit, trying.run(&mut in_doubt, &mut unreadable)).await {
                Ok(claimed) => {
                    self.unreadable = unreadable.min(MAX_SPARE);
                    if !claimed.committed.entries.is_empty() {
                        self.writer.write_health.succeeded();
                        self.writer.observed.committed(1, began);
                    }
                    return Ok(claimed);
                }
                Err(db_error) => {
                    let db_error = self.writer.recover(db_error).await;
                    if !db_error.is_passing() || tries == TRIES {
                        error!(error = %db_error, "Claim failed");
                        return Err(db_error.store_error());
                    }
                    tokio::time::sleep(Duration::from_millis(10) * tries * tries).await;
                    tries += 1;
                }
            }
        }
    }
}

async fn forget(
    mut connection: &AsyncPgConnection,
    now: Timestamp,
    limit: u32,
) -> Result<u32, DbError> {
    let statement = ForgetReplies { now: now.micros(), limit: limit.into() };
    let forgotten: Vec<String> = statement.load(&mut connection).await?;
    Ok(u32::try_from(forgotten.len()).unwrap_or(u32::MAX))
}

async fn note_key_use(
    mut connection: &AsyncPgConnection,
    key: CredentialId,
    at: Timestamp,
) -> Result<(), DbError> {
    let statement = NoteKeyUse { key: key.uuid(), at: at.micros() };
    let _: Vec<Uuid> = statement.load(&mut connection).await?;
    Ok(())
}

async fn extend(mut connection: &AsyncPgConnection, extension: Extension) -> Result<bool, DbError> {
    let statement = ExtendLease {
        until: extension.until.micros(),
        task: extension.task.uuid(),
        fence: i32::try_from(extension.fence).unwrap_or(i32::MAX),
    };
    let held: Vec<Uuid> = statement.load(&mut connection).await?;
    Ok(!held.is_empty())
}

/// Result of one round of a claim.
struct Claimed {
    committed: Committed,
    started: BTreeMap<AgentType, u32>,
    /// Whether pending tasks were skipped because another transaction had locked them.
    is_more_waiting: bool,
}

/// One transaction of a claim.
struct Round<'a> {
    connection: &'a AsyncPgConnection,
    claim: &'a Claim,
    /// Whether to lock the log of the first pending task before the tasks are selected.
    waits: bool,
    head_cache: &'a HeadCache,
    /// Number of tasks to select beyond the free slots, to replace unreadable ones.
    spare: u32,
}

impl Round<'_> {
    async fn run(
        &self,
        in_doubt: &mut Vec<Committed>,
        unreadable: &mut u32,
    ) -> Result<Claimed, DbError> {
        let mut connection = self.connection;
        let agents: Vec<_> = self.claim.slots.keys().map(ToString::to_string).collect();
        let slots: Vec<_> = self
            .claim
            .slots
            .values()
            .map(|slots| i64::from(*slots) + i64::from(self.spare))
            .collect();
        let now = self.claim.context.now.micros();
        if let Some(claimed) = self.settle_in_doubt(in_doubt).await? {
            return Ok(claimed);
        }
        let within = Within::of(&self.claim.reach);
        let next = NextInQueue {
            agents: agents.clone(),
            slots: slots.clone(),
            now,
            within: within.clone(),
        };
        let waiting = Waiting { agents, slots, now, within };
        let rows: Vec<QueueRow> = if self.waits {
            let first: Vec<(Uuid, Uuid)> = waiting.load(&mut connection).await?;
            let Some((_, project)) = first.into_iter().next() else {
                return Ok(Claimed::nothing());
            };
            let log = LogId::Project(ProjectId::from_uuid(project));
            connection.batch_execute("BEGIN").await?;
            load::lock(self.connection, [log]).await?;
            let rows = next.load(&mut connection).await?;
            return self.start(rows, true, in_doubt, unreadable).await;
        } else {
            let mut begin = self.connection;
            let (begun, rows) =
                tokio::join!(biased; begin.batch_execute("BEGIN"), next.load(&mut connection));
            begun?;
            rows?
        };
        // Other transactions may hold the first tasks. The extra query that finds out is needed
        // only when fewer tasks were found than there are slots.
        let room: u32 = self.claim.slots.values().sum();
        let is_more_waiting = if rows.len() < usize::try_from(room).unwrap_or(usize::MAX) {
            let found: HashSet<Uuid> = rows.iter().map(|row| row.0).collect();
            let all: Vec<(Uuid, Uuid)> = waiting.load(&mut connection).await?;
            all.iter().any(|(task, _)| !found.contains(task))
        } else {
            false
        };
        self.start(rows, is_more_waiting, in_doubt, unreadable).await
    }

    /// Starts the locked tasks and commits.
    async fn start(
        &self,
        rows: Vec<QueueRow>,
        is_more_waiting: bool,
        in_doubt: &mut Vec<Committed>,
        unreadable: &mut u32,
    ) -> Result<Claimed, DbError> {
        let mut connection = self.connection;
        if rows.is_empty() {
            connection.batch_execute("COMMIT").await?;
            return Ok(Claimed { is_more_waiting, ..Claimed::nothing() });
        }
        let mut loaded = Rows::default();
        let mut candidates = Vec::with_capacity(rows.len());
        let mut locked = BTreeSet::new();
        let projects = self.projects(rows.iter().map(|row| row.3).collect()).await?;
        let mut slots = self.claim.slots.clone();
        for (id, lease, body, log, seq, hash, counts, next_turn) in rows {
            let project = projects.get(&log).cloned();
            let read = rows::task((id, lease, body))
                .and_then(|task| Ok((task, rows::head((log, seq, hash, counts, next_turn))?)));
            let (Some(project), Ok((task, head))) = (project, read.as_ref()) else {
                // Logged for repair; the other tasks can still be claimed.
                let why = read.err().map_or_else(|| "its project".to_owned(), |e| e.to_string());
                error!(task.id = %id, "Task {id} cannot be claimed because it cannot be read: {why}");
                *unreadable += 1;
                continue;
            };
            let Some(free) = slots.get_mut(&task.agent).filter(|free| **free > 0) else { continue };
            *free -= 1;
            candidates.push((task.project_id, task.id));
            if locked.insert(head.log) {
                loaded.heads.push(head.clone());
                loaded.projects.push(project);
            }
            loaded.tasks.push(task.clone());
        }
        let mut batch = Batch::default();
        let scopes: Vec<_> =
            candidates.iter().map(|(project, task)| Scope::project(*project).task(*task)).collect();
        let read_set = batch.read_set(&scopes);
        let mut read_view = ReadView::default();
        read_view.take_in(&loaded);
        batch.admit(&read_set, loaded);
        let claimed = guarded(|| batch.claim(self.claim, &candidates))?;
        let claimed = Claimed::of(claimed, is_more_waiting);
        let writes = batch.take_write_set();
        // Consulted only when the commit is not acknowledged.
        in_doubt.push(claimed.committed.clone());
        finish(self.connection, &writes, &read_view, &locked, true).await?;
        read_view.follow(&writes);
        writes.heads.iter().for_each(|head| self.head_cache.put(read_view.cached(head.log)));
        Ok(claimed)
    }

    /// Loads the projects of these logs; unreadable ones are left out.
    async fn projects(&self, logs: BTreeSet<Uuid>) -> Result<HashMap<Uuid, Arc<Project>>, DbError> {
        let statement = Projects { ids: logs.into_iter().collect() };
        let rows: Vec<(Uuid, String)> = statement.load(&mut &*self.connection).await?;
        let read = |(id, text): (Uuid, String)| {
            Some((id, Arc::new(body::<Project>("projects", id, &text).ok()?)))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Returns the result of an earlier attempt that was committed without an acknowledgement.
    async fn settle_in_doubt(&self, in_doubt: &[Committed]) -> Result<Option<Claimed>, DbError> {
        if in_doubt.is_empty() {
            return Ok(None);
        }
        let mut connection = self.connection;
        connection.batch_execute("BEGIN").await?;
        let logs = in_doubt.iter().flat_map(|in_doubt| &in_doubt.entries).map(|entry| entry.log());
        load::lock(self.connection, logs.collect::<BTreeSet<_>>()).await?;
        let ids = in_doubt.iter().filter_map(first_id).collect();
        let found = committed(self.connection, ids).await?;
        connection.batch_execute("COMMIT").await?;
        let done = in_doubt.iter().find(|in_doubt| is_among(in_doubt, &found));
        Ok(done.map(|in_doubt| Claimed::of(in_doubt.clone(), false)))
    }
}

impl Claimed {
    fn nothing() -> Self {
        Self { committed: Committed::default(), started: BTreeMap::new(), is_more_waiting: false }
    }

    fn of(committed: Committed, is_more_waiting: bool) -> Self {
        let mut started = BTreeMap::new();
        for row in &committed.rows {
            if let botarmy_domain::Row::Task(task) = row {
                *started.entry(task.agent).or_default() += 1;
            }
        }
        Self { committed, started, is_more_waiting }
    }
}
