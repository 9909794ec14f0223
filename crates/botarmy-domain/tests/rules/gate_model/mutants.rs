//! Defects that the model has to find. Each changes what a decision is given, or what is kept of it.

use std::sync::Arc;

use botarmy_domain::hitl::PinnedPolicy;
use botarmy_domain::workflow::Released;
use botarmy_domain::{
    ArtifactType, Authentication, Caller, Committed, EventType, HitlRequest, HitlState, HitlStatus,
    Reply, Response,
};

use super::stage::{PEOPLE, Stage};

/// A planted defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    CountsServices,
    IgnoresExclusions,
    KeepsVotesOnAnotherSubject,
    CountsAPersonTwice,
    IgnoresSeats,
    ReleasesTheNewest,
    DecidesTwice,
    ExpiresWhilePaused,
    AcceptsAnOldDigest,
    IgnoresClaims,
    CountsDelegateAndDelegator,
    ApprovesTheUnsatisfiable,
}

use Mutant as M;

impl Mutant {
    pub const ALL: [Self; 12] = [
        M::CountsServices,
        M::IgnoresExclusions,
        M::KeepsVotesOnAnotherSubject,
        M::CountsAPersonTwice,
        M::IgnoresSeats,
        M::ReleasesTheNewest,
        M::DecidesTwice,
        M::ExpiresWhilePaused,
        M::AcceptsAnOldDigest,
        M::IgnoresClaims,
        M::CountsDelegateAndDelegator,
        M::ApprovesTheUnsatisfiable,
    ];

    /// Changes an answer before it is decided on.
    pub fn change_answer(
        self,
        stage: &Stage,
        caller: &mut Caller,
        request: &HitlRequest,
        response: &mut Response,
    ) {
        if self == M::CountsServices && caller.name() == "ci" {
            *caller = stage.person(PEOPLE - 1, Authentication::Session);
        }
        if self == M::AcceptsAnOldDigest && response.subject_digest.is_some() {
            response.subject_digest = Some(request.subject.digest.clone());
        }
    }

    /// Changes a request as a decision reads it.
    pub fn change_read(self, request: &mut HitlRequest) {
        if self == M::DecidesTwice && request.reply().is_some() {
            request.state = HitlState::Pending;
        }
        if self == M::ExpiresWhilePaused {
            request.schedule.paused_at = None;
        }
    }

    /// Changes what is kept of a decision.
    pub fn spoil(self, stage: &mut Stage, before: &Stage, committed: &Committed) {
        if self == M::ReleasesTheNewest {
            return release_newest(stage);
        }
        let voided = |id| {
            let mut of = committed.entries.iter().filter(|entry| entry.hitl_request_id == Some(id));
            of.any(|entry| entry.event_type == EventType::HitlSubjectChanged)
        };
        for request in stage.requests.values_mut() {
            let known = before.requests.get(&request.id);
            let changed = Arc::make_mut(request);
            match self {
                M::IgnoresExclusions => change_policy(changed, |policy| policy.exclude.clear()),
                M::IgnoresSeats => change_policy(changed, |policy| policy.groups.clear()),
                M::IgnoresClaims => changed.claim = None,
                M::KeepsVotesOnAnotherSubject if voided(changed.id) => {
                    for mut vote in known.into_iter().flat_map(|known| known.votes.clone()) {
                        vote.subject_digest.clone_from(&changed.subject.digest);
                        changed.votes.push(vote);
                    }
                }
                M::CountsAPersonTwice => {
                    if let Some(vote) = changed.votes.last().cloned()
                        && changed.votes.len() == 1
                    {
                        changed.votes.push(vote);
                    }
                }
                M::CountsDelegateAndDelegator => {
                    let new = changed.votes.last().cloned();
                    let lost = known.into_iter().flat_map(|known| &known.votes).filter(|vote| {
                        new.as_ref().is_some_and(|new| {
                            new.place().is_same(vote.place()) && !new.voter.is_same(&vote.voter)
                        })
                    });
                    changed.votes.extend(lost.cloned().collect::<Vec<_>>());
                }
                M::ApprovesTheUnsatisfiable
                    if changed.unsatisfiable && changed.status() == HitlStatus::Pending =>
                {
                    changed.state = HitlState::Approved(Reply::new("system", before.now));
                }
                _ => {}
            }
        }
    }
}

/// Changes the policy of a request, which keeps its digest.
fn change_policy(request: &mut HitlRequest, change: fn(&mut botarmy_domain::hitl::Policy)) {
    let Some(pinned) = &request.policy else { return };
    let mut pinned = PinnedPolicy::clone(pinned);
    pinned.policy.approvals = Some(pinned.policy.approvals());
    change(&mut pinned.policy);
    request.policy = Some(Arc::new(pinned));
}

/// Gives the newest plan to the steps that begin from now on.
fn release_newest(stage: &mut Stage) {
    let (Some(newest), Some(project)) = (&stage.newest, &mut stage.project) else { return };
    let plan = Arc::make_mut(project).plan.as_mut().unwrap();
    let released = plan.progress.released.as_mut().unwrap();
    if let Some(released) = released.get_mut(&ArtifactType::ProjectPlan) {
        let (context_id, digest) = (newest.id, newest.digest.clone());
        *released = Released { context_id, digest, request_id: released.request_id };
    }
}
