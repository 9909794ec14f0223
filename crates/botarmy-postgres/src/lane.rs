//! A lane: one connection that commits decisions, many at a time.
//!
//! *Swift*, which is nearly always: what is remembered or read without a lock is decided on, and one
//! statement writes it all if the logs still end where that was seen. *Sure*, for everything that
//! cannot be answered so (a refusal, a log that another replica moved, a connection that was lost
//! half way, an agent's status): the ends of the logs are locked, everything is read anew, and the
//! answer is what the database then says.
//!
//! **Invariant:** nobody is answered before everything the decision saw is committed, and nobody is
//! refused except under the lock. **Invariant:** a decision is committed whole or has changed
//! nothing; of several in one transaction that fails, halves are tried again until the one to blame
//! stands alone. **Invariant:** a decision whose commit was cut off is looked for in the log, by the
//! ids of its entries, before it is taken again.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use botarmy_domain::batch::{Batch, Loaded, Writes};
use botarmy_domain::log::GENESIS;
use botarmy_domain::ports::Decide;
use botarmy_domain::{
    Committed, Error, Head, LogId, Project, ProjectId, ProjectStatus, Refusal, Scope, StoreError,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, warn};
use uuid::Uuid;

use crate::connect::{self, Purpose};
use crate::error::Fault;
use crate::load::{self, LoadError};
use crate::recent::{Known, Recent};
use crate::settings::PostgresSettings;
use crate::statements;
use crate::store::Trouble;
use crate::write::{self, Seen};

/// How often a transaction is tried that failed through no fault of its own.
const TRIES: u32 = 4;
/// How long a log that another replica moved is written to under a lock from the start.
const CONTENDED: Duration = Duration::from_secs(1);

/// What a lane is told.
pub(crate) enum Message {
    /// A decision, and where to say how it went. Nobody need be listening.
    Decide(Job),
    /// Nothing new is taken; what waits is still done.
    Close,
}

/// A decision to be committed.
pub(crate) struct Job {
    pub(crate) scope: Scope,
    pub(crate) decide: Decide,
    pub(crate) caller: oneshot::Sender<Result<Committed, Error>>,
    /// What was sent and may have been committed before the connection was lost.
    doubts: Vec<Committed>,
}

impl Job {
    pub(crate) const fn new(
        scope: Scope,
        decide: Decide,
        caller: oneshot::Sender<Result<Committed, Error>>,
    ) -> Self {
        Self { scope, decide, caller, doubts: Vec::new() }
    }

    fn answer(self, result: Result<Committed, Error>) {
        // A caller that went away meanwhile does not take back what was decided.
        drop(self.caller.send(result));
    }

    /// Runs the decision. It panics before it changes anything, if it does.
    fn run(&self, batch: &mut Batch) -> Result<Result<Committed, Refusal>, Fault> {
        let decided = catch_unwind(AssertUnwindSafe(|| batch.decide(&self.scope, &self.decide)));
        decided.map_err(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Fault::Panic(text.unwrap_or_else(|| "no message".to_owned()))
        })
    }
}

/// One connection that writes, with the way to get it back when it is lost.
pub(crate) struct Writer {
    pub(crate) settings: Arc<PostgresSettings>,
    pub(crate) trouble: Trouble,
    connection: Option<AsyncPgConnection>,
}

impl Writer {
    pub(crate) const fn new(settings: Arc<PostgresSettings>, trouble: Trouble) -> Self {
        Self { settings, trouble, connection: None }
    }

    /// The connection; a new one where there is none.
    pub(crate) async fn open(&mut self) -> Result<&AsyncPgConnection, Fault> {
        if self.connection.is_none() {
            let away = |error: &dyn std::error::Error| Fault::Away(error.to_string());
            let connection = connect::connect(&self.settings, Purpose::Writing)
                .await
                .map_err(|error| away(&error))?;
            // Prepared before anything is sent without waiting for the answer before it.
            statements::prepare_all(&connection).await.map_err(|error| away(&error))?;
            self.connection = Some(connection);
        }
        Ok(self.connection.as_ref().expect("it was made above"))
    }

    /// After something failed: takes back what is open, or lets go of the connection.
    pub(crate) async fn recover(&mut self, fault: &Fault) {
        let Some(mut connection) = self.connection.take() else { return };
        if !matches!(fault, Fault::Lost(_) | Fault::Away(_)) {
            let back = self.in_time(connection.batch_execute("ROLLBACK")).await;
            if back.is_ok() {
                self.connection = Some(connection);
            }
        }
    }

    /// Tells everybody that nothing came of it.
    fn give_up(&self, jobs: Vec<Job>, fault: &Fault) {
        error!(error = %fault, units = jobs.len(), "A transaction came to nothing: {fault}");
        // Whether the database is there at all is seen by whoever asks it.
        if fault.may_last() {
            self.trouble.set(fault.to_string());
        }
        for job in jobs {
            job.answer(Err(fault.store_error().into()));
        }
    }

    /// Waits for the database as long as the settings say.
    pub(crate) async fn in_time<T, E: Into<Fault>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Fault> {
        in_time(self.settings.timeout, work).await
    }
}

