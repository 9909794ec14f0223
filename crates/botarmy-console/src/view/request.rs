//! A request to a person: its title, its deadline, and the answers that it can get with their
//! consequences.

use botarmy_domain::budget::{BudgetQuestion, Limit};
use botarmy_domain::hitl::Veto;
use botarmy_domain::workflow::{Next, Workflow};
use botarmy_domain::{
    AgentType, BudgetKey, HitlAction, HitlKind, HitlRequest, OnExpiry, Progress, Project,
    ProjectStatus, StepStatus, Timestamp,
};

use super::icon::Icon;
use super::sentence::Sentence;
use super::texts;
use super::time::{TimeView, duration, seconds};

/// Time before the deadline from which a request is urgent, in seconds.
pub(crate) const URGENT_S: u64 = 2 * 3600;
/// Longest title, in characters; the page of the request has the whole question.
const MAX_TITLE: usize = 160;
/// First option of a request about another round of a loop.
const ANOTHER_ROUND: &str = "Try another round";

/// Subject of a request, as far as its answers depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Case {
    /// The result of a step or of a task.
    Review,
    /// A document that would replace an approved one.
    Replacement,
    /// A step before it runs.
    Planned,
    /// A failed task.
    Failure,
    /// A loop that did not reach its end.
    Loop,
    /// A limit of a budget.
    Budget,
    /// A question of an agent or of a person.
    Question,
}

impl Case {
    pub(crate) fn of(request: &HitlRequest) -> Self {
        match request.kind {
            _ if request.budget.is_some() => Self::Budget,
            HitlKind::Approval if request.replaces.is_some() => Self::Replacement,
            HitlKind::Approval if request.planned.is_some() => Self::Planned,
            HitlKind::Approval => Self::Review,
            HitlKind::Question => Self::Question,
            HitlKind::Failure if request.options.first().is_some_and(|o| o == ANOTHER_ROUND) => {
                Self::Loop
            }
            HitlKind::Failure => Self::Failure,
        }
    }

    /// Returns whether a document or a step is under review.
    pub(crate) const fn is_review(self) -> bool {
        matches!(self, Self::Review | Self::Replacement | Self::Planned)
    }
}

/// Returns the question of a request in one short line.
pub(crate) fn title(request: &HitlRequest, project: &str) -> Sentence {
    let subject = request.subject.artifacts.first();
    let subject = subject.map(|one| texts::artifact_in_sentence(one.artifact_type));
    let step = request.step.as_deref();
    let text = match (Case::of(request), subject, step) {
        (Case::Review, Some(subject), _) => format!("Approve the {subject}?"),
        (Case::Review, None, Some(step)) => format!("Approve the result of “{step}”?"),
        (Case::Review, None, None) => "Approve the result of the task?".to_owned(),
        (Case::Replacement, Some(subject), _) => format!("Replace the approved {subject}?"),
        (Case::Replacement, None, _) => "Replace the approved document?".to_owned(),
        (Case::Planned, _, Some(step)) => format!("Run the step “{step}”?"),
        (Case::Planned, ..) => "Run the step?".to_owned(),
        (Case::Failure, _, Some(step)) => format!("“{step}” failed. Try again?"),
        (Case::Failure, _, None) => {
            let agent = request.agent.map_or("agent", texts::agent);
            format!("The {agent} failed. Try again?")
        }
        (Case::Loop, _, Some(step)) => format!("“{step}” did not succeed. Run another round?"),
        (Case::Loop, _, None) => "The loop did not succeed. Run another round?".to_owned(),
        (Case::Budget, ..) => match request.budget.map(|budget| budget.account) {
            Some(BudgetKey::Day(agent, day)) => {
                format!("Raise the budget of the {agent} for {day}?")
            }
            _ => return Sentence::from("Raise the budget for “").name(project).text("”?"),
        },
        (Case::Question, ..) => shortened(&request.question),
    };
    text.into()
}

/// Returns the first line of a text, cut where it is long.
fn shortened(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    if line.chars().count() <= MAX_TITLE {
        return line.to_owned();
    }
    let cut: String = line.chars().take(MAX_TITLE).collect();
    format!("{}…", cut.trim_end())
}

