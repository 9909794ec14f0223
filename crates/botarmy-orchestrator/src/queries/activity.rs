//! Activity of projects: whether they work, or whom they wait for.

use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::ports::HealthCheck;
use botarmy_domain::task::TaskFilter;
use botarmy_domain::{
    Activity, ActivityState, AgentType, Counts, Health, HitlRequest, HitlStatus, Page, Project,
    ProjectStatus, StoreError, Task, TaskId, TaskStatus,
};
use tokio::task::JoinSet;

use crate::engine::Engine;

/// Number of projects that are looked at simultaneously.
const CONCURRENT: usize = 16;
/// Largest number of tasks and requests of a project that are looked at for the oldest.
const MAX_SEEN: u32 = 1_000;

impl Engine {
    /// Returns the activity of each of these projects.
    pub(super) async fn activities_of(
        &self,
        projects: &[Arc<Project>],
    ) -> Result<Vec<Activity>, StoreError> {
        let mut found: Vec<_> = projects.iter().map(|project| ended(project, 0)).collect();
        let active =
            |(_, project): &(usize, &Arc<Project>)| project.status() == ProjectStatus::Active;
        let mut active = projects.iter().enumerate().filter(active);
        let mut asked = JoinSet::new();
        loop {
            while asked.len() < CONCURRENT
                && let Some((index, project)) = active.next()
            {
                let (engine, id) = (self.clone(), project.id);
                asked.spawn(async move {
                    let overview = engine.ports.stores.projects.overview(id).await?;
                    let Some((project, head)) = overview else { return Ok((index, None)) };
                    let activity = engine.activity(&project, &head.counts).await?;
                    Ok::<_, StoreError>((index, Some(activity)))
                });
            }
            let Some(answer) = asked.join_next().await else { return Ok(found) };
            let interrupted = |error| StoreError::unavailable("reading was interrupted", error);
            if let (index, Some(activity)) = answer.map_err(interrupted)?? {
                found[index] = activity;
            }
        }
    }

    /// Returns the activity of a project with these counts.
    pub(super) async fn activity(
        &self,
        project: &Project,
        counts: &Counts,
    ) -> Result<Activity, StoreError> {
        let requests = counts.open_requests;
        if project.status() != ProjectStatus::Active {
            return Ok(ended(project, requests));
        }
        let activity = |state, since, agent_type| Activity { state, since, requests, agent_type };
        if counts.working > 0
            && let Some(task) = self.oldest(project, TaskStatus::Working, None, 1).await?.first()
        {
            let since = task.started_at.unwrap_or(task.updated_at);
            return Ok(activity(ActivityState::Working, since, Some(task.agent)));
        }
        let (mut unserved, mut after, mut left) = (None, None, MAX_SEEN);
        while counts.pending > 0 && left > 0 {
            let pending = self.oldest(project, TaskStatus::Pending, after, left).await?;
            for task in &pending {
                if self.is_served(task.agent).await? {
                    let since = task.ready_at;
                    return Ok(activity(ActivityState::Working, since, Some(task.agent)));
                }
                unserved = unserved.or(Some((task.ready_at, task.agent)));
            }
            left = left.saturating_sub(u32::try_from(pending.len()).unwrap_or(left));
            after = pending.last_before_next().map(|task| task.id);
            if after.is_none() {
                break;
            }
        }
        if requests > 0 {
            let oldest = self.oldest_request(project).await?;
            let since = oldest.as_ref().map_or(project.updated_at, |oldest| oldest.created_at);
            let agent = oldest.as_ref().and_then(|oldest| oldest.agent);
            return Ok(activity(ActivityState::WaitingForPerson, since, agent));
        }
        Ok(match unserved {
            Some((since, agent)) => activity(ActivityState::WaitingForWorker, since, Some(agent)),
            None => activity(ActivityState::Idle, project.updated_at, None),
        })
    }

    /// Returns whether a runner or a worker takes tasks of this agent type, here or elsewhere.
    async fn is_served(&self, agent: AgentType) -> Result<bool, StoreError> {
        if self.served_agents.has(agent, self.ports.clock.now()) {
            return Ok(true);
        }
        // Runners of other servers are not known here, but the tasks that they work on are.
        Ok(self.ports.stores.agents.status_of(agent).await?.active_tasks > 0)
    }

    /// Returns the oldest pending request of a project.
    async fn oldest_request(
        &self,
        project: &Project,
    ) -> Result<Option<Arc<HitlRequest>>, StoreError> {
        let requests = &self.ports.stores.requests;
        let pending = Some(HitlStatus::Pending);
        let (mut oldest, mut seen, mut before) = (None, 0, None);
        loop {
            let page = requests.requests(project.id, pending, before, MAX_SEEN).await?;
            seen += page.len();
            before = page.last_before_next().map(|request| request.id);
            oldest = page.into_iter().last().or(oldest);
            if before.is_none() || seen >= MAX_SEEN as usize {
                return Ok(oldest);
            }
        }
    }

    /// Returns tasks of a project with this status, the oldest first.
    async fn oldest(
        &self,
        project: &Project,
        status: TaskStatus,
        after: Option<TaskId>,
        limit: u32,
    ) -> Result<Page<Arc<Task>>, StoreError> {
        let filter = TaskFilter { status: Some(status), after, ..TaskFilter::default() };
        self.ports.stores.tasks.tasks(project.id, filter, limit).await
    }
}

/// Returns the activity of a project that starts nothing.
fn ended(project: &Project, requests: u32) -> Activity {
    let since = project.standing().since.unwrap_or(project.updated_at);
    Activity { state: ActivityState::Idle, since, requests, agent_type: None }
}

/// Health of the agent types: whether every one with tasks is served.
#[async_trait]
impl HealthCheck for Engine {
    fn component(&self) -> &'static str {
        "agents"
    }

    fn needed(&self) -> bool {
        false
    }

    async fn check(&self) -> Health {
        let ready = match self.ports.stores.tasks.ready(self.ports.clock.now()).await {
            Ok(ready) => ready,
            Err(error) => return Health::Unhealthy(error.to_string()),
        };
        let mut unserved = Vec::new();
        for ready in ready {
            match self.is_served(ready.agent).await {
                Ok(true) => {}
                Ok(false) => unserved.push(match ready.count {
                    1 => format!("one task waits for the {}", ready.agent),
                    n => format!("{n} tasks wait for the {}", ready.agent),
                }),
                Err(error) => return Health::Unhealthy(error.to_string()),
            }
        }
        if unserved.is_empty() {
            return Health::Healthy(
                "every agent type with tasks has a runner or worker".to_owned(),
            );
        }
        Health::Unhealthy(format!(
            "{}, for which there is no runner and no worker: set `agents.….runner`, or start a \
             worker",
            unserved.join(" and ")
        ))
    }
}
