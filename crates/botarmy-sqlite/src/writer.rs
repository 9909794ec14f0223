//! The one thread that writes. It takes whatever decisions are waiting, runs them one after the
//! other inside one transaction, commits, and only then answers all of them. A commit costs a disk
//! flush, which all decisions of the batch share.
//!
//! **Invariant:** a decision is answered, even with a refusal, only after everything it read is
//! committed. **Invariant:** a decision is either committed whole or has changed nothing; when a
//! transaction fails because of one of its decisions, its halves are retried until that decision is
//! isolated.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use botarmy_domain::batch::Batch;
use botarmy_domain::ports::Decide;
use botarmy_domain::{
    Claim, Committed, CredentialId, Error, Scope, StoreError, Task, TaskId, TaskState, Timestamp,
};
use botarmy_sql::ObservedCommits;
use botarmy_sql::health::WriteHealth;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::{delete, insert_into};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};

use crate::delivery_statements::{DeliveryWrite, Written};
use crate::error::DbError;
use crate::load;
use crate::load_error::LoadError;
use crate::schema::{kept_replies, key_uses};
use crate::statements::{Upsert, limited};
use crate::write;

/// Job for the writer, with the channel for its result. The caller may have stopped waiting.
pub(crate) enum Job {
    /// A decision.
    Transact(Scope, Decide, oneshot::Sender<Result<Committed, Error>>),
    /// Claims tasks for a worker.
    Claim(Claim, oneshot::Sender<Result<Committed, StoreError>>),
    /// Extends a lease.
    Extend(Extension, oneshot::Sender<Result<bool, StoreError>>),
    /// Removes kept replies that have expired.
    Forget(Timestamp, u32, oneshot::Sender<Result<u32, StoreError>>),
    /// Notes that a key was used.
    NoteKeyUse(CredentialId, Timestamp, oneshot::Sender<Result<(), StoreError>>),
    /// Saves progress of webhooks.
    Deliveries(DeliveryWrite, oneshot::Sender<Result<Written, StoreError>>),
    /// Closes the queue; waiting jobs are still processed.
    Close,
    /// Executes a setting on the connection, between two transactions.
    #[cfg(test)]
    Set(&'static str),
}

/// Request to extend a lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extension {
    pub(crate) task: TaskId,
    pub(crate) fence: u32,
    pub(crate) until: Timestamp,
}

/// Result of a job.
enum Outcome {
    Transact(Result<Committed, Error>),
    Claim(Result<Committed, StoreError>),
    Extend(Result<bool, StoreError>),
    Forget(u32),
    NoteKeyUse,
    Deliveries(Written),
    Nothing,
}

impl Job {
    fn answer(self, outcome: Outcome) {
        // The caller may have stopped waiting; the decision stays committed.
        match (self, outcome) {
            (Self::Transact(.., caller), Outcome::Transact(result)) => drop(caller.send(result)),
            (Self::Claim(.., caller), Outcome::Claim(result)) => drop(caller.send(result)),
            (Self::Extend(.., caller), Outcome::Extend(result)) => drop(caller.send(result)),
            (Self::Forget(.., caller), Outcome::Forget(count)) => drop(caller.send(Ok(count))),
            (Self::NoteKeyUse(.., caller), Outcome::NoteKeyUse) => drop(caller.send(Ok(()))),
            (Self::Deliveries(_, caller), Outcome::Deliveries(done)) => drop(caller.send(Ok(done))),
            _ => {}
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Transact(.., caller) => drop(caller.send(Err(error.into()))),
            Self::Claim(.., caller) => drop(caller.send(Err(error))),
            Self::Extend(.., caller) => drop(caller.send(Err(error))),
            Self::Forget(.., caller) => drop(caller.send(Err(error))),
            Self::NoteKeyUse(.., caller) => drop(caller.send(Err(error))),
            Self::Deliveries(_, caller) => drop(caller.send(Err(error))),
            _ => {}
        }
    }
}

