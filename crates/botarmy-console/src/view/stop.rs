//! Emergency stops: the bar on every page, and the list with its form.

use std::collections::BTreeMap;

use botarmy_domain::{AgentType, Project, ProjectId, Seen, Stop, StopScope, Timestamp};

use super::icon::Icon;
use super::sentence::Sentence;
use super::time::TimeView;

/// Names of projects by id.
pub(crate) type Names = BTreeMap<ProjectId, String>;

/// Emergency stop, as the bar of every page shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BarView {
    pub(crate) icon: Icon,
    pub(crate) title: Sentence,
    pub(crate) time: TimeView,
    /// Name of the person, if the reader may know it.
    pub(crate) by: Option<String>,
    pub(crate) reason: Option<String>,
}

/// Returns the bars of emergency stops, that of the widest scope first.
pub(crate) fn bars(stops: &[Stop], now: Timestamp) -> Vec<BarView> {
    stops.iter().map(|stop| bar(stop, "A project is stopped".into(), now)).collect()
}

fn bar(stop: &Stop, of_project: Sentence, now: Timestamp) -> BarView {
    let title = match stop.scope {
        StopScope::Everything => "All work is stopped".into(),
        StopScope::Agent(agent) => format!("The agent type {agent} is stopped").into(),
        StopScope::Project(_) => of_project,
    };
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    BarView {
        icon: Icon::Stop,
        title,
        time: TimeView::relative(stop.at, now),
        by: given(&stop.by),
        reason: given(&stop.reason),
    }
}

/// Emergency stop, in the list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StopView {
    pub(crate) bar: BarView,
    /// Scope, as the form sends it.
    pub(crate) scope: String,
    /// Version of the stop, which the form sends with a release.
    pub(crate) seen: String,
    /// Path of what is stopped, if it has a page.
    pub(crate) path: Option<String>,
    pub(crate) may_release: bool,
}

/// Returns the emergency stops in force.
pub(crate) fn stops(
    stops: &[Stop],
    names: &Names,
    may_release: impl Fn(StopScope) -> bool,
    now: Timestamp,
) -> Vec<StopView> {
    let view = |stop: &Stop| {
        let of_project = match stop.scope {
            StopScope::Project(id) => match names.get(&id) {
                Some(name) => Sentence::from("The project “").name(name).text("” is stopped"),
                None => format!("The project {id} is stopped").into(),
            },
            _ => Sentence::default(),
        };
        let path = match stop.scope {
            StopScope::Everything => None,
            StopScope::Agent(agent) => Some(format!("/console/agents/{agent}")),
            StopScope::Project(id) => Some(format!("/console/projects/{id}")),
        };
        StopView {
            bar: bar(stop, of_project, now),
            scope: stop.scope.to_string(),
            seen: Seen::of_stop(stop).as_str().to_owned(),
            path,
            may_release: may_release(stop.scope),
        }
    };
    stops.iter().map(view).collect()
}

/// Scope that can be stopped, as the form offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ScopeView {
    /// Scope, as the form sends it.
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) is_chosen: bool,
}

/// Scopes that can be stopped, in the groups of the form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scopes {
    /// Everything and the agent types; empty if the person may stop single projects only.
    pub(crate) wide: Vec<ScopeView>,
    pub(crate) projects: Vec<ScopeView>,
}

impl Scopes {
    pub(crate) fn is_empty(&self) -> bool {
        self.wide.is_empty() && self.projects.is_empty()
    }
}

