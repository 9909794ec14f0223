//! Decisions under locks: the ends of the logs are locked, all rows are read again, and the answer
//! follows from those.

use std::collections::BTreeSet;

use botarmy_domain::batch::{Batch, WriteSet};
use botarmy_domain::{Committed, Error, Head, LogId, StoreError};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use uuid::Uuid;

use crate::error::DbError;
use crate::head_cache::CachedHead;
use crate::in_doubt::{committed, first_id, is_among};
use crate::job::Job;
use crate::load;
use crate::load_error::LoadError;
use crate::read_view::ReadView;
use crate::write;

/// Decisions under locks, in one transaction.
pub(crate) struct PessimisticTransaction<'a> {
    connection: &'a AsyncPgConnection,
    batch: Batch,
    read_view: ReadView,
    locked: BTreeSet<LogId>,
}

impl<'a> PessimisticTransaction<'a> {
    pub(crate) fn new(connection: &'a AsyncPgConnection) -> Self {
        let (batch, read_view) = (Batch::default(), ReadView::default());
        Self { connection, batch, read_view, locked: BTreeSet::new() }
    }

    /// Returns the head and project of a log for the cache.
    pub(crate) fn cached(&self, log: LogId) -> Option<CachedHead> {
        self.read_view.cached(log)
    }

    /// Runs all decisions and commits. `done` receives their results as they are known.
    pub(crate) async fn run(
        &mut self,
        jobs: &[Job],
        done: &mut Vec<Option<Result<Committed, Error>>>,
    ) -> Result<(), DbError> {
        done.resize_with(jobs.len(), || None);
        let heads = self.begin(jobs.iter().map(|job| job.scope.log).collect()).await?;
        self.settle_in_doubt(jobs, done).await?;
        let mut read_set = self.batch.read_set(
            jobs.iter().zip(&*done).filter(|(_, done)| done.is_none()).map(|(job, _)| &job.scope),
        );
        let mut missing = read_set.clone();
        missing.heads.clear();
        missing.agent_facts.clear();
        read_set.agent_facts.clear();
        load::lock_shared_records(self.connection, &read_set.records).await?;
        let mut loaded = match load::load(self.connection, &missing).await {
            Ok(loaded) => loaded,
            Err(LoadError::Database(db_error)) => return Err(db_error),
            Err(LoadError::Row(error)) if jobs.len() == 1 => {
                done[0] = Some(Err(error.into()));
                return self.flush(true).await;
            }
            // Decisions that do not need the row succeed once the batch is split.
            Err(LoadError::Row(error)) => return Err(DbError::Unreadable(error.to_string())),
        };
        loaded.heads = heads;
        self.read_view.take_in(&loaded);
        self.batch.admit(&read_set, loaded);
        for (job, done) in jobs.iter().zip(&mut *done) {
            if done.is_none() {
                if job.scope.agent_facts.is_some() {
                    self.look_at_agent(job).await?;
                }
                *done = Some(match job.run(&mut self.batch) {
                    Ok(decided) => decided.map_err(Error::from),
                    Err(panic) => Err(panic.store_error().into()),
                });
            }
        }
        self.flush(true).await
    }

    /// Begins the transaction and locks the logs.
    async fn begin(&mut self, logs: BTreeSet<LogId>) -> Result<Vec<Head>, DbError> {
        let mut connection = self.connection;
        let (begun, rows) = tokio::join!(
            biased;
            connection.batch_execute("BEGIN"),
            load::lock(self.connection, logs),
        );
        begun?;
        let heads = rows?.into_iter().map(crate::rows::head);
        let heads: Vec<Head> = heads
            .collect::<Result<_, _>>()
            .map_err(|error: StoreError| DbError::Unreadable(error.to_string()))?;
        self.locked = heads.iter().map(|head| head.log).collect();
        Ok(heads)
    }

    /// Answers decisions that were committed without an acknowledgement. The logs are locked, so no
    /// earlier transaction on them is still open.
    async fn settle_in_doubt(
        &self,
        jobs: &[Job],
        done: &mut [Option<Result<Committed, Error>>],
    ) -> Result<(), DbError> {
        let in_doubt = jobs.iter().flat_map(|job| &job.in_doubt);
        let ids: Vec<Uuid> = in_doubt.filter_map(first_id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let committed = committed(self.connection, ids).await?;
        for (job, done) in jobs.iter().zip(done) {
            for in_doubt in &job.in_doubt {
                if is_among(in_doubt, &committed) {
                    *done = Some(Ok(in_doubt.clone()));
                }
            }
        }
        Ok(())
    }

    /// Loads the facts that an agent's status follows from. They are counted in the tables, so
    /// earlier decisions of the batch are written first.
    async fn look_at_agent(&mut self, job: &Job) -> Result<(), DbError> {
        self.flush(false).await?;
        let read_set = self.batch.read_set([&job.scope]);
        match load::load(self.connection, &read_set).await {
            Ok(loaded) => {
                self.batch.admit(&read_set, loaded);
                Ok(())
            }
            Err(LoadError::Database(db_error)) => Err(db_error),
            Err(LoadError::Row(error)) => Err(DbError::Unreadable(error.to_string())),
        }
    }

    /// Writes the pending changes of the batch; the last call also commits.
    async fn flush(&mut self, is_last: bool) -> Result<(), DbError> {
        let writes = self.batch.take_write_set();
        finish(self.connection, &writes, &self.read_view, &self.locked, is_last).await?;
        self.read_view.follow(&writes);
        self.locked.extend(writes.heads.iter().map(|head| head.log));
        Ok(())
    }
}

/// Writes in a transaction whose logs are locked, and commits it if this is the last of it.
pub(crate) async fn finish(
    mut connection: &AsyncPgConnection,
    writes: &WriteSet,
    read_view: &ReadView,
    locked: &BTreeSet<LogId>,
    is_last: bool,
) -> Result<(), DbError> {
    if writes.is_empty() {
        if is_last {
            connection.batch_execute("COMMIT").await?;
        }
        return Ok(());
    }
    let writing = write::write(connection, writes, read_view);
    // A new log could not be locked, and another replica may create it first.
    if is_last && writes.heads.iter().all(|head| locked.contains(&head.log)) {
        let mut behind = connection;
        let (written, committed) = tokio::join!(biased; writing, behind.batch_execute("COMMIT"));
        written?;
        committed?;
        return Ok(());
    }
    if writing.await?.len() != writes.heads.len() {
        return Err(DbError::Moved);
    }
    if is_last {
        connection.batch_execute("COMMIT").await?;
    }
    Ok(())
}
