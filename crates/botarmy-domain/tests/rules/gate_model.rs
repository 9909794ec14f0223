//! Random interleavings of everything that people, programs and time do with reviews, against an oracle
//! that knows the rules and not the code. Planted defects show that it would find them.

mod mutants;
mod oracle;
mod stage;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use botarmy_domain::artifact::digest;
use botarmy_domain::batch::Batch;
use botarmy_domain::decide::{artifacts, hitl, projects};
use botarmy_domain::hitl::{AnswerLinkText, Delegation, NewAnswerLink};
use botarmy_domain::vocabulary::Verdict;
use botarmy_domain::{
    AgentType, ArtifactType, Authentication, Caller, Committed, CredentialId, Decision,
    DecisionContext, DomainError, EventType, Grant, HitlAction, HitlRequestId, HitlStatus,
    NewArtifact, OnExpiry, ProjectState, Response, Role, Row, Scope, Snapshot, TaskStatus,
    Timestamp,
};

use crate::counted::{Dice, count};
use mutants::Mutant;
use oracle::{Answer, Cause, Gate, Oracle, may_answer};
use stage::{MAKER, PEOPLE, STARTER, STEPS, Stage, document};

/// Number of commands of an interleaving.
const COMMANDS: u64 = 6;
/// Number of projects, each with its own people, policies and past, from which interleavings begin.
const STARTS: usize = 256;
/// Largest number of commands in such a past.
const PAST: u64 = 16;

/// Commands, with the share of each in all of them.
const SHARES: [(&str, u64); 27] = [
    ("approve", 18),
    ("reject", 5),
    ("request changes", 4),
    ("amend", 6),
    ("repeat", 4),
    ("old digest", 4),
    ("withdraw", 4),
    ("claim", 4),
    ("unclaim", 3),
    ("delegate", 6),
    ("extend", 3),
    ("escalate", 3),
    ("remind", 3),
    ("comment", 3),
    ("due", 6),
    ("issue link", 3),
    ("answer by link", 4),
    ("revoke link", 3),
    ("service", 3),
    ("worker", 3),
    ("store", 6),
    ("pause", 3),
    ("resume", 3),
    ("cancel", 3),
    ("reopen", 4),
    ("people change", 5),
    ("work", 8),
];

/// States of the request that a command is about.
const STATES: [&str; 4] = ["waiting", "collecting", "decided", "over"];

/// Number of times that each command met each state.
static MET: [[AtomicU64; STATES.len()]; SHARES.len()] =
    [const { [const { AtomicU64::new(0) }; STATES.len()] }; SHARES.len()];

fn after_s(start: Timestamp, seconds: u32) -> Timestamp {
    start.after(Duration::from_secs(seconds.into()))
}

/// An interleaving.
#[derive(Clone)]
struct Run {
    stage: Stage,
    oracle: Oracle,
    /// Answers that were accepted, to be repeated.
    said: Vec<(HitlRequestId, usize, Response)>,
    links: Vec<(HitlRequestId, usize, CredentialId, String, bool)>,
    commands: u64,
}

impl Run {
    /// Creates a project whose first step is under review.
    fn new(dice: &mut Dice) -> Self {
        let stage = Stage::new(dice);
        let mut run = Self {
            stage,
            oracle: Oracle::default(),
            said: Vec::new(),
            links: Vec::new(),
            commands: 0,
        };
        run.work(dice);
        run.check();
        run
    }

    fn scope(&self, id: HitlRequestId) -> Scope {
        let mut scope = Scope::project(self.stage.id).request(id).everything_open();
        scope.tasks.extend(self.stage.requests[&id].task_id);
        scope
    }

    /// Takes a decision; sometimes it is lost first, and nothing remains of it.
    fn run(
        &mut self,
        scope: &Scope,
        caller: &Caller,
        dice: &mut Dice,
        decide: impl Fn(&DecisionContext, &Snapshot) -> Result<Decision, DomainError>,
    ) -> Result<Committed, DomainError> {
        if dice.happens(4) {
            drop(self.stage.decide(&mut Batch::default(), scope, caller, &decide));
        }
        self.stage.run(scope, caller, decide)
    }