/// Returns the name of the subject, for breadcrumbs.
pub(crate) fn subject(request: &HitlRequest) -> &'static str {
    match request.subject.artifacts.first() {
        Some(artifact) if request.planned.is_none() => texts::artifact(artifact.artifact_type),
        _ => texts::kind(request.kind, request.budget.is_some()),
    }
}

/// Returns the icon of a request, and the class of its colour.
pub(crate) fn icon(request: &HitlRequest) -> (Icon, &'static str) {
    match Case::of(request) {
        Case::Failure | Case::Loop => (Icon::Warning, "bad"),
        Case::Budget => (Icon::Money, "bad"),
        Case::Question => (Icon::Question, "ask"),
        Case::Planned => (Icon::Play, ""),
        Case::Review | Case::Replacement => {
            let is_source = request.subject.artifacts.first().is_some_and(|artifact| {
                artifact.artifact_type == botarmy_domain::ArtifactType::SourceCode
            });
            (if is_source { Icon::Code } else { Icon::Document }, "")
        }
    }
}

/// Time until which an answer is in time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Deadline {
    /// Words before the time; all there is to say where there is no deadline.
    pub(crate) label: &'static str,
    pub(crate) time: Option<TimeView>,
    pub(crate) is_urgent: bool,
}

/// Returns the deadline of a request. One that keeps waiting has none.
pub(crate) fn deadline(request: &HitlRequest, now: Timestamp) -> Deadline {
    let label = match request.on_expiry {
        OnExpiry::KeepWaiting => {
            return Deadline { label: "No deadline", time: None, is_urgent: false };
        }
        OnExpiry::Reject => "Auto-rejects",
        OnExpiry::Approve => "Auto-approves",
    };
    Deadline {
        label,
        time: Some(TimeView::relative(request.expires_at, now)),
        is_urgent: seconds(now, request.expires_at) < URGENT_S,
    }
}

/// Returns the deadline as a row of a list shows it.
pub(crate) fn expiry(request: &HitlRequest, now: Timestamp) -> Deadline {
    let deadline = deadline(request, now);
    let text = format!("Expires in {}", duration(seconds(now, request.expires_at)));
    let time = deadline.time.map(|_| TimeView::with_text(request.expires_at, text));
    Deadline { time, ..deadline }
}

/// Possible answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AnswerView {
    /// Value in the form: `approve`, `amend` or `reject`.
    pub(crate) action: &'static str,
    pub(crate) label: &'static str,
    /// Key that chooses it.
    pub(crate) key: &'static str,
    pub(crate) consequence: String,
    /// Label of the button, which names the consequence.
    pub(crate) button: String,
    /// Class of the button.
    pub(crate) class: &'static str,
    pub(crate) icon: Icon,
}

/// Returns the answers that a request can get. `version` is the number of the document under review.
pub(crate) fn answers(request: &HitlRequest, project: &Project, version: usize) -> Vec<AnswerView> {
    let case = Case::of(request);
    // The answer that stops everything comes last.
    [HitlAction::Approve, HitlAction::Amend, HitlAction::Reject]
        .map(|action| answer(case, action, request, project, version))
        .into()
}

/// Returns one answer with its consequence.
pub(crate) fn answer(
    case: Case,
    action: HitlAction,
    request: &HitlRequest,
    project: &Project,
    version: usize,
) -> AnswerView {
    let (label, mut button) = labels(case, action, project, version);
    let consequence =
        of_vote(action, request).unwrap_or_else(|| consequence(case, action, request, project));
    if action == HitlAction::Reject && !ends_alone(request) {
        "Reject".clone_into(&mut button);
    }
    let (action, key, class, icon) = match action {
        HitlAction::Approve => ("approve", "a", "ok", Icon::Check),
        HitlAction::Amend => ("amend", "m", "primary", Icon::Pencil),
        HitlAction::Reject => ("reject", "r", "danger", Icon::Cross),
    };
    AnswerView { action, label, key, consequence, button, class, icon }
}

