//! Comparison of the stored state with the log that it is the consequence of.

use std::collections::BTreeSet;
use std::fmt::Display;

use botarmy_domain::artifact::ArtifactFilter;
use botarmy_domain::log::{HeadMark, Line, Verifier};
use botarmy_domain::ports::{RecordsExt, StorePorts};
use botarmy_domain::replay::{Difference, Replay, StateVerification};
use botarmy_domain::task::TaskFilter;
use botarmy_domain::{
    AgentRecord, AgentType, ApiKey, BudgetAccount, BudgetKey, ContextId, CredentialId, Error,
    HitlRequestId, HitlStatus, LogId, Package, PersonSessions, Principal, PrincipalId, Reach, Stop,
    StopScope, StoreError, TaskId, TaskStatus, Webhook, WebhookId,
};

use super::log_reader::{self, existing_head};

/// Number of artifacts that are read at once; each may be as large as a request body.
const ARTIFACTS_AT_ONCE: u32 = 16;

/// Number of times that a row which changes while it is compared is read again.
const ATTEMPTS: u32 = 100;

/// Checks a log, and compares the stored state of its objects with it.
///
/// Work goes on meanwhile: a row that differs is read again, together with the entries that were
/// committed since, until it agrees or nothing was committed in between.
///
/// # Errors
/// A log that does not exist, or the error of the store. A row or an entry that cannot be read is a
/// difference, not an error.
pub async fn verify_state(
    stores: &StorePorts,
    log: LogId,
    expected: Option<HeadMark>,
    page: u32,
) -> Result<StateVerification, Error> {
    let head = existing_head(&*stores.audit, log).await?;
    let mut check = StateCheck {
        stores,
        log,
        page,
        head,
        verifier: Verifier::expecting(expected),
        replay: Replay::of(log),
        rows: 0,
    };
    let difference = match check.follow().await? {
        Some(difference) => Some(difference),
        None if check.is_valid() => check.compare().await?,
        // Nothing can be compared with a log that is not valid.
        None => None,
    };
    let log = check.verifier.finish(&check.head);
    Ok(StateVerification { log, rows: check.rows, difference })
}

/// A row that is compared.
#[derive(Debug, Clone, Copy)]
enum RowKey {
    Project,
    Task(TaskId),
    Request(HitlRequestId),
    Artifact(ContextId),
    Package,
    Limit,
    Stop(StopScope),
    Agent(AgentType),
    Principal(PrincipalId),
    ApiKey(CredentialId),
    Sessions(PrincipalId),
    Webhook(WebhookId),
}

struct StateCheck<'a> {
    stores: &'a StorePorts,
    log: LogId,
    page: u32,
    /// Head up to which the log is followed.
    head: HeadMark,
    verifier: Verifier,
    replay: Replay,
    rows: u64,
}