/// Returns the scopes that a person may stop: `may_stop_all` and these projects.
pub(crate) fn scopes<'a>(
    may_stop_all: bool,
    projects: impl IntoIterator<Item = &'a Project>,
    chosen: Option<StopScope>,
) -> Scopes {
    let view = |scope: StopScope, label: String| ScopeView {
        value: scope.to_string(),
        label,
        is_chosen: chosen == Some(scope),
    };
    let mut scopes = Scopes::default();
    if may_stop_all {
        scopes.wide.push(view(StopScope::Everything, "Everything".to_owned()));
        let of = |agent: &AgentType| view(StopScope::Agent(*agent), agent.to_string());
        scopes.wide.extend(AgentType::ALL.iter().map(of));
    }
    let of = |project: &Project| view(StopScope::Project(project.id), project.name.clone());
    scopes.projects = projects.into_iter().map(of).collect();
    scopes
}

/// Returns whether the confirmation that was typed names the scope. White space around it and
/// repetitions of blanks do not count.
pub(crate) fn is_confirmed(typed: &str, scope: StopScope, project: Option<&str>) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let typed = words(typed);
    match scope {
        StopScope::Everything => typed == "everything",
        StopScope::Agent(agent) => typed == agent.as_str(),
        StopScope::Project(id) => {
            typed == id.to_string() || project.is_some_and(|name| typed == words(name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{NOW, project_at, project_id};

    fn stop(scope: StopScope) -> Stop {
        Stop { scope, reason: "It <spends>".to_owned(), by: "ada".to_owned(), at: NOW }
    }

    #[test]
    fn a_bar_says_what_is_stopped_and_hides_what_the_reader_may_not_know() {
        let hidden =
            Stop { reason: String::new(), by: String::new(), ..stop(StopScope::Everything) };
        let all = [
            hidden,
            stop(StopScope::Agent(AgentType::Coder)),
            stop(StopScope::Project(project_id())),
        ];
        let bars = bars(&all, NOW);
        let titles: Vec<_> = bars.iter().map(|bar| bar.title.plain()).collect();
        assert_eq!(
            titles,
            ["All work is stopped", "The agent type coder is stopped", "A project is stopped"]
        );
        assert_eq!((&bars[0].by, &bars[0].reason), (&None, &None));
        assert_eq!(bars[1].by.as_deref(), Some("ada"));
    }

    #[test]
    fn the_list_names_projects_and_leads_to_them() {
        let names = Names::from([(project_id(), "Recipes".to_owned())]);
        let all = [stop(StopScope::Project(project_id())), stop(StopScope::Everything)];
        let views = stops(&all, &names, |scope| scope == StopScope::Everything, NOW);
        let title = views[0].bar.title.to_string();
        assert_eq!(title, "The project “<bdi>Recipes</bdi>” is stopped");
        assert_eq!(views[0].path, Some(format!("/console/projects/{}", project_id())));
        assert_eq!((views[0].may_release, views[1].may_release), (false, true));
        assert_eq!(views[1].scope, "everything");
    }

    #[test]
    fn a_person_is_offered_what_it_may_stop() {
        let project = project_at("Project Planning");
        let chosen = Some(StopScope::Project(project.id));
        let some = scopes(false, [&project], chosen);
        assert!(some.wide.is_empty() && some.projects[0].is_chosen);
        assert_eq!(scopes(true, [], None).wide.len(), 1 + AgentType::ALL.len());
        assert!(scopes(false, [], None).is_empty());
    }

    #[test]
    fn a_scope_is_confirmed_by_its_name() {
        let project = StopScope::Project(project_id());
        for (typed, scope, expected) in [
            ("everything", StopScope::Everything, true),
            (" everything ", StopScope::Everything, true),
            ("", StopScope::Everything, false),
            ("Everything!", StopScope::Everything, false),
            ("coder", StopScope::Agent(AgentType::Coder), true),
            ("tester", StopScope::Agent(AgentType::Coder), false),
            ("Recipes for  two", project, true),
            ("recipes", project, false),
            ("", project, false),
        ] {
            assert_eq!(is_confirmed(typed, scope, Some("Recipes for two")), expected, "{typed}");
        }
        assert!(is_confirmed(&project_id().to_string(), project, None));
        assert!(!is_confirmed("", project, Some("x")));
    }
}
