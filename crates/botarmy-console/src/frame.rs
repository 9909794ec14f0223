//! The frame around the pages: navigation, breadcrumbs, and the attributes that the script reads.

use botarmy_domain::{Authentication, Permission, ProjectId};
use botarmy_web::Problem;

use crate::context::PageContext;
use crate::html::Layout;
use crate::part::Versioned as _;
use crate::view::icon::Icon;
use crate::view::stop::{self, BarView};
use crate::view::waiting::Waiting;

/// Entry of the navigation that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Inbox,
    Projects,
    Agents,
    Workers,
    Audit,
    Stop,
    /// The list of all entries, for small screens.
    More,
    Settings,
    Account,
}

/// Entry of the navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) label: &'static str,
    pub(crate) path: String,
    pub(crate) icon: Icon,
    pub(crate) is_current: bool,
    /// Whether the number of waiting requests belongs to it.
    pub(crate) counts: bool,
}

/// Parts of the console that a person may see.
#[derive(Debug, Clone, Copy)]
struct Seen {
    agents: bool,
    /// Whether the person sees anything of projects.
    projects: bool,
    /// Whether the person sees the log of the system.
    system: bool,
    access: bool,
}

impl Seen {
    fn by(context: &PageContext) -> Self {
        let rights = context.caller().rights();
        Self {
            agents: rights.has_globally(Permission::AgentsRead),
            projects: rights.has_somewhere(Permission::ProjectRead),
            system: rights.has_globally(Permission::SystemRead),
            access: rights.has_globally(Permission::AccessManage),
        }
    }
}

/// Returns the pages of the settings that a person may see; none if there is only one.
fn tabs(context: &PageContext, seen: Seen) -> Vec<Entry> {
    if !seen.access {
        return Vec::new();
    }
    let pages = [
        ("This browser", "/console/settings", Icon::Sliders),
        ("People and programs", "/console/settings/people", Icon::Person),
        ("Keys", "/console/settings/keys", Icon::Lock),
        ("Sessions", "/console/settings/sessions", Icon::Eye),
    ];
    let current = context.request.match_info().as_str().trim_end_matches('/');
    let is_current = |path: &str| match current.strip_prefix(path) {
        Some("") => true,
        Some(rest) => rest.starts_with('/') && path != "/console/settings",
        None => false,
    };
    let entry = |(label, path, icon)| Entry {
        label,
        is_current: is_current(path),
        path: context.path(path),
        icon,
        counts: false,
    };
    pages.map(entry).into()
}

/// Breadcrumb; the last one, which has no path, is the page itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crumb {
    pub(crate) label: String,
    pub(crate) path: Option<String>,
}

/// Frame of a page.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) waiting: Waiting,
    pub(crate) main: Vec<Entry>,
    pub(crate) more: Vec<Entry>,
    /// Entries at the bottom of a small screen.
    pub(crate) bottom: Vec<Entry>,
    /// Pages of the settings; empty where there is only one.
    pub(crate) tabs: Vec<Entry>,
    /// Emergency stops in force.
    pub(crate) stops: Vec<BarView>,
    pub(crate) crumbs: Vec<Crumb>,
    /// Name of the person.
    pub(crate) name: String,
    /// Whether there is a session that can be ended.
    pub(crate) has_session: bool,
    pub(crate) form_token: String,
    /// Icon of the search.
    pub(crate) search: Icon,
    /// Project whose events the page follows, or `all`.
    pub(crate) follows: String,
    /// Whether the page has a form for a decision, to which a link leads.
    pub(crate) has_decision: bool,
    /// Whether single letters are shortcuts.
    pub(crate) has_shortcuts: bool,
    /// Whether times are shown in UTC.
    pub(crate) is_utc: bool,
}

impl PageContext {
    /// Returns the parts of every page that do not depend on its subject. Reads the number of requests
    /// that wait.
    ///
    /// # Errors
    /// Those of the query.
    pub(crate) async fn frame(
        &self,
        section: Section,
        title: impl Into<String>,
    ) -> Result<(Layout, Frame), Problem> {
        let waiting = self.waiting().await?;
        Ok(self.frame_with(section, title, waiting))
    }

