//! Votes under a policy, compared with every way in which people can take its seats.

use std::collections::{BTreeMap, BTreeSet};

use botarmy_domain::hitl::{Policy, Standing, Veto, Vote};
use botarmy_domain::{Actor, Authentication, EventId, HitlAction, Timestamp};

use crate::counted::count;

const GROUPS: [&str; 3] = ["a", "b", "c"];
/// Most people of a roster.
const PEOPLE: usize = 6;

/// Seats of each group.
type Seats = [u32; 3];

/// Calls a function with every multiset of at most `most` kinds below `kinds`.
fn multisets(kinds: usize, most: usize, made: &mut Vec<usize>, call: &mut dyn FnMut(&[usize])) {
    call(made);
    if made.len() == most {
        return;
    }
    for kind in made.last().copied().unwrap_or(0)..kinds {
        made.push(kind);
        multisets(kinds, most, made, call);
        made.pop();
    }
}

/// Returns the groups of a person, of which each bit is one.
fn groups(bits: usize) -> BTreeSet<String> {
    let named = GROUPS.iter().enumerate().filter(|(n, _)| bits & (1 << n) != 0);
    named.map(|(_, name)| (*name).to_owned()).collect()
}

/// Returns the largest number of seats that the people can take, one each: every person sits nowhere, or on
/// a free seat of each of its groups in turn. A bit stands for each way in which seats are taken.
fn most_taken(seats: Seats, people: &[usize]) -> u32 {
    let mut reached: BTreeSet<Seats> = BTreeSet::from([[0; 3]]);
    for bits in people {
        let before: Vec<_> = reached.iter().copied().collect();
        for taken in before {
            for group in (0..3).filter(|group| bits & (1 << group) != 0) {
                if taken[group] < seats[group] {
                    let mut more = taken;
                    more[group] += 1;
                    reached.insert(more);
                }
            }
        }
    }
    reached.iter().map(|taken| taken.iter().sum()).max().unwrap_or(0)
}

fn all_seats() -> impl Iterator<Item = Seats> {
    (0..27).map(|n| [n % 3, n / 3 % 3, n / 9])
}

fn policy(seats: Seats, approvals: u32) -> Policy {
    let named = GROUPS.iter().zip(seats).filter(|(_, seats)| *seats > 0);
    Policy {
        approvals: Some(approvals),
        groups: named.map(|(name, seats)| ((*name).to_owned(), seats)).collect(),
        ..Policy::named("brute")
    }
}

#[test]
fn what_is_missing_is_what_no_seating_of_the_people_fills() {
    let sets: Vec<_> = (0..8).map(groups).collect();
    let mut compared = 0;
    for seats in all_seats() {
        let policies = [1, 2, 3, 4].map(|approvals| policy(seats, approvals));
        multisets(8, PEOPLE, &mut Vec::new(), &mut |people| {
            let approving: Vec<_> = people.iter().map(|bits| &sets[*bits]).collect();
            let (all, taken) = (seats.iter().sum::<u32>(), most_taken(seats, people));
            for (approvals, policy) in (1..).zip(&policies) {
                let needs = policy.needs(&approving);
                let wanted =
                    approvals.max(all).saturating_sub(u32::try_from(people.len()).unwrap());
                assert_eq!(needs.approvals, wanted.max(all - taken), "{seats:?} {people:?}");
                assert_eq!(needs.groups.values().sum::<u32>(), all - taken, "{seats:?} {people:?}");
                compared += 1;
            }
            // Those who are said to be missing are enough.
            let missing = policies[0].needs(&approving).groups;
            let more = missing.iter().flat_map(|(group, n)| {
                let bit = 1 << GROUPS.iter().position(|name| name == group).unwrap();
                std::iter::repeat_n(bit, *n as usize)
            });
            let with_more: Vec<_> = people.iter().copied().chain(more).collect();
            assert_eq!(most_taken(seats, &with_more), all, "{seats:?} {people:?} {missing:?}");
        });
    }
    assert_eq!(compared, 27 * 4 * 3003, "every multiset of at most 6 people in 8 ways");
}

fn vote(n: usize, kind: usize) -> Vote {
    Vote {
        entry: EventId::from_uuid(uuid::Uuid::nil()),
        voter: Actor { name: n.to_string(), principal: None },
        on_behalf_of: None,
        action: if kind < 8 { HitlAction::Approve } else { HitlAction::Reject },
        groups: groups(kind % 8),
        auth: Authentication::Session,
        via: None,
        subject_digest: "subject".to_owned(),
        policy_digest: "policy".to_owned(),
        content: None,
        comment: None,
        at: Timestamp::from_micros(0),
    }
}

#[test]
fn votes_amount_to_what_the_rules_say() {
    let most = usize::try_from(count(3, 6)).unwrap();
    let mut vetoes = vec![(None, Veto::Any), (Some(0), Veto::None)];
    vetoes.extend((1..8).map(|bits| (Some(bits), Veto::Groups(groups(bits)))));
    let mut by_outcome: BTreeMap<&str, u64> = BTreeMap::new();
    let mut policies = Vec::new();
    for seats in all_seats() {
        for approvals in 1..=4 {
            for (bits, veto) in &vetoes {
                let policy = Policy { veto: veto.clone(), ..policy(seats, approvals) };
                policies.push((seats, approvals, *bits, policy));
            }
        }
    }
    let all: Vec<Vec<_>> =
        (0..=most).map(|n| (0..16).map(|kind| vote(n, kind)).collect()).collect();
    // Votes on another subject and under another policy never count.
    let other = |change: fn(&mut Vote)| {
        let mut vote = vote(9, 7);
        change(&mut vote);
        vote
    };
    let strange = [
        other(|vote| vote.subject_digest = "before".to_owned()),
        other(|vote| vote.policy_digest = "other".to_owned()),
        other(|vote| {
            vote.action = HitlAction::Reject;
            vote.subject_digest = "before".to_owned();
        }),
    ];
    multisets(16, most, &mut Vec::new(), &mut |people| {
        let votes = people.iter().enumerate().map(|(n, kind)| all[n][*kind].clone());
        let votes: Vec<_> = votes.chain(strange.iter().cloned()).collect();
        let approving: Vec<_> = people.iter().copied().filter(|kind| *kind < 8).collect();
        let rejecting: Vec<_> = people.iter().filter(|kind| **kind >= 8).map(|k| k - 8).collect();
        for (seats, approvals, veto, policy) in &policies {
            let sum = seats.iter().sum::<u32>();
            let wanted = (*approvals).max(sum) as usize;
            let is_vetoed = match veto {
                None => !rejecting.is_empty(),
                Some(bits) => rejecting.iter().any(|groups| groups & bits != 0),
            };
            let expected = if is_vetoed || rejecting.len() >= wanted {
                Standing::Rejected
            } else if approving.len() >= wanted && most_taken(*seats, &approving) == sum {
                Standing::Approved
            } else {
                Standing::Open
            };
            let found = policy.evaluate(&votes, "subject", "policy");
            assert_eq!(found, expected, "{people:?} under {policy:?}");
            let outcome = match found {
                Standing::Open => "open",
                Standing::Approved => "approved",
                Standing::Rejected => "rejected",
            };
            *by_outcome.entry(outcome).or_default() += 1;
        }
    });
    println!("{by_outcome:?}");
    assert!(by_outcome.len() == 3 && by_outcome.values().all(|n| *n > 10_000), "{by_outcome:?}");
}
