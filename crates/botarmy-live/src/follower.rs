//! One log, or all that a caller sees, as a stream that a client can resume: each frame of an entry
//! comes with the position after which the client goes on.

use std::fmt;
use std::sync::Arc;

use botarmy_domain::{Caller, LogId, LogSpan, Timestamp};
use bytestring::ByteString;
use serde_json::json;
use tracing::warn;

use crate::frame::{self, Frame};
use crate::hub::{Hub, RETRY};
use crate::resume_point::ResumePoint;
use crate::subscriber::{Reading, SubscribeError, Subscriber, Target};

/// Position after which a stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An entry of the log of one project.
    Log(u64),
    /// In all logs together.
    All(ResumePoint),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(seq) => seq.fmt(f),
            Self::All(point) => point.fmt(f),
        }
    }
}

/// A frame, and the position that a client has with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// Type of the event.
    pub event_type: &'static str,
    /// The frame as JSON.
    pub text: ByteString,
    /// Position of the client once it has the frame; `None` where the frame does not change it.
    pub position: Option<String>,
}

/// Reads the frames of one project, or of all projects and the system, for one client.
pub struct Follower {
    subscriber: Subscriber,
    place: Place,
    /// Set while entries of the feed were lost, and are not read from their logs yet.
    is_behind: bool,
    /// Search for them. A task of its own: the stream looks at other things meanwhile, and the search
    /// must not begin again each time.
    searching: Option<Reading<Option<Missed>>>,
}

/// Spans of the entries since a time, `None` if they are too many, and the end of the system log.
type Missed = (Option<Vec<LogSpan>>, u64);

impl Hub {
    /// Follows one project, or all that the caller sees, from after a position or from now on.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub async fn follow(
        self: &Arc<Self>,
        caller: &Caller,
        target: Target,
        after: Option<Place>,
    ) -> Result<Follower, SubscribeError> {
        match (target, after) {
            (Target::Project(_), after) => {
                let after = match after {
                    Some(Place::Log(after)) => Some(after),
                    Some(Place::All(_)) => return Err(SubscribeError::OtherStream),
                    None => None,
                };
                let mut subscriber = self.subscriber_of_projects(caller);
                let begin = subscriber.subscribe(target, after).await?.unwrap_or_default();
                Ok(Follower::at(subscriber, Place::Log(begin)))
            }
            (Target::All, Some(Place::Log(_))) => Err(SubscribeError::OtherStream),
            (Target::All, Some(Place::All(point))) => {
                let point = point.kept_until(self.now());
                // A caller that did not see the system log begins with what happens there from now on.
                let system = Some(point.system()).filter(|system| *system > 0);
                let mut subscriber = self.subscriber(caller, system).await?;
                subscriber.subscribe(target, None).await?;
                // What was committed before this is read from the logs, what comes later from the feed.
                Ok(Follower { is_behind: true, ..Follower::at(subscriber, Place::All(point)) })
            }
            (Target::All, None) => {
                let mut subscriber = self.subscriber(caller, None).await?;
                subscriber.subscribe(target, None).await?;
                let now = self.now();
                let since = now.before(self.completeness_lag());
                let (spans, system) = self.spans(since).await?;
                // With more entries than that, a client that comes back at once may get some of them. The
                // position goes to the client, so it names nothing that the client does not see.
                let spans = subscriber.seen(spans.unwrap_or_default()).await;
                let system = if subscriber.has_system_log() { system } else { 0 };
                let place = Place::All(ResumePoint::at_end(since, system, &spans, now));
                Ok(Follower::at(subscriber, place))
            }
        }
    }
}

/// Searches for the entries since a time. Tries again until the logs can be read.
async fn search(hub: Arc<Hub>, since: Timestamp) -> Option<Missed> {
    let mut wait = RETRY.0;
    loop {
        match hub.spans(since).await {
            Ok(found) => return Some(found),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                warn!(error, "Cannot read the logs for an event stream; trying again");
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscriber, place, .. } = self;
        f.debug_struct("Follower")
            .field("subscriber", subscriber)
            .field("place", place)
            .finish_non_exhaustive()
    }
}

