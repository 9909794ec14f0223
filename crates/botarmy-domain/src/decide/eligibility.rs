//! The people who may answer a request, and in whose place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::actor::Actor;
use crate::caller::{Caller, Place};
use crate::error::DomainError;
use crate::hitl::{
    Delegate, GateClaim, GateSettings, HistoryEntry, HitlRequest, Person, Policy, Roster,
    SUBJECT_CHANGED, Selector, Veto, Vote, is_user,
};
use crate::project::{Plan, Project};
use crate::timestamp::Timestamp;
use crate::vocabulary::{
    AnswerAuth, Authentication, Exclusion, HitlAction, HitlKind, HitlStatus, Permission, Verdict,
};
use crate::workflow::Step;

/// Place that a caller takes among those who answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Person in whose place the caller answers.
    pub on_behalf_of: Option<Actor>,
    /// Groups of the person whose place it is.
    pub groups: BTreeSet<String>,
}

/// Facts about the people who answer a request.
#[derive(Clone, Copy)]
pub struct Eligibility<'a> {
    /// The request.
    pub request: &'a HitlRequest,
    /// Its project.
    pub project: &'a Project,
    /// Rules of the server.
    pub settings: &'a GateSettings,
    /// People who can sign in; `None` on an open server.
    pub roster: Option<&'a Roster>,
}