    /// Returns the review that a command is about, mostly the newest.
    fn target(&self, dice: &mut Dice) -> HitlRequestId {
        let all: Vec<_> = self.oracle.gates.keys().copied().collect();
        let open = all.iter().rev().find(|id| self.oracle.gates[id].is_open());
        match open {
            Some(id) if dice.happens(75) => *id,
            _ => *dice.one_of(&all),
        }
    }

    fn step(&mut self, dice: &mut Dice) {
        let all: u64 = SHARES.iter().map(|(_, share)| share).sum();
        let mut drawn = dice.below(all);
        let place = SHARES.iter().position(|(_, share)| {
            let is_it = drawn < *share;
            drawn = drawn.wrapping_sub(*share);
            is_it
        });
        let place = place.unwrap();
        let id = self.target(dice);
        let gate = &self.oracle.gates[&id];
        let state = match gate.status {
            HitlStatus::Pending if gate.ballots.is_empty() => 0,
            HitlStatus::Pending => 1,
            HitlStatus::Expired | HitlStatus::Cancelled => 3,
            _ => 2,
        };
        MET[place][state].fetch_add(1, Ordering::Relaxed);
        if dice.happens(30) {
            let most = if dice.happens(15) { 6_000 } else { 700 };
            self.stage.now = after_s(self.stage.now, dice.below(most) as u32);
        }
        self.act(SHARES[place].0, id, dice);
        if dice.happens(4) {
            self.stage.restart();
        }
        self.commands += 1;
        self.check();
    }

    fn act(&mut self, command: &str, id: HitlRequestId, dice: &mut Dice) {
        let person = dice.below(PEOPLE as u64) as usize;
        match command {
            "approve" => self.answer(id, person, Verdict::Approve, false, dice),
            "reject" => self.answer(id, person, Verdict::Reject, false, dice),
            "request changes" => self.answer(id, person, Verdict::RequestChanges, false, dice),
            "amend" => self.answer(id, person, Verdict::Amend, false, dice),
            "old digest" => self.answer(id, person, Verdict::Approve, true, dice),
            "repeat" => self.repeat(dice),
            "withdraw" => self.withdraw(id, person, dice),
            "claim" | "unclaim" => self.claim(id, person, command == "claim", dice),
            "delegate" => self.delegate(id, person, dice),
            "extend" => self.extend(id, person, dice),
            "escalate" => self.escalate(id, person, dice),
            "remind" | "comment" => self.talk(id, person, command == "remind", dice),
            "due" => self.due(id, dice),
            "issue link" => self.issue_link(id, person, dice),
            "answer by link" => self.answer_by_link(dice),
            "revoke link" => self.revoke_link(dice),
            "service" | "worker" => self.answer_of_program(id, command == "worker", dice),
            "store" => self.store(dice),
            "pause" | "resume" => self.pause(command == "pause", dice),
            "cancel" => self.cancel(dice),
            "reopen" => self.reopen(dice),
            "people change" => self.change_people(person, dice),
            "work" => self.work(dice),
            other => panic!("no command {other}"),
        }
    }

    // Answers.

    fn answer(
        &mut self,
        id: HitlRequestId,
        person: usize,
        verdict: Verdict,
        is_old: bool,
        dice: &mut Dice,
    ) {
        let gate = &self.oracle.gates[&id];
        // A delegate often answers, and its person after it.
        let absent = gate.ballots.iter().find(|ballot| ballot.place != ballot.voter);
        let absent = absent.filter(|_| dice.happens(30)).map(|ballot| ballot.place);
        let delegate = gate.delegates.last().filter(|_| dice.happens(30)).map(|(_, to)| *to);
        let person = absent.or(delegate).unwrap_or(person);
        let words = format!("words {}", dice.below(1 << 50));
        let digest = match dice.below(10) {
            _ if is_old => Some(gate.old_digests.last().unwrap_or(&words).clone()),
            0 => None,
            _ => Some(gate.digest.clone()),
        };
        let action = match verdict {
            Verdict::Approve => HitlAction::Approve,
            Verdict::Reject => HitlAction::Reject,
            Verdict::RequestChanges | Verdict::Amend => HitlAction::Amend,
        };
        let response = Response {
            content: (verdict == Verdict::RequestChanges).then(|| "Otherwise".to_owned()),
            comment: (!dice.happens(5)).then_some(words),
            amended_content: (verdict == Verdict::Amend).then(|| document(dice)),
            subject_digest: digest,
            in_bulk: dice.happens(10),
            ..Response::new(action)
        };
        let proof = if dice.happens(25) { Authentication::Key } else { Authentication::Session };
        self.respond(id, person, proof, response, dice);
    }

