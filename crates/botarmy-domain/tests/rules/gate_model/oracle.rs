//! Decisions of people, as the rules of reviews say them in words. It knows the people, the policies
//! and the commands, and of the rows only which reviews were opened about which documents.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use botarmy_domain::hitl::{Policy, Selector, Veto};
use botarmy_domain::vocabulary::{AnswerAuth, Need, Verdict};
use botarmy_domain::{Exclusion, HitlRequestId, HitlStatus, OnExpiry, Role, Timestamp};

use super::stage::{STARTER, Stage, TTL_S};

pub type Groups = BTreeSet<String>;

/// Cause of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Result,
    Replacement,
    Planned,
    /// It asks how to go on; everyone may say it.
    Failure,
}

/// An approval or a rejection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    pub voter: usize,
    pub place: usize,
    pub approves: bool,
    pub groups: Groups,
    pub comment: String,
}

/// A review.
#[derive(Debug, Clone)]
pub struct Gate {
    pub step: usize,
    pub cause: Cause,
    pub policy: Policy,
    /// Digest of the document that is approved.
    pub document: Option<String>,
    /// Digest of the subject as it is now, and those before.
    pub digest: String,
    pub old_digests: Vec<String>,
    pub makers: BTreeSet<usize>,
    pub changers: BTreeSet<usize>,
    pub ballots: Vec<Ballot>,
    pub delegates: Vec<(usize, usize)>,
    pub claim: Option<(usize, Timestamp)>,
    pub escalated: usize,
    pub extended: u32,
    pub expires: Timestamp,
    /// Time of its opening, without pauses.
    pub opened: Timestamp,
    pub status: HitlStatus,
    /// Person who decided, with the words of the decision.
    pub decided: Option<(usize, Verdict, String)>,
}

/// An answer that is given.
pub struct Answer<'a> {
    pub person: usize,
    pub verdict: Verdict,
    pub has_comment: bool,
    pub words: &'a str,
    pub digest: Option<&'a str>,
    pub in_bulk: bool,
    pub is_interactive: bool,
}

/// Everything that people have decided.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    pub gates: BTreeMap<HitlRequestId, Gate>,
    /// Digest of the plan that steps may be given.
    pub released: Option<String>,
    /// Digest of the plan with which the second step may begin.
    pub cleared: Option<String>,
    pub amenders: [BTreeSet<usize>; 2],
    /// People whose words are in a document.
    pub makers: HashMap<String, BTreeSet<usize>>,
    pub paused: Option<Timestamp>,
}

impl Gate {
    pub fn is_open(&self) -> bool {
        self.status == HitlStatus::Pending
    }

    pub fn approvals(&self) -> usize {
        self.policy.approvals.unwrap_or(1) as usize
    }

    /// Returns whether people in these groups are enough.
    pub fn suffices(&self, approving: &[&Groups]) -> bool {
        let seats: Vec<_> = self.policy.groups.keys().collect();
        approving.len() >= self.approvals() && empty_seats(&seats, approving) == 0
    }

    fn selectors(&self) -> impl Iterator<Item = &Selector> {
        let escalated = self.policy.escalate.iter().take(self.escalated).flat_map(|one| &one.to);
        self.policy.candidates.iter().chain(&self.policy.assignees).chain(escalated)
    }

    /// Returns whether a person is asked.
    pub fn asks(&self, stage: &Stage, person: usize) -> bool {
        let who = &stage.people[person];
        let has = |role| who.grants.iter().any(|grant| grant.role == role);
        self.policy.candidates == Policy::implicit().candidates
            || self.selectors().any(|selector| match selector {
                Selector::User(name) => *name == who.name,
                Selector::Group(group) => who.groups.contains(group),
                Selector::Role(role) => has(*role) || has(Role::Admin),
            })
    }

    /// Returns the people in whose places a person may answer; its own comes first. Those who are not asked
    /// any more have no place to give.
    pub fn places(&self, stage: &Stage, person: usize) -> Vec<usize> {
        let last = |of| self.delegates.iter().rfind(|one| one.0 == of).map(|one| one.1);
        let mut places: Vec<usize> =
            (0..1).filter(|_| self.asks(stage, person)).map(|_| person).collect();
        for (of, to) in &self.delegates {
            if *to == person
                && last(*of) == Some(person)
                && may_answer(stage, *of)
                && self.asks(stage, *of)
            {
                places.push(*of);
            }
        }
        places
    }

    /// Returns the person who has reserved it, and may still answer.
    pub fn held(&self, stage: &Stage) -> Option<usize> {
        let (by, _) = self.claim.filter(|(_, until)| *until > stage.now)?;
        (may_answer(stage, by) && !self.places(stage, by).is_empty()).then_some(by)
    }

