//! Status lists as JSON. A list depends on its project's log alone, so the position of the log tells
//! whether a cached one still holds, and nothing has to be invalidated.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use actix_web::web::Bytes;
use botarmy_domain::ProjectId;

/// Largest number of cached lists; at the limit, all are dropped.
const MAX_BOARDS: usize = 512;
/// Largest size of a cached list, in bytes. A longer one changes before it is asked for again.
const MAX_BYTES: usize = 16 * 1024;

/// Status lists by project, each with its position of the log.
#[derive(Default)]
pub(crate) struct StatusCache(Mutex<HashMap<ProjectId, (u64, Bytes)>>);

impl StatusCache {
    /// Returns the list of a project whose log is at this position.
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
