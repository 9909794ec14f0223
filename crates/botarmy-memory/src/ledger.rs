//! The ledger port: one lock, one decision after the other.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::{Decide, Ledger};
use botarmy_domain::{
    Claim, Committed, CredentialId, Error, KeptReply, Listed, ProjectStatus, Scope, Stop,
    StopScope, StoreError, TaskId, TaskState, TaskStatus, Timestamp,
};

use crate::MemoryStore;

#[async_trait]
impl Ledger for MemoryStore {
    async fn transact(&self, scope: Scope, decide: Decide) -> Result<Committed, Error> {
        let mut state = self.state();
        let mut batch = state.batch(|batch| batch.read_set([&scope]));
        let committed = batch.decide(&scope, decide)?;
        state.write(batch.take_write_set());
        Ok(committed)
    }

    async fn claim(&self, claim: Claim) -> Result<Committed, StoreError> {
        let mut state = self.state();
        let mut candidates = Vec::new();
        for (agent, slots) in &claim.slots {
            let stops = [StopScope::Everything, StopScope::Agent(*agent)];
            if stops.iter().any(|scope| state.record::<Stop>(*scope).is_some()) {
                continue;
            }
            let mut ready: Vec<_> = state
                .tasks
                .values()
                .filter(|task| {
                    task.agent == *agent
                        && task.status() == TaskStatus::Pending
                        && task.ready_at <= claim.context.now
                        && state
                            .projects
                            .get(&task.project_id)
                            .is_some_and(|project| project.status() == ProjectStatus::Active)
                        && state.sees(&claim.reach, task.project_id)
                })
                .collect();
            ready.sort_by_key(|task| (u8::MAX - task.priority, task.turn_at, task.id));
            let slots = usize::try_from(*slots).unwrap_or(usize::MAX);
            candidates.extend(ready.iter().take(slots).map(|task| (task.project_id, task.id)));
        }
        let scopes: Vec<_> =
            candidates.iter().map(|(project, task)| Scope::project(*project).task(*task)).collect();
        let mut batch = state.batch(|batch| batch.read_set(&scopes));
        let committed = batch.claim(&claim, &candidates);
        state.write(batch.take_write_set());
        Ok(committed)
    }

    async fn extend(&self, task: TaskId, fence: u32, until: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.state();
        let Some(row) = state.tasks.get_mut(&task) else { return Ok(false) };
        if row.lease().is_none_or(|lease| lease.fence != fence) {
            return Ok(false);
        }
        if let TaskState::Working { lease } = &mut Arc::make_mut(row).state {
            lease.expires_at = until;
        }
        Ok(true)
    }

    async fn note_key_use(&self, key: CredentialId, at: Timestamp) -> Result<(), StoreError> {
        let mut state = self.state();
        let used_at = state.key_uses.entry(key).or_insert(at);
        *used_at = at.max(*used_at);
        Ok(())
    }

    async fn forget_replies(&self, now: Timestamp, limit: u32) -> Result<u32, StoreError> {
        let mut state = self.state();
        let kept = state.records.values().filter_map(KeptReply::of);
        let mut expired: Vec<_> = kept
            .filter(|kept| kept.expires_at <= now)
            .map(|kept| (kept.expires_at, KeptReply::any_key(kept.key)))
            .collect();
        expired.sort_unstable();
        expired.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        expired.iter().for_each(|(_, key)| drop(state.records.remove(key)));
        Ok(u32::try_from(expired.len()).unwrap_or(u32::MAX))
    }
}
