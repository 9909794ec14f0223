//! Projects: rows of their list, the head of their pages, their steps, and what can be done with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use botarmy_domain::artifact::ArtifactRef;
use botarmy_domain::budget::BudgetReport;
use botarmy_domain::project::{Counts, ProjectDetail};
use botarmy_domain::workflow::StepProgress;
use botarmy_domain::{
    Activity, Artifact, ArtifactType, Caller, ContextId, HitlRequest, HitlStatus, Oversight,
    Permission, Place, Plan, Project, ProjectStatus, Role, Step, StepStatus, Timestamp, Workflow,
};

use super::amounts;
use super::graph::{self, GraphView, Look, StepLook};
use super::icon::Icon;
use super::request;
use super::sentence::Sentence;
use super::state::{self, StateView};
use super::texts;
use super::time::TimeView;
use super::timeline::{Bar, Span, TimelineView};

/// Row of the list of projects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: StateView,
    /// Step that runs or waits, or the way in which the project is driven.
    pub(crate) step: String,
    /// Number of requests that wait.
    pub(crate) requests: u32,
    pub(crate) cost: Option<String>,
    pub(crate) created: TimeView,
}

/// Returns the row of a project.
pub(crate) fn row(
    project: &Project,
    activity: &Activity,
    budget: Option<&BudgetReport>,
    now: Timestamp,
) -> RowView {
    let is_over = matches!(project.status(), ProjectStatus::Completed | ProjectStatus::Cancelled);
    let step = match &project.plan {
        None => "task by task".to_owned(),
        Some(plan) if is_over => plan.workflow.name.clone(),
        Some(plan) => {
            plan.current_step().map_or_else(|| plan.workflow.name.clone(), |step| step.name.clone())
        }
    };
    RowView {
        id: project.id.to_string(),
        name: project.name.clone(),
        state: state::project(project.status(), Some(activity.state)),
        step,
        requests: activity.requests,
        cost: budget.map(cost),
        created: TimeView::relative(project.created_at, now),
    }
}

/// Returns the money that was spent, or the tokens where they cost nothing.
fn cost(budget: &BudgetReport) -> String {
    match (budget.used.cost_micro_usd, budget.used.tokens) {
        (0, 0) => "$0.00".to_owned(),
        (0, tokens) => format!("{} tokens", texts::grouped(tokens)),
        (cost, _) => texts::money(cost),
    }
}

/// Rights of a person on a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Pause, resume, cancel, reopen; tasks.
    pub(crate) run: bool,
    /// Complete by force; budget; members.
    pub(crate) manage: bool,
    /// Answer requests.
    pub(crate) answer: bool,
}

/// Returns the rights of a person on a project.
pub(crate) fn allowed(caller: &Caller, project: &Project) -> Allowed {
    let place = Place::Project { id: project.id, creator: project.creator };
    let may = |permission| caller.check(permission, place).is_ok();
    Allowed {
        run: may(Permission::ProjectRun),
        manage: may(Permission::ProjectManage),
        answer: may(Permission::GateAnswer),
    }
}

/// Returns the sentence in place of a form that a person may not use.
pub(crate) fn requires(what: &str, permission: Permission) -> String {
    let roles: Vec<_> = permission.roles().filter(|role| *role != Role::Admin).collect();
    let role = roles.first().map_or(Role::Admin, |role| *role);
    let article = if role == Role::Admin || role == Role::Operator { "an" } else { "a" };
    format!("{what} requires the {role} role. Ask {article} {role} or the administrator.")
        .replace(" Ask an admin or the administrator.", " Ask an administrator.")
}

/// Head of the pages of a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct HeadView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: StateView,
    pub(crate) facts: Vec<String>,
    pub(crate) started: TimeView,
    pub(crate) standing: Option<Sentence>,
    pub(crate) pending: Option<PendingView>,
}

/// Bar with the requests that wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PendingView {
    /// Words in bold.
    pub(crate) lead: String,
    pub(crate) text: Sentence,
    /// Words and time of the deadline, if there is one.
    pub(crate) deadline: Option<(&'static str, TimeView)>,
    /// Path of the request, or of the inbox if there are several.
    pub(crate) path: String,
    pub(crate) button: &'static str,
}