impl Eligibility<'_> {
    fn place(&self) -> Place {
        Place::Project { id: self.project.id, creator: self.project.creator }
    }

    /// Returns the place that a caller takes for an answer of this kind. The caller has the permission to
    /// answer requests.
    ///
    /// # Errors
    /// [`DomainError::Forbidden`] for a program, for a proof of identity that the policy does not accept,
    /// and for people whom the policy does not name.
    pub fn seat(&self, caller: &Caller, verdict: Verdict) -> Result<Seat, DomainError> {
        check_person(caller)?;
        let policy = &self.request.pinned_policy().policy;
        check_presence(policy, caller)?;
        let places = self.places(caller)?;
        let is_free = |place: &&Seat| check_free(self.request, place).is_ok();
        if let (Verdict::Reject, Veto::Groups(groups)) = (verdict, &policy.veto) {
            // A rejection needs no seat, but that of a group which is enough.
            let mut free = places.iter().filter(is_free);
            if let Some(place) = free.find(|place| !groups.is_disjoint(&place.groups)) {
                return Ok(place.clone());
            }
        }
        let releases = |place: &&Seat| {
            let of = place.on_behalf_of.as_ref();
            of.is_none_or(|of| self.excluded(&|actor| of.is_same(actor)).is_none())
        };
        // That of another has to be of use; of several, the one with which the least is missing.
        let counts =
            |place: &&Seat| place.on_behalf_of.is_none() || (is_free(place) && releases(place));
        let best = places.iter().filter(counts).min_by_key(|place| self.missing(caller, place));
        let best = best.or_else(|| places.iter().find(is_free)).or(places.first());
        best.cloned().ok_or_else(|| self.not_eligible())
    }

    /// Returns the number of approvals, and of them those for seats, that are missing once the caller has
    /// approved in this place.
    fn missing(&self, caller: &Caller, place: &Seat) -> (u32, u32) {
        let own = caller.actor();
        let of = place.on_behalf_of.as_ref().unwrap_or(&own);
        let stays = |vote: &&Vote| {
            vote.action == HitlAction::Approve
                && !vote.voter.is_same(&own)
                && !vote.place().is_same(of)
        };
        let others = self.request.votes.iter().filter(stays).map(|vote| &vote.groups);
        let approving: Vec<_> = others.chain([&place.groups]).collect();
        let needs = self.request.pinned_policy().policy.needs(&approving);
        (needs.approvals, needs.groups.values().sum())
    }

    /// Returns the reservation of the request if it holds at this time: as long as its person may answer.
    #[must_use]
    pub fn claim(&self, now: Timestamp) -> Option<&GateClaim> {
        let may_answer =
            |actor| self.present(actor).is_some_and(|caller| self.check_asked(&caller).is_ok());
        self.request.claim.as_ref().filter(|claim| claim.until > now && may_answer(&claim.by))
    }

    /// Returns a person with its present rights, if it may answer requests of the project.
    fn present(&self, actor: &Actor) -> Option<Caller> {
        let Some(roster) = self.roster else { return Some(Caller::named_in_link(&actor.name)) };
        let person = roster.person(actor.principal?)?;
        person.may_answer(self.place()).then(|| person.with_link(None))
    }

    /// Checks that a caller may answer the request for itself or for another.
    ///
    /// # Errors
    /// [`DomainError::Forbidden`] for those whom the policy does not name.
    pub fn check_asked(&self, caller: &Caller) -> Result<(), DomainError> {
        self.places(caller).map(drop)
    }

    /// Returns the place that a caller passes on: its own if it is asked.
    ///
    /// # Errors
    /// As [`Eligibility::seat`].
    pub fn place_to_delegate(&self, caller: &Caller) -> Result<Seat, DomainError> {
        let best = self.seat(caller, Verdict::Approve)?;
        let places = self.places(caller)?;
        Ok(places.into_iter().find(|place| place.on_behalf_of.is_none()).unwrap_or(best))
    }

    /// Checks that a caller is one of those who take care of the request: it may answer it, or manages
    /// the project.
    ///
    /// # Errors
    /// [`DomainError::Forbidden`] for everyone else.
    pub fn check_part(&self, caller: &Caller) -> Result<(), DomainError> {
        if caller.check(Permission::ProjectManage, self.place()).is_ok() {
            return Ok(());
        }
        check_person(caller)?;
        self.check_asked(caller)
    }

    /// Returns the places that a caller may take: its own if it is asked, and those of the people who are
    /// asked and have delegated to it.
    ///
    /// # Errors
    /// [`DomainError::Forbidden`] if there is none.
    fn places(&self, caller: &Caller) -> Result<Vec<Seat>, DomainError> {
        // The last delegation of the place of a person counts.
        let last = |of: &Actor| {
            let mut delegates = self.request.delegates.iter().rev();
            delegates.find(|one| one.of.is_same(of)).map(|one| &one.to)
        };
        let mine = |one: &&Delegate| {
            caller.is(&one.to) && last(&one.of).is_some_and(|to| to.is_same(&one.to))
        };
        let delegated = self.request.delegates.iter().filter(mine).filter_map(|one| {
            // What somebody may not do any more, a delegate may not do either.
            let groups = self.groups_if_asked(&self.present(&one.of)?)?;
            Some(Seat { on_behalf_of: Some(one.of.clone()), groups })
        });
        let own = self.groups_if_asked(caller).map(|groups| Seat { on_behalf_of: None, groups });
        let places: Vec<_> = own.into_iter().chain(delegated).collect();
        if places.is_empty() { Err(self.not_eligible()) } else { Ok(places) }
    }

    fn not_eligible(&self) -> DomainError {
        let who: Vec<_> = self.selectors().map(ToString::to_string).collect();
        let detail = format!(
            "The policy \"{}\" does not ask you; it asks {}. One of them can delegate to you.",
            self.request.pinned_policy().policy.name,
            who.join(", ")
        );
        DomainError::Forbidden { code: "not_eligible", detail }
    }

    /// Returns all selectors of people who may answer.
    fn selectors(&self) -> impl Iterator<Item = &Selector> {
        let request = self.request;
        let candidates = &request.pinned_policy().policy.candidates;
        candidates.iter().chain(&request.assignees).chain(&request.escalated_to)
    }

    /// Returns the groups of a person who may answer requests, if the request asks that person.
    fn groups_if_asked(&self, caller: &Caller) -> Option<BTreeSet<String>> {
        let groups = self.settings.groups_of(caller);
        let is_asked = self.request.pinned_policy().policy.is_open_to_all()
            || self.selectors().any(|selector| match selector {
                Selector::User(name) => is_user(name, caller.name(), caller.principal()),
                Selector::Group(group) => groups.contains(group),
                Selector::Role(role) => caller.covers(*role, self.place()),
            });
        is_asked.then_some(groups)
    }

    /// Returns whether a person of the roster may answer.
    fn asks(&self, person: &Person) -> bool {
        person.may_answer(self.place())
            && (self.request.pinned_policy().policy.is_open_to_all()
                || self.selectors().any(|selector| person.is_selected(selector, self.place())))
    }

    /// Checks that a caller may approve or amend. Rejecting and asking for changes release nothing, so
    /// everyone who may answer may do that. There is no exception for anyone.
    ///
    /// # Errors
    /// [`DomainError::Forbidden`] with the part that the caller, or the person in whose place it answers,
    /// has in the subject.
    pub fn check_release(&self, caller: &Caller, seat: &Seat) -> Result<(), DomainError> {
        let own = self.excluded(&|actor| caller.is(actor)).map(|part| format!("you {part}"));
        let other = seat.on_behalf_of.as_ref().and_then(|of| {
            let part = self.excluded(&|actor| of.is_same(actor))?;
            Some(format!("{}, in whose place you answer, {part}", of.name))
        });
        let Some(part) = own.or(other) else { return Ok(()) };
        let what = match step_of(self.request, self.project) {
            Some((_, step)) => format!("The result of the step \"{}\"", step.name),
            None => "This".to_owned(),
        };
        let detail = format!(
            "{what} needs the approval of another person, because {part}. You may reject it, or ask for \
             changes."
        );
        Err(DomainError::Forbidden { code: "separation_of_duties", detail })
    }

    /// Returns the part of a person in the subject for which the policy excludes it.
    fn excluded(&self, is: &dyn Fn(&Actor) -> bool) -> Option<&'static str> {
        let (request, project) = (self.request, self.project);
        let acted =
            |action: &str| {
                let of = |entry: &&HistoryEntry| entry.action == action;
                request.history.iter().filter(of).any(|entry| {
                    is(&Actor { name: entry.user_id.clone(), principal: entry.principal })
                })
            };
        let plan = project.plan.as_ref();
        let amended = || {
            let step = request.step.as_deref().zip(plan);
            let amenders = step.map(|(step, plan)| plan.progress.of(step).amenders);
            // Who stores a document in the place of one that was approved changes that one.
            let replaced = request.replaces.is_some() && acted("created");
            replaced || acted(SUBJECT_CHANGED) || amenders.is_some_and(|all| all.iter().any(is))
        };
        exclusions(request, project).find_map(|exclusion| match exclusion {
            // What is reviewed before it runs has been made by nobody yet: its opening follows from the
            // end of another step.
            Exclusion::Author if request.planned.is_none() && acted("created") => Some("made it"),
            Exclusion::Author | Exclusion::Amender if amended() => {
                Some("changed it or asked for changes")
            }
            Exclusion::Starter => {
                let starter = plan.and_then(|plan| plan.starter.as_ref());
                starter.is_some_and(is).then_some("started the project")
            }
            _ => None,
        })
    }

    /// Returns whether the people who may still approve can fill the seats of the policy. Without a
    /// complete roster, they can. Delegations change nothing in that: whoever may delegate a place can
    /// answer in it too.
    #[must_use]
    pub fn is_satisfiable(&self) -> bool {
        let Some(roster) = self.roster.filter(|roster| roster.is_complete()) else { return true };
        let may_release = |person: &&Person| {
            let actor = person.actor();
            self.asks(person) && self.excluded(&|other| actor.is_same(other)).is_none()
        };
        let key = |actor: &Actor| actor.principal.map_or(actor.name.clone(), |id| id.to_string());
        let people = roster.people().iter().filter(may_release);
        let mut people: BTreeMap<String, BTreeSet<String>> =
            people.map(|person| (person.id.to_string(), person.groups.clone())).collect();
        for vote in self.request.votes.iter().filter(|vote| vote.action == HitlAction::Approve) {
            // Its groups count as they were. One in a place whose person cannot answer any more takes the
            // vote of its voter.
            let place = key(vote.place());
            let of = if people.contains_key(&place) { place } else { key(&vote.voter) };
            people.entry(of).or_default().extend(vote.groups.iter().cloned());
        }
        let groups: Vec<_> = people.values().collect();
        self.request.pinned_policy().policy.needs(&groups).approvals == 0
    }

    /// Returns the people who answer in the place of others because of standing delegations, beside those
    /// whom the request has already.
    #[must_use]
    pub fn standing_delegates(&self, now: Timestamp) -> Vec<Delegate> {
        let Some(roster) = self.roster else { return Vec::new() };
        let is_away = |person: &&Person| {
            person.delegation.as_ref().is_some_and(|one| one.is_active(now)) && self.asks(person)
        };
        let people = roster.people().iter().filter(is_away);
        let deputies = people.filter_map(|person| {
            let to = roster.deputy(person.id, now).filter(|to| to.may_answer(self.place()))?;
            Some(Delegate { of: person.actor(), to: to.actor(), at: now })
        });
        let is_known =
            |one: &Delegate| self.request.delegates.iter().any(|known| known.of.is_same(&one.of));
        deputies.filter(|one| !is_known(one)).collect()
    }
}

