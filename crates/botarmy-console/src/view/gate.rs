//! The rules by which a request is decided, in sentences: who approves, who has answered, who is missing,
//! and what time does.

use std::collections::BTreeMap;
use std::time::Duration;

use botarmy_domain::hitl::{Needs, Policy, Selector, Veto, Vote};
use botarmy_domain::vocabulary::{AnswerAuth, DueKind, Verdict};
use botarmy_domain::{
    Exclusion, HitlAction, HitlRequest, HitlStatus, OnExpiry, Project, Timestamp,
};

use super::icon::Icon;
use super::sentence::Sentence;
use super::texts;
use super::time::TimeView;

/// Rules and standing of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GateView {
    /// Name of the policy, if it has one.
    pub(crate) name: Option<String>,
    /// Rules, the number of people first.
    pub(crate) rules: Vec<Sentence>,
    pub(crate) votes: Vec<VoteView>,
    /// Approvals that are missing, where more than one is needed or a group has to approve.
    pub(crate) missing: Option<Sentence>,
    /// Times, each with its words.
    pub(crate) times: Vec<TimesView>,
    /// Whether the clock stands still, because the project is paused.
    pub(crate) is_paused: bool,
    /// Person who has reserved it, and the end of the reservation.
    pub(crate) claim: Option<(String, TimeView)>,
    pub(crate) delegates: Vec<DelegateView>,
}

/// Answer of one person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct VoteView {
    pub(crate) name: String,
    pub(crate) verdict: &'static str,
    pub(crate) class: &'static str,
    pub(crate) icon: Icon,
    pub(crate) on_behalf_of: Option<String>,
    pub(crate) said: Option<String>,
    pub(crate) time: TimeView,
}

/// Time at which something happens by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TimesView {
    pub(crate) label: &'static str,
    pub(crate) time: TimeView,
    /// Words after the time.
    pub(crate) what: Sentence,
}

/// Person who answers in the place of another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DelegateView {
    pub(crate) to: String,
    pub(crate) of: String,
    pub(crate) time: TimeView,
}

/// Returns the rules and the standing of a request.
pub(crate) fn view(request: &HitlRequest, project: &Project, now: Timestamp) -> GateView {
    let policy = &request.pinned_policy().policy;
    let is_pending = request.status() == HitlStatus::Pending;
    let needs = request.needs();
    let counts = policy.approvals() > 1 || !policy.groups.is_empty();
    let claim = request.claim.as_ref().filter(|claim| is_pending && claim.until > now);
    GateView {
        name: Some(policy.name.clone()).filter(|name| !name.is_empty()),
        rules: rules(request, project),
        votes: request.votes.iter().map(|one| vote(one, now)).collect(),
        missing: (is_pending && counts && needs.approvals > 0).then(|| missing(&needs)),
        times: if is_pending { times(request, now) } else { Vec::new() },
        is_paused: is_pending && request.schedule.paused_at.is_some(),
        claim: claim.map(|claim| (claim.by.name.clone(), TimeView::relative(claim.until, now))),
        delegates: delegates(request, now),
    }
}

/// Whether people should have answered a request by now.
pub(crate) fn is_overdue(request: &HitlRequest, now: Timestamp) -> bool {
    request.status() == HitlStatus::Pending
        && request.schedule.paused_at.is_none()
        && request.answer_by() <= now
}

/// Returns the numbers of approvals that there are and that are needed, as `1 of 2 approved`; `None` where
/// one is enough.
pub(crate) fn progress(request: &HitlRequest) -> Option<String> {
    let needed = request.pinned_policy().policy.approvals();
    let given = request.votes.iter().filter(|vote| vote.action == HitlAction::Approve).count();
    (needed > 1).then(|| format!("{given} of {needed} approved"))
}

/// Returns the numbers of approvals that there are and that are needed, with those that are missing; `None`
/// where one is enough, and for a request that is decided.
pub(crate) fn standing(request: &HitlRequest) -> Option<Sentence> {
    let policy = &request.pinned_policy().policy;
    let (needed, needs) = (policy.approvals(), request.needs());
    let counts = needed > 1 || !policy.groups.is_empty();
    if request.status() != HitlStatus::Pending || !counts || needs.approvals == 0 {
        return None;
    }
    let given = needed.saturating_sub(needs.approvals);
    let noun = if needed == 1 { "approval" } else { "approvals" };
    Some(Sentence::from(format!("{given} of {needed} {noun}. ")).join(missing(&needs)))
}