/// Whether one rejection is sure to end a request.
fn ends_alone(request: &HitlRequest) -> bool {
    let policy = &request.pinned_policy().policy;
    policy.approvals() == 1 || policy.veto == Veto::Any
}

/// Returns the consequence of an answer that does not decide by itself, where several people have to approve.
fn of_vote(action: HitlAction, request: &HitlRequest) -> Option<String> {
    let policy = &request.pinned_policy().policy;
    let missing = request.needs().approvals;
    match action {
        HitlAction::Approve if missing > 1 => Some(match missing - 1 {
            1 => "It counts. One more person has to approve after you.".to_owned(),
            more => format!("It counts. {more} more people have to approve after you."),
        }),
        HitlAction::Reject if !ends_alone(request) => Some(match &policy.veto {
            Veto::Groups(_) => "It ends the request if it comes from a group that may do that, or \
                                if as many reject as have to approve."
                .to_owned(),
            _ => format!("It counts. {} rejections end the request.", policy.approvals()),
        }),
        HitlAction::Amend if policy.approvals() > 1 && request.planned.is_none() => {
            let agent = request.agent.map_or("agent", texts::agent);
            Some(format!(
                "The {agent} revises it with your feedback. A version of your own takes its place, and \
                 voids all votes."
            ))
        }
        _ => None,
    }
}

fn labels(
    case: Case,
    action: HitlAction,
    project: &Project,
    version: usize,
) -> (&'static str, String) {
    let has_plan = project.plan.is_some();
    match (case, action) {
        (Case::Review, HitlAction::Approve) if version > 0 => {
            ("Approve", format!("Approve version {version}"))
        }
        (Case::Review, HitlAction::Approve) => ("Approve", "Approve".to_owned()),
        (Case::Replacement, HitlAction::Approve) => {
            ("Approve", "Approve and replace it".to_owned())
        }
        (Case::Replacement, HitlAction::Reject) => {
            ("Reject", "Reject and keep the approved one".to_owned())
        }
        (Case::Planned, HitlAction::Approve) => ("Approve", "Approve and let it run".to_owned()),
        (Case::Planned, HitlAction::Amend) => ("Ask for changes", "Ask for changes".to_owned()),
        (Case::Review | Case::Replacement, HitlAction::Amend) => {
            ("Amend", "Send back with feedback".to_owned())
        }
        (Case::Failure, HitlAction::Approve) => ("Try again", "Try again".to_owned()),
        (Case::Loop, HitlAction::Approve) => ("Another round", "Run another round".to_owned()),
        (Case::Failure | Case::Loop, HitlAction::Amend) => {
            ("Change the instructions", "Try again with these instructions".to_owned())
        }
        (Case::Failure, HitlAction::Reject) if !has_plan => {
            ("Leave it", "Leave the task failed".to_owned())
        }
        (Case::Budget, HitlAction::Approve) => ("Raise the limit", "Raise the limit".to_owned()),
        (Case::Budget, HitlAction::Amend) => ("Set another limit", "Set this limit".to_owned()),
        (Case::Budget, HitlAction::Reject) if !has_plan => {
            ("Do not raise it", "Cancel the waiting tasks".to_owned())
        }
        (Case::Question, HitlAction::Approve) => ("Answer", "Send the answer".to_owned()),
        (Case::Question, HitlAction::Amend) => {
            ("Answer in your own words", "Send your words".to_owned())
        }
        (Case::Question, HitlAction::Reject) if !has_plan => {
            ("Decline", "Decline to answer".to_owned())
        }
        (_, HitlAction::Reject) if has_plan => ("Reject", "Reject and halt the project".to_owned()),
        (_, HitlAction::Reject) => ("Reject", "Reject".to_owned()),
    }
}

