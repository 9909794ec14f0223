//! Everything that the page of a request shows, as the ports return it.

use std::sync::Arc;

use botarmy_domain::decide::eligibility::Allowed;
use botarmy_domain::event::EventPayload;
use botarmy_domain::hitl::Review;
use botarmy_domain::vocabulary::{HitlOutcome, Verdict};
use botarmy_domain::{
    Artifact, DomainError, EntryFilter, Error, EventType, HitlRequest, HitlRequestId, Project,
    Task, Timestamp,
};
use botarmy_web::Problem;

use crate::context::PageContext;
use crate::pages::queue;
use crate::view::inbox;
use crate::view::waiting::Waiting;

/// Largest number of versions that are counted.
const MAX_VERSIONS: usize = 50;
/// Number of requests of the project that are read for its history.
const MAX_REQUESTS: u32 = 100;

/// A request with everything around it.
#[derive(Clone)]
pub(super) struct Subject {
    pub(super) request: Arc<HitlRequest>,
    /// Things that the person may do with it.
    pub(super) allowed: Allowed,
    /// Change of its subject, if that is not the one with which it was opened.
    pub(super) changed: Option<Changed>,
    /// Artifacts under review.
    pub(super) artifacts: Vec<Arc<Artifact>>,
    pub(super) project: Arc<Project>,
    pub(super) task: Option<Arc<Task>>,
    /// Versions of the first artifact up to itself, oldest first.
    pub(super) versions: Vec<Arc<Artifact>>,
    /// Requests of the project, newest first.
    pub(super) requests: Vec<Arc<HitlRequest>>,
    /// Ids of the waiting requests in the order of the inbox.
    pub(super) queue: Vec<HitlRequestId>,
    pub(super) waiting: Waiting,
}

/// Change of the subject of a request.
#[derive(Clone)]
pub(super) struct Changed {
    pub(super) by: String,
    pub(super) at: Timestamp,
    /// Number of votes that are void since.
    pub(super) voided: u32,
}

impl Subject {
    /// Whether the person may give this answer now.
    pub(super) fn may(&self, verdict: Verdict) -> bool {
        self.allowed.verdicts.contains(&verdict)
    }

    /// Returns the two documents whose differences matter, the older first: the one under review and the
    /// version of the person who amended it, or the version before it and itself.
    pub(super) fn compared(&self) -> Option<(Arc<Artifact>, Arc<Artifact>)> {
        let amended = self.request.reply().and_then(|reply| reply.amended_content.as_ref());
        let is_amended = self.request.outcome() == Some(HitlOutcome::Amended);
        if let (true, Some(content), Some(before)) =
            (is_amended, amended.and_then(|one| one.as_object()), self.artifacts.first())
        {
            let after = Artifact { content: content.clone(), ..(**before).clone() };
            return Some((Arc::clone(before), after.into()));
        }
        Some((Arc::clone(self.previous()?), Arc::clone(self.versions.last()?)))
    }

    /// Returns the numbers of the versions that are compared.
    pub(super) fn compared_versions(&self) -> (usize, usize) {
        match self.request.outcome() {
            Some(HitlOutcome::Amended) => (self.version(), self.version() + 1),
            _ => (self.version().saturating_sub(1), self.version()),
        }
    }

    /// Returns the number of the version under review; zero without a document.
    pub(super) fn version(&self) -> usize {
        self.versions.len()
    }

    /// Returns the version before the one under review.
    pub(super) fn previous(&self) -> Option<&Arc<Artifact>> {
        self.versions.len().checked_sub(2).and_then(|index| self.versions.get(index))
    }

    /// Returns the place of the request among those that wait, from 0.
    pub(super) fn place(&self) -> Option<usize> {
        self.queue.iter().position(|id| *id == self.request.id)
    }

    /// Returns the request that waits after this one: the next in the inbox, or the first if this one
    /// does not wait any more.
    pub(super) fn next(&self) -> Option<HitlRequestId> {
        match self.place() {
            Some(place) => self.queue.get(place + 1).or_else(|| self.queue.first()).copied(),
            None => self.queue.first().copied(),
        }
        .filter(|id| *id != self.request.id)
    }

    /// Returns the request that waits before this one.
    pub(super) fn before(&self) -> Option<HitlRequestId> {
        self.place().and_then(|place| place.checked_sub(1)).map(|place| self.queue[place])
    }
}

/// Reads the id of a request in a path. What is no id is the id of no request.
pub(super) fn id(text: &str) -> Result<HitlRequestId, Problem> {
    text.parse().map_err(|_| Problem::not_found("Request", text))
}

/// Reads a request and everything around it.
pub(super) async fn load(context: &PageContext, id: HitlRequestId) -> Result<Subject, Problem> {
    let (queries, caller) = (&context.console.queries, context.caller());
    let Review { request, artifacts } = queries.review(caller, id).await?;
    let allowed = queries.gate(caller, id).await?.allowed;
    let changed = changed(context, &request).await?;
    let project = queries.project(caller, request.project_id).await?;
    let task = match request.task_id {
        Some(id) => found(queries.task(caller, id).await)?,
        None => None,
    };
    let mut versions = Vec::new();
    // The inputs of a step that has not run are no versions of its result.
    let mut next = artifacts.first().filter(|_| request.planned.is_none()).cloned();
    while let Some(artifact) = next {
        let previous = artifact.meta.previous;
        versions.push(artifact);
        next = match previous {
            Some(id) if versions.len() < MAX_VERSIONS => found(queries.artifact(caller, id).await)?,
            _ => None,
        };
    }
    versions.reverse();
    let requests = queries.requests(caller, project.id, None, None, MAX_REQUESTS).await?.items;
    let waiting = queue::read(context).await?;
    let queue = inbox::sorted(waiting.requests.clone(), context.now());
    Ok(Subject {
        request,
        allowed,
        changed,
        artifacts,
        project,
        task,
        versions,
        requests,
        queue: queue.iter().map(|one| one.id).collect(),
        waiting: waiting.count(),
    })
}

/// Reads the last change of the subject of a request.
async fn changed(context: &PageContext, request: &HitlRequest) -> Result<Option<Changed>, Problem> {
    if !request.subject_changed() {
        return Ok(None);
    }
    let filter = EntryFilter {
        request: Some(request.id),
        event_type: Some(EventType::HitlSubjectChanged),
        ..EntryFilter::default()
    };
    let logs = &context.console.logs;
    let found = logs.project_entries(context.caller(), request.project_id, filter, 1).await?;
    Ok(found.items.first().and_then(|entry| match EventPayload::of(entry) {
        Ok(EventPayload::HitlSubjectChanged(changed)) => Some(Changed {
            by: entry.actor().to_owned(),
            at: entry.created_at,
            voided: changed.voided,
        }),
        _ => None,
    }))
}

/// Returns an object that may be gone.
fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Problem> {
    match result {
        Ok(object) => Ok(Some(object)),
        Err(Error::Refused(DomainError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
