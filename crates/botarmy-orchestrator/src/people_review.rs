//! Progress through the pending requests since the people who may answer them last changed.

use std::sync::{Arc, Mutex, PoisonError};

use botarmy_domain::HitlRequestId;
use botarmy_domain::hitl::Roster;

/// Progress through the pending requests since the people last changed.
#[derive(Default)]
pub(crate) struct PeopleReview(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    /// The people for whom the requests are looked at.
    roster: Option<Arc<Roster>>,
    /// Requests that are left.
    rest: Rest,
}

/// Requests that are left to look at.
#[derive(Clone, Copy, Default)]
enum Rest {
    /// None.
    #[default]
    Nothing,
    /// Those after this one; all of them where it is `None`.
    After(Option<HitlRequestId>),
}

impl PeopleReview {
    /// Returns the request after which the next page begins, `Some(None)` for the first page; `None` if all
    /// were looked at. Other people than before begin with the first page.
    pub(crate) fn next(&self, roster: &Arc<Roster>) -> Option<Option<HitlRequestId>> {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if progress.roster.as_ref().is_none_or(|known| **known != **roster) {
            *progress = Progress { roster: Some(Arc::clone(roster)), rest: Rest::After(None) };
        }
        match progress.rest {
            Rest::Nothing => None,
            Rest::After(after) => Some(after),
        }
    }

    /// Notes that a page was looked at. `last` is its last request if there are more.
    pub(crate) fn seen(&self, last: Option<HitlRequestId>) {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        progress.rest = last.map_or(Rest::Nothing, |last| Rest::After(Some(last)));
    }
}