fn consequence(case: Case, action: HitlAction, request: &HitlRequest, project: &Project) -> String {
    let agent = request.agent.map_or("agent", texts::agent);
    let step = request.step.as_deref();
    match (case, action) {
        (Case::Review, HitlAction::Approve) => after_approval(step, project),
        (Case::Review, HitlAction::Amend) => {
            format!("The {agent} revises it with your feedback, or you replace the document.")
        }
        (Case::Planned, HitlAction::Approve) => match project.status() {
            ProjectStatus::Paused => format!("The {agent} starts when the project is resumed."),
            _ => format!("The {agent} starts immediately."),
        },
        (Case::Planned, HitlAction::Amend) => {
            "The step is planned again with your words, and reviewed once more.".to_owned()
        }
        (Case::Replacement, HitlAction::Approve) => {
            "The steps that follow use it in place of the approved one.".to_owned()
        }
        (Case::Replacement, HitlAction::Amend) => {
            "Your feedback is recorded for the step, or you replace the document.".to_owned()
        }
        (Case::Replacement, HitlAction::Reject) => {
            "The approved one stays. Nothing else changes.".to_owned()
        }
        (Case::Failure, HitlAction::Approve) => format!("The {agent} tries again immediately."),
        (Case::Loop, HitlAction::Approve) => {
            format!("The {agent} repairs, then it is tested again.")
        }
        (Case::Failure | Case::Loop, HitlAction::Amend) => {
            format!("The {agent} tries again with your instructions.")
        }
        (Case::Failure, HitlAction::Reject) if project.plan.is_none() => {
            "The task stays failed. Nothing else changes.".to_owned()
        }
        (Case::Budget, HitlAction::Approve) => raised(request.budget.as_ref()),
        (Case::Budget, HitlAction::Amend) => "The limit becomes the one that you enter.".to_owned(),
        (Case::Budget, HitlAction::Reject) if project.plan.is_none() => {
            "The tasks that wait for the budget are cancelled.".to_owned()
        }
        (Case::Question, HitlAction::Approve) => {
            format!("The {agent} continues with your answer.")
        }
        (Case::Question, HitlAction::Amend) => {
            format!("The {agent} continues with what you write.")
        }
        (Case::Question, HitlAction::Reject) if project.plan.is_none() => {
            format!("The {agent} is told that there is no answer.")
        }
        (_, HitlAction::Reject) if project.plan.is_some() => "The project will halt.".to_owned(),
        (_, HitlAction::Reject) => "It is recorded. Nothing halts.".to_owned(),
    }
}

fn raised(question: Option<&BudgetQuestion>) -> String {
    let Some(question) = question else { return "The limit is raised.".to_owned() };
    format!(
        "The limit is raised by {}, or by more if the attempt needs it.",
        limit(&question.limit)
    )
}

