//! Everything that the page of a request shows, as the ports return it.

use std::sync::Arc;

use botarmy_domain::hitl::Review;
use botarmy_domain::{Artifact, DomainError, Error, HitlRequest, HitlRequestId, Project, Task};
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

impl Subject {
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
    let project = queries.project(caller, request.project_id).await?;
    let task = match request.task_id {
        Some(id) => found(queries.task(caller, id).await)?,
        None => None,
    };
    let mut versions = Vec::new();
    let mut next = artifacts.first().cloned();
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
        artifacts,
        project,
        task,
        versions,
        requests,
        queue: queue.iter().map(|one| one.id).collect(),
        waiting: waiting.count(),
    })
}

/// Returns an object that may be gone.
fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Problem> {
    match result {
        Ok(object) => Ok(Some(object)),
        Err(Error::Refused(DomainError::NotFound { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