    fn respond(
        &mut self,
        id: HitlRequestId,
        person: usize,
        proof: Authentication,
        mut response: Response,
        dice: &mut Dice,
    ) {
        let given = response.clone();
        let words = given.comment.clone().unwrap_or_default();
        let answer = Answer {
            person,
            verdict: given.verdict(),
            has_comment: given.comment.is_some(),
            words: &words,
            digest: given.subject_digest.as_deref(),
            in_bulk: given.in_bulk,
            is_interactive: proof != Authentication::Key,
        };
        let is_replay =
            self.oracle.is_replay(&self.stage, id, &answer) && may_answer(&self.stage, person);
        let place = self.oracle.permits(&self.stage, id, &answer);
        let mut caller = self.stage.person(person, proof);
        if let Some(mutant) = self.stage.mutant {
            let request = self.stage.requests[&id].clone();
            mutant.change_answer(&self.stage, &mut caller, &request, &mut response);
        }
        let scope = self.scope(id);
        let done = self.run(&scope, &caller, dice, |c, s| hitl::respond(c, s, id, &response));
        let gate = &self.oracle.gates[&id];
        if is_replay {
            assert!(
                done.is_ok_and(|done| done.entries.is_empty()),
                "{given:?} of {person} on {gate:?} and {:?} is a replay, which changes nothing",
                self.stage.requests[&id]
            );
            return;
        }
        let Some(place) = place else {
            assert!(
                done.is_err(),
                "{:?} of {person} on {gate:?} is to be refused",
                given.verdict()
            );
            return;
        };
        assert!(done.is_ok(), "{given:?} of {person} for {place} on {gate:?}: {:?}", done.err());
        let amendment = given.amended_content.as_ref().map(digest);
        self.oracle.answered(&self.stage, id, &answer, place, amendment);
        for link in &mut self.links {
            link.4 |= given.link == Some(link.2);
        }
        if given.link.is_none() {
            self.said.push((id, person, given));
        }
    }

    /// Gives an answer again that was accepted before.
    fn repeat(&mut self, dice: &mut Dice) {
        let Some((id, person, response)) = self.said.last().cloned() else { return };
        let again = dice.happens(80) && response.comment.is_some();
        if again {
            self.respond(id, person, Authentication::Session, response, dice);
        }
    }

    fn answer_of_program(&mut self, id: HitlRequestId, is_worker: bool, dice: &mut Dice) {
        let mut caller = if is_worker {
            self.stage.worker()
        } else {
            crate::people::with_proof(&self.stage.service, Authentication::Key)
        };
        let request = self.stage.requests[&id].clone();
        let mut response = Response {
            subject_digest: Some(request.subject.digest.clone()),
            comment: Some("As a program".to_owned()),
            ..Response::new(HitlAction::Approve)
        };
        if let Some(mutant) = self.stage.mutant {
            mutant.change_answer(&self.stage, &mut caller, &request, &mut response);
        }
        let scope = self.scope(id);
        let done = self.run(&scope, &caller, dice, |c, s| hitl::respond(c, s, id, &response));
        assert!(done.is_err(), "a program answers nothing");
    }

    fn withdraw(&mut self, id: HitlRequestId, person: usize, dice: &mut Dice) {
        let gate = &self.oracle.gates[&id];
        let has_vote = gate.ballots.iter().any(|ballot| ballot.voter == person);
        let is_permitted = self.can_act(id, person) && has_vote;
        let (scope, caller) = (self.scope(id), self.stage.person(person, Authentication::Session));
        let done = self.run(&scope, &caller, dice, |c, s| hitl::withdraw(c, s, id));
        assert_eq!(done.is_ok(), is_permitted, "withdraw of {person}: {:?}", done.err());
        if is_permitted {
            let gate = self.oracle.gates.get_mut(&id).unwrap();
            gate.ballots.retain(|ballot| ballot.voter != person);
        }
    }