/// A request with what a caller may do with it.
#[derive(Debug, Clone)]
pub struct GateView {
    /// The request.
    pub request: Arc<HitlRequest>,
    /// Things that the caller may do.
    pub allowed: Allowed,
}

/// Things that a caller may do with a request, and why it may not answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowed {
    /// Answers that it may give now.
    pub verdicts: Vec<Verdict>,
    /// Whether it has a vote that it may take back.
    pub withdraw: bool,
    /// Whether it may reserve the request.
    pub claim: bool,
    /// Whether it may give a reservation up: its own, or that of another if it manages the project.
    pub unclaim: bool,
    /// Whether it may ask another person to answer in its place, and extend the time.
    pub delegate: bool,
    /// Whether it may extend the time.
    pub extend: bool,
    /// Whether it may remind people.
    pub remind: bool,
    /// Whether there is an escalation that it may start.
    pub escalate: bool,
    /// Whether it may add to the discussion.
    pub comment: bool,
    /// Whether it may make a link for itself.
    pub link: bool,
    /// Reason for which it may not answer, or not approve.
    pub refusal: Option<DomainError>,
}

impl Eligibility<'_> {
    /// Returns what a caller may do with the request at this time.
    #[must_use]
    pub fn allowed(&self, caller: &Caller, now: Timestamp) -> Allowed {
        let (request, place) = (self.request, self.place());
        let mut allowed = Allowed::default();
        if let Err(error) = caller.check(Permission::GateAnswer, place) {
            allowed.refusal = Some(error);
            return allowed;
        }
        allowed.comment = true;
        if request.status() != HitlStatus::Pending || !self.project.status().is_open() {
            return allowed;
        }
        let policy = &request.pinned_policy().policy;
        allowed.remind = self.check_part(caller).is_ok();
        allowed.escalate =
            allowed.remind && (request.schedule.escalated as usize) < policy.escalate.len();
        let own = caller.actor();
        let has_vote = request.votes.iter().any(|vote| vote.voter.is_same(&own));
        allowed.withdraw = has_vote && check_actions(request, caller).is_ok();
        let claim = self.claim(now);
        let is_reserved = claim.is_some_and(|claim| !caller.is(&claim.by));
        let manages = caller.check(Permission::ProjectManage, place).is_ok();
        allowed.unclaim = claim.is_some() && (!is_reserved || manages);
        let seat = match self.seat(caller, Verdict::Approve) {
            Ok(seat) => seat,
            Err(error) => {
                allowed.refusal = Some(error);
                return allowed;
            }
        };
        let may_release = self.check_release(caller, &seat).is_ok();
        allowed.claim = policy.approvals() == 1 && !is_reserved && may_release;
        allowed.delegate = true;
        allowed.extend = request.schedule.extended < policy.max_extensions;
        allowed.link = policy.links;
        if is_reserved {
            let name = claim.map(|claim| claim.by.name.clone()).unwrap_or_default();
            let detail = format!("{name} has claimed the request.");
            allowed.refusal = Some(DomainError::conflict("claimed", detail));
            return allowed;
        }
        if let Err(error) = check_free(request, &seat) {
            allowed.refusal = Some(error);
            return allowed;
        }
        allowed.verdicts = vec![Verdict::Reject];
        let others = [Verdict::RequestChanges, Verdict::Approve, Verdict::Amend];
        for verdict in others.into_iter().filter(|verdict| is_possible(request, *verdict)) {
            match self.check_release(caller, &seat) {
                Err(error) if releases(request, verdict) => allowed.refusal = Some(error),
                _ => allowed.verdicts.push(verdict),
            }
        }
        allowed.verdicts.sort_unstable();
        allowed
    }
}