    /// Returns the person in whose place a person answers in this way.
    fn seat(&self, oracle: &Oracle, stage: &Stage, person: usize, rejects: bool) -> Option<usize> {
        let groups = |n: usize| &stage.people[n].groups;
        let free =
            |of: usize| of == person || !self.ballots.iter().any(|ballot| ballot.voter == of);
        let clean = |of: usize| of == person || !oracle.excludes(self, of);
        let places = self.places(stage, person);
        if let (true, Veto::Groups(vetoes)) = (rejects, &self.policy.veto)
            && let Some(of) =
                places.iter().find(|of| free(**of) && !vetoes.is_disjoint(groups(**of)))
        {
            return Some(*of);
        }
        let useful = places.iter().filter(|of| free(**of) && clean(**of));
        let best = useful.min_by_key(|of| self.missing(stage, person, **of));
        best.or_else(|| places.iter().find(|of| free(**of))).or(places.first()).copied()
    }

    /// Returns the number of approvals and of people on seats that are missing once a person has approved in
    /// a place.
    fn missing(&self, stage: &Stage, person: usize, place: usize) -> (usize, usize) {
        let others = self
            .ballots
            .iter()
            .filter(|one| one.approves && one.voter != person && one.place != place);
        let groups: Vec<_> =
            others.map(|one| &one.groups).chain([&stage.people[place].groups]).collect();
        let seats: Vec<_> = self.policy.groups.keys().collect();
        let empty = empty_seats(&seats, &groups);
        (self.approvals().saturating_sub(groups.len()).max(empty), empty)
    }
}

/// Returns the smallest number of seats that stay empty, trying each person and nobody on each seat.
fn empty_seats(seats: &[&String], people: &[&Groups]) -> usize {
    let Some((seat, others)) = seats.split_first() else { return 0 };
    let with = (0..people.len()).filter(|n| people[*n].contains(*seat)).map(|n| {
        let rest: Vec<_> = (0..people.len()).filter(|m| *m != n).map(|m| people[m]).collect();
        empty_seats(others, &rest)
    });
    with.chain([1 + empty_seats(others, people)]).min().unwrap_or_default()
}

/// Returns whether a person has the permission to answer.
pub fn may_answer(stage: &Stage, person: usize) -> bool {
    let answers = |role| matches!(role, Role::Reviewer | Role::Admin);
    stage.people[person].grants.iter().any(|grant| answers(grant.role))
}

impl Oracle {
    /// Returns whether a person may not approve.
    pub fn excludes(&self, gate: &Gate, person: usize) -> bool {
        let replaced = gate.cause == Cause::Replacement && gate.makers.contains(&person);
        let amended = gate.changers.contains(&person) || self.amenders[gate.step].contains(&person);
        let amended = amended || replaced;
        let made = gate.cause != Cause::Planned && gate.makers.contains(&person);
        gate.cause != Cause::Failure
            && gate.policy.exclude.iter().any(|exclusion| match exclusion {
                Exclusion::Author => made || amended,
                Exclusion::Amender => amended,
                Exclusion::Starter => person == STARTER,
            })
    }

    fn reviews_amendments(gate: &Gate) -> bool {
        let amends = |exclusion: &Exclusion| *exclusion != Exclusion::Starter;
        gate.cause != Cause::Failure && gate.policy.exclude.iter().any(amends)
    }

    /// Returns whether this is what the person has said before, and it stands.
    pub fn is_replay(&self, stage: &Stage, id: HitlRequestId, answer: &Answer<'_>) -> bool {
        let gate = &self.gates[&id];
        // Without words, two amendments differ in their documents alone.
        let is_other = answer.verdict == Verdict::Amend && !answer.has_comment;
        if is_other || answer.digest.is_some_and(|digest| digest != gate.digest) {
            return false;
        }
        let is_vote = |ballot: &Ballot| {
            let verdict = if ballot.approves { Verdict::Approve } else { Verdict::Reject };
            ballot.voter == answer.person
                && verdict == answer.verdict
                && ballot.comment == answer.words
        };
        // One who fills another place now votes anew.
        let is_present = gate.policy.auth != AnswerAuth::Interactive || answer.is_interactive;
        let place = gate.seat(self, stage, answer.person, answer.verdict == Verdict::Reject);
        let stands = |ballot: &Ballot| {
            let has_moved = place.is_some_and(|place| {
                place != ballot.place || stage.people[place].groups != ballot.groups
            });
            !gate.is_open() || !is_present || !has_moved
        };
        let decided = gate.decided.as_ref().is_some_and(|(by, verdict, words)| {
            *by == answer.person && *verdict == answer.verdict && words == answer.words
        });
        decided || gate.ballots.iter().any(|ballot| is_vote(ballot) && stands(ballot))
    }