/// Returns the head. `pending` are the newest waiting requests.
pub(crate) fn head(
    detail: &ProjectDetail,
    pending: &[impl AsRef<HitlRequest>],
    allowed: Allowed,
    now: Timestamp,
) -> HeadView {
    let project = &detail.project;
    let mut facts = Vec::new();
    match &project.plan {
        Some(plan) => {
            let all = plan.workflow.steps.len();
            let begun = plan.workflow.steps.iter().filter(|step| {
                plan.progress.of(&step.name).status != StepStatus::Waiting
                    || plan.progress.of(&step.name).runs > 0
            });
            facts.push(format!("{} of {all} steps started", begun.count()));
            facts.push(format!("workflow {}", plan.workflow.name));
            facts.push(format!("oversight {}", project.oversight));
        }
        None => facts.push("task by task".to_owned()),
    }
    HeadView {
        id: project.id.to_string(),
        name: project.name.clone(),
        state: state::project(project.status(), Some(detail.activity.state)),
        facts,
        started: TimeView::relative(project.created_at, now),
        standing: standing(project),
        pending: bar(project, pending, detail.activity.requests, allowed, now),
    }
}

/// Returns why a project does not go on.
fn standing(project: &Project) -> Option<Sentence> {
    let standing = project.standing();
    let by = |verb: &str| match &standing.by {
        Some(by) => Sentence::from(format!("{verb} by ")).name(by.to_string()),
        None => verb.into(),
    };
    let reason = standing.reason.map_or_else(String::new, |reason| format!(": {reason}"));
    let verb = match project.status() {
        ProjectStatus::Active => return None,
        ProjectStatus::Paused => "Paused",
        ProjectStatus::Completed if standing.overridden.is_empty() => return None,
        ProjectStatus::Completed => {
            let unmet = standing.overridden.join(" ");
            return Some(by("Completed").text(format!(" although: {unmet}")));
        }
        ProjectStatus::Halted => "Halted",
        ProjectStatus::Failed => "Failed",
        ProjectStatus::Cancelled => "Cancelled",
    };
    Some(by(verb).text(reason))
}

fn bar(
    project: &Project,
    pending: &[impl AsRef<HitlRequest>],
    count: u32,
    allowed: Allowed,
    now: Timestamp,
) -> Option<PendingView> {
    let first = pending.first()?.as_ref();
    let whom = if allowed.answer { "you" } else { "a person" };
    let button = if allowed.answer { "Review" } else { "Show" };
    if pending.len() > 1 {
        let count = (count as usize).max(pending.len());
        return Some(PendingView {
            lead: format!("{count} requests are waiting for {whom}."),
            text: request::title(first, &project.name),
            deadline: None,
            path: format!("/console/inbox?project={}", project.id),
            button: "Show them",
        });
    }
    let deadline = request::deadline(first, now);
    Some(PendingView {
        lead: match &first.step {
            Some(step) => format!("{step} is waiting for {whom}."),
            None => format!("A request is waiting for {whom}."),
        },
        text: request::title(first, &project.name),
        deadline: deadline.time.map(|time| (deadline.label, time)),
        path: format!("/console/requests/{}", first.id),
        button,
    })
}

/// Tab of the pages of a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TabView {
    pub(crate) label: &'static str,
    pub(crate) path: String,
    pub(crate) count: Option<String>,
    pub(crate) is_current: bool,
}

/// Page among the tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    Overview,
    Tasks,
    Artifacts,
    Log,
    Usage,
    Members,
}