pub(crate) async fn in_time<T, E: Into<Fault>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Fault::Lost(format!("it has not answered for {limit:?}"))),
    }
}

/// What a batch saw, or wrote itself since.
#[derive(Default)]
pub(crate) struct View {
    heads: HashMap<LogId, Head>,
    projects: HashMap<ProjectId, Arc<Project>>,
}

impl View {
    pub(crate) fn take_in(&mut self, loaded: &Loaded) {
        self.heads.extend(loaded.heads.iter().map(|head| (head.log, head.clone())));
        self.projects.extend(loaded.projects.iter().map(|row| (row.id, Arc::clone(row))));
    }

    pub(crate) fn follow(&mut self, writes: &Writes) {
        self.heads.extend(writes.heads.iter().map(|head| (head.log, head.clone())));
        self.projects.extend(writes.projects.iter().map(|row| (row.id, Arc::clone(row))));
    }

    /// What is to be remembered of a log.
    pub(crate) fn known(&self, log: LogId) -> Option<Known> {
        let head = self.heads.get(&log)?.clone();
        let project = Arc::clone(self.projects.get(&log.project()?)?);
        Some(Known { head, project })
    }
}

impl Seen for View {
    fn hash(&self, log: LogId) -> &str {
        self.heads.get(&log).map_or(GENESIS, |head| &head.hash)
    }

    fn is_active(&self, project: ProjectId) -> bool {
        self.projects.get(&project).is_some_and(|row| row.status() == ProjectStatus::Active)
    }
}

/// A lane at work.
pub(crate) struct Lane {
    writer: Writer,
    queue: mpsc::Receiver<Message>,
    recent: Recent,
    /// Logs that another replica moved, and until when they are locked first.
    contended: HashMap<LogId, Instant>,
}

impl Lane {
    pub(crate) fn new(writer: Writer, queue: mpsc::Receiver<Message>) -> Self {
        Self { writer, queue, recent: Recent::default(), contended: HashMap::new() }
    }

    /// Works until the queue is closed and empty.
    pub(crate) async fn run(mut self) {
        let limit = self.writer.settings.max_batch.max(1);
        let mut messages = Vec::with_capacity(limit);
        while self.queue.recv_many(&mut messages, limit).await > 0 {
            let mut jobs = Vec::with_capacity(messages.len());
            for message in messages.drain(..) {
                match message {
                    Message::Decide(job) => jobs.push(job),
                    Message::Close => self.queue.close(),
                }
            }
            let left = self.swiftly(jobs).await;
            if !left.is_empty() {
                self.surely(left).await;
            }
        }
    }

    // Swift.