/// Returns the rules in sentences.
fn rules(request: &HitlRequest, project: &Project) -> Vec<Sentence> {
    let policy = &request.pinned_policy().policy;
    let mut rules = vec![approvals(policy)];
    rules.extend(veto(policy));
    rules.extend(excluded(request, project));
    let is_named = !policy.is_open_to_all();
    let more = request.assignees.iter().chain(&request.escalated_to);
    let asked: Vec<_> =
        if is_named { policy.candidates.iter().chain(more).collect() } else { more.collect() };
    if !asked.is_empty() {
        let lead = if is_named { "Asked: " } else { "Asked first: " };
        rules.push(list(Sentence::from(lead), &asked).text("."));
    }
    if policy.auth == AnswerAuth::Interactive {
        rules.push("Answers with a key are not accepted.".into());
    }
    if request.round > 1 {
        let most = policy.max_rounds;
        rules.push(format!("This is round {} of at most {most}.", request.round).into());
    }
    rules
}

/// Returns the number of people who have to approve, and of which groups.
pub(crate) fn approvals(policy: &Policy) -> Sentence {
    let count = policy.approvals();
    let verb = if count == 1 { "approves" } else { "approve" };
    match (count, policy.groups.iter().next(), policy.groups.len()) {
        (_, Some((group, seats)), 1) if *seats >= count => {
            Sentence::from(format!("{} of ", people(count))).name(group).text(format!(" {verb}."))
        }
        _ => {
            let lead = format!("{} {verb}", people(count));
            of_groups(Sentence::from(lead), &policy.groups).text(".")
        }
    }
}

/// Appends the numbers of those who have to be in groups.
fn of_groups(mut sentence: Sentence, groups: &BTreeMap<String, u32>) -> Sentence {
    for (index, (group, seats)) in groups.iter().enumerate() {
        let link = match index {
            0 => format!(", {} of them of ", word(*seats)),
            _ if index + 1 == groups.len() => format!(" and {} of ", word(*seats)),
            _ => format!(", {} of ", word(*seats)),
        };
        sentence = sentence.text(link).name(group);
    }
    sentence
}

/// Returns the approvals that are missing.
fn missing(needs: &Needs) -> Sentence {
    let (count, groups) = (needs.approvals, &needs.groups);
    let lead = match count {
        1 => "One more person has to approve".to_owned(),
        _ => format!("{} more people have to approve", capital(&word(count))),
    };
    match groups.iter().next() {
        Some((group, seats)) if groups.len() == 1 && *seats >= count => {
            Sentence::from(format!("{lead}, of ")).name(group).text(".")
        }
        _ => of_groups(Sentence::from(lead), groups).text("."),
    }
}

/// Returns the rejections that end a request, where that is not plain.
fn veto(policy: &Policy) -> Option<Sentence> {
    let count = policy.approvals();
    let all = || format!("{} rejections end it.", capital(&word(count)));
    match &policy.veto {
        _ if count == 1 => None,
        Veto::Any => Some("One rejection ends it.".into()),
        Veto::None => Some(all().into()),
        Veto::Groups(groups) => {
            let selectors: Vec<_> = groups.iter().cloned().map(Selector::Group).collect();
            let selectors: Vec<_> = selectors.iter().collect();
            let sentence = list(Sentence::from("A rejection by "), &selectors);
            Some(sentence.text(format!(" ends it; otherwise {}", all().to_lowercase())))
        }
    }
}

/// Returns the people who do not approve.
fn excluded(request: &HitlRequest, project: &Project) -> Option<Sentence> {
    let step = project.plan.as_ref().zip(request.step.as_deref());
    let step = step.and_then(|(plan, step)| plan.workflow.step(step));
    let of_step = step.map_or(&[][..], |step| step.exclude.as_slice());
    let all = [request.pinned_policy().policy.exclude.as_slice(), of_step].concat();
    let has = |exclusion| all.contains(&exclusion);
    let mut parts = Vec::new();
    if has(Exclusion::Author) {
        parts.push("made or changed what is reviewed");
    } else if has(Exclusion::Amender) {
        parts.push("changed what is reviewed");
    }
    if has(Exclusion::Starter) {
        parts.push("started the project");
    }
    (!parts.is_empty()).then(|| format!("Not by those who {}.", parts.join(", or who ")).into())
}

/// Appends people to a sentence.
fn list(mut sentence: Sentence, people: &[&Selector]) -> Sentence {
    for (index, selector) in people.iter().enumerate() {
        let link = match index {
            0 => "",
            _ if index + 1 == people.len() => " and ",
            _ => ", ",
        };
        sentence = match selector {
            Selector::User(name) => sentence.text(link).name(name),
            Selector::Group(name) => sentence.text(format!("{link}the group ")).name(name),
            Selector::Role(role) => sentence.text(format!("{link}everyone with the role {role}")),
        };
    }
    sentence
}

