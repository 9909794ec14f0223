//! Decisions under locks: the ends of the logs are locked, everything is read anew, and the answer
//! is what the database then says.

use std::collections::BTreeSet;

use botarmy_domain::batch::{Batch, Writes};
use botarmy_domain::{Committed, Error, Head, LogId, StoreError};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use uuid::Uuid;

use crate::doubt::{committed, first_id, is_among};
use crate::error::Fault;
use crate::job::Job;
use crate::load::{self, LoadError};
use crate::recent::Known;
use crate::view::View;
use crate::write;

/// Decisions under locks, in one transaction.
pub(crate) struct Sure<'a> {
    connection: &'a AsyncPgConnection,
    batch: Batch,
    view: View,
    locked: BTreeSet<LogId>,
}

impl<'a> Sure<'a> {
    pub(crate) fn new(connection: &'a AsyncPgConnection) -> Self {
        let (batch, view) = (Batch::default(), View::default());
        Self { connection, batch, view, locked: BTreeSet::new() }
    }

    /// What is to be remembered of a log.
    pub(crate) fn known(&self, log: LogId) -> Option<Known> {
        self.view.known(log)
    }

    /// Decides on everybody and commits. `done` says how far that came.
    pub(crate) async fn run(
        &mut self,
        jobs: &[Job],
        done: &mut Vec<Option<Result<Committed, Error>>>,
    ) -> Result<(), Fault> {
        done.resize_with(jobs.len(), || None);
        let heads = self.begin(jobs.iter().map(|job| job.scope.log).collect()).await?;
        self.settle_doubts(jobs, done).await?;
        let mut wants = self.batch.wants(
            jobs.iter().zip(&*done).filter(|(_, done)| done.is_none()).map(|(job, _)| &job.scope),
        );
        let mut missing = wants.clone();
        missing.heads.clear();
        missing.agents.clear();
        wants.agents.clear();
        if !wants.purses.is_empty() {
            load::lock_purses(self.connection, &wants.purses).await?;
        }
        let mut loaded = match load::load(self.connection, &missing).await {
            Ok(loaded) => loaded,
            Err(LoadError::Database(fault)) => return Err(fault),
            Err(LoadError::Row(error)) if jobs.len() == 1 => {
                done[0] = Some(Err(error.into()));
                return self.flush(true).await;
            }
            // Whoever does not want that row is not concerned: apart, they will see.
            Err(LoadError::Row(error)) => return Err(Fault::Unreadable(error.to_string())),
        };
        loaded.heads = heads;
        self.view.take_in(&loaded);
        self.batch.admit(&wants, loaded);
        for (job, done) in jobs.iter().zip(&mut *done) {
            if done.is_none() {
                if job.scope.agent.is_some() {
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

    /// Begins, and locks the logs.
    async fn begin(&mut self, logs: BTreeSet<LogId>) -> Result<Vec<Head>, Fault> {
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
            .map_err(|error: StoreError| Fault::Unreadable(error.to_string()))?;
        self.locked = heads.iter().map(|head| head.log).collect();
        Ok(heads)
    }

    /// Answers those whose decision was committed although nobody was told. Whatever was under way
    /// then has ended: the logs are locked.
    async fn settle_doubts(
        &self,
        jobs: &[Job],
        done: &mut [Option<Result<Committed, Error>>],
    ) -> Result<(), Fault> {
        let doubts = jobs.iter().flat_map(|job| &job.doubts);
        let ids: Vec<Uuid> = doubts.filter_map(first_id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let committed = committed(self.connection, ids).await?;
        for (job, done) in jobs.iter().zip(done) {
            for doubt in &job.doubts {
                if is_among(doubt, &committed) {
                    *done = Some(Ok(doubt.clone()));
                }
            }
        }
        Ok(())
    }

    /// Loads what an agent's status follows from. It is counted in the tables, so what was decided
    /// before is written first.
    async fn look_at_agent(&mut self, job: &Job) -> Result<(), Fault> {
        self.flush(false).await?;
        let wants = self.batch.wants([&job.scope]);
        match load::load(self.connection, &wants).await {
            Ok(loaded) => {
                self.batch.admit(&wants, loaded);
                Ok(())
            }
            Err(LoadError::Database(fault)) => Err(fault),
            Err(LoadError::Row(error)) => Err(Fault::Unreadable(error.to_string())),
        }
    }

    /// Writes what was decided so far; the last time with the commit behind it.
    async fn flush(&mut self, is_last: bool) -> Result<(), Fault> {
        let writes = self.batch.take_writes();
        finish(self.connection, &writes, &self.view, &self.locked, is_last).await?;
        self.view.follow(&writes);
        self.locked.extend(writes.heads.iter().map(|head| head.log));
        Ok(())
    }
}

/// Writes in a transaction whose logs are locked, and commits it if this is the last of it.
pub(crate) async fn finish(
    mut connection: &AsyncPgConnection,
    writes: &Writes,
    view: &View,
    locked: &BTreeSet<LogId>,
    is_last: bool,
) -> Result<(), Fault> {
    if writes.is_empty() {
        if is_last {
            connection.batch_execute("COMMIT").await?;
        }
        return Ok(());
    }
    let writing = write::write(connection, writes, view);
    // A log that did not exist could not be locked, and somebody may begin it first.
    if is_last && writes.heads.iter().all(|head| locked.contains(&head.log)) {
        let mut behind = connection;
        let (written, committed) = tokio::join!(biased; writing, behind.batch_execute("COMMIT"));
        written?;
        committed?;
        return Ok(());
    }
    if writing.await?.len() != writes.heads.len() {
        return Err(Fault::Moved);
    }
    if is_last {
        connection.batch_execute("COMMIT").await?;
    }
    Ok(())
}