    /// Returns the place in which a person may give this answer; `None` if it is to be refused.
    pub fn permits(&self, stage: &Stage, id: HitlRequestId, answer: &Answer<'_>) -> Option<usize> {
        let (gate, person) = (&self.gates[&id], answer.person);
        let policy = &gate.policy;
        let is_over = self.paused.is_none()
            && gate.expires <= stage.now
            && policy.on_expiry.is_some_and(|rule| rule != OnExpiry::KeepWaiting);
        let place = gate.seat(self, stage, person, answer.verdict == Verdict::Reject)?;
        let releases = matches!(answer.verdict, Verdict::Approve | Verdict::Amend);
        let votes = matches!(answer.verdict, Verdict::Approve | Verdict::Reject);
        let has_voted = |n| gate.ballots.iter().any(|ballot| ballot.voter == n);
        let claimed = gate.held(stage);
        let has_words = answer.has_comment || answer.verdict == Verdict::RequestChanges;
        let refused = [
            !gate.is_open() || is_over,
            !may_answer(stage, person),
            gate.cause == Cause::Planned && answer.verdict == Verdict::Amend,
            policy.auth == AnswerAuth::Interactive && !answer.is_interactive,
            answer.digest.is_some_and(|digest| digest != gate.digest),
            answer.digest.is_none()
                && (policy.digest == Need::Required || !gate.old_digests.is_empty()),
            policy.comment.contains(&answer.verdict) && !has_words,
            answer.in_bulk && !policy.bulk && answer.verdict == Verdict::Approve,
            claimed.is_some_and(|by| by != person),
            releases && (self.excludes(gate, person) || self.excludes(gate, place)),
            votes && place != person && has_voted(place),
        ];
        (!refused.contains(&true)).then_some(place)
    }

    /// Applies an answer that is permitted. `amendment` is the digest of its document.
    pub fn answered(
        &mut self,
        stage: &Stage,
        id: HitlRequestId,
        answer: &Answer<'_>,
        place: usize,
        amendment: Option<String>,
    ) {
        let mut gate = self.gates[&id].clone();
        let decides = |status, gate: &mut Gate| {
            gate.status = status;
            gate.decided = Some((answer.person, answer.verdict, answer.words.to_owned()));
        };
        gate.claim = None;
        let reviews = Self::reviews_amendments(&gate);
        let ballot = |approves| Ballot {
            voter: answer.person,
            place,
            approves,
            groups: stage.people[place].groups.clone(),
            comment: answer.words.to_owned(),
        };
        match answer.verdict {
            Verdict::Approve | Verdict::Reject => {
                gate.ballots.retain(|other| other.voter != answer.person && other.place != place);
                gate.ballots.push(ballot(answer.verdict == Verdict::Approve));
                let rejecting: Vec<_> = gate.ballots.iter().filter(|one| !one.approves).collect();
                let is_veto = |ballot: &&Ballot| match &gate.policy.veto {
                    Veto::Any => true,
                    Veto::None => false,
                    Veto::Groups(groups) => !groups.is_disjoint(&ballot.groups),
                };
                let is_rejected =
                    rejecting.iter().any(is_veto) || rejecting.len() >= gate.approvals();
                let approving = gate.ballots.iter().filter(|one| one.approves);
                let approving: Vec<_> = approving.map(|one| &one.groups).collect();
                if is_rejected {
                    decides(HitlStatus::Rejected, &mut gate);
                } else if gate.suffices(&approving) {
                    decides(HitlStatus::Approved, &mut gate);
                }
            }
            Verdict::RequestChanges => {
                if reviews {
                    self.amenders[gate.step].insert(answer.person);
                }
                decides(HitlStatus::Amended, &mut gate);
            }
            Verdict::Amend => {
                let document = amendment.unwrap();
                self.makers.insert(document.clone(), BTreeSet::from([answer.person]));
                if reviews {
                    self.amenders[gate.step].insert(answer.person);
                }
                if gate.approvals() == 1 || gate.cause == Cause::Failure {
                    if reviews && gate.policy.exclude.contains(&Exclusion::Author) {
                        self.amenders[gate.step].extend(&gate.makers);
                        self.amenders[gate.step].extend(&gate.changers);
                    }
                    decides(HitlStatus::Amended, &mut gate);
                    if !reviews && matches!(gate.cause, Cause::Result | Cause::Replacement) {
                        self.release(&gate, document);
                    }
                } else {
                    self.gates.insert(id, gate);
                    self.changed(id, &document, answer.person);
                    gate = self.gates[&id].clone();
                    if !reviews {
                        gate.ballots.push(ballot(true));
                    }
                }
            }
        }
        self.gates.insert(id, gate);
        self.ended(id);
    }