    /// Returns whether a person may do anything with a review that is open.
    fn can_act(&self, id: HitlRequestId, person: usize) -> bool {
        let gate = &self.oracle.gates[&id];
        let is_over = self.oracle.paused.is_none()
            && gate.expires <= self.stage.now
            && gate.policy.on_expiry.is_some_and(|rule| rule != OnExpiry::KeepWaiting);
        gate.is_open() && !is_over && may_answer(&self.stage, person)
    }

    /// Returns the place in which a person, with a session, gives an answer of this kind.
    fn has_seat(&self, id: HitlRequestId, person: usize, verdict: Verdict) -> Option<usize> {
        let answer = Answer {
            person,
            verdict,
            has_comment: true,
            words: "",
            digest: Some(&self.oracle.gates[&id].digest),
            in_bulk: false,
            is_interactive: true,
        };
        // A claim keeps others from answering, and from nothing else.
        let mut oracle = self.oracle.clone();
        oracle.gates.get_mut(&id).unwrap().claim = None;
        oracle.permits(&self.stage, id, &answer)
    }

    fn manages(&self, person: usize) -> bool {
        self.stage.people[person].grants.iter().any(|grant| grant.role == Role::Admin)
    }

    /// Returns whether a person is one of those who take care of a review that is open.
    fn takes_part(&self, id: HitlRequestId, person: usize) -> bool {
        let places = self.oracle.gates[&id].places(&self.stage, person);
        self.can_act(id, person) && (self.manages(person) || !places.is_empty())
    }

    fn claim(&mut self, id: HitlRequestId, person: usize, takes: bool, dice: &mut Dice) {
        let gate = &self.oracle.gates[&id];
        let is_mine = gate.held(&self.stage).is_none_or(|by| by == person);
        let is_own = gate.claim.is_some_and(|(by, _)| by == person);
        let is_permitted = if takes {
            let place = self.has_seat(id, person, Verdict::Approve);
            place.is_some() && gate.approvals() == 1 && is_mine
        } else {
            self.can_act(id, person)
                && (is_own || self.takes_part(id, person) && (is_mine || self.manages(person)))
        };
        let (scope, caller) = (self.scope(id), self.stage.person(person, Authentication::Session));
        let done = self.run(&scope, &caller, dice, |c, s| {
            if takes { hitl::claim(c, s, id) } else { hitl::unclaim(c, s, id) }
        });
        assert_eq!(done.is_ok(), is_permitted, "claim {takes} of {person}: {:?}", done.err());
        if is_permitted {
            let until = after_s(self.stage.now, 3_600);
            self.oracle.gates.get_mut(&id).unwrap().claim = takes.then_some((person, until));
        }
    }

    fn delegate(&mut self, id: HitlRequestId, person: usize, dice: &mut Dice) {
        let to = dice.below(PEOPLE as u64) as usize;
        let place = self.has_seat(id, person, Verdict::RequestChanges);
        let own = self.oracle.gates[&id].asks(&self.stage, person).then_some(person);
        let place = place.map(|place| own.unwrap_or(place));
        let is_permitted = place.is_some_and(|of| {
            let gate = &self.oracle.gates[&id];
            let passed: Vec<_> = gate.delegates.iter().filter(|one| one.0 == of).collect();
            let is_known = passed.iter().any(|one| one.1 == to) || to == of;
            may_answer(&self.stage, to) && !is_known && passed.len() < 3
        });
        let (scope, caller) = (self.scope(id), self.stage.person(person, Authentication::Session));
        let name = format!("p{to}");
        let done = self.run(&scope, &caller, dice, |c, s| hitl::delegate(c, s, id, &name, None));
        assert_eq!(done.is_ok(), is_permitted, "{person} delegates to {to}: {:?}", done.err());
        if is_permitted {
            let gate = self.oracle.gates.get_mut(&id).unwrap();
            gate.delegates.push((place.unwrap(), to));
            gate.claim = gate.claim.filter(|(by, _)| *by != person);
        }
    }

    // Times.

