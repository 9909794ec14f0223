//! The inbox: the requests that wait, the urgent ones first.

use std::collections::BTreeMap;
use std::sync::Arc;

use botarmy_domain::{
    AgentType, HitlKind, HitlRequest, HitlRequestId, HitlStatus, ProjectId, Timestamp,
};

use super::icon::Icon;
use super::request::{self, Case, Deadline};
use super::sentence::Sentence;
use super::texts;
use super::time::{TimeView, duration, seconds};
use super::{amounts, gate};

/// Largest number of rows on a page.
pub(crate) const MAX_ROWS: usize = 100;

/// Names of projects by id.
pub(crate) type Names = BTreeMap<ProjectId, String>;

/// Sizes of the documents of requests, in bytes.
pub(crate) type Sizes = BTreeMap<HitlRequestId, u64>;

/// Row of the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowView {
    pub(crate) id: String,
    pub(crate) title: Sentence,
    pub(crate) icon: Icon,
    pub(crate) class: &'static str,
    pub(crate) deadline: Deadline,
    pub(crate) kind: &'static str,
    pub(crate) project: String,
    /// Whether people should have answered by now.
    pub(crate) is_overdue: bool,
    /// Name of the policy, if it has one.
    pub(crate) policy: Option<String>,
    /// Short facts, each a few words.
    pub(crate) facts: Vec<String>,
    /// Digest of the subject, if the request can be answered together with others.
    pub(crate) digest: Option<String>,
}

/// The list of the inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct ListView {
    pub(crate) urgent: Vec<RowView>,
    pub(crate) others: Vec<RowView>,
    /// Number of requests that are not shown.
    pub(crate) hidden: usize,
}

impl ListView {
    pub(crate) fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.others.is_empty()
    }

    /// Returns the ids of the requests in the order in which they are shown.
    #[cfg(test)]
    fn ids(&self) -> Vec<&str> {
        self.urgent.iter().chain(&self.others).map(|row| row.id.as_str()).collect()
    }
}

/// Filters of the inbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) kind: Option<KindFilter>,
    pub(crate) project: Option<ProjectId>,
    pub(crate) agent: Option<AgentType>,
}

/// Kind of request, as people tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KindFilter {
    Approval,
    Question,
    Failure,
    Budget,
}

impl KindFilter {
    pub(crate) const ALL: [Self; 4] = [Self::Approval, Self::Question, Self::Failure, Self::Budget];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Question => "question",
            Self::Failure => "failure",
            Self::Budget => "budget",
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Approval => "Approvals",
            Self::Question => "Questions",
            Self::Failure => "Failures",
            Self::Budget => "Budgets",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    fn has(self, request: &HitlRequest) -> bool {
        match (self, request.kind) {
            (Self::Budget, _) => request.budget.is_some(),
            _ if request.budget.is_some() => false,
            (Self::Approval, kind) => kind == HitlKind::Approval,
            (Self::Question, kind) => kind == HitlKind::Question,
            (Self::Failure, kind) => kind == HitlKind::Failure,
        }
    }
}

impl Filter {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether a request passes.
    pub(crate) fn has(&self, request: &HitlRequest) -> bool {
        self.kind.is_none_or(|kind| kind.has(request))
            && self.project.is_none_or(|project| request.project_id == project)
            && self.agent.is_none_or(|agent| request.agent == Some(agent))
    }
}

/// Returns requests in the order of the inbox: those that expire soon by their deadline, then the oldest.
pub(crate) fn sorted(mut requests: Vec<Arc<HitlRequest>>, now: Timestamp) -> Vec<Arc<HitlRequest>> {
    requests.sort_by_key(|one| {
        let is_urgent = request::deadline(one, now).is_urgent;
        let urgency = if is_urgent { one.expires_at.micros() } else { i64::MAX };
        (urgency, one.created_at.micros(), one.id)
    });
    requests
}

/// Returns the list of these requests.
pub(crate) fn list(
    requests: Vec<Arc<HitlRequest>>,
    names: &Names,
    sizes: &Sizes,
    now: Timestamp,
) -> ListView {
    let sorted = sorted(requests, now);
    let hidden = sorted.len().saturating_sub(MAX_ROWS);
    let mut list = ListView { hidden, ..ListView::default() };
    for one in sorted.iter().take(MAX_ROWS) {
        let row = row(one, names, sizes.get(&one.id).copied(), now);
        if row.deadline.is_urgent { list.urgent.push(row) } else { list.others.push(row) }
    }
    list
}

fn row(request: &HitlRequest, names: &Names, size: Option<u64>, now: Timestamp) -> RowView {
    let project = names.get(&request.project_id).cloned().unwrap_or_default();
    let (icon, class) = request::icon(request);
    RowView {
        id: request.id.to_string(),
        title: request::title(request, &project),
        icon,
        class,
        deadline: request::expiry(request, now),
        kind: texts::kind(request.kind, request.budget.is_some()),
        project,
        is_overdue: gate::is_overdue(request, now),
        policy: Some(request.pinned_policy().policy.name.clone()).filter(|name| !name.is_empty()),
        facts: facts(request, size, now),
        digest: (Case::of(request) == Case::Review).then(|| request.subject.digest.clone()),
    }
}

