//! Rebuilds the released artifacts of a project from its log, where an older version did not record
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::artifact::digest;
use crate::error::DomainError;
use crate::event::{EventPayload, HitlRequestCreated, PayloadError};
use crate::hitl::Subject;
use crate::ids::{ContextId, HitlRequestId, ProjectId};
use crate::log::Entry;
use crate::project::Project;
use crate::scope::Snapshot;
use crate::vocabulary::{ArtifactType, EventType, HitlKind, HitlStatus, ProjectStatus};
use crate::workflow::{Released, ReleasedArtifacts, Workflow};

/// Conflict code for a project whose released artifacts have to be rebuilt first.
pub const RELEASED_UNKNOWN: &str = "released_unknown";

/// Released artifacts as the log of a project shows them, up to a position.
///
/// Only the idea, the results of ungated steps and the subjects of decided approvals count. A
/// document that was merely stored is not released.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    /// Project of the log.
    pub project: ProjectId,
    /// Position of the last entry that was read.
    pub seq: u64,
    /// Released artifacts at that position.
    pub released: ReleasedArtifacts,
    workflow: Option<Arc<Workflow>>,
    stored: BTreeMap<ContextId, (ArtifactType, String)>,
    subjects: BTreeMap<HitlRequestId, (String, Subject)>,
    /// Result of a step, or amendment of one, whose review, if there is one, opens next, with the
    /// artifact before it.
    unreviewed: Option<(ContextId, ArtifactType, Option<Released>)>,
    /// Amendment whose document is stored next.
    amendment: Option<(HitlRequestId, ArtifactType, String)>,
}

impl Rebuilt {
    /// Creates the state before the first entry.
    #[must_use]
    pub const fn new(project: ProjectId) -> Self {
        Self {
            project,
            seq: 0,
            released: ReleasedArtifacts::new(),
            workflow: None,
            stored: BTreeMap::new(),
            subjects: BTreeMap::new(),
            unreviewed: None,
            amendment: None,
        }
    }

