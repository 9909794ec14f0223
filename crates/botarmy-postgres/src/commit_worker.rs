//! A lane: one connection that commits decisions, many at a time.
//!
//! *Swift*, which is nearly always: what is remembered or read without a lock is decided on, and one
//! statement writes it all if the logs still end where that was seen. *Sure*, for everything that
//! cannot be answered so (a refusal, a log that somebody else moved, a connection that was lost
//! half way, an agent's status, a budget account that other logs are paid from too): the ends of the logs are locked, everything is read anew, and the
//! answer is what the database then says.
//!
//! **Invariant:** nobody is answered before everything the decision saw is committed, and nobody is
//! refused except under the lock. **Invariant:** a decision is committed whole or has changed
//! nothing; of several in one transaction that fails, halves are tried again until the one to blame
//! stands alone. **Invariant:** a decision whose commit was cut off is looked for in the log, by the
//! ids of its entries, before it is taken again or its caller is told that nothing came of it.

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
use crate::in_doubt::in_doubt;
use crate::job::{Job, Message};
use crate::load;
use crate::pessimistic::PessimisticTransaction;
use crate::read_view::ReadView;
use crate::write;
use crate::writer::{Writer, in_time};

/// How often a transaction is tried that failed through no fault of its own.
const TRIES: u32 = 4;
/// How often it is looked whether a lost database is back, while it has to say what was committed.
const AGAIN: Duration = Duration::from_millis(250);
/// How long a log that somebody else moved is written to under a lock from the start.
const CONTENDED: Duration = Duration::from_secs(1);

/// A lane at work.
pub(crate) struct CommitWorker {
    writer: Writer,
    queue: mpsc::Receiver<Message>,
    head_cache: HeadCache,
    /// Logs that somebody else moved, and until when they are locked first.
    contended: HashMap<LogId, Instant>,
    /// Decisions that may have been committed, kept until the database says whether they were.
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

    /// Works until the queue is closed and empty.
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

    /// Waits for something to do; `false` when that is over.
    async fn receive(&mut self, messages: &mut Vec<Message>, limit: usize) -> bool {
        let receiving = self.queue.recv_many(messages, limit);
        if self.unsettled.is_empty() {
            return receiving.await > 0;
        }
        // Also without anything new it is looked whether the database is back.
        if let Ok(0) = tokio::time::timeout(AGAIN, receiving).await {
            tokio::time::sleep(AGAIN).await;
        }
        true
    }

    // Swift.

    /// Commits what can be committed without a lock, and hands back the rest.
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
                if matches!(db_error, DbError::Away(_)) {
                    self.writer.give_up(optimistic, &db_error);
                } else {
                    left.append(&mut optimistic);
                }
            }
        }
        left
    }

    /// For each decision what was committed, or nothing if it has to be taken under a lock.
    async fn try_optimistic(
        &mut self,
        jobs: &mut [Job],
    ) -> Result<Vec<Option<Committed>>, DbError> {
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
                // Under the lock it is found out whose row that is.
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
        self.writer.write_health.clear();
        for (job, done) in jobs.iter().zip(&mut done) {
            if !moved.contains(&job.scope.log) {
                *done = None;
            }
        }
        Ok(done)
    }

    /// What need not be loaded, and what has to be. A head and its project are enough for a
    /// decision that sees nothing else; with rows they would have to be of the same instant.
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

    // Sure.

    /// Commits under locks whatever it takes, and answers everybody.
    fn commit_pessimistically(&mut self, mut jobs: Vec<Job>) -> BoxFuture<'_, ()> {
        async move {
            let mut tries = 1;
            let db_error = loop {
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
                        if !db_error.is_passing() || tries == TRIES {
                            break db_error;
                        }
                        warn!(error = %db_error, "A transaction is tried again: {db_error}");
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

    /// One transaction; the answers for everybody, in order.
    async fn try_pessimistic(
        &mut self,
        jobs: &mut [Job],
    ) -> Result<Vec<Result<Committed, Error>>, DbError> {
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
        if done.iter().any(is_written) {
            self.writer.write_health.clear();
        }
        Ok(done.into_iter().map(|one| one.expect("everybody was decided on")).collect())
    }
}
