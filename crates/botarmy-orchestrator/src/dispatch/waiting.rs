//! Requests for work that wait, in order of arrival. Finding the next one to serve, or those whose
//! time is over, reads none of the others: thousands may wait.

use std::collections::{BTreeMap, BTreeSet};

use botarmy_domain::AgentType;
use tokio::time::Instant;

/// Waiting requests of type `T`, each with its agent types and the end of its wait.
pub(super) struct Waiting<T> {
    requests: BTreeMap<u64, Request<T>>,
    by_agent: BTreeMap<AgentType, BTreeSet<u64>>,
    by_end: BTreeSet<(Instant, u64)>,
    next_number: u64,
}

struct Request<T> {
    agents: Vec<AgentType>,
    until: Instant,
    value: T,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        let (requests, by_agent, by_end) = Default::default();
        Self { requests, by_agent, by_end, next_number: 0 }
    }
}

impl<T> Waiting<T> {
    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Adds a request behind all others, and returns its number.
    pub(super) fn push(&mut self, agents: Vec<AgentType>, until: Instant, value: T) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        for agent in &agents {
            self.by_agent.entry(*agent).or_default().insert(number);
        }
        self.by_end.insert((until, number));
        self.requests.insert(number, Request { agents, until, value });
        number
    }

    /// Returns the number of the first request from this number on that waits for one of these agent
    /// types.
    pub(super) fn first(&self, from: u64, agents: &BTreeSet<AgentType>) -> Option<u64> {
        let lines = agents.iter().filter_map(|agent| self.by_agent.get(agent));
        lines.filter_map(|line| line.range(from..).next()).min().copied()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        Some(&mut self.requests.get_mut(&number)?.value)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let request = self.requests.remove(&number)?;
        self.by_end.remove(&(request.until, number));
        for agent in &request.agents {
            if let Some(line) = self.by_agent.get_mut(agent) {
                line.remove(&number);
                if line.is_empty() {
                    self.by_agent.remove(agent);
                }
            }
        }
        Some(request.value)
    }

    /// Returns the time at which the first wait is over.
    pub(super) fn first_end(&self) -> Option<Instant> {
        self.by_end.first().map(|(until, _)| *until)
    }

    /// Removes a request whose wait is over, if there is one.
    pub(super) fn pop_over(&mut self, now: Instant) -> Option<T> {
        let (until, number) = *self.by_end.first()?;
        if until > now { None } else { self.remove(number) }
    }

    /// Removes the requests that are not wanted, which reads all of them.
    pub(super) fn retain(&mut self, wanted: impl Fn(&T) -> bool) {
        let unwanted = self.requests.iter().filter(|(_, request)| !wanted(&request.value));
        let unwanted: Vec<u64> = unwanted.map(|(number, _)| *number).collect();
        for number in unwanted {
            self.remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn requests_are_found_in_turn_by_agent_type_and_by_the_end_of_their_wait() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut waiting = Waiting::default();
        waiting.push(vec![AgentType::Coder], at(30), "a");
        waiting.push(vec![AgentType::Tester, AgentType::Coder], at(10), "b");
        waiting.push(vec![AgentType::Tester], at(20), "c");
        let coder = BTreeSet::from([AgentType::Coder]);
        let first = waiting.first(0, &coder).unwrap();
        assert_eq!(waiting.get_mut(first).copied(), Some("a"));
        let second = waiting.first(first + 1, &coder).unwrap();
        assert_eq!(waiting.remove(second), Some("b"));
        assert_eq!(waiting.first(first + 1, &coder), None);
        assert_eq!((waiting.len(), waiting.first_end()), (2, Some(at(20))));
        assert_eq!(waiting.pop_over(at(19)), None);
        assert_eq!((waiting.pop_over(at(20)), waiting.pop_over(at(20))), (Some("c"), None));
        waiting.retain(|value| *value != "a");
        assert!(waiting.is_empty() && waiting.by_agent.is_empty() && waiting.by_end.is_empty());
    }
}