/// Largest number of actions of one person on a request; people who change their minds more often have to
/// decide.
const MAX_ACTIONS: usize = 100;

/// Checks that a request takes another action of the caller that brings it no nearer to its decision.
///
/// # Errors
/// The conflict `too_many_actions`.
pub fn check_actions(request: &HitlRequest, caller: &Caller) -> Result<(), DomainError> {
    let is_own = |entry: &&HistoryEntry| {
        caller.is(&Actor { name: entry.user_id.clone(), principal: entry.principal })
    };
    if request.history.iter().filter(is_own).count() < MAX_ACTIONS {
        return Ok(());
    }
    let detail = format!(
        "You have acted on request {} {MAX_ACTIONS} times, so you cannot change your vote any more.",
        request.id
    );
    Err(DomainError::conflict("too_many_actions", detail))
}

/// Checks that the person whose place it is has not answered: nobody answers for that person then.
///
/// # Errors
/// The conflict `already_answered`.
pub fn check_free(request: &HitlRequest, place: &Seat) -> Result<(), DomainError> {
    let Some(of) = &place.on_behalf_of else { return Ok(()) };
    if !request.votes.iter().any(|vote| vote.voter.is_same(of)) {
        return Ok(());
    }
    let detail = format!("{}, in whose place you answer, has answered already.", of.name);
    Err(DomainError::conflict("already_answered", detail))
}