fn vote(vote: &Vote, now: Timestamp) -> VoteView {
    let (verdict, class, icon) = match vote.action {
        HitlAction::Approve => ("approved", "ok", Icon::Done),
        HitlAction::Reject => ("rejected", "bad", Icon::Failed),
        HitlAction::Amend => ("amended", "run", Icon::Pencil),
    };
    VoteView {
        name: vote.voter.name.clone(),
        verdict,
        class,
        icon,
        on_behalf_of: vote.on_behalf_of.as_ref().map(|of| of.name.clone()),
        said: vote.comment.clone().or_else(|| vote.content.clone()),
        time: TimeView::relative(vote.at, now),
    }
}

/// Returns the times at which something happens, the next first.
fn times(request: &HitlRequest, now: Timestamp) -> Vec<TimesView> {
    if request.schedule.paused_at.is_some() {
        return Vec::new();
    }
    let mut times = Vec::new();
    if let Some((at, DueKind::Reminder)) = request.due() {
        times.push((at, "Next reminder", Sentence::from("to those who are asked")));
    }
    let escalations = &request.pinned_policy().policy.escalate;
    if let Some(next) = escalations.get(request.schedule.escalated as usize) {
        let start = request.schedule.from.unwrap_or(request.created_at);
        let at = start.after(Duration::from_secs(next.after_s.into()));
        let to: Vec<_> = next.to.iter().collect();
        times.push((at, "Escalates", list(Sentence::from("to "), &to)));
    }
    let end = match request.on_expiry {
        OnExpiry::Reject => "then it counts as rejected",
        OnExpiry::Approve => "then it counts as approved",
        OnExpiry::KeepWaiting => "then it keeps waiting",
    };
    times.push((request.answer_by(), "Answer by", end.into()));
    times.sort_by_key(|(at, ..)| *at);
    let shown = |(at, label, what)| TimesView { label, time: TimeView::relative(at, now), what };
    times.into_iter().map(shown).collect()
}

/// Returns who answers in the place of whom; of several delegations of one place, the last counts.
fn delegates(request: &HitlRequest, now: Timestamp) -> Vec<DelegateView> {
    let all = &request.delegates;
    let is_last = |index: usize| !all[index + 1..].iter().any(|one| one.of.is_same(&all[index].of));
    let last = (0..all.len()).filter(|index| is_last(*index));
    let view = |index: usize| DelegateView {
        to: all[index].to.name.clone(),
        of: all[index].of.name.clone(),
        time: TimeView::relative(all[index].at, now),
    };
    last.map(view).collect()
}

/// Returns the words beside the field for a comment: the answers that need one.
pub(crate) fn comment_rule(request: &HitlRequest) -> String {
    let wanted = &request.pinned_policy().policy.comment;
    // Asking for changes takes words of its own.
    let verbs: Vec<_> = [
        (Verdict::Approve, "approve"),
        (Verdict::Amend, "submit a version of your own"),
        (Verdict::Reject, "reject"),
    ]
    .into_iter()
    .filter(|(verdict, _)| wanted.contains(verdict))
    .map(|(_, verb)| verb)
    .collect();
    match verbs.as_slice() {
        [] => "optional, recorded in the log".to_owned(),
        verbs => format!("required to {}", texts::either(verbs)),
    }
}

/// Returns a number of people, at the beginning of a sentence.
fn people(count: u32) -> String {
    let noun = if count == 1 { "person" } else { "people" };
    format!("{} {noun}", capital(&word(count)))
}