/// Returns the tabs. `entries` is the number of entries of the log.
pub(crate) fn tabs(
    project: &Project,
    counts: &Counts,
    entries: u64,
    allowed: Allowed,
    current: Tab,
) -> Vec<TabView> {
    let tab = |tab, label, end: &str, count: Option<u64>| TabView {
        label,
        path: format!("/console/projects/{}{end}", project.id),
        count: count.map(texts::grouped),
        is_current: tab == current,
    };
    let members = allowed.manage.then(|| tab(Tab::Members, "Members", "/members", None));
    let tabs = [
        tab(Tab::Overview, "Overview", "", None),
        tab(Tab::Tasks, "Tasks", "/tasks", Some(counts.total().into())),
        tab(Tab::Artifacts, "Artifacts", "/artifacts", Some(counts.artifacts.into())),
        tab(Tab::Log, "Log", "/log", Some(entries)),
        tab(Tab::Usage, "Usage", "/usage", None),
    ];
    tabs.into_iter().chain(members).collect()
}

/// Action on a project: a button, or a link to a page that asks first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActionView {
    pub(crate) label: &'static str,
    pub(crate) icon: Icon,
    pub(crate) path: String,
    /// Whether it is a form that is sent at once.
    pub(crate) is_form: bool,
}

/// Returns the actions that the state of a project allows: those that are shown, and those behind *More*.
pub(crate) fn actions(project: &Project, allowed: Allowed) -> (Vec<ActionView>, Vec<ActionView>) {
    let action = |label, icon, end: &str, is_form| ActionView {
        label,
        icon,
        path: format!("/console/projects/{}/{end}", project.id),
        is_form,
    };
    let (mut first, mut more) = (Vec::new(), Vec::new());
    if allowed.run {
        match project.status() {
            ProjectStatus::Active => first.push(action("Pause", Icon::Pause, "pause", true)),
            ProjectStatus::Paused => first.push(action("Resume", Icon::Play, "resume", true)),
            ProjectStatus::Halted => first.push(action("Reopen", Icon::Play, "reopen", false)),
            _ => {}
        }
        if !is_over(project.status()) {
            more.push(action("Cancel the project", Icon::Cross, "cancel", false));
        }
    }
    if allowed.manage && project.status() != ProjectStatus::Completed {
        more.push(action("Complete by force", Icon::Check, "complete", false));
    }
    (first, more)
}

/// Whether nothing changes a project any more, except that it is completed by force.
pub(crate) const fn is_over(status: ProjectStatus) -> bool {
    matches!(status, ProjectStatus::Completed | ProjectStatus::Cancelled | ProjectStatus::Failed)
}

/// Step in the table of steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StepView {
    /// Id of the row, to which the graph leads.
    pub(crate) anchor: String,
    pub(crate) name: String,
    /// Path of its task, if it has one.
    pub(crate) path: Option<String>,
    pub(crate) agent: &'static str,
    pub(crate) state: StateView,
    pub(crate) bars: Vec<BarView>,
    pub(crate) duration: String,
}

/// Bar of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BarView {
    pub(crate) x: String,
    pub(crate) width: String,
    pub(crate) class: &'static str,
}

/// Workflow of a project: graph, table and timeline.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WorkflowView {
    pub(crate) graph: Option<GraphView>,
    pub(crate) steps: Vec<StepView>,
    pub(crate) gaps: Vec<BarView>,
    pub(crate) ticks: Vec<TimeView>,
    /// Whether the times on the axis are shown to the second, because minutes would repeat.
    pub(crate) has_seconds: bool,
    /// Durations of the periods that are drawn short, as a part of a sentence.
    pub(crate) shortened: Option<String>,
}

/// Returns the workflow of a project.
pub(crate) fn workflow(
    plan: &Plan,
    timeline: Option<&TimelineView>,
    now: Timestamp,
) -> WorkflowView {
    let steps: Vec<StepView> = plan
        .workflow
        .steps
        .iter()
        .enumerate()
        .map(|(n, step)| step_view(n, step, &plan.progress.of(&step.name), timeline))
        .collect();
    let looks: Vec<StepLook> = plan.workflow.steps.iter().zip(&steps).map(step_look).collect();
    let ticks = timeline.map_or(&[][..], |timeline| &timeline.ticks);
    let has_seconds = ticks.windows(2).any(|pair| minute(pair[0]) == minute(pair[1]));
    WorkflowView {
        graph: graph::view(&plan.workflow, &looks),
        gaps: timeline.map_or_else(Vec::new, |timeline| {
            timeline.gaps.iter().map(|span| bar_view(*span, "gap")).collect()
        }),
        ticks: ticks.iter().map(|tick| tick_view(*tick, now, has_seconds)).collect(),
        has_seconds,
        shortened: timeline.map(|timeline| listed(&timeline.shortened)).filter(|t| !t.is_empty()),
        steps,
    }
}