    /// Returns the frame of a page that has read the number of waiting requests already.
    pub(crate) fn frame_with(
        &self,
        section: Section,
        title: impl Into<String>,
        waiting: Waiting,
    ) -> (Layout, Frame) {
        let layout = Layout::of(&self.console).with(&self.preferences, waiting);
        let frame = Frame::new(self, section, title.into(), waiting);
        (layout, frame)
    }
}

impl Frame {
    fn new(context: &PageContext, section: Section, title: String, waiting: Waiting) -> Self {
        let entry = |label, path: &str, icon, of| Entry {
            label,
            path: context.path(path),
            icon,
            is_current: section == of,
            counts: of == Section::Inbox,
        };
        let seen = Seen::by(context);
        let inbox = entry("Inbox", "/console/inbox", Icon::Inbox, Section::Inbox);
        let projects = entry("Projects", "/console/projects", Icon::Grid, Section::Projects);
        let agents = entry("Agents", "/console/agents", Icon::Agent, Section::Agents);
        let workers = entry("Workers", "/console/workers", Icon::Worker, Section::Workers);
        let audit = entry("Audit log", "/console/audit", Icon::Lines, Section::Audit);
        let emergency = entry("Emergency stop", "/console/stop", Icon::Stop, Section::Stop);
        let settings = entry("Settings", "/console/settings", Icon::Sliders, Section::Settings);
        let account = entry("Account", "/console/account", Icon::Person, Section::Account);
        let mut rest = entry("More", "/console/more", Icon::More, Section::More);
        rest.is_current |= !matches!(section, Section::Inbox | Section::Projects | Section::Agents);
        let optional = |is_seen: bool, entry: &Entry| is_seen.then(|| entry.clone());
        let main = [Some(inbox.clone()), Some(projects.clone())].into_iter().chain([
            optional(seen.agents, &agents),
            optional(seen.projects, &workers),
            optional(seen.projects || seen.system, &audit),
        ]);
        let more = [optional(seen.projects, &emergency), Some(settings.clone()), Some(account)];
        let fourth = if seen.agents { agents } else { settings };
        let bottom = vec![inbox, projects, fourth, rest];
        let crumb = Crumb { label: title.clone(), path: None };
        Self {
            title,
            waiting,
            main: main.flatten().collect(),
            more: more.into_iter().flatten().collect(),
            bottom,
            tabs: if section == Section::Settings { tabs(context, seen) } else { Vec::new() },
            stops: stop::bars(&context.stops, context.now()),
            crumbs: vec![crumb],
            name: context.caller().name().to_owned(),
            has_session: context.caller().authentication() == Authentication::Session,
            form_token: context.visitor.form_token().to_owned(),
            search: Icon::Search,
            follows: "all".to_owned(),
            has_decision: false,
            has_shortcuts: context.preferences.has_shortcuts,
            is_utc: context.preferences.is_utc,
        }
    }

    /// Puts breadcrumbs in front of that of the page itself; the paths are those that browsers use.
    pub(crate) fn below(
        mut self,
        crumbs: impl IntoIterator<Item = (impl Into<String>, String)>,
    ) -> Self {
        let above =
            crumbs.into_iter().map(|(label, path)| Crumb { label: label.into(), path: Some(path) });
        self.crumbs = above.chain(self.crumbs).collect();
        self
    }

    /// Names the page in its breadcrumb otherwise than in its title.
    pub(crate) fn called(mut self, label: impl Into<String>) -> Self {
        if let Some(last) = self.crumbs.last_mut() {
            last.label = label.into();
        }
        self
    }

    /// Has the page follow the events of one project only.
    pub(crate) fn following(mut self, project: ProjectId) -> Self {
        self.follows = project.to_string();
        self
    }

    /// Returns the version of the bar with the emergency stops.
    pub(crate) fn stops_version(&self) -> String {
        self.stops.v()
    }

    /// Adds the link to the form of a decision.
    pub(crate) fn with_decision(mut self) -> Self {
        self.has_decision = true;
        self
    }
}