/// Returns a small number as a word.
pub(crate) fn word(count: u32) -> String {
    const WORDS: [&str; 13] = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    WORDS.get(count as usize).map_or_else(|| count.to_string(), |word| (*word).to_owned())
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use botarmy_domain::hitl::{Escalation, PinnedPolicy};
    use botarmy_domain::{Actor, Authentication, EventId};
    use uuid::Uuid;

    use super::*;
    use crate::view::samples::{NOW, project_at, request};

    fn policy(approvals: Option<u32>, groups: &[(&str, u32)]) -> Policy {
        let groups = groups.iter().map(|(name, seats)| ((*name).to_owned(), *seats)).collect();
        Policy { approvals, groups, ..Policy::named("release") }
    }

    fn under(policy: Policy) -> HitlRequest {
        HitlRequest { policy: Some(Arc::new(PinnedPolicy::new(policy))), ..request() }
    }

    fn approval(name: &str, groups: &[&str]) -> Vote {
        Vote {
            entry: EventId::from_uuid(Uuid::from_u128(1)),
            voter: Actor { name: name.to_owned(), principal: None },
            on_behalf_of: None,
            action: HitlAction::Approve,
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            auth: Authentication::Session,
            via: None,
            subject_digest: String::new(),
            policy_digest: String::new(),
            content: None,
            comment: Some("Good".to_owned()),
            at: Timestamp::from_micros(NOW.micros() - 60_000_000),
        }
    }

    #[test]
    fn a_policy_is_one_sentence() {
        for (approvals, groups, expected) in [
            (None, &[][..], "One person approves."),
            (Some(2), &[], "Two people approve."),
            (Some(2), &[("security", 1)], "Two people approve, one of them of security."),
            (None, &[("security", 1)], "One person of security approves."),
            (None, &[("security", 2)], "Two people of security approve."),
            (
                None,
                &[("product", 1), ("security", 1)],
                "Two people approve, one of them of product and one of security.",
            ),
            (
                Some(14),
                &[("a", 2), ("b", 1), ("c", 3)],
                "14 people approve, two of them of a, one of b and three of c.",
            ),
        ] {
            assert_eq!(super::approvals(&policy(approvals, groups)).plain(), expected);
        }
    }

    #[test]
    fn those_who_are_missing_are_named_by_their_groups() {
        let project = project_at("Project Planning");
        let mut request = under(policy(Some(2), &[("security", 1)]));
        let missing = |request: &HitlRequest| {
            view(request, &project, NOW).missing.map(|missing| missing.plain())
        };
        assert_eq!(
            missing(&request).as_deref(),
            Some("Two more people have to approve, one of them of security.")
        );
        request.votes.push(approval("ada", &[]));
        assert_eq!(
            missing(&request).as_deref(),
            Some("One more person has to approve, of security.")
        );
        assert_eq!(progress(&request).as_deref(), Some("1 of 2 approved"));
        let vote = &view(&request, &project, NOW).votes[0];
        assert_eq!((vote.name.as_str(), vote.verdict, vote.class), ("ada", "approved", "ok"));
        assert_eq!((vote.time.text.as_str(), vote.said.as_deref()), ("1 min ago", Some("Good")));
        assert_eq!(missing(&crate::view::samples::request()), None);
    }

    #[test]
    fn rules_name_those_who_do_not_approve_and_those_who_are_asked() {
        let mut policy = policy(Some(2), &[]);
        policy.exclude = vec![Exclusion::Author, Exclusion::Starter];
        policy.veto = Veto::Groups(["security".to_owned()].into());
        policy.candidates = vec![Selector::Group("leads".to_owned())];
        let mut request = under(policy);
        request.escalated_to = vec![Selector::User("grace <b>".to_owned())];
        request.round = 2;
        let rules: Vec<_> = view(&request, &project_at("Project Planning"), NOW)
            .rules
            .iter()
            .map(Sentence::plain)
            .collect();
        assert_eq!(
            rules,
            [
                "Two people approve.",
                "A rejection by the group security ends it; otherwise two rejections end it.",
                "Not by those who made or changed what is reviewed, or who started the project.",
                "Asked: the group leads and grace <b>.",
                "This is round 2 of at most 5.",
            ]
        );
    }

    #[test]
    fn times_come_in_their_order_with_the_people_of_an_escalation() {
        let mut policy = policy(Some(1), &[]);
        policy.remind_after_s = vec![3_600];
        let to = vec![Selector::Group("leads".to_owned())];
        policy.escalate = vec![Escalation { after_s: 7_200, to, ttl_s: None }];
        let mut request = under(policy);
        let lines = |request: &HitlRequest| -> Vec<_> {
            let times = view(request, &project_at("Project Planning"), NOW).times;
            let line =
                |one: &TimesView| format!("{} {} {}", one.label, one.time.text, one.what.plain());
            times.iter().map(line).collect()
        };
        assert_eq!(
            lines(&request),
            [
                "Next reminder in 46 min to those who are asked",
                "Escalates in 1 h to the group leads",
                "Answer by in 1 day then it keeps waiting",
            ]
        );
        request.schedule.paused_at = Some(NOW);
        assert!(lines(&request).is_empty());
    }

    #[test]
    fn the_words_beside_the_comment_name_the_answers_that_need_one() {
        assert_eq!(comment_rule(&request()), "optional, recorded in the log");
        assert_eq!(comment_rule(&under(policy(None, &[]))), "required to reject");
        let mut all = policy(None, &[]);
        all.comment = Verdict::ALL.iter().copied().collect();
        assert_eq!(
            comment_rule(&under(all)),
            "required to approve, submit a version of your own or reject"
        );
    }
}