fn facts(request: &HitlRequest, size: Option<u64>, now: Timestamp) -> Vec<String> {
    let mut facts = Vec::new();
    facts.extend(request.step.clone());
    facts.extend(request.agent.map(|agent| texts::agent(agent).to_owned()));
    facts.extend(size.filter(|size| *size > 0).map(amounts::size));
    if let Some(budget) = &request.budget {
        facts.push(format!("limit {}", request::limit(&budget.limit)));
    }
    if request.kind == HitlKind::Question && !request.options.is_empty() {
        let count = request.options.len();
        facts.push(texts::counted(count, "suggested answer", "suggested answers"));
    }
    facts.extend(gate::progress(request));
    if request.round > 1 {
        facts.push(format!("round {}", request.round));
    }
    if request.previous_request_id.is_some() {
        facts.push("asked again".to_owned());
    }
    facts.push(format!("waiting {}", duration(seconds(request.created_at, now))));
    facts
}

/// Row of the decided requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DecidedView {
    pub(crate) id: HitlRequestId,
    pub(crate) title: Sentence,
    pub(crate) project: String,
    pub(crate) outcome: &'static str,
    pub(crate) class: &'static str,
    pub(crate) icon: Icon,
    pub(crate) by: String,
    pub(crate) time: TimeView,
    pub(crate) comment: Option<String>,
}

/// Returns the row of a decided request, or `None` for one that a person did not decide.
pub(crate) fn decided(request: &HitlRequest, names: &Names, now: Timestamp) -> Option<DecidedView> {
    let reply = request.reply()?;
    let project = names.get(&request.project_id).cloned().unwrap_or_default();
    let (outcome, class, icon) = outcome(request.status());
    Some(DecidedView {
        id: request.id,
        title: request::title(request, &project),
        project,
        outcome,
        class,
        icon,
        by: reply.by.clone(),
        time: TimeView::relative(reply.at, now),
        comment: reply.comment.clone().or_else(|| reply.content.clone()),
    })
}

/// Returns the name of a status, with the class and the icon of its state.
pub(crate) const fn outcome(status: HitlStatus) -> (&'static str, &'static str, Icon) {
    match status {
        HitlStatus::Pending => ("Waiting for you", "wait", Icon::Clock),
        HitlStatus::Approved => ("Approved", "ok", Icon::Done),
        HitlStatus::Rejected => ("Rejected", "bad", Icon::Failed),
        HitlStatus::Amended => ("Amended", "run", Icon::Pencil),
        HitlStatus::Expired => ("Expired", "bad", Icon::Clock),
        HitlStatus::Cancelled => ("Cancelled", "", Icon::Cross),
    }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::OnExpiry;

    use super::*;
    use crate::view::samples::{NOW, project_id, request, request_id};

    fn at(n: u128, created_s: i64, expires_s: i64, on_expiry: OnExpiry) -> Arc<HitlRequest> {
        let time = |seconds: i64| Timestamp::from_micros(NOW.micros() + seconds * 1_000_000);
        let mut request = request();
        request.id = request_id(n);
        request.created_at = time(created_s);
        request.expires_at = time(expires_s);
        request.on_expiry = on_expiry;
        request.into()
    }

    #[test]
    fn requests_that_expire_soon_come_first_then_the_oldest() {
        let requests = vec![
            at(1, -50, 90_000, OnExpiry::Reject),
            at(2, -99, 60, OnExpiry::KeepWaiting),
            at(3, -10, 3_600, OnExpiry::Reject),
            at(4, -5, 60, OnExpiry::Approve),
        ];
        let names = Names::from([(project_id(), "Recipes".to_owned())]);
        let sizes = Sizes::from([(request_id(2), 2_048)]);
        let list = list(requests, &names, &sizes, NOW);
        let ids: Vec<_> = [4, 3, 2, 1].map(|n| request_id(n).to_string()).to_vec();
        assert_eq!(list.ids(), ids);
        assert_eq!((list.urgent.len(), list.others.len(), list.hidden), (2, 2, 0));
        assert_eq!(list.others[0].deadline.label, "No deadline");
        assert_eq!(list.others[0].facts.last().unwrap(), "waiting 1 min");
        let has_size = |row: &RowView| row.facts.contains(&"2,048 bytes".to_owned());
        assert!(has_size(&list.others[0]) && !has_size(&list.others[1]));
    }

    #[test]
    fn a_page_has_a_window_of_rows() {
        let requests = (0..150).map(|n| at(n, 0, 90_000, OnExpiry::Reject)).collect();
        let list = list(requests, &Names::new(), &Sizes::new(), NOW);
        assert_eq!((list.ids().len(), list.hidden), (MAX_ROWS, 50));
    }

    #[test]
    fn filters_are_met_together() {
        let one = at(1, 0, 0, OnExpiry::Reject);
        let filter = |kind, agent| Filter { kind, project: Some(project_id()), agent };
        assert!(filter(Some(KindFilter::Approval), Some(AgentType::Analyst)).has(&one));
        assert!(!filter(Some(KindFilter::Budget), None).has(&one));
        assert!(!filter(None, Some(AgentType::Coder)).has(&one));
    }
}
