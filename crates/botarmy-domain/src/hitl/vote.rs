//! Votes, and what they amount to under a policy.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::policy::{Policy, Veto};
use crate::actor::Actor;
use crate::ids::EventId;
use crate::timestamp::Timestamp;
use crate::vocabulary::{Authentication, HitlAction, Via};

/// Approval or rejection of one person. Only those about the present subject are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Log entry that recorded it.
    pub entry: EventId,
    /// Person who voted.
    pub voter: Actor,
    /// Person in whose place the voter voted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Actor>,
    /// Approval or rejection.
    pub action: HitlAction,
    /// Groups of the person whose place it is, at the time of the vote.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// Proof of the voter's identity.
    pub auth: Authentication,
    /// Way by which the vote came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// Digest of the subject that was voted on.
    pub subject_digest: String,
    /// Digest of the policy under which the vote counts.
    pub policy_digest: String,
    /// Answer to the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Remark for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Time of the vote.
    pub at: Timestamp,
}

impl Vote {
    /// Returns the person whose place it takes.
    #[must_use]
    pub fn place(&self) -> &Actor {
        self.on_behalf_of.as_ref().unwrap_or(&self.voter)
    }
}

/// Standing of a request that is decided by votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// More votes are needed.
    Open,
    /// Enough people have approved.
    Approved,
    /// Enough people have rejected.
    Rejected,
}

/// Approvals that are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Number of people who still have to approve.
    pub approvals: u32,
    /// Number of those who have to be in each group.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, u32>,
}

impl Policy {
    /// Returns what the votes on this subject amount to. A rejection that ends the request comes before
    /// approvals.
    #[must_use]
    pub fn evaluate(&self, votes: &[Vote], subject_digest: &str, policy_digest: &str) -> Standing {
        let valid = |vote: &&Vote| {
            vote.subject_digest == subject_digest && vote.policy_digest == policy_digest
        };
        let of = |action| votes.iter().filter(valid).filter(move |vote| vote.action == action);
        let rejections = of(HitlAction::Reject).count();
        let is_veto = |vote: &Vote| match &self.veto {
            Veto::Any => true,
            Veto::None => false,
            Veto::Groups(groups) => !groups.is_disjoint(&vote.groups),
        };
        if of(HitlAction::Reject).any(is_veto) || rejections >= self.approvals() as usize {
            return Standing::Rejected;
        }
        let approving: Vec<_> = of(HitlAction::Approve).map(|vote| &vote.groups).collect();
        let needs = self.needs(&approving);
        if needs.approvals == 0 { Standing::Approved } else { Standing::Open }
    }

    /// Returns the approvals that are missing where people with these groups have approved.
    #[must_use]
    pub fn needs(&self, approving: &[&BTreeSet<String>]) -> Needs {
        let seats: Vec<&str> = self
            .groups
            .iter()
            .flat_map(|(group, seats)| std::iter::repeat_n(group.as_str(), *seats as usize))
            .collect();
        let taken = fill(&seats, approving);
        let mut needs = Needs::default();
        for (seat, _) in seats.iter().zip(&taken).filter(|(_, person)| person.is_none()) {
            *needs.groups.entry((*seat).to_owned()).or_default() += 1;
        }
        let people = u32::try_from(approving.len()).unwrap_or(u32::MAX);
        let empty = needs.groups.values().sum();
        needs.approvals = self.approvals().saturating_sub(people).max(empty);
        needs
    }
}

/// Gives as many seats as possible to people who are in their groups, one each. Returns the person in
/// each seat.
fn fill(seats: &[&str], people: &[&BTreeSet<String>]) -> Vec<Option<usize>> {
    let mut taken = vec![None; seats.len()];
    for person in 0..people.len() {
        let mut tried = vec![false; seats.len()];
        take_seat(person, seats, people, &mut taken, &mut tried);
    }
    taken
}

/// Finds a seat for a person, for which those who sit may change theirs.
fn take_seat(
    person: usize,
    seats: &[&str],
    people: &[&BTreeSet<String>],
    taken: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for seat in 0..seats.len() {
        if tried[seat] || !people[person].contains(seats[seat]) {
            continue;
        }
        tried[seat] = true;
        let is_free = match taken[seat] {
            None => true,
            Some(other) => take_seat(other, seats, people, taken, tried),
        };
        if is_free {
            taken[seat] = Some(person);
            return true;
        }
    }
    false
}