/// Returns the minute of a time, as the axis shows it.
const fn minute(time: Timestamp) -> i64 {
    time.micros().div_euclid(60_000_000)
}

fn tick_view(tick: Timestamp, now: Timestamp, has_seconds: bool) -> TimeView {
    let text = tick.to_string();
    let is_today = text.get(..10) == now.to_string().get(..10);
    let shown = match (has_seconds, is_today) {
        (true, _) => text.get(11..19),
        (false, true) => text.get(11..16),
        (false, false) => text.get(5..16),
    };
    let shown = shown.unwrap_or(&text).replace('T', " ");
    TimeView { exact: None, ..TimeView::with_text(tick, shown) }
}

fn step_view(
    n: usize,
    step: &Step,
    progress: &StepProgress,
    timeline: Option<&TimelineView>,
) -> StepView {
    let times = timeline.and_then(|timeline| timeline.steps.get(&step.name));
    let asks = progress.request_id.is_some() && progress.status != StepStatus::Done;
    let duration = times.filter(|times| times.attempts > 0).map(|times| {
        let worked = amounts::duration(times.worked);
        if times.attempts == 1 { worked } else { format!("{} runs, {worked}", times.attempts) }
    });
    StepView {
        anchor: format!("step-{}", n + 1),
        name: step.name.clone(),
        path: progress.task_id.map(|task| format!("/console/tasks/{task}")),
        agent: texts::agent(step.agent),
        state: state::step(progress.status, progress.passed, asks),
        bars: times.map_or_else(Vec::new, |times| times.bars.iter().map(step_bar).collect()),
        duration: duration.unwrap_or_default(),
    }
}

fn step_bar(bar: &Bar) -> BarView {
    let class = match bar.look {
        Look::Done => "b ok",
        Look::Failed => "b bad",
        Look::Waiting => "b wait",
        Look::Running | Look::Idle => "b",
    };
    bar_view(bar.span, class)
}

fn bar_view(span: Span, class: &'static str) -> BarView {
    let share = |number: f64| format!("{number:.1}%");
    BarView { x: share(span.x), width: share(span.width), class }
}

fn step_look((step, view): (&Step, &StepView)) -> StepLook {
    let look = match view.state.class {
        "ok" => Look::Done,
        "bad" => Look::Failed,
        "wait" => Look::Waiting,
        "run" => Look::Running,
        _ => Look::Idle,
    };
    let agent = texts::agent(step.agent);
    let sub = match look {
        Look::Done if !view.duration.is_empty() => format!("{agent} · {}", view.duration),
        Look::Waiting => "waiting".to_owned(),
        Look::Failed => view.state.label.to_lowercase(),
        Look::Running if !view.duration.is_empty() => format!("{agent} · {}", view.duration),
        _ => agent.to_owned(),
    };
    StepLook {
        look,
        state: view.state.label.to_lowercase(),
        sub,
        href: format!("#{}", view.anchor),
    }
}

/// Returns texts as a part of a sentence: `a, b and c`.
fn listed(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} and {last}", some.join(", ")),
    }
}

/// Newest artifact of a type, in the overview.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LatestView {
    pub(crate) id: String,
    pub(crate) label: &'static str,
    pub(crate) icon: Icon,
    pub(crate) note: String,
}

/// Returns the newest artifact of each type with the number of its versions. The artifacts are in the order
/// of their making.
pub(crate) fn newest(all: &[ArtifactRef]) -> Vec<(ContextId, Option<usize>)> {
    let mut kinds: BTreeMap<ArtifactType, (ContextId, usize)> = BTreeMap::new();
    for one in all.iter().filter(|one| one.artifact_type != ArtifactType::HitlResponse) {
        let (newest, versions) = kinds.entry(one.artifact_type).or_insert((one.id, 0));
        *newest = one.id;
        *versions += 1;
    }
    kinds.into_values().map(|(id, versions)| (id, Some(versions))).collect()
}