    /// Commits what can be committed without a lock, and hands back the rest.
    async fn swiftly(&mut self, jobs: Vec<Job>) -> Vec<Job> {
        let now = Instant::now();
        self.contended.retain(|_, until| *until > now);
        let is_swift =
            |job: &Job| job.scope.agent.is_none() && !self.contended.contains_key(&job.scope.log);
        let (mut swift, mut left): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_swift);
        if swift.is_empty() {
            return left;
        }
        match self.try_swiftly(&mut swift).await {
            Ok(done) => {
                for (job, done) in swift.into_iter().zip(done) {
                    match done {
                        Some(committed) => job.answer(Ok(committed)),
                        None => left.push(job),
                    }
                }
            }
            Err(fault) => {
                self.recent.forget_everything();
                self.writer.recover(&fault).await;
                if matches!(fault, Fault::Away(_)) {
                    self.writer.give_up(swift, &fault);
                } else {
                    left.append(&mut swift);
                }
            }
        }
        left
    }

    /// For each decision what was committed, or nothing if it has to be taken under a lock.
    async fn try_swiftly(&mut self, jobs: &mut [Job]) -> Result<Vec<Option<Committed>>, Fault> {
        let mut batch = Batch::default();
        let wants = batch.wants(jobs.iter().map(|job| &job.scope));
        let mut missing = wants.clone();
        let mut remembered = Loaded::default();
        for log in &wants.heads {
            if let Some(known) = self.recent.get(*log) {
                remembered.heads.push(known.head.clone());
                remembered.projects.push(Arc::clone(&known.project));
                missing.heads.remove(log);
                missing.projects.remove(&known.project.id);
            }
        }
        let limit = self.writer.settings.timeout;
        let connection = self.writer.open().await?;
        let loading = load::load(connection, &missing);
        let mut loaded = match tokio::time::timeout(limit, loading).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(LoadError::Database(fault))) => return Err(fault),
            // Under the lock it is found out whose row that is.
            Ok(Err(LoadError::Row(_))) => return Ok(jobs.iter().map(|_| None).collect()),
            Err(_) => return Err(Fault::Lost(format!("it has not answered for {limit:?}"))),
        };
        loaded.heads.append(&mut remembered.heads);
        loaded.projects.append(&mut remembered.projects);
        let mut view = View::default();
        view.take_in(&loaded);
        batch.admit(&wants, loaded);
        let mut done: Vec<Option<Committed>> = Vec::with_capacity(jobs.len());
        for job in &*jobs {
            let decided = job.run(&mut batch);
            let committed = decided.ok().and_then(Result::ok);
            done.push(committed.filter(|committed| !committed.entries.is_empty()));
        }
        let writes = batch.take_writes();
        if writes.is_empty() {
            return Ok(done);
        }
        let written = in_time(limit, write::write(connection, &writes, &view)).await;
        let moved: BTreeSet<LogId> = match written {
            Ok(moved) => moved.into_iter().collect(),
            Err(fault) => {
                if matches!(fault, Fault::Lost(_)) {
                    doubt(jobs, done);
                }
                return Err(fault);
            }
        };
        view.follow(&writes);
        for head in &writes.heads {
            if !moved.contains(&head.log) {
                self.recent.forget(head.log);
                self.contended.insert(head.log, Instant::now() + CONTENDED);
            } else if let Some(known) = view.known(head.log) {
                self.recent.put(head.log, known);
            }
        }
        self.writer.trouble.clear();
        for (job, done) in jobs.iter().zip(&mut done) {
            if !moved.contains(&job.scope.log) {
                *done = None;
            }
        }
        Ok(done)
    }

    // Sure.

    /// Commits under locks whatever it takes, and answers everybody.
    fn surely(&mut self, mut jobs: Vec<Job>) -> BoxFuture<'_, ()> {
        async move {
            let mut tries = 1;
            let fault = loop {
                match self.try_surely(&mut jobs).await {
                    Ok(done) => {
                        for (job, done) in jobs.into_iter().zip(done) {
                            job.answer(done);
                        }
                        return;
                    }
                    Err(fault) => {
                        self.recent.forget_everything();
                        self.writer.recover(&fault).await;
                        if !fault.is_passing() || tries == TRIES {
                            break fault;
                        }
                        warn!(error = %fault, "A transaction is tried again: {fault}");
                        tokio::time::sleep(Duration::from_millis(10) * tries * tries).await;
                        tries += 1;
                    }
                }
            };
            if fault.may_be_one_units() && jobs.len() > 1 {
                let later = jobs.split_off(jobs.len() / 2);
                self.surely(jobs).await;
                self.surely(later).await;
                return;
            }
            self.writer.give_up(jobs, &fault);
        }
        .boxed()
    }

    /// One transaction; the answers for everybody, in order.
    async fn try_surely(
        &mut self,
        jobs: &mut [Job],
    ) -> Result<Vec<Result<Committed, Error>>, Fault> {
        let limit = self.writer.settings.timeout;
        let connection = self.writer.open().await?;
        let mut sure = Sure {
            connection,
            batch: Batch::default(),
            view: View::default(),
            locked: BTreeSet::new(),
        };
        let mut done = Vec::with_capacity(jobs.len());
        let running = in_time(limit, sure.run(jobs, &mut done)).await;
        match running {
            Ok(()) => {}
            Err(fault) => {
                if matches!(fault, Fault::Lost(_)) {
                    doubt(jobs, done.into_iter().map(|one| one.and_then(Result::ok)));
                }
                return Err(fault);
            }
        }
        for job in &*jobs {
            if let Some(known) = sure.view.known(job.scope.log) {
                self.recent.put(job.scope.log, known);
            }
        }
        self.writer.trouble.clear();
        Ok(done.into_iter().map(|one| one.expect("everybody was decided on")).collect())
    }
}

/// Remembers with each decision what may have been committed of it.
fn doubt(jobs: &mut [Job], done: impl IntoIterator<Item = Option<Committed>>) {
    for (job, done) in jobs.iter_mut().zip(done) {
        job.doubts.extend(done.filter(|committed| !committed.entries.is_empty()));
    }
}

/// Decisions under locks, in one transaction.
struct Sure<'a> {
    connection: &'a AsyncPgConnection,
    batch: Batch,
    view: View,
    locked: BTreeSet<LogId>,
}

impl Sure<'_> {
    /// Decides on everybody and commits. `done` says how far that came.
    async fn run(
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
        let ids: Vec<Uuid> = doubts.flat_map(|doubt| first_id(doubt)).collect();
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

/// Which of these entries are in a log, with their hashes in hexadecimal.
pub(crate) async fn committed(
    mut connection: &AsyncPgConnection,
    ids: Vec<Uuid>,
) -> Result<HashMap<Uuid, String>, Fault> {
    let rows: Vec<(Uuid, Vec<u8>)> = statements::Committed { ids }.load(&mut connection).await?;
    let hash = |bytes: &[u8]| botarmy_domain::log::hash_text(bytes);
    Ok(rows.iter().map(|(id, bytes)| (*id, hash(bytes))).collect())
}

/// The id of the first entry of what may have been committed.
pub(crate) fn first_id(doubt: &Committed) -> Option<Uuid> {
    doubt.entries.iter().next().map(|entry| entry.id.uuid())
}

/// Whether exactly this was committed.
pub(crate) fn is_among(doubt: &Committed, committed: &HashMap<Uuid, String>) -> bool {
    doubt
        .entries
        .iter()
        .next()
        .is_some_and(|entry| committed.get(&entry.id.uuid()) == Some(&entry.hash))
}