/// Returns a limit in words.
pub(crate) fn limit(limit: &Limit) -> String {
    let tokens = limit.tokens.map(|tokens| format!("{} tokens", texts::grouped(tokens)));
    let cost = limit.cost_micro_usd.map(texts::money);
    match (tokens, cost) {
        (Some(tokens), Some(cost)) => format!("{tokens} and {cost}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "no limit".to_owned(),
    }
}

/// Returns what happens after an approval, according to the workflow.
fn after_approval(step: Option<&str>, project: &Project) -> String {
    let Some((plan, step)) = project.plan.as_ref().zip(step) else {
        return "It is recorded. Nothing starts by itself.".to_owned();
    };
    let paused = if project.status() == ProjectStatus::Paused {
        " when the project is resumed"
    } else {
        " immediately"
    };
    let others_wait = plan.progress.steps.iter().any(|(name, progress)| {
        name != step && matches!(progress.status, StepStatus::Running | StepStatus::InReview)
    });
    match following(&plan.workflow, &plan.progress, step) {
        Following::Starts(agents) => {
            let agents: Vec<_> = agents.iter().map(|agent| texts::agent(*agent)).collect();
            match agents.as_slice() {
                [one] => format!("The {one} starts{paused}."),
                [some @ .., last] => {
                    format!("The {} and the {last} start{paused}.", some.join(", the "))
                }
                [] => "The project continues.".to_owned(),
            }
        }
        Following::Asks => "A person is asked about another round.".to_owned(),
        Following::Ends => "The project is complete, and its package is made.".to_owned(),
        Following::Waits if others_wait => {
            "The project continues when the other steps are done.".to_owned()
        }
        Following::Waits => "The project continues.".to_owned(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Following {
    Starts(Vec<AgentType>),
    Asks,
    Ends,
    Waits,
}

/// Returns what can start once this step is done.
fn following(workflow: &Workflow, progress: &Progress, done: &str) -> Following {
    let mut progress = progress.clone();
    set(&mut progress, done, StepStatus::Done);
    if let Some(repeat) = workflow.step(done).and_then(|step| step.repeat.as_ref()) {
        // After a repair comes the test.
        set(&mut progress, done, StepStatus::Waiting);
        set(&mut progress, &repeat.with, StepStatus::Waiting);
    }
    let mut agents = Vec::new();
    // Each round changes the status of one step, so there are no more rounds than steps.
    for _ in 0..=workflow.steps.len() {
        match progress.next(workflow) {
            Some(Next::Start(step)) => {
                agents.push(step.agent);
                set(&mut progress, &step.name, StepStatus::Running);
            }
            Some(Next::Skip(step)) => set(&mut progress, &step.name, StepStatus::Skipped),
            Some(Next::AskAboutLoop(_)) if agents.is_empty() => return Following::Asks,
            Some(Next::Finish) if agents.is_empty() => return Following::Ends,
            _ => break,
        }
    }
    if agents.is_empty() { Following::Waits } else { Following::Starts(agents) }
}

fn set(progress: &mut Progress, step: &str, status: StepStatus) {
    progress.steps.entry(step.to_owned()).or_default().status = status;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{NOW, project_at, request};

    #[test]
    fn the_consequence_of_an_approval_is_that_of_the_workflow() {
        let project = project_at("Project Planning");
        let mut request = request();
        request.step = Some("Project Planning".to_owned());
        let views = answers(&request, &project, 2);
        let actions: Vec<_> = views.iter().map(|view| view.action).collect();
        assert_eq!(actions, ["approve", "amend", "reject"]);
        assert_eq!(views[0].consequence, "The analyst starts immediately.");
        assert_eq!(views[0].button, "Approve version 2");
        assert_eq!(views[2].consequence, "The project will halt.");
        assert_eq!(views[2].button, "Reject and halt the project");
        let plan = project.plan.as_ref().unwrap();
        let last = plan.workflow.steps.last().unwrap().name.clone();
        let mut progress = plan.progress.clone();
        for step in &plan.workflow.steps {
            set(&mut progress, &step.name, StepStatus::Done);
        }
        assert_eq!(following(&plan.workflow, &progress, &last), Following::Ends);
    }

    #[test]
    fn without_a_workflow_a_rejection_halts_nothing() {
        let mut project = project_at("Project Planning");
        project.plan = None;
        let views = answers(&request(), &project, 1);
        assert_eq!(views[2].consequence, "It is recorded. Nothing halts.");
        assert_eq!(views[2].button, "Reject");
    }

    #[test]
    fn a_request_that_keeps_waiting_has_no_deadline_and_is_never_urgent() {
        let mut request = request();
        request.expires_at = Timestamp::from_micros(NOW.micros() + 60_000_000);
        request.on_expiry = OnExpiry::KeepWaiting;
        let shown = deadline(&request, NOW);
        assert_eq!((shown.label, shown.time, shown.is_urgent), ("No deadline", None, false));
        request.on_expiry = OnExpiry::Reject;
        let shown = expiry(&request, NOW);
        assert!(shown.is_urgent);
        assert_eq!(shown.time.unwrap().text, "Expires in 1 min");
    }

    #[test]
    fn long_questions_are_cut_in_titles() {
        let mut request = request();
        request.kind = HitlKind::Question;
        request.question = "x".repeat(MAX_TITLE + 1);
        assert_eq!(title(&request, "P").plain().chars().count(), MAX_TITLE + 1);
        request.question = "Which?\nLong story".to_owned();
        assert_eq!(title(&request, "P").plain(), "Which?");
    }
}