/// Returns these artifacts with the numbers of their versions, where they are known, the last one first.
pub(crate) fn latest(mut found: Vec<(Arc<Artifact>, Option<usize>)>) -> Vec<LatestView> {
    found.sort_by_key(|(one, _)| std::cmp::Reverse(one.meta.id));
    let view = |(artifact, versions): &(Arc<Artifact>, Option<usize>)| {
        let kind = artifact.meta.artifact_type;
        let version = versions.map(|versions| format!("version {versions}"));
        let outcome = super::document::outcome(kind, &artifact.content);
        let note: Vec<String> = version.into_iter().chain(outcome).collect();
        LatestView {
            id: artifact.meta.id.to_string(),
            label: texts::artifact(kind),
            icon: artifact_icon(kind),
            note: note.join(", "),
        }
    };
    found.iter().map(view).collect()
}

/// Returns the icon of a type of artifact.
pub(crate) const fn artifact_icon(kind: ArtifactType) -> Icon {
    match kind {
        ArtifactType::SourceCode => Icon::Code,
        ArtifactType::TestResults => Icon::Check,
        _ => Icon::Document,
    }
}

/// Level of oversight with the gates that it opens in a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OversightView {
    pub(crate) value: &'static str,
    pub(crate) label: &'static str,
    pub(crate) gates: String,
}

/// Returns the levels of oversight for a workflow, the strictest first.
pub(crate) fn oversights(workflow: &Workflow) -> Vec<OversightView> {
    [(Oversight::High, "High"), (Oversight::Standard, "Standard"), (Oversight::Low, "Low")]
        .into_iter()
        .map(|(level, label)| {
            let gated: Vec<String> = workflow
                .steps
                .iter()
                .filter(|step| step.is_gated(level))
                .map(|step| step.name.clone())
                .collect();
            let gates = match gated.len() {
                0 => "No step waits for a person. Questions and failures still do.".to_owned(),
                1 => format!("A person reviews the result of {}.", listed(&gated)),
                n => format!("A person reviews the results of {n} steps: {}.", listed(&gated)),
            };
            OversightView { value: level.as_str(), label, gates }
        })
        .collect()
}