    fn extend(&mut self, id: HitlRequestId, person: usize, dice: &mut Dice) {
        let gate = &self.oracle.gates[&id];
        let place = self.has_seat(id, person, Verdict::RequestChanges);
        let is_permitted = place.is_some() && gate.extended < gate.policy.max_extensions;
        let (scope, caller) = (self.scope(id), self.stage.person(person, Authentication::Session));
        let done = self.run(&scope, &caller, dice, |c, s| hitl::extend(c, s, id, 60, None));
        assert_eq!(done.is_ok(), is_permitted, "extend: {:?}", done.err());
        if is_permitted {
            let clock = self.oracle.paused.unwrap_or(self.stage.now);
            let gate = self.oracle.gates.get_mut(&id).unwrap();
            gate.extended += 1;
            gate.expires = after_s(gate.expires.max(clock), 60);
        }
    }

    fn escalate(&mut self, id: HitlRequestId, person: usize, dice: &mut Dice) {
        let gate = &self.oracle.gates[&id];
        let is_permitted =
            self.takes_part(id, person) && gate.escalated < gate.policy.escalate.len();
        let (scope, caller) = (self.scope(id), self.stage.person(person, Authentication::Session));
        let done = self.run(&scope, &caller, dice, |c, s| hitl::escalate(c, s, id));
        assert_eq!(done.is_ok(), is_permitted, "escalate: {:?}", done.err());
        if is_permitted {
            self.escalated(id, 1);
        }
    }

    fn escalated(&mut self, id: HitlRequestId, times: usize) {
        for _ in 0..times {
            let mut gate = self.oracle.gates[&id].clone();
            gate.escalated += 1;
            let standing = Oracle::standing(&self.stage, &gate);
            gate.delegates.extend(standing);
            self.oracle.gates.insert(id, gate);
        }
    }

    fn talk(&mut self, id: HitlRequestId, person: usize, reminds: bool, dice: &mut Dice) {
        let (scope, caller) = (self.scope(id), self.stage.person(person, Authentication::Session));
        let takes_part = self.takes_part(id, person);
        let done = self.run(&scope, &caller, dice, |c, s| {
            if reminds { hitl::remind(c, s, id) } else { hitl::comment(c, s, id, "Hm.", None) }
        });
        match reminds {
            true => assert!(done.is_err() || takes_part, "a reminder of what is over"),
            false => assert_eq!(done.is_ok(), may_answer(&self.stage, person), "{:?}", done.err()),
        }
    }

    /// Does what is due.
    fn due(&mut self, id: HitlRequestId, dice: &mut Dice) {
        let (scope, scheduler) = (self.scope(id), Caller::scheduler());
        let before = self.stage.requests[&id].clone();
        let gate = self.oracle.gates[&id].clone();
        let done = self.run(&scope, &scheduler, dice, |c, s| hitl::due(c, s, id, true));
        if !gate.is_open() || self.oracle.paused.is_some() {
            assert!(done.is_err(), "time acts on what is over or stands still");
            return;
        }
        let after = self.stage.requests[&id].clone();
        // An escalation may show that too few people are left, which makes the next one due.
        let is_short = done.iter().flat_map(|done| &done.rows).any(
            |row| matches!(row, Row::Request(request) if request.id == id && request.unsatisfiable),
        );
        let levels = (after.schedule.escalated - before.schedule.escalated) as usize;
        for level in gate.escalated..gate.escalated + levels {
            let due = after_s(gate.opened, gate.policy.escalate[level].after_s);
            let is_due = due <= self.stage.now || before.unsatisfiable || is_short;
            assert!(is_due, "an escalation before its time");
        }
        self.escalated(id, levels);
        let now = self.stage.now;
        if gate.expires > now {
            return;
        }
        let is_left = before.unsatisfiable || !self.could_be_approved(id);
        let gate = self.oracle.gates.get_mut(&id).unwrap();
        match gate.policy.on_expiry {
            Some(OnExpiry::Reject) => gate.status = HitlStatus::Expired,
            Some(OnExpiry::Approve) if !is_left => gate.status = HitlStatus::Approved,
            _ => {
                let ttl_s = if gate.cause == Cause::Failure { 86_400 } else { stage::TTL_S };
                gate.expires = after_s(now, ttl_s);
            }
        }
        self.oracle.ended(id);
        let again = self.run(&scope, &scheduler, dice, |c, s| hitl::due(c, s, id, true));
        assert!(again.is_err() || levels == 0, "what was due is due once more");
    }

