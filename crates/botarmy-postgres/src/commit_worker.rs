//! A commit worker: one connection that commits decisions in batches.
//!
//! The *optimistic* path handles nearly all decisions: they run on cached rows or on rows read
//! without a lock, and one statement writes the batch for every log whose end has not moved since.
//! The *pessimistic* path handles the rest (a refusal, a log that another replica moved, a lost
//! connection, an agent's status, a budget account shared with other logs): the ends of the logs
//! are locked, all rows are read again, and the answer follows from those.
//!
//! **Invariant:** a decision is answered only after everything it read is committed, and refused
//! only under the lock. **Invariant:** a decision is committed whole or has changed nothing; when a
//! transaction with several decisions fails, its halves are retried until the failing decision is
//! isolated. **Invariant:** a decision whose commit has an unknown outcome is looked up in the log,
//! by the ids of its entries, before it is retried or reported as failed.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use botarmy_domain::batch::{Batch, ReadSet, Rows};
use botarmy_domain::{Committed, Error, LogId, Scope};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tracing::warn;

use crate::error::DbError;
use crate::head_cache::{CachedHead, HeadCache};
use crate::in_doubt::{before, in_doubt, refused};
use crate::job::{Job, Message};
use crate::load;
use crate::pessimistic::PessimisticTransaction;
use crate::read_view::ReadView;
use crate::write;
use crate::writer::{Writer, in_time};

/// Maximum number of attempts of a transaction after transient errors.
const TRIES: u32 = 4;
/// Interval between attempts to reach a lost database while the outcome of a commit is unknown.
const AGAIN: Duration = Duration::from_millis(250);
/// Time for which a log that another replica moved takes the pessimistic path at once.
const CONTENDED: Duration = Duration::from_secs(1);

/// A commit worker with its connection, queue and caches.
pub(crate) struct CommitWorker {
    writer: Writer,
    queue: mpsc::Receiver<Message>,
    head_cache: HeadCache,
    /// Logs that another replica moved, with the end of their time on the pessimistic path.
    contended: HashMap<LogId, Instant>,
    /// Decisions whose commit has an unknown outcome, kept until the database has answered.
    unsettled: Vec<Job>,
}

impl CommitWorker {
    pub(crate) fn new(
        writer: Writer,
        queue: mpsc::Receiver<Message>,
        head_cache: HeadCache,
    ) -> Self {
        Self { writer, queue, head_cache, contended: HashMap::new(), unsettled: Vec::new() }
    }

    /// Processes the queue until it is closed and empty.
    pub(crate) async fn run(mut self) {
        let limit = self.writer.settings.max_batch.max(1);
        let mut messages = Vec::with_capacity(limit);
        while self.receive(&mut messages, limit).await {
            let mut jobs = std::mem::take(&mut self.unsettled);
            jobs.reserve(messages.len());
            for message in messages.drain(..) {
                match message {
                    Message::Decide(job) => jobs.push(job),
                    Message::Close => self.queue.close(),
                }
            }
            let left = self.commit_optimistically(jobs).await;
            if !left.is_empty() {
                self.commit_pessimistically(left).await;
            }
        }
    }

    /// Waits for messages. Returns `false` once the queue is closed and empty.
    async fn receive(&mut self, messages: &mut Vec<Message>, limit: usize) -> bool {
        let receiving = self.queue.recv_many(messages, limit);
        if self.unsettled.is_empty() {
            return receiving.await > 0;
        }
        // Unsettled decisions are retried even when no message arrives.
        if let Ok(0) = tokio::time::timeout(AGAIN, receiving).await {
            tokio::time::sleep(AGAIN).await;
        }
        true
    }

    // Optimistic path.