/// Status of requests that the head of a project shows.
pub(crate) const PENDING: Option<HitlStatus> = Some(HitlStatus::Pending);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use botarmy_domain::{ActivityState, ProjectState};

    use super::*;
    use crate::view::samples::{NOW, project_at, project_id, request};

    fn detail(project: Project, state: ActivityState, requests: u32) -> ProjectDetail {
        let activity = Activity { state, since: NOW, requests, agent_type: None };
        ProjectDetail { project: Arc::new(project), counts: Counts::default(), activity }
    }

    const ALL: Allowed = Allowed { run: true, manage: true, answer: true };

    #[test]
    fn the_bar_names_the_step_that_waits_and_leads_to_its_request() {
        let detail = detail(project_at("Project Planning"), ActivityState::WaitingForPerson, 1);
        let head = head(&detail, &[Arc::new(request())], ALL, NOW);
        assert_eq!(head.state.label, "Waiting for a person");
        assert_eq!(head.facts[0], "1 of 10 steps started");
        let bar = head.pending.unwrap();
        assert_eq!(bar.lead, "Project Planning is waiting for you.");
        assert_eq!(bar.text.plain(), "Approve the project plan?");
        assert_eq!(bar.path, format!("/console/requests/{}", request().id));
        assert_eq!((bar.deadline, bar.button), (None, "Review"));
        let viewer = Allowed { run: false, manage: false, answer: false };
        let bar = super::bar(&detail.project, &[Arc::new(request())], 1, viewer, NOW).unwrap();
        assert_eq!(bar.lead, "Project Planning is waiting for a person.");
        let two = [Arc::new(request()), Arc::new(request())];
        let bar = super::bar(&detail.project, &two, 7, ALL, NOW).unwrap();
        assert_eq!(bar.lead, "7 requests are waiting for you.");
        assert_eq!(bar.path, format!("/console/inbox?project={}", project_id()));
    }

    #[test]
    fn times_on_the_axis_have_seconds_where_minutes_would_repeat() {
        let ticks = |seconds: i64| {
            let tick = |n: i64| Timestamp::from_micros(NOW.micros() + n * seconds * 1_000_000);
            let timeline = TimelineView {
                ticks: (0..5).map(tick).collect(),
                gaps: Vec::new(),
                shortened: Vec::new(),
                steps: BTreeMap::new(),
            };
            let plan = project_at("Code Refinement").plan.unwrap();
            let view = workflow(&plan, Some(&timeline), NOW);
            let texts: Vec<String> = view.ticks.into_iter().map(|tick| tick.text).collect();
            (view.has_seconds, texts.join(" "))
        };
        assert_eq!(ticks(60), (false, "08:00 08:01 08:02 08:03 08:04".to_owned()));
        let exact = "08:00:00 08:00:15 08:00:30 08:00:45 08:01:00";
        assert_eq!(ticks(15), (true, exact.to_owned()));
    }

    #[test]
    fn the_actions_are_those_that_the_state_and_the_roles_allow() {
        let names = |project: &Project, allowed| {
            let (first, more) = actions(project, allowed);
            let label = |action: ActionView| action.label;
            (
                first.into_iter().map(label).collect::<Vec<_>>(),
                more.into_iter().map(label).collect::<Vec<_>>(),
            )
        };
        let mut project = project_at("Project Planning");
        let none = Allowed { run: false, manage: false, answer: true };
        assert_eq!(names(&project, none), (vec![], vec![]));
        let (first, more) = names(&project, ALL);
        assert_eq!((first, more), (vec!["Pause"], vec!["Cancel the project", "Complete by force"]));
        let (at, by) = (NOW, "ada".to_owned());
        project.state = ProjectState::Paused { at, by: by.clone(), emergency: None };
        assert_eq!(names(&project, ALL).0, ["Resume"]);
        let reason = "Too large".to_owned();
        project.state = ProjectState::Halted { at, by: by.clone(), reason, request_id: None };
        assert_eq!(names(&project, ALL).0, ["Reopen"]);
        assert_eq!(standing(&project).unwrap().to_string(), "Halted by <bdi>ada</bdi>: Too large");
        project.state = ProjectState::Cancelled { at, by };
        assert_eq!(names(&project, ALL), (vec![], vec!["Complete by force"]));
    }

    #[test]
    fn oversight_names_the_gates_that_it_opens() {
        let plan = project_at("Project Planning").plan.unwrap();
        let levels = oversights(&plan.workflow);
        let texts: Vec<_> =
            levels.iter().map(|level| (level.value, level.gates.as_str())).collect();
        assert_eq!(
            texts[1],
            (
                "standard",
                "A person reviews the results of 2 steps: Project Planning and Requirements \
                 Analysis."
            )
        );
        assert_eq!(
            texts[2],
            ("low", "No step waits for a person. Questions and failures still do.")
        );
    }

    #[test]
    fn a_missing_role_is_named() {
        assert_eq!(
            requires("Pausing a project", Permission::ProjectRun),
            "Pausing a project requires the operator role. Ask an operator or the administrator."
        );
        assert_eq!(
            requires("Changing the budget", Permission::ProjectManage),
            "Changing the budget requires the admin role. Ask an administrator."
        );
    }

    #[test]
    fn the_steps_have_the_state_of_their_progress() {
        let plan = project_at("Requirements Analysis").plan.unwrap();
        let view = workflow(&plan, None, NOW);
        let states: Vec<_> =
            view.steps.iter().take(3).map(|step| step.state.label.as_str()).collect();
        assert_eq!(states, ["Done", "Waiting for a person", "Not started"]);
        let graph = view.graph.unwrap();
        assert_eq!(graph.nodes.len(), 10);
        assert_eq!((graph.nodes[1].class, graph.nodes[1].href.as_str()), ("wait", "#step-2"));
    }
}