    /// Returns whether one person could approve a review that needs one approval.
    fn could_be_approved(&self, id: HitlRequestId) -> bool {
        let gate = &self.oracle.gates[&id];
        let clean = |n: usize| !self.oracle.excludes(gate, n);
        let suffices = |of: usize| gate.suffices(&[&self.stage.people[of].groups]);
        let by = |n: usize| may_answer(&self.stage, n) && clean(n);
        let alone = |n: usize| by(n) && gate.asks(&self.stage, n) && suffices(n);
        // Who may delegate can answer too.
        (0..PEOPLE).any(alone)
    }

    // Links.

    fn issue_link(&mut self, id: HitlRequestId, person: usize, dice: &mut Dice) {
        let gate = &self.oracle.gates[&id];
        let place = self.has_seat(id, person, Verdict::Approve);
        let is_permitted = place.is_some() && gate.policy.links;
        let subject = gate.digest.clone();
        let caller = self.stage.person(person, Authentication::Link);
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&dice.below(u64::MAX).to_le_bytes());
        let new = NewAnswerLink {
            person: caller.clone(),
            digest: AnswerLinkText::new(id, bytes).digest(),
            actions: vec![HitlAction::Approve],
            expires_at: after_s(self.stage.now, 2_000),
        };
        let scope = self.scope(id);
        let done = self.run(&scope, &caller, dice, |c, s| hitl::issue_link(c, s, id, &new));
        assert_eq!(done.is_ok(), is_permitted, "link: {:?}", done.err());
        if is_permitted {
            let link = self.stage.requests[&id].links.last().unwrap().id;
            self.links.push((id, person, link, subject, false));
        }
    }

    fn answer_by_link(&mut self, dice: &mut Dice) {
        let Some((id, person, link, subject, is_used)) = self.links.last().cloned() else { return };
        let request = &self.stage.requests[&id];
        let known = request.links.iter().find(|one| one.id == link);
        let is_usable = known.is_some_and(|link| self.stage.now < link.expires_at);
        let response = Response {
            comment: Some(format!("linked {}", dice.below(1 << 50))),
            subject_digest: Some(self.oracle.gates[&id].digest.clone()),
            link: Some(link),
            ..Response::new(HitlAction::Approve)
        };
        if is_usable && !is_used && subject == self.oracle.gates[&id].digest {
            return self.respond(id, person, Authentication::Link, response, dice);
        }
        let (scope, caller) = (self.scope(id), self.stage.person(person, Authentication::Link));
        let done = self.run(&scope, &caller, dice, |c, s| hitl::respond(c, s, id, &response));
        assert!(done.is_err(), "a link that cannot be used");
    }

    fn revoke_link(&mut self, dice: &mut Dice) {
        let Some((id, person, link, ..)) = self.links.last().cloned() else { return };
        let (scope, caller) = (self.scope(id), self.stage.person(person, Authentication::Session));
        let done = self.run(&scope, &caller, dice, |c, s| hitl::revoke_link(c, s, id, link));
        if done.is_ok() {
            self.links.last_mut().unwrap().4 = true;
        }
    }

    // Projects and people.

    fn store(&mut self, dice: &mut Dice) {
        let person = dice.below(3) as usize;
        let caller = self.stage.person(person, Authentication::Session);
        let content = document(dice);
        let stored = digest(&content);
        let new = NewArtifact::new(ArtifactType::ProjectPlan, content);
        let scope = Scope::project(self.stage.id).open_requests();
        self.oracle.makers.insert(stored.clone(), BTreeSet::from([person]));
        let done = self
            .run(&scope, &caller, dice, |c, s| artifacts::store(c, s, AgentType::Analyst, &new));
        if done.is_err() {
            return;
        }
        let is_result = |gate: &Gate| {
            matches!(gate.cause, Cause::Result | Cause::Replacement) && gate.is_open()
        };
        let open: Vec<_> = self.oracle.gates.iter().filter(|(_, gate)| is_result(gate)).collect();
        let open: Vec<_> = open.into_iter().map(|(id, _)| *id).collect();
        for id in open {
            self.oracle.changed(id, &stored, person);
        }
    }

    fn pause(&mut self, stops: bool, dice: &mut Dice) {
        let scope = Scope::project(self.stage.id).everything_open();
        let caller = self.stage.person(STARTER, Authentication::Session);
        let done = self.run(&scope, &caller, dice, |c, s| {
            if stops { projects::pause(c, s) } else { projects::resume(c, s) }
        });
        let now = self.stage.now;
        match (done.is_ok(), stops, self.oracle.paused) {
            (true, true, _) => self.oracle.paused = Some(now),
            (true, false, Some(paused)) => {
                for gate in self.oracle.gates.values_mut().filter(|gate| gate.is_open()) {
                    // What was opened meanwhile has waited for a shorter time.
                    let pause = now.since(gate.opened.max(paused));
                    gate.opened = gate.opened.after(pause);
                    gate.expires = gate.expires.after(pause);
                }
                self.oracle.paused = None;
            }
            _ => {}
        }
    }

    fn cancel(&mut self, dice: &mut Dice) {
        if !dice.happens(15) {
            return;
        }
        let scope = Scope::project(self.stage.id).everything_open();
        let caller = self.stage.person(STARTER, Authentication::Session);
        if self.run(&scope, &caller, dice, projects::cancel).is_ok() {
            self.oracle.cancel();
        }
    }

    fn reopen(&mut self, dice: &mut Dice) {
        let project = self.stage.project.clone().unwrap();
        let ProjectState::Halted { request_id: Some(rejected), .. } = project.state else { return };
        let (tasks, requests) = projects::interrupted(&project);
        let mut scope = self.scope(rejected);
        scope.tasks.extend(tasks);
        scope.requests.extend(requests);
        let caller = self.stage.person(STARTER, Authentication::Session);
        let done = self
            .run(&scope, &caller, dice, |c, s| projects::reopen(c, s, Some(rejected), "once more"));
        done.unwrap();
    }

    /// Changes the groups, the roles or the deputy of a person.
    fn change_people(&mut self, person: usize, dice: &mut Dice) {
        let now = self.stage.now;
        let to = self.stage.people[dice.below(PEOPLE as u64) as usize].id;
        let who = &mut self.stage.people[person];
        match dice.below(3) {
            0 => {
                let group = (*dice.one_of(&["a", "b", "c"])).to_owned();
                if !who.groups.remove(&group) {
                    who.groups.insert(group);
                }
            }
            1 => {
                let before = who.grants.len();
                who.grants.retain(|grant| grant.role != Role::Reviewer);
                if who.grants.len() == before {
                    who.grants.push(Grant::on_all(Role::Reviewer));
                }
            }
            _ => {
                let delegation = Delegation { to, from: now, until: after_s(now, 5_000) };
                who.delegation = (to != who.id).then_some(delegation);
            }
        }
        self.stage.people_changed();
    }

    fn work(&mut self, dice: &mut Dice) {
        let is_active = self.stage.project.as_ref().unwrap().state == ProjectState::Active;
        let deploys = self
            .stage
            .tasks
            .values()
            .any(|task| task.status() == TaskStatus::Pending && task.step() == Some(STEPS[1]));
        let Some(made) = is_active.then(|| self.stage.work(dice)).flatten() else { return };
        self.oracle.makers.insert(digest(&made), BTreeSet::from([MAKER]));
        if deploys {
            self.oracle.amenders[1].clear();
        }
    }

    // What always holds.

    fn check(&mut self) {
        self.oracle.discover(&self.stage);
        for (id, gate) in &self.oracle.gates {
            let request = &self.stage.requests[id];
            assert_eq!(request.status(), gate.status, "of {gate:?} and {request:?}");
            if gate.is_open() {
                let votes = request.votes.iter().map(|vote| {
                    let place = self.stage.number(vote.place().principal.unwrap());
                    assert_eq!(vote.subject_digest, gate.digest, "a vote on another subject");
                    (self.stage.number(vote.voter.principal.unwrap()), place)
                });
                let ballots = gate.ballots.iter().map(|one| (one.voter, one.place));
                assert!(votes.eq(ballots), "{:?} and {:?}", request.votes, gate.ballots);
                assert_eq!(request.expires_at.max(gate.expires), request.expires_at, "{gate:?}");
            }
        }
        let plan = self.stage.project.as_ref().unwrap().plan.as_ref().unwrap();
        let released = plan.progress.released.as_ref().unwrap().get(&ArtifactType::ProjectPlan);
        let released = released.map(|released| &released.digest);
        assert_eq!(released, self.oracle.released.as_ref(), "what steps are given");
        for task in self.stage.tasks.values().filter(|task| task.step() == Some(STEPS[1])) {
            if task.status() == TaskStatus::Pending {
                let given = task.context_ids.iter().map(|id| &self.stage.artifacts[id]);
                let plan =
                    given.into_iter().find(|one| one.artifact_type == ArtifactType::ProjectPlan);
                let plan = plan.map(|plan| &plan.digest);
                assert!(plan.is_some() && plan == self.oracle.cleared.as_ref(), "an action");
            }
        }
    }

    /// Checks that each request was decided at most once.
    fn check_log(&self) {
        self.stage.check_replay();
        let decides = |event| matches!(event, EventType::HitlResponse | EventType::HitlCancelled);
        let mut decided = BTreeSet::new();
        for entry in self.stage.entries().filter(|entry| decides(entry.event_type)) {
            assert!(decided.insert(entry.hitl_request_id), "decided twice");
        }
    }
}