impl Follower {
    const fn at(subscriber: Subscriber, place: Place) -> Self {
        Self { subscriber, place, is_behind: false, searching: None }
    }

    /// Continues with the rights that the caller has now. Returns `true` if they still include what is
    /// followed.
    pub async fn set_caller(&mut self, caller: &Caller) -> bool {
        self.subscriber.set_caller(caller).await.is_empty()
    }

    /// Returns the position of the client once it has the frames that were returned.
    pub fn position(&mut self) -> String {
        if let (Place::All(point), Some(up_to)) = (&mut self.place, self.subscriber.take_complete())
        {
            point.advance(up_to);
        }
        self.place.to_string()
    }

    /// Waits for the next frame. Nothing is lost if the future is dropped before it returns.
    pub async fn next(&mut self) -> Followed {
        loop {
            if self.is_behind {
                if let Some(gap) = self.catch_up().await {
                    return gap;
                }
                continue;
            }
            let frame = self.subscriber.next().await;
            if let Some(followed) = self.followed(frame) {
                return followed;
            }
        }
    }

    /// Returns the frame with its position; `None` for one that is not sent.
    fn followed(&mut self, frame: Frame) -> Option<Followed> {
        let Frame { event_type, log, seq, at, text } = frame;
        let position = match (&mut self.place, log, seq) {
            (Place::Log(place), Some(_), Some(seq)) => {
                *place = seq;
                Some(seq.to_string())
            }
            // The system log ends before the position: this is a restored back-up, and no position
            // in any log is worth anything.
            (Place::All(point), Some(LogId::System), Some(seq))
                if event_type == frame::GAP && seq < point.system() =>
            {
                let now = self.subscriber.hub().now();
                *point = ResumePoint::at_end(point.since(), seq, &[], now);
                Some(point.to_string())
            }
            (Place::All(point), Some(log), Some(seq)) => {
                if let Some(up_to) = self.subscriber.take_complete() {
                    point.advance(up_to);
                }
                if !point.record(log, seq, at) {
                    return None;
                }
                Some(point.to_string())
            }
            // Entries that the feed no longer has, or that no scan has found, are in their logs.
            (Place::All(_), None, _) if event_type == frame::GAP => {
                self.is_behind = true;
                return None;
            }
            _ => None,
        };
        Some(Followed { event_type, text, position })
    }

    /// Goes on with what the logs have beyond the position. Returns a gap if that is too much.
    async fn catch_up(&mut self) -> Option<Followed> {
        let Place::All(point) = &mut self.place else {
            self.is_behind = false;
            return None;
        };
        let hub = Arc::clone(self.subscriber.hub());
        let searching = self.searching.get_or_insert_with(|| {
            // The feed before the logs, so that nothing is between them.
            self.subscriber.restart_all();
            Reading::of(search(Arc::clone(&hub), point.since()))
        });
        let found = std::future::poll_fn(|cx| searching.poll(cx)).await;
        self.searching = None;
        // A search that panicked begins again.
        let (spans, system) = found?;
        let system = if self.subscriber.has_system_log() { system } else { 0 };
        self.is_behind = false;
        let Some(spans) = spans else {
            let now = hub.now();
            *point = ResumePoint::at_end(now.before(hub.completeness_lag()), system, &[], now);
            let limit = hub.settings.resume_limit;
            let data = json!({
                "message": format!("More than {limit} entries were written since this position: they \
                                    were left out. Read the audit log, or follow a project."),
            });
            let Frame { event_type, text, .. } = hub.gap(None, data);
            return Some(Followed { event_type, text, position: Some(point.to_string()) });
        };
        let is_other = |span: &LogSpan| span.log != LogId::System;
        let spans = spans.into_iter().filter(is_other).filter_map(|span| point.rest_of(span));
        self.subscriber.continue_with(spans.collect());
        None
    }
}

#[cfg(test)]
mod tests;
