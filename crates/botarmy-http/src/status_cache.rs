//! Task boards that were written already. A board follows from its project's log, so the position
//! of the log tells exactly whether it is still the same: nothing has to be told when it is not.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use actix_web::web::Bytes;
use botarmy_domain::ProjectId;

/// How many boards are kept; when there are more, all are forgotten.
const MAX_BOARDS: usize = 512;
/// The longest board that is kept, in bytes. A long one changes before it is asked for again.
const MAX_BYTES: usize = 16 * 1024;

/// StatusCache by project, each with the position of the log that it shows.
#[derive(Default)]
pub(crate) struct StatusCache(Mutex<HashMap<ProjectId, (u64, Bytes)>>);

impl StatusCache {
    /// The board of a project whose log is at this position.
    pub(crate) fn get(&self, id: ProjectId, seq: u64) -> Option<Bytes> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&id).filter(|(at, _)| *at == seq).map(|(_, json)| json.clone())
    }

    pub(crate) fn put(&self, id: ProjectId, seq: u64, json: &Bytes) {
        if json.len() > MAX_BYTES {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_BOARDS && !kept.contains_key(&id) {
            kept.clear();
        }
        kept.insert(id, (seq, json.clone()));
    }
}
