//! The number of files that the process may have open, connections among them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// Number of open files that is enough for the most connections of a server.
const ENOUGH: u64 = 65_536;

/// Raises the limit of open files as far as the system lets the process, and returns it. Many
/// systems begin with 1,024, for the sake of programs that cannot handle more.
pub(crate) fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (soft, hard) = (current.unwrap_or(ENOUGH), maximum.unwrap_or(ENOUGH));
    let wanted = hard.min(ENOUGH);
    if soft >= wanted {
        return soft;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => {
            info!(files = wanted, "Raised the limit of open files from {soft} to {wanted}");
            wanted
        }
        Err(error) => {
            warn!(%error, "The limit of open files stays at {soft}: {error}");
            soft
        }
    }
}