    /// Applies the consequences of the end of a review.
    pub fn ended(&mut self, id: HitlRequestId) {
        let gate = self.gates[&id].clone();
        match (gate.status, gate.cause) {
            (HitlStatus::Approved, Cause::Result | Cause::Replacement) => {
                self.release(&gate, gate.document.clone().unwrap());
            }
            (HitlStatus::Approved, Cause::Planned) => self.cleared = gate.document,
            (HitlStatus::Rejected | HitlStatus::Expired, cause) if cause != Cause::Replacement => {
                self.cancel();
            }
            _ => {}
        }
    }

    fn release(&mut self, gate: &Gate, document: String) {
        self.released = Some(document);
        if gate.cause == Cause::Result {
            self.amenders[gate.step].clear();
        }
    }

    /// Cancels everything that is open, as its project has ended.
    pub fn cancel(&mut self) {
        for gate in self.gates.values_mut().filter(|gate| gate.is_open()) {
            gate.status = HitlStatus::Cancelled;
        }
        self.paused = None;
    }

    /// Makes a document of a person the subject of a review.
    pub fn changed(&mut self, id: HitlRequestId, document: &str, by: usize) {
        let gate = self.gates.get_mut(&id).unwrap();
        gate.document = Some(document.to_owned());
        gate.ballots.clear();
        gate.claim = None;
        gate.makers.insert(by);
        gate.changers.insert(by);
        let old = std::mem::take(&mut gate.digest);
        gate.old_digests.push(old);
    }

    /// Returns the people who answer in the place of those who are asked and away.
    pub fn standing(stage: &Stage, gate: &Gate) -> Vec<(usize, usize)> {
        let next = |n: usize| {
            let of = stage.people[n].delegation.as_ref()?;
            (of.from <= stage.now && stage.now < of.until).then(|| stage.number(of.to))
        };
        let mut found = Vec::new();
        for of in (0..stage.people.len()).filter(|n| may_answer(stage, *n) && gate.asks(stage, *n))
        {
            let mut passed = vec![of];
            while let Some(to) = next(*passed.last().unwrap()).filter(|_| passed.len() <= 3) {
                passed.push(to);
                if passed[..passed.len() - 1].contains(&to) {
                    passed.truncate(1);
                    break;
                }
            }
            let to = *passed.last().unwrap();
            let is_known = gate.delegates.iter().any(|one| one.0 == of);
            if to != of && may_answer(stage, to) && !is_known {
                found.push((of, to));
            }
        }
        found
    }

    /// Follows the requests that were opened since the last time.
    pub fn discover(&mut self, stage: &Stage) {
        for (id, request) in &stage.requests {
            if let Some(gate) = self.gates.get_mut(id) {
                if gate.digest.is_empty() {
                    gate.digest.clone_from(&request.subject.digest);
                    assert!(
                        !gate.old_digests.contains(&gate.digest),
                        "another subject, one digest"
                    );
                }
                continue;
            }
            let step = super::stage::STEPS.iter().position(|n| request.step.as_deref() == Some(n));
            let step = step.unwrap();
            let is_failure = request.kind == botarmy_domain::HitlKind::Failure;
            let cause = match (is_failure, &request.planned, &request.replaces) {
                (true, ..) => Cause::Failure,
                (_, Some(_), _) => Cause::Planned,
                (_, _, Some(_)) => Cause::Replacement,
                _ => Cause::Result,
            };
            let policy = if is_failure { Policy::implicit() } else { stage.policies[step].clone() };
            let document = request.subject.artifacts.first().map(|one| one.digest.clone());
            let before = request.previous_request_id.map(|before| self.gates[&before].clone());
            let makers = document.as_ref().and_then(|one| self.makers.get(one)).cloned();
            let (mut makers, mut changers) = (makers.unwrap_or_default(), BTreeSet::new());
            if let Some(before) = before {
                makers.extend(before.makers);
                changers.extend(before.changers);
            }
            let ttl_s = if is_failure { 86_400 } else { TTL_S };
            let mut gate = Gate {
                step,
                cause,
                policy,
                document,
                digest: request.subject.digest.clone(),
                old_digests: Vec::new(),
                makers,
                changers,
                ballots: Vec::new(),
                delegates: Vec::new(),
                claim: None,
                escalated: 0,
                extended: 0,
                expires: super::after_s(request.created_at, ttl_s),
                opened: request.created_at,
                status: HitlStatus::Pending,
                decided: None,
            };
            gate.delegates = Self::standing(stage, &gate);
            self.gates.insert(*id, gate);
        }
    }
}
