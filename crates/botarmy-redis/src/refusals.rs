//! Errors of Redis commands, and the commands that Redis refuses although it can be reached.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use deadpool_redis::redis::RedisError;
use tracing::{info, warn};

use crate::settings::RedisUrl;

/// Error of a Redis command.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// Redis answered with an error.
    Refused(String),
    /// Redis did not answer, or the cause lies elsewhere.
    Lost(String),
}

impl From<RedisError> for CommandError {
    fn from(error: RedisError) -> Self {
        let lost = error.to_string();
        match error.into_server_errors().as_deref() {
            // The text of Redis, such as `NOPERM User limited has no permissions …`.
            Some([(_, said), ..]) => {
                Self::Refused(format!("{} {}", said.code(), said.details().unwrap_or_default()))
            }
            _ => Self::Lost(lost),
        }
    }
}

impl std::fmt::Display for CommandError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Refused(said) | Self::Lost(said)) = self;
        f.write_str(said)
    }
}

/// Commands that Redis refuses although it is connected: a user may be allowed to subscribe but not
/// to publish.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, String>>);

impl Refusals {
    fn all(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the result of a command of this kind.
    pub(crate) fn note(&self, what: &'static str, done: &Result<(), CommandError>, url: &RedisUrl) {
        match done {
            Ok(()) => {
                if self.all().remove(what).is_some() {
                    info!("{url} accepts {what} again");
                }
            }
            Err(CommandError::Refused(said)) => {
                if self.all().insert(what, said.clone()).is_none() {
                    warn!(
                        "{url} refuses {what}: {said}. Check the permissions of the user; until then \
                         servers react more slowly to each other, but lose nothing"
                    );
                }
            }
            Err(CommandError::Lost(_)) => {}
        }
    }

    /// Returns the first kind of command that is refused, and the reason.
    pub(crate) fn first(&self) -> Option<(&'static str, String)> {
        self.all().first_key_value().map(|(what, said)| (*what, said.clone()))
    }
}