/// Runs one interleaving; returns the number of its commands, or its failure.
fn interleave(mut run: Run, mut dice: Dice) -> Result<u64, String> {
    let before = run.commands;
    let steps = AssertUnwindSafe(|| {
        let seed = dice.seed();
        for _ in 0..COMMANDS {
            run.step(&mut dice);
        }
        if run.stage.mutant.is_none() && seed % 64 == 1 {
            run.check_log();
        }
        run.commands - before
    });
    std::panic::catch_unwind(steps).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| "an assertion without words".to_owned())
    })
}

fn starts(dice: &mut Dice) -> Vec<Run> {
    let start = |_| {
        let mut run = Run::new(dice);
        (0..dice.below(PAST)).for_each(|_| run.step(dice));
        run
    };
    (0..STARTS).map(start).collect()
}

#[test]
fn no_interleaving_releases_what_was_not_approved() {
    let mut seeds = Dice::new();
    let rounds = count(20_000, 1_000_000);
    let starts = starts(&mut seeds);
    let begun = std::time::Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    let dice: Vec<_> = (0..threads).map(|_| seeds.fork()).collect();
    let commands: u64 = std::thread::scope(|scope| {
        let work = |mut seeds: Dice| {
            let mut commands = 0;
            while next.fetch_add(1, Ordering::Relaxed) < u64::from(rounds) {
                let (start, dice) = (seeds.below(STARTS as u64) as usize, seeds.fork());
                let seed = dice.seed();
                commands += interleave(starts[start].clone(), dice)
                    .unwrap_or_else(|failed| panic!("start {start}, seed {seed}: {failed}"));
            }
            commands
        };
        let running: Vec<_> =
            dice.into_iter().map(|dice| scope.spawn(move || work(dice))).collect();
        running.into_iter().map(|one| one.join().unwrap()).sum()
    });
    let rate = commands as f64 / begun.elapsed().as_secs_f64();
    println!("{commands} commands, {rate:.0} in a second");
    let least = if rounds > 20_000 { 1_000 } else { 20 };
    for ((name, _), met) in SHARES.iter().zip(&MET) {
        let met: Vec<_> = met.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        println!("{name:16} {met:?}");
        assert!(met.iter().all(|n| *n >= least), "{name} met {STATES:?} {met:?} times");
    }
}

#[test]
fn every_planted_defect_is_found() {
    let mut seeds = Dice::new();
    let starts = starts(&mut seeds);
    let missed = Mutant::ALL.iter().filter(|mutant| {
        let found = (0..20_000).find_map(|n| {
            let mut run = starts[seeds.below(STARTS as u64) as usize].clone();
            run.stage.mutant = Some(**mutant);
            interleave(run, seeds.fork()).err().map(|why| (n, why))
        });
        let told = found.as_ref().map(|(n, why)| (n, why.chars().take(120).collect::<String>()));
        println!("{mutant:?}: {told:?}");
        found.is_none()
    });
    let missed: Vec<_> = missed.collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