    /// Commits the decisions that need no lock and returns the others.
    async fn commit_optimistically(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let now = Instant::now();
        self.contended.retain(|_, until| *until > now);
        let is_optimistic = |job: &Job| {
            job.scope.agent_facts.is_none()
                && !job.scope.has_shared_record()
                && job.in_doubt.is_empty()
                && !self.contended.contains_key(&job.scope.log)
        };
        let (mut optimistic, mut left): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(is_optimistic);
        if optimistic.is_empty() {
            return left;
        }
        let before = before(&optimistic);
        match self.try_optimistic(&mut optimistic).await {
            Ok(done) => {
                for (job, done) in optimistic.into_iter().zip(done) {
                    match done {
                        Some(committed) => job.answer(Ok(committed)),
                        None => left.push(job),
                    }
                }
            }
            Err(db_error) => {
                self.head_cache.forget_everything();
                let db_error = self.writer.recover(db_error).await;
                if matches!(db_error, DbError::Database(_)) {
                    refused(&mut optimistic, &before);
                }
                if matches!(db_error, DbError::Away(_)) {
                    self.writer.give_up(optimistic, &db_error);
                } else {
                    left.append(&mut optimistic);
                }
            }
        }
        left
    }

    /// Returns the committed result of each decision, or `None` if it needs the pessimistic path.
    async fn try_optimistic(
        &mut self,
        jobs: &mut [Job],
    ) -> Result<Vec<Option<Committed>>, DbError> {
        let began = Instant::now();
        let mut batch = Batch::default();
        let read_set = batch.read_set(jobs.iter().map(|job| &job.scope));
        let (remembered, missing) = self.remember(jobs, &read_set);
        let reads = missing != ReadSet::default();
        let limit = self.writer.settings.timeout;
        let connection = self.writer.open().await?;
        let mut loaded = Rows::default();
        if reads {
            match in_time(limit, load::load_one_instant(connection, &missing)).await? {
                Ok(rows) => loaded = rows,
                // The pessimistic path finds the decision that needs the unreadable row.
                Err(_) => {
                    in_time(limit, load::end_instant(connection)).await?;
                    return Ok(jobs.iter().map(|_| None).collect());
                }
            }
        }
        for cached in remembered {
            loaded.heads.push(cached.head);
            loaded.projects.push(cached.project);
        }
        let mut read_view = ReadView::default();
        read_view.take_in(&loaded);
        batch.admit(&read_set, loaded);
        let mut done: Vec<Option<Committed>> = Vec::with_capacity(jobs.len());
        for job in &*jobs {
            let decided = job.run(&mut batch);
            let committed = decided.ok().and_then(Result::ok);
            done.push(committed.filter(|committed| !committed.entries.is_empty()));
        }
        let writes = batch.take_write_set();
        let ending = async { if reads { load::end_instant(connection).await } else { Ok(()) } };
        if writes.is_empty() {
            in_time(limit, ending).await?;
            return Ok(done);
        }
        let writing = async {
            let writing = write::write(connection, &writes, &read_view);
            let (ended, written) = tokio::join!(biased; ending, writing);
            let moved = written?;
            ended?;
            Ok::<_, DbError>(moved)
        };
        let written = in_time(limit, writing).await;
        let moved: BTreeSet<LogId> = match written {
            Ok(moved) => moved.into_iter().collect(),
            Err(db_error) => {
                if db_error.leaves_in_doubt() {
                    in_doubt(jobs, done);
                }
                return Err(db_error);
            }
        };
        read_view.follow(&writes);
        for head in &writes.heads {
            if !moved.contains(&head.log) {
                self.head_cache.forget(head.log);
                self.contended.insert(head.log, Instant::now() + CONTENDED);
            } else {
                self.head_cache.put(read_view.cached(head.log));
            }
        }
        self.writer.write_health.succeeded();
        let is_committed = |(job, done): &(&Job, &Option<Committed>)| {
            done.is_some() && moved.contains(&job.scope.log)
        };
        let committed = jobs.iter().zip(&done).filter(is_committed).count();
        self.writer.observed.committed(committed, began);
        for (job, done) in jobs.iter().zip(&mut done) {
            if !moved.contains(&job.scope.log) {
                *done = None;
            }
        }
        Ok(done)
    }

