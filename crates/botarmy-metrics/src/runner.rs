//! A runner whose attempts are timed.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use botarmy_domain::ports::AgentRunner;
use botarmy_domain::{AgentType, Amount, Assignment, Outcome, Probe, RunContext, RunError};

use crate::histogram::{ATTEMPT_SECONDS, Histogram, Labelled};

/// Ends of an attempt, in the order of their histograms.
const ENDS: [&str; 4] = ["completed", "asked", "failed", "aborted"];

/// The durations of attempts by agent type and end. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Attempts(Arc<[Histogram]>);

impl Attempts {
    pub(crate) fn new() -> Self {
        let count = AgentType::ALL.len() * ENDS.len();
        Self((0..count).map(|_| Histogram::new(ATTEMPT_SECONDS)).collect())
    }

    pub(crate) fn metric(&self) -> Labelled {
        let agents = AgentType::ALL.iter().flat_map(|agent| ENDS.map(|end| [agent.as_str(), end]));
        let series = agents.zip(self.0.iter().cloned()).collect();
        Labelled { names: ["agent", "outcome"], series }
    }
}

/// Times the attempts of a runner.
pub struct MeteredRunner {
    inner: Arc<dyn AgentRunner>,
    attempts: Attempts,
}

impl MeteredRunner {
    pub(crate) fn new(inner: Arc<dyn AgentRunner>, attempts: Attempts) -> Self {
        Self { inner, attempts }
    }
}

/// An attempt, which is aborted unless it ends.
struct Timed {
    attempts: Attempts,
    agent: AgentType,
    began: Instant,
    end: usize,
}

impl Drop for Timed {
    fn drop(&mut self) {
        let index = self.agent as usize * ENDS.len() + self.end;
        self.attempts.0[index].observe(self.began.elapsed());
    }
}

#[async_trait]
impl AgentRunner for MeteredRunner {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    async fn probe(&self) -> Probe {
        self.inner.probe().await
    }

    fn worst_case(&self, job: &Assignment) -> Option<Amount> {
        self.inner.worst_case(job)
    }

    async fn run(&self, job: Assignment, context: RunContext) -> Result<Outcome, RunError> {
        let attempts = self.attempts.clone();
        let mut timed = Timed { attempts, agent: job.agent, began: Instant::now(), end: 3 };
        let result = self.inner.run(job, context).await;
        timed.end = match &result {
            Ok(Outcome::Completed { .. }) => 0,
            Ok(Outcome::Ask { .. }) => 1,
            Err(_) => 2,
        };
        result
    }
}
