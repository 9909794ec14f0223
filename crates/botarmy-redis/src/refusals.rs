//! Errors of Redis commands, and the commands that Redis refuses although it can be reached.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use deadpool_redis::redis::RedisError;
use tracing::{info, warn};

use crate::settings::RedisUrl;

/// Why Redis did not do something.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// It answered, and the answer was no.
    Refused(String),
    /// There was no answer, or what was wrong lies elsewhere.
    Lost(String),
}

impl From<RedisError> for CommandError {
    fn from(error: RedisError) -> Self {
        let lost = error.to_string();
        match error.into_server_errors().as_deref() {
            // In Redis's own words, such as `NOPERM User limited has no permissions …`.
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

/// What Redis refuses although it is there: whom it lets in and listen it may still forbid to speak.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, String>>);

impl Refusals {
    fn all(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came of telling Redis something of this kind.
    pub(crate) fn note(&self, what: &'static str, done: &Result<(), CommandError>, url: &RedisUrl) {
        match done {
            Ok(()) => {
                if self.all().remove(what).is_some() {
                    info!("{url} takes {what} again");
                }
            }
            Err(CommandError::Refused(said)) => {
                if self.all().insert(what, said.clone()).is_none() {
                    warn!(
                        "{url} refuses {what}: {said}. What other servers do is noticed later until \
                         it does not; nothing is lost"
                    );
                }
            }
            Err(CommandError::Lost(_)) => {}
        }
    }

    /// The first of them.
    pub(crate) fn first(&self) -> Option<(&'static str, String)> {
        self.all().first_key_value().map(|(what, said)| (*what, said.clone()))
    }
}