    /// Reads the next entry of the log.
    ///
    /// # Errors
    /// [`PayloadError`] if the payload of an entry that matters cannot be read.
    pub fn read(&mut self, entry: &Entry) -> Result<(), PayloadError> {
        self.seq = entry.seq;
        if !matches!(
            entry.event_type,
            EventType::ProjectStarted
                | EventType::ArtifactCreated
                | EventType::TaskCompleted
                | EventType::HitlRequestCreated
                | EventType::HitlSubjectChanged
                | EventType::HitlResponse
                | EventType::HitlTimeout
        ) {
            return Ok(());
        }
        match EventPayload::of(entry)? {
            EventPayload::ProjectStarted(started) => self.workflow = Some(started.definition),
            EventPayload::ArtifactCreated(stored) => {
                self.stored_artifact(stored.context_id, stored.artifact_type, stored.digest);
            }
            EventPayload::TaskCompleted(completed) => {
                if let Some(step) = &completed.step {
                    self.finished(step, &completed.artifacts);
                }
            }
            EventPayload::HitlRequestCreated(HitlRequestCreated::Opened(opened)) => {
                // What is reviewed before it runs has no result yet.
                let is_result = opened.planned.is_none();
                if let (HitlKind::Approval, Some(step), true) =
                    (opened.kind, opened.step, is_result)
                {
                    self.opened(opened.hitl_request_id, step, opened.subject);
                }
            }
            EventPayload::HitlRequestCreated(HitlRequestCreated::SubjectChanged(changed)) => {
                if let Some((_, subject)) = self.subjects.get_mut(&changed.hitl_request_id) {
                    *subject = changed.subject;
                }
            }
            EventPayload::HitlSubjectChanged(changed) => {
                if let Some((_, subject)) = self.subjects.get_mut(&changed.hitl_request_id) {
                    *subject = changed.subject;
                }
            }
            EventPayload::HitlResponse(response) => {
                let id = response.hitl_request_id;
                match (response.status, response.amended_content) {
                    (HitlStatus::Approved, _) => self.approved(id),
                    (HitlStatus::Amended, Some(document)) => {
                        if let Some(output) = self.output_of(id) {
                            self.amendment = Some((id, output, digest(&document)));
                        }
                    }
                    _ => {}
                }
            }
            EventPayload::HitlTimeout(timeout) if timeout.status == HitlStatus::Approved => {
                self.approved(timeout.hitl_request_id);
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the snapshot with the released artifacts in its project. The snapshot is returned
    /// as it is if its project records them, or needs none because it cannot go on.
    ///
    /// # Errors
    /// [`RELEASED_UNKNOWN`] if they have to be rebuilt, up to the position of the snapshot.
    pub fn complete(
        rebuilt: Option<&Self>,
        snapshot: &Snapshot,
    ) -> Result<Option<Snapshot>, DomainError> {
        let is_unknown = |project: &&Arc<Project>| {
            let goes_on = project.status().is_open() || project.status() == ProjectStatus::Halted;
            goes_on && project.plan.as_ref().is_some_and(|plan| plan.progress.released.is_none())
        };
        let Some(project) = snapshot.project.as_ref().filter(is_unknown) else { return Ok(None) };
        let matches =
            |rebuilt: &&Self| rebuilt.project == project.id && rebuilt.seq == snapshot.head.seq;
        let rebuilt = rebuilt.filter(matches).ok_or_else(|| {
            let detail =
                "The released artifacts of the project have to be read from its log first.";
            DomainError::conflict(RELEASED_UNKNOWN, detail)
        })?;
        let mut project = Project::clone(project);
        if let Some(plan) = &mut project.plan {
            plan.progress.released = Some(rebuilt.released.clone());
        }
        Ok(Some(Snapshot {
            project: Some(Arc::new(project)),
            is_rebuilt: true,
            ..snapshot.clone()
        }))
    }

    fn stored_artifact(&mut self, id: ContextId, artifact_type: ArtifactType, digest: String) {
        let is_idea = artifact_type == ArtifactType::UserInput
            && self.workflow.is_some()
            && !self.released.contains_key(&artifact_type);
        let amendment = self.amendment.take_if(|(_, output, _)| *output == artifact_type);
        if is_idea || amendment.is_some() {
            let is_amendment = amendment.is_some();
            let request_id = amendment.map(|(id, ..)| id);
            let released = Released { context_id: id, digest: digest.clone(), request_id };
            let before = self.released.insert(artifact_type, released);
            // Where another person has to approve it, the same decision opens the review.
            if is_amendment {
                self.unreviewed = Some((id, artifact_type, before));
            }
        }
        self.stored.insert(id, (artifact_type, digest));
    }

    /// Releases the result of a step. If it is reviewed, the same decision opens the review.
    fn finished(&mut self, step: &str, artifacts: &[ContextId]) {
        let Some(output) = self.workflow.as_ref().and_then(|w| w.step(step)).map(|s| s.output)
        else {
            return;
        };
        let of_type = |id: &&ContextId| self.stored.get(id).is_some_and(|(t, _)| *t == output);
        let Some(id) = artifacts.iter().rfind(of_type) else { return };
        let digest = self.stored[id].1.clone();
        let result = Released { context_id: *id, digest, request_id: None };
        let before = self.released.insert(output, result);
        self.unreviewed = Some((*id, output, before));
    }

    fn opened(&mut self, id: HitlRequestId, step: String, subject: Subject) {
        let is_subject =
            |result: &ContextId| subject.artifacts.iter().any(|one| one.context_id == *result);
        if let Some((_, output, before)) =
            self.unreviewed.take_if(|(result, ..)| is_subject(result))
        {
            match before {
                Some(before) => self.released.insert(output, before),
                None => self.released.remove(&output),
            };
        }
        self.subjects.insert(id, (step, subject));
    }

    fn approved(&mut self, id: HitlRequestId) {
        let Some((_, subject)) = self.subjects.get(&id) else { return };
        for artifact in &subject.artifacts {
            let released = Released {
                context_id: artifact.context_id,
                digest: artifact.digest.clone(),
                request_id: Some(id),
            };
            self.released.insert(artifact.artifact_type, released);
        }
    }

    fn output_of(&self, id: HitlRequestId) -> Option<ArtifactType> {
        let (step, _) = self.subjects.get(&id)?;
        Some(self.workflow.as_ref()?.step(step)?.output)
    }
}