impl StateCheck<'_> {
    /// Follows the log up to the head. Returns the difference of an entry that this version does
    /// not understand. Ends early in a log that is not valid.
    async fn follow(&mut self) -> Result<Option<Difference>, StoreError> {
        while self.replay.end().seq < self.head.seq {
            let after = self.replay.end().seq;
            let lines = log_reader::lines(&*self.stores.audit, self.log, after, self.page).await?;
            if lines.is_empty() {
                return Ok(None);
            }
            for line in lines.iter().filter(|line| line.seq() <= self.head.seq) {
                self.verifier.line(line);
                let Line::Entry(entry) = line else { return Ok(None) };
                if entry.seq != self.replay.end().seq + 1 {
                    return Ok(None);
                }
                if let Err(error) = self.replay.apply(entry) {
                    let detail = format!("{error}: {}", error.source);
                    let row = entry.id.to_string();
                    return Ok(Some(Difference::unreadable("events", row, detail)));
                }
            }
        }
        Ok(None)
    }

    fn is_valid(&self) -> bool {
        self.verifier.clone().finish(&self.head).valid
    }

    /// Compares every row.
    async fn compare(&mut self) -> Result<Option<Difference>, Error> {
        let LogId::Project(id) = self.log else { return self.compare_system().await };
        for key in [RowKey::Project, RowKey::Package, RowKey::Limit] {
            if let Some(found) = self.check(key).await? {
                return Ok(Some(found));
            }
        }
        if let Some(found) = self.check(RowKey::Stop(StopScope::Project(id))).await? {
            return Ok(Some(found));
        }
        if let Some(found) = self.compare_tasks().await? {
            return Ok(Some(found));
        }
        if let Some(found) = self.compare_requests().await? {
            return Ok(Some(found));
        }
        self.compare_artifacts().await
    }

    /// Compares the tasks status by status, because the status is a column of its own too.
    async fn compare_tasks(&mut self) -> Result<Option<Difference>, Error> {
        let Some(project) = self.log.project() else { return Ok(None) };
        let mut missing = self.replay.task_ids();
        for status in TaskStatus::ALL {
            let mut filter = TaskFilter { status: Some(*status), ..TaskFilter::default() };
            loop {
                let found = self.stores.tasks.tasks(project, filter.clone(), self.page).await;
                let Some(tasks) = readable(found)? else {
                    return self.one_by_one(missing, RowKey::Task).await;
                };
                let Some(last) = tasks.last() else { break };
                filter.after = Some(last.id);
                for task in &tasks {
                    self.rows += 1;
                    missing.remove(&task.id);
                    if self.replay.task(task).is_err()
                        && let Some(found) = self.settle(RowKey::Task(task.id)).await?
                    {
                        return Ok(Some(found));
                    }
                    if task.status() != *status {
                        return Ok(Some(column("tasks", task.id, status, task.status())));
                    }
                }
            }
        }
        self.one_by_one(missing, RowKey::Task).await
    }

    /// Compares the requests status by status, because the status is a column of its own too.
    async fn compare_requests(&mut self) -> Result<Option<Difference>, Error> {
        let Some(project) = self.log.project() else { return Ok(None) };
        let mut missing = self.replay.request_ids();
        for status in HitlStatus::ALL {
            let mut before = None;
            loop {
                let found =
                    self.stores.requests.requests(project, Some(*status), before, self.page).await;
                let Some(requests) = readable(found)? else {
                    return self.one_by_one(missing, RowKey::Request).await;
                };
                let Some(last) = requests.last() else { break };
                before = Some(last.id);
                for request in &requests {
                    self.rows += 1;
                    missing.remove(&request.id);
                    if self.replay.request(request).is_err()
                        && let Some(found) = self.settle(RowKey::Request(request.id)).await?
                    {
                        return Ok(Some(found));
                    }
                    if request.status() != *status {
                        let (id, found) = (request.id, request.status());
                        return Ok(Some(column("hitl_requests", id, status, found)));
                    }
                }
            }
        }
        self.one_by_one(missing, RowKey::Request).await
    }

    async fn compare_artifacts(&mut self) -> Result<Option<Difference>, Error> {
        let Some(project) = self.log.project() else { return Ok(None) };
        let mut missing = self.replay.artifact_ids();
        let mut filter = ArtifactFilter::default();
        loop {
            let found =
                self.stores.context.artifacts(project, filter.clone(), ARTIFACTS_AT_ONCE).await;
            let Some(artifacts) = readable(found)? else {
                return self.one_by_one(missing, RowKey::Artifact).await;
            };
            let Some(last) = artifacts.last() else { break };
            filter.after = Some(last.meta.id);
            for artifact in &artifacts {
                self.rows += 1;
                missing.remove(&artifact.meta.id);
                if self.replay.artifact(artifact).is_err()
                    && let Some(found) = self.settle(RowKey::Artifact(artifact.meta.id)).await?
                {
                    return Ok(Some(found));
                }
            }
        }
        self.one_by_one(missing, RowKey::Artifact).await
    }

    async fn compare_system(&mut self) -> Result<Option<Difference>, Error> {
        let stored = readable(self.stores.records.all::<Stop>().await)?.unwrap_or_default();
        let mut scopes: BTreeSet<StopScope> = stored.iter().map(|stop| stop.scope).collect();
        scopes.extend(self.replay.stop_scopes());
        scopes.retain(|scope| !matches!(scope, StopScope::Project(_)));
        let keys = scopes.into_iter().map(RowKey::Stop);
        for key in keys.chain(AgentType::ALL.iter().copied().map(RowKey::Agent)) {
            if let Some(found) = self.check(key).await? {
                return Ok(Some(found));
            }
        }
        self.compare_access().await
    }

    /// Compares the principals, their keys and their sessions, and the subscriptions of webhooks.
    async fn compare_access(&mut self) -> Result<Option<Difference>, Error> {
        let records = &self.stores.records;
        let principals = readable(records.all::<Principal>().await)?.unwrap_or_default();
        let keys = readable(records.all::<ApiKey>().await)?.unwrap_or_default();
        let mut ids = self.replay.principal_ids();
        ids.extend(principals.iter().map(|principal| principal.id));
        if let Some(found) = self.one_by_one(ids, RowKey::Principal).await? {
            return Ok(Some(found));
        }
        let mut ids = self.replay.api_key_ids();
        ids.extend(keys.iter().map(|key| key.id));
        if let Some(found) = self.one_by_one(ids, RowKey::ApiKey).await? {
            return Ok(Some(found));
        }
        let sessions = readable(self.stores.records.all::<PersonSessions>().await)?;
        let mut ids = self.replay.session_ids();
        ids.extend(sessions.unwrap_or_default().iter().map(|person| person.principal));
        if let Some(found) = self.one_by_one(ids, RowKey::Sessions).await? {
            return Ok(Some(found));
        }
        let webhooks = readable(self.stores.records.all::<Webhook>().await)?;
        let mut ids = self.replay.webhook_ids();
        ids.extend(webhooks.unwrap_or_default().iter().map(|webhook| webhook.id));
        self.one_by_one(ids, RowKey::Webhook).await
    }

    /// Compares rows that a list did not have, or could not be read in one.
    async fn one_by_one<Id>(
        &mut self,
        ids: BTreeSet<Id>,
        key: impl Fn(Id) -> RowKey,
    ) -> Result<Option<Difference>, Error> {
        for id in ids {
            if let Some(found) = self.check(key(id)).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Compares one row.
    async fn check(&mut self, key: RowKey) -> Result<Option<Difference>, Error> {
        self.rows += 1;
        match self.read(key).await? {
            Ok(()) => Ok(None),
            Err(_) => self.settle(key).await,
        }
    }

    /// Compares a row that differed with the log up to its present head, until it agrees or nothing
    /// was committed in between.
    async fn settle(&mut self, key: RowKey) -> Result<Option<Difference>, Error> {
        for _ in 0..ATTEMPTS {
            self.head = existing_head(&*self.stores.audit, self.log).await?;
            if let Some(difference) = self.follow().await? {
                return Ok(Some(difference));
            }
            let Err(difference) = self.read(key).await? else { return Ok(None) };
            if existing_head(&*self.stores.audit, self.log).await? == self.head {
                return Ok(Some(*difference));
            }
        }
        let detail = format!("the log {} changes too quickly to be compared", self.log.key());
        Err(StoreError::Unavailable { detail, source: None }.into())
    }

    /// Reads a row and compares it.
    async fn read(&self, key: RowKey) -> Result<Result<(), Box<Difference>>, StoreError> {
        match self.read_strictly(key).await {
            Err(StoreError::Corrupt { table, row, detail }) => {
                Ok(Err(Box::new(Difference::unreadable(table, row, detail))))
            }
            other => other,
        }
    }

    async fn read_strictly(&self, key: RowKey) -> Result<Result<(), Box<Difference>>, StoreError> {
        let (stores, replay) = (self.stores, &self.replay);
        let project = self.log.key();
        Ok(match key {
            RowKey::Project => {
                let stored = stores.projects.overview(project).await?;
                let compared = stored.as_ref().map(|(row, head)| (&**row, &head.counts));
                if let Err(difference) = replay.project(compared) {
                    return Ok(Err(difference));
                }
                let Some((row, _)) = &stored else { return Ok(Ok(())) };
                // The status is a column of its own too.
                let (status, next) = (row.status(), project.successor());
                let listed = stores
                    .projects
                    .projects(&Reach::everything(), Some(status), Some(next), 1)
                    .await?;
                if listed.first().is_some_and(|listed| listed.id == project) {
                    Ok(())
                } else {
                    Err(Box::new(column("projects", project, &"another status", status)))
                }
            }
            RowKey::Task(id) => match stores.tasks.task(id).await? {
                Some(task) => replay.task(&task),
                None => Err(replay.missing("tasks", id)),
            },
            RowKey::Request(id) => match stores.requests.request(id).await? {
                Some(request) => replay.request(&request),
                None => Err(replay.missing("hitl_requests", id)),
            },
            RowKey::Artifact(id) => match stores.context.artifact(id).await? {
                Some(artifact) => replay.artifact(&artifact),
                None => Err(replay.missing("artifacts", id)),
            },
            RowKey::Package => {
                let stored = stores.records.record::<Package>(project).await?;
                replay.package(project, stored.as_deref())
            }
            RowKey::Limit => {
                let key = BudgetKey::Project(project);
                let stored = stores.records.record::<BudgetAccount>(key).await?;
                replay.limit(key, stored.and_then(|account| account.limit))
            }
            RowKey::Stop(scope) => {
                let stored = stores.records.record::<Stop>(scope).await?;
                replay.stop(scope, stored.as_deref())
            }
            RowKey::Agent(agent) => {
                let stored = stores.records.record::<AgentRecord>(agent).await?;
                let idle = AgentRecord::idle(agent);
                replay.agent(stored.as_deref().unwrap_or(&idle))
            }
            RowKey::Principal(id) => {
                let stored = stores.records.record::<Principal>(id).await?;
                replay.principal(id, stored.as_deref())
            }
            RowKey::Sessions(id) => {
                let stored = stores.records.record::<PersonSessions>(id).await?;
                replay.sessions(id, stored.as_deref())
            }
            RowKey::ApiKey(id) => {
                let stored = stores.records.record::<ApiKey>(id).await?;
                replay.api_key(id, stored.as_deref())
            }
            RowKey::Webhook(id) => {
                let stored = stores.records.record::<Webhook>(id).await?;
                replay.webhook(id, stored.as_deref())
            }
        })
    }
}

/// Returns the difference between the status in its column and the one in the body of a row.
fn column(
    table: &'static str,
    row: impl Display,
    column: &impl Display,
    body: impl Display,
) -> Difference {
    let detail = format!("{column} in the column `status`, and {body} in the body");
    Difference::unreadable(table, row.to_string(), detail)
}

/// Returns the rows of a list, or `None` if one of them cannot be read.
fn readable<T>(found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(rows) => Ok(Some(rows)),
        Err(StoreError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