/// Returns whether an answer of this kind makes sense for a request at all. A question that asks for an
/// answer in a form is not answered in words or with a document.
#[must_use]
pub fn is_possible(request: &HitlRequest, verdict: Verdict) -> bool {
    let is_for_several = is_question(request) && request.pinned_policy().policy.approvals() > 1;
    let takes_words = !is_for_several && request.response_schema.is_none();
    match verdict {
        Verdict::Approve | Verdict::Reject => true,
        Verdict::RequestChanges => request.budget.is_none() && takes_words,
        Verdict::Amend => request.planned.is_none() && takes_words,
    }
}

/// Returns whether an answer of this kind lets work go on with what the request is about. The words of an
/// amendment are the answer to a question.
#[must_use]
pub fn releases(request: &HitlRequest, verdict: Verdict) -> bool {
    match verdict {
        Verdict::Approve | Verdict::Amend => true,
        Verdict::RequestChanges => is_question(request),
        Verdict::Reject => false,
    }
}

fn is_question(request: &HitlRequest) -> bool {
    request.kind == HitlKind::Question && request.budget.is_none()
}

/// Checks that a caller is a person who acts in their own name.
///
/// # Errors
/// [`DomainError::Forbidden`] for a program.
pub fn check_person(caller: &Caller) -> Result<(), DomainError> {
    if caller.is_person() {
        return Ok(());
    }
    let detail = "Only a person answers a request to people; this credential belongs to a program.";
    Err(DomainError::Forbidden { code: "persons_only", detail: detail.to_owned() })
}

/// Checks that a person is present, where a policy wants that.
///
/// # Errors
/// [`DomainError::Forbidden`] for a caller with a key.
pub fn check_presence(policy: &Policy, caller: &Caller) -> Result<(), DomainError> {
    let is_interactive = matches!(
        caller.authentication(),
        Authentication::Session | Authentication::OpenId | Authentication::Link
    );
    if policy.auth == AnswerAuth::Any || is_interactive {
        return Ok(());
    }
    let detail = format!(
        "The policy \"{}\" accepts answers of people who have signed in to the console, not those with \
         a key.",
        policy.name
    );
    Err(DomainError::Forbidden { code: "interactive_required", detail })
}

/// Returns the step whose result a request is a review of.
fn step_of<'a>(request: &HitlRequest, project: &'a Project) -> Option<(&'a Plan, &'a Step)> {
    let plan = project.plan.as_ref().filter(|_| request.kind == HitlKind::Approval)?;
    let step = plan.workflow.step(request.step.as_deref()?)?;
    Some((plan, step))
}

/// Returns the people who may not approve, in the order of their words. A request without a policy has
/// those of its step: they were not copied into it once.
fn exclusions(request: &HitlRequest, project: &Project) -> impl Iterator<Item = Exclusion> {
    let of_step = step_of(request, project).map(|(_, step)| step.exclude.as_slice());
    let own = request.pinned_policy().policy.exclude.as_slice();
    let all: BTreeSet<_> = own.iter().chain(of_step.unwrap_or_default()).copied().collect();
    all.into_iter()
}

/// Returns the parties who made what is under review, if they may not approve it.
#[must_use]
pub fn excluded_makers(request: &HitlRequest, project: &Project) -> Vec<Actor> {
    if !exclusions(request, project).any(|exclusion| exclusion == Exclusion::Author) {
        return Vec::new();
    }
    let made = |entry: &&HistoryEntry| entry.action == "created" || entry.action == SUBJECT_CHANGED;
    let actor =
        |entry: &HistoryEntry| Actor { name: entry.user_id.clone(), principal: entry.principal };
    request.history.iter().filter(made).map(actor).collect()
}

/// Returns whether a person who amends the subject of a request may not approve it afterwards, so that
/// the amendment needs the approval of another person.
#[must_use]
pub fn reviews_amendments(request: &HitlRequest, project: &Project) -> bool {
    let is_amender = |exclusion| matches!(exclusion, Exclusion::Amender | Exclusion::Author);
    step_of(request, project).is_some() && exclusions(request, project).any(is_amender)
}