/// The writer with its connection, its queue and the lock on the directory.
pub(crate) struct Writer {
    pub(crate) connection: SqliteConnection,
    pub(crate) queue: mpsc::Receiver<Job>,
    pub(crate) max_batch: usize,
    pub(crate) write_health: WriteHealth,
    pub(crate) observed: ObservedCommits,
    pub(crate) lock: File,
    /// Whether the transaction at hand has written anything.
    pub(crate) has_written: bool,
}

impl Writer {
    /// Processes the queue until it is closed and empty.
    pub(crate) fn run(mut self) {
        let mut jobs = Vec::with_capacity(self.max_batch);
        while self.queue.blocking_recv_many(&mut jobs, self.max_batch) > 0 {
            if jobs.iter().any(|job| matches!(job, Job::Close)) {
                self.queue.close();
            }
            #[cfg(test)]
            for job in &jobs {
                if let Job::Set(pragma) = job {
                    self.connection.batch_execute(pragma).expect("a pragma of a test");
                }
            }
            self.commit(std::mem::take(&mut jobs));
        }
        if let Err(error) = self.connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)") {
            warn!(%error, "The write-ahead log stays beside the database until the next start");
        }
        drop(self.connection);
        drop(self.lock);
    }

    fn commit(&mut self, mut jobs: Vec<Job>) {
        let began = Instant::now();
        let db_error = match catch_unwind(AssertUnwindSafe(|| self.attempt(&jobs))) {
            Ok(Ok(outcomes)) => {
                if self.has_written {
                    self.write_health.succeeded();
                    self.observed.committed(decided(&outcomes), began);
                }
                jobs.into_iter().zip(outcomes).for_each(|(job, outcome)| job.answer(outcome));
                return;
            }
            Ok(Err(db_error)) => db_error,
            Err(panic) => DbError::Panic(botarmy_domain::text::panic_message(&*panic).to_owned()),
        };
        // Where SQLite has rolled back by itself there is nothing left to roll back.
        let _ = self.connection.batch_execute("ROLLBACK");
        if db_error.may_be_one_units() && jobs.len() > 1 {
            let later = jobs.split_off(jobs.len() / 2);
            self.commit(jobs);
            self.commit(later);
            return;
        }
        error!(error = %db_error, units = jobs.len(), "Transaction failed: {db_error}");
        if !db_error.may_be_one_units() {
            self.write_health.failed(db_error.to_string());
        }
        jobs.into_iter().for_each(|job| job.fail(db_error.store_error()));
    }

    /// Runs all jobs in one transaction.
    fn attempt(&mut self, jobs: &[Job]) -> Result<Vec<Outcome>, DbError> {
        self.has_written = false;
        self.connection.batch_execute("BEGIN IMMEDIATE")?;
        // These go first: they change rows that decisions may then load.
        let (mut extended, mut forgotten) = (Vec::new(), Vec::new());
        for job in jobs {
            match job {
                Job::Extend(extension, _) => extended.push(self.extend(*extension)?),
                Job::Forget(now, limit, _) => forgotten.push(self.forget(*now, *limit)?),
                _ => {}
            }
        }
        let (mut extended, mut forgotten) = (extended.into_iter(), forgotten.into_iter());
        let mut batch = Batch::default();
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            outcomes.push(match job {
                Job::Transact(scope, decide, _) => {
                    Outcome::Transact(self.decide(&mut batch, scope, decide)?)
                }
                Job::Claim(claim, _) => Outcome::Claim(self.claim(&mut batch, claim)?),
                Job::Extend(..) => {
                    Outcome::Extend(extended.next().expect("every extension was tried above"))
                }
                Job::Forget(..) => {
                    Outcome::Forget(forgotten.next().expect("every removal was done above"))
                }
                Job::NoteKeyUse(key, at, _) => {
                    self.note_key_use(*key, *at)?;
                    Outcome::NoteKeyUse
                }
                Job::Deliveries(write, _) => {
                    self.has_written = true;
                    Outcome::Deliveries(write.run(&mut self.connection)?)
                }
                _ => Outcome::Nothing,
            });
        }
        self.flush(&mut batch)?;
        self.connection.batch_execute("COMMIT")?;
        Ok(outcomes)
    }

    fn flush(&mut self, batch: &mut Batch) -> Result<(), DbError> {
        let writes = batch.take_write_set();
        if writes.is_empty() {
            return Ok(());
        }
        self.has_written = true;
        Ok(write::write(&mut self.connection, &writes)?)
    }

    fn decide(
        &mut self,
        batch: &mut Batch,
        scope: &Scope,
        decide: &Decide,
    ) -> Result<Result<Committed, Error>, DbError> {
        if scope.agent_facts.is_some() {
            // The facts about an agent are counted in the tables.
            self.flush(batch)?;
        }
        match self.admit(batch, [scope]) {
            Ok(()) => Ok(batch.decide(scope, decide).map_err(Error::from)),
            Err(LoadError::Row(error)) => Ok(Err(error.into())),
            Err(LoadError::Database(db_error)) => Err(db_error),
        }
    }

    fn claim(
        &mut self,
        batch: &mut Batch,
        claim: &Claim,
    ) -> Result<Result<Committed, StoreError>, DbError> {
        self.flush(batch)?;
        let candidates = load::candidates(&mut self.connection, claim)?;
        let scopes: Vec<_> =
            candidates.iter().map(|(project, task)| Scope::project(*project).task(*task)).collect();
        match self.admit(batch, &scopes) {
            Ok(()) => Ok(Ok(batch.claim(claim, &candidates))),
            Err(LoadError::Row(error)) => Ok(Err(error)),
            Err(LoadError::Database(db_error)) => Err(db_error),
        }
    }

    fn admit<'a>(
        &mut self,
        batch: &mut Batch,
        scopes: impl IntoIterator<Item = &'a Scope>,
    ) -> Result<(), LoadError> {
        let read_set = batch.read_set(scopes);
        let loaded = load::load(&mut self.connection, &read_set)?;
        batch.admit(&read_set, loaded);
        Ok(())
    }

    fn forget(&mut self, now: Timestamp, limit: u32) -> Result<u32, DbError> {
        let expired = kept_replies::table
            .filter(kept_replies::expires_at.le(now.micros()))
            .order(kept_replies::expires_at)
            .select(kept_replies::key_digest);
        let keys: Vec<String> = limited(expired, limit).load(&mut self.connection)?;
        for key in &keys {
            self.has_written = true;
            delete(kept_replies::table.find(key)).execute(&mut self.connection)?;
        }
        Ok(u32::try_from(keys.len()).unwrap_or(u32::MAX))
    }

    fn note_key_use(&mut self, key: CredentialId, at: Timestamp) -> Result<(), DbError> {
        self.has_written = true;
        let row = (key_uses::key_id.eq(key.bytes().as_slice()), key_uses::used_at.eq(at.micros()));
        let otherwise = " ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at \
                         WHERE excluded.used_at > key_uses.used_at";
        let insert = insert_into(key_uses::table).values(row);
        Upsert { insert, otherwise }.execute(&mut self.connection)?;
        Ok(())
    }

    fn extend(&mut self, extension: Extension) -> Result<Result<bool, StoreError>, DbError> {
        let mut task = match load::task(&mut self.connection, extension.task) {
            Ok(Some(task)) => task,
            Ok(None) => return Ok(Ok(false)),
            Err(LoadError::Row(error)) => return Ok(Err(error)),
            Err(LoadError::Database(db_error)) => return Err(db_error),
        };
        let held = move_expiry(&mut task, extension);
        if held {
            self.has_written = true;
            write::write_task(&mut self.connection, &task, false)?;
        }
        Ok(Ok(held))
    }
}

/// Returns the number of decisions and claims that a transaction wrote entries for.
fn decided(outcomes: &[Outcome]) -> usize {
    let wrote = |outcome: &&Outcome| match outcome {
        Outcome::Transact(Ok(committed)) | Outcome::Claim(Ok(committed)) => {
            !committed.entries.is_empty()
        }
        _ => false,
    };
    outcomes.iter().filter(wrote).count()
}

/// Moves the expiry of a lease if it is held under this fence; returns whether it did.
fn move_expiry(task: &mut Task, extension: Extension) -> bool {
    match &mut task.state {
        TaskState::Working { lease } if lease.fence == extension.fence => {
            lease.expires_at = extension.until;
            true
        }
        _ => false,
    }
}