    /// Splits a read set into cached heads and the rows to load. A cached head serves only
    /// decisions that read no other rows, because those would have to be from the same snapshot.
    fn remember(&self, jobs: &[Job], read_set: &ReadSet) -> (Vec<CachedHead>, ReadSet) {
        let scopes = jobs.iter().map(|job| &job.scope);
        let with_rows: BTreeSet<LogId> = scopes
            .filter(|scope| **scope != Scope::log(scope.log))
            .map(|scope| scope.log)
            .collect();
        let logs = read_set.heads.iter().filter(|log| !with_rows.contains(log));
        let remembered: Vec<_> = logs.filter_map(|log| self.head_cache.get(*log)).collect();
        let mut missing = read_set.clone();
        for cached in &remembered {
            missing.heads.remove(&cached.head.log);
            missing.projects.remove(&cached.project.id);
        }
        (remembered, missing)
    }

    // Pessimistic path.

    /// Commits decisions under locks, with retries, and answers all of them.
    fn commit_pessimistically(&mut self, mut jobs: Vec<Job>) -> BoxFuture<'_, ()> {
        async move {
            let mut tries = 1;
            let db_error = loop {
                let before = before(&jobs);
                match self.try_pessimistic(&mut jobs).await {
                    Ok(done) => {
                        for (job, done) in jobs.into_iter().zip(done) {
                            job.answer(done);
                        }
                        return;
                    }
                    Err(db_error) => {
                        self.head_cache.forget_everything();
                        let db_error = self.writer.recover(db_error).await;
                        if matches!(db_error, DbError::Database(_)) {
                            refused(&mut jobs, &before);
                        }
                        if !db_error.is_passing() || tries == TRIES {
                            break db_error;
                        }
                        warn!(error = %db_error, "Transaction failed; retrying");
                        tokio::time::sleep(Duration::from_millis(10) * tries * tries).await;
                        tries += 1;
                    }
                }
            };
            if db_error.may_be_one_units() && jobs.len() > 1 {
                let later = jobs.split_off(jobs.len() / 2);
                self.commit_pessimistically(jobs).await;
                self.commit_pessimistically(later).await;
                return;
            }
            let now = Instant::now();
            let patience = self.writer.settings.timeout * 3;
            let is_settled = |job: &mut Job| job.since.is_none_or(|since| now - since > patience);
            let settled = jobs.extract_if(.., is_settled).collect();
            self.writer.give_up(settled, &db_error);
            self.unsettled.append(&mut jobs);
        }
        .boxed()
    }

    /// Runs one transaction and returns the answers of all decisions, in order.
    async fn try_pessimistic(
        &mut self,
        jobs: &mut [Job],
    ) -> Result<Vec<Result<Committed, Error>>, DbError> {
        let began = Instant::now();
        let limit = self.writer.settings.timeout;
        let connection = self.writer.open().await?;
        let mut pessimistic = PessimisticTransaction::new(connection);
        let mut done = Vec::with_capacity(jobs.len());
        let running = in_time(limit, pessimistic.run(jobs, &mut done)).await;
        match running {
            Ok(()) => {}
            Err(db_error) => {
                if db_error.leaves_in_doubt() {
                    in_doubt(jobs, done.into_iter().map(|one| one.and_then(Result::ok)));
                }
                return Err(db_error);
            }
        }
        for job in &*jobs {
            self.head_cache.put(pessimistic.cached(job.scope.log));
        }
        let is_written = |one: &Option<Result<Committed, _>>| matches!(one, Some(Ok(committed)) if !committed.entries.is_empty());
        let written = done.iter().filter(|one| is_written(one)).count();
        if written > 0 {
            self.writer.write_health.succeeded();
            self.writer.observed.committed(written, began);
        }
        Ok(done.into_iter().map(|one| one.expect("everybody was decided on")).collect())
    }
}
