//! Pending requests after the people who may answer them, or their groups and roles, have changed.

use botarmy_domain::access::Reach;
use botarmy_domain::decide::eligibility::Eligibility;
use botarmy_domain::decide::hitl;
use botarmy_domain::hitl::{PendingFilter, Roster};
use botarmy_domain::{Caller, Error, HitlRequest};
use tracing::{debug, warn};

use crate::commands::gates::scope_of;
use crate::engine::Engine;

/// Number of requests that are looked at in one tick.
const PAGE: u32 = 500;

impl Engine {
    /// Looks at the next page of pending requests, if the people have changed since all were looked at, and
    /// records which of them too few people can still approve, and which enough people can again. The first
    /// call after a start looks at all: the people may have changed before it. Returns the number of requests
    /// that changed.
    ///
    /// # Errors
    /// The error of the store; the page is looked at again the next time.
    pub(crate) async fn review_people(&self) -> Result<usize, Error> {
        let Some(roster) = self.roster() else { return Ok(0) };
        let Some(after) = self.people_review.next(&roster) else { return Ok(0) };
        let (reach, filter) = (Reach::everything(), PendingFilter::default());
        let page = self.ports.stores.requests.pending(&reach, &filter, after, PAGE).await?;
        let mut changed = 0;
        for request in &page.items {
            changed += usize::from(self.review_people_of(request, &roster).await?);
        }
        let last = page.items.last().filter(|_| page.has_more).map(|request| request.id);
        self.people_review.seen(last);
        Ok(changed)
    }

    /// Records whether these people can decide a request, unless that is known.
    async fn review_people_of(
        &self,
        request: &HitlRequest,
        roster: &Roster,
    ) -> Result<bool, Error> {
        if request.policy.is_none() {
            return Ok(false);
        }
        let project = self.existing_project(request.project_id).await?;
        let settings = &self.settings.defaults.gates;
        let eligibility =
            Eligibility { request, project: &project, settings, roster: Some(roster) };
        if eligibility.is_satisfiable() != request.unsatisfiable {
            return Ok(false);
        }
        let (id, context) = (request.id, self.context(Caller::scheduler()));
        let review = move |context: &_, snapshot: &_| hitl::review_people(context, snapshot, id);
        match self.commit(context, scope_of(request), review).await {
            Ok(committed) => {
                if committed.request(id).is_some_and(|request| request.unsatisfiable) {
                    warn!(request.id = %id, "Too few people are left who can approve request {id}");
                }
                Ok(true)
            }
            Err(Error::Refused(error)) => {
                debug!(request.id = %id, %error, "The request is over");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}
