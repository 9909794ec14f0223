//! A request under review: its state, its document and the document before, what the agent was given, and
//! its history.

use std::sync::Arc;

use botarmy_domain::hitl::{HistoryEntry, HitlState};
use botarmy_domain::{
    Artifact, ArtifactType, HitlAction, HitlRequest, HitlStatus, OnExpiry, Project, SourceCode,
    Task, Timestamp,
};
use serde_json::Value;

use super::document;
use super::gate;
use super::icon::Icon;
use super::inbox::outcome;
use super::markup::Markup;
use super::request::{self, Deadline};
use super::sentence::Sentence;
use super::texts;
use super::time::TimeView;

/// Remark of the server on a request that nobody has answered.
const NO_ANSWER: &str = "nobody answered in time";

/// Tab of the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tab {
    /// A step before it runs.
    Plan,
    Document,
    Preview,
    Files,
    Changes,
    Context,
    History,
    Raw,
}

impl Tab {
    pub(crate) const ALL: [Self; 8] = [
        Self::Plan,
        Self::Document,
        Self::Preview,
        Self::Files,
        Self::Changes,
        Self::Context,
        Self::History,
        Self::Raw,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Document => "document",
            Self::Preview => "preview",
            Self::Files => "files",
            Self::Changes => "changes",
            Self::Context => "context",
            Self::History => "history",
            Self::Raw => "raw",
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Plan => "Plan",
            Self::Document => "Document",
            Self::Preview => "Preview",
            Self::Files => "Files",
            Self::Changes => "Changes",
            Self::Context => "Agent context",
            Self::History => "History",
            Self::Raw => "Raw",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tab| tab.as_str() == text)
    }
}

/// State of a request, above its subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StateView {
    pub(crate) title: Sentence,
    pub(crate) status: &'static str,
    pub(crate) class: &'static str,
    pub(crate) icon: Icon,
    pub(crate) is_pending: bool,
    pub(crate) project: String,
    pub(crate) facts: Vec<String>,
    pub(crate) requested: TimeView,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) is_overdue: bool,
    /// Decision, end or expiry, if it is over.
    pub(crate) outcome: Option<OutcomeView>,
    /// Sentence about the question that the title does not say.
    pub(crate) remark: Option<String>,
}

/// End of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OutcomeView {
    pub(crate) sentence: Sentence,
    pub(crate) time: TimeView,
    pub(crate) said: Option<String>,
    /// Consequence, where it is not plain from the sentence.
    pub(crate) consequence: Option<String>,
}

/// Returns the state of a request. `versions` are those of its document up to itself. `may_answer` says
/// whether the person who reads it may answer now.
pub(crate) fn state(
    request: &HitlRequest,
    project: &Project,
    versions: &[Arc<Artifact>],
    may_answer: bool,
    now: Timestamp,
) -> StateView {
    let (mut status, class, icon) = outcome(request.status());
    let is_pending = request.status() == HitlStatus::Pending;
    if is_pending && !may_answer {
        status = "Waiting for others";
    }
    let mut facts = Vec::new();
    facts.extend(request.step.clone());
    if let Some(agent) = request.agent {
        let agent = texts::agent(agent);
        // What a person has written is no run of the agent.
        let runs = versions.iter().filter(|one| !one.metadata.contains_key("amended_by")).count();
        facts.push(match u32::try_from(runs) {
            Ok(runs) if runs > 0 => format!("{agent}, {} run", texts::ordinal(runs)),
            _ => agent.to_owned(),
        });
    }
    facts.extend(gate::progress(request).filter(|_| is_pending));
    StateView {
        is_overdue: gate::is_overdue(request, now),
        title: request::title(request, &project.name),
        status,
        class,
        icon,
        is_pending,
        project: project.name.clone(),
        facts,
        requested: TimeView::relative(request.created_at, now),
        deadline: is_pending.then(|| request::deadline(request, now)),
        outcome: end(request, project, now),
        remark: remark(request),
    }
}

/// Returns what the question says beyond the title.
fn remark(request: &HitlRequest) -> Option<String> {
    let case = request::Case::of(request);
    if case == request::Case::Planned {
        // The page shows the plan itself.
        return None;
    }
    let text = if case == request::Case::Review {
        request.question.split_once("good to go on with?").map_or("", |(_, rest)| rest)
    } else {
        &request.question
    };
    let text = text.trim();
    let is_title = text == request::title(request, "").plain();
    (!text.is_empty() && !is_title).then(|| text.to_owned())
}

/// Returns how a request ended, in one sentence without the time.
pub(crate) fn end(request: &HitlRequest, project: &Project, now: Timestamp) -> Option<OutcomeView> {
    let halts = project.plan.is_some() && request.replaces.is_none();
    let halted = || halts.then(|| "It counts as a rejection: the project was halted.".to_owned());
    let (sentence, at, said, consequence) = match &request.state {
        HitlState::Pending => return None,
        HitlState::Approved(reply) | HitlState::Rejected(reply) | HitlState::Amended(reply) => {
            let (status, ..) = outcome(request.status());
            let said = reply.comment.clone().or_else(|| reply.content.clone());
            (Sentence::from(format!("{status} by ")).name(&reply.by), reply.at, said, None)
        }
        HitlState::Expired { at } if request.on_expiry == OnExpiry::Reject => {
            ("Expired without an answer".into(), *at, None, halted())
        }
        HitlState::Expired { at } => ("Expired without an answer".into(), *at, None, None),
        HitlState::Cancelled { at, reason } => {
            ("Cancelled".into(), *at, Some(reason.clone()), None)
        }
    };
    let time = TimeView::relative(at, now);
    Some(OutcomeView { sentence, time, said, consequence })
}

/// Document under review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentView {
    pub(crate) name: &'static str,
    pub(crate) icon: Icon,
    pub(crate) size: String,
    pub(crate) html: Markup,
    /// Members beside a text in Markdown.
    pub(crate) members: Option<Markup>,
}

/// Returns a document as it is read.
pub(crate) fn read(artifact: &Artifact) -> DocumentView {
    let kind = artifact.meta.artifact_type;
    let document = document::view(kind, &artifact.content);
    DocumentView {
        name: texts::artifact(kind),
        icon: icon(kind),
        size: texts::counted(document.words, "word", "words"),
        html: document.html,
        members: document.members,
    }
}

/// Returns the icon of a type of artifact.
pub(crate) fn icon(kind: ArtifactType) -> Icon {
    if kind == ArtifactType::SourceCode { Icon::Code } else { Icon::Document }
}

/// Returns an artifact as text for people.
pub(crate) fn text(artifact: &Artifact) -> String {
    document::text(artifact.meta.artifact_type, &artifact.content)
}

/// Returns the files of source code; `None` for other artifacts, and for source code that cannot be read.
pub(crate) fn source(artifact: &Artifact) -> Option<SourceCode> {
    document::source_code(artifact.meta.artifact_type, &artifact.content)
}

/// Returns the first and the last characters of a digest.
pub(crate) fn short(digest: &str) -> String {
    match (digest.get(..8), digest.get(digest.len().saturating_sub(4)..)) {
        (Some(first), Some(last)) if digest.len() > 12 => format!("{first}…{last}"),
        _ => digest.to_owned(),
    }
}

/// Entry of a history.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TrailView {
    pub(crate) at: Timestamp,
    pub(crate) text: String,
    /// Name of the person who acted.
    pub(crate) by: Option<String>,
    pub(crate) said: Option<String>,
    pub(crate) time: TimeView,
    pub(crate) is_now: bool,
}

/// Returns the history of a subject, oldest first: its versions, the answers to the requests of its
/// project up to now, and the state of this request. `name` is that of the person who reads it.
pub(crate) fn trail(
    request: &HitlRequest,
    requests: &[Arc<HitlRequest>],
    versions: &[Arc<Artifact>],
    name: &str,
    now: Timestamp,
) -> Vec<TrailView> {
    let who = |by: &str| if by == name { "you".to_owned() } else { by.to_owned() };
    let entry = |at, text: String, by: Option<String>, said| TrailView {
        at,
        text,
        by,
        said,
        time: TimeView::relative(at, now),
        is_now: false,
    };
    let mut trail: Vec<_> = versions
        .iter()
        .enumerate()
        .map(|(index, version)| {
            let agent = texts::agent(version.meta.source_agent);
            let amended = version.metadata.get("amended_by").and_then(Value::as_str);
            let by = amended.map_or_else(|| agent.to_owned(), &who);
            entry(version.meta.created_at, format!("Version {} by", index + 1), Some(by), None)
        })
        .collect();
    let last = request.reply().map_or(now, |reply| reply.at);
    for one in requests {
        let is_same = one.id == request.id || one.step == request.step;
        for answer in one.answers().filter(|answer| answer.timestamp <= last) {
            let subject =
                if is_same { String::new() } else { format!("{} ", request::subject(one)) };
            let text = capitalised(&format!("{subject}{} by", past(&answer.action)));
            trail.push(entry(answer.timestamp, text, Some(who(&answer.user_id)), said(answer)));
        }
    }
    let events = request.history.iter().filter_map(|event| {
        let text = match event.action.as_str() {
            "extend" if event.comment.as_deref() == Some(NO_ANSWER) => {
                "Nobody answered in time; the request keeps waiting"
            }
            "extend" => "Given more time by",
            "withdraw" => "An answer was taken back by",
            "escalate" => "Escalated by",
            "expire" => "Expired without an answer",
            "cancel" => "Cancelled",
            "subject_changed" => "The document was replaced by",
            "reopen" => "The project was reopened by",
            _ => return None,
        };
        let by = text.ends_with("by").then(|| who(&event.user_id));
        Some(entry(
            event.timestamp,
            text.to_owned(),
            by,
            event.comment.clone().filter(|_| text.ends_with("by")),
        ))
    });
    trail.extend(events);
    trail.sort_by_key(|entry| entry.at);
    trail.dedup();
    if request.status() == HitlStatus::Pending {
        let mut waiting = entry(now, "Waiting for a decision".to_owned(), None, None);
        waiting.time = TimeView::with_text(now, "now".to_owned());
        waiting.is_now = true;
        trail.push(waiting);
    }
    trail
}

fn past(action: &str) -> &'static str {
    match action.parse::<HitlAction>() {
        Ok(HitlAction::Approve) => "approved",
        Ok(HitlAction::Reject) => "rejected",
        Ok(HitlAction::Amend) => "amended",
        Err(_) => "answered",
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + &chars.as_str().to_lowercase()
    })
}

/// Returns the words of an answer.
fn said(entry: &HistoryEntry) -> Option<String> {
    let content = entry.content.as_ref().and_then(|content| content.get("user_content"));
    let content = content.and_then(Value::as_str).map(str::to_owned);
    content.or_else(|| entry.comment.clone())
}

/// Returns the last feedback before a document was made.
pub(crate) fn feedback(
    requests: &[Arc<HitlRequest>],
    step: Option<&str>,
    before: Timestamp,
) -> Option<(String, String)> {
    let same = requests.iter().filter(|one| one.step.as_deref() == step);
    let answers = same.flat_map(|one| one.history.iter());
    let amendments = answers.filter(|entry| entry.action == "amend" && entry.timestamp <= before);
    let last = amendments.max_by_key(|entry| entry.timestamp)?;
    Some((last.user_id.clone(), said(last)?))
}

/// Artifact that the agent was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GivenView {
    pub(crate) path: String,
    pub(crate) name: &'static str,
    pub(crate) icon: Icon,
    pub(crate) digest: String,
    pub(crate) made: TimeView,
}

/// Work of the agent: what it was given, and what it reported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ContextView {
    pub(crate) instructions: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) failures: u32,
    pub(crate) runner: Option<String>,
    pub(crate) confidence: Option<String>,
    pub(crate) usage: Option<String>,
    pub(crate) given: Vec<GivenView>,
}

/// Returns the work of the agent. `confidence` is what the agent reported, from 0 to 1.
pub(crate) fn context(
    task: Option<&Task>,
    given: Vec<GivenView>,
    confidence: Option<f64>,
) -> ContextView {
    let Some(task) = task else { return ContextView { given, ..ContextView::default() } };
    let usage = &task.usage;
    let names: Vec<_> =
        [usage.provider.clone(), usage.model.clone()].into_iter().flatten().collect();
    let tokens = usage.input_tokens + usage.output_tokens;
    let cost =
        usage.cost_micro_usd.map_or_else(String::new, |cost| format!(", {}", texts::money(cost)));
    ContextView {
        instructions: Some(task.instructions.clone()),
        attempt: task.attempt,
        failures: task.failures,
        runner: (!names.is_empty()).then(|| names.join(", ")),
        confidence: confidence.map(|value| format!("{value:.2}")),
        usage: (!usage.is_empty()).then(|| format!("{} tokens{cost}", texts::grouped(tokens))),
        given,
    }
}

#[cfg(test)]
mod tests {
    use botarmy_domain::Reply;
    use serde_json::json;

    use super::*;
    use crate::view::samples::{NOW, artifact, plan_document, project_at, request};

    fn before(seconds: i64) -> Timestamp {
        Timestamp::from_micros(NOW.micros() - seconds * 1_000_000)
    }

    #[test]
    fn a_decided_request_says_who_when_and_what() {
        let mut request = request();
        request.state = HitlState::Approved(Reply {
            by: "ops-key".to_owned(),
            at: before(120),
            content: None,
            comment: Some("Good".to_owned()),
            amended_content: None,
            principal: None,
            entry: None,
            response: None,
        });
        let view = state(&request, &project_at("Project Planning"), &[], true, NOW);
        let outcome = view.outcome.unwrap();
        assert_eq!(outcome.sentence.to_string(), "Approved by <bdi>ops-key</bdi>");
        assert_eq!(
            (outcome.time.text.as_str(), outcome.said.as_deref()),
            ("2 min ago", Some("Good"))
        );
        assert!(!view.is_pending && view.deadline.is_none());
    }

    #[test]
    fn an_expired_request_says_its_consequence() {
        let mut request = request();
        request.state = HitlState::Expired { at: before(1) };
        request.on_expiry = OnExpiry::Reject;
        let outcome = end(&request, &project_at("Project Planning"), NOW).unwrap();
        assert!(outcome.consequence.unwrap().contains("halted"));
    }

    #[test]
    fn a_remark_is_what_the_title_does_not_say() {
        let mut request = request();
        assert_eq!(remark(&request), None);
        request.question.push_str(" Its agent is 62 % sure of it.");
        assert_eq!(remark(&request).as_deref(), Some("Its agent is 62 % sure of it."));
    }

    #[test]
    fn the_history_has_versions_and_answers_in_their_order() {
        let mut first = request();
        let amended = HistoryEntry {
            timestamp: before(60),
            action: "amend".to_owned(),
            user_id: "ada".to_owned(),
            principal: None,
            content: Some(json!({"user_content": "Print it"})),
            comment: None,
        };
        first.history.push(amended);
        let mut versions = vec![plan_document(), plan_document()];
        versions[0].meta.created_at = before(100);
        versions[1].meta.created_at = before(10);
        let versions: Vec<_> = versions.into_iter().map(Arc::new).collect();
        let mut second = request();
        second.id = crate::view::samples::request_id(2);
        let requests = [Arc::new(first), Arc::new(second.clone())];
        let trail = trail(&second, &requests, &versions, "ada", NOW);
        let lines: Vec<_> = trail
            .iter()
            .map(|one| format!("{} {}", one.text, one.by.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(
            lines,
            [
                "Version 1 by analyst",
                "Amended by you",
                "Version 2 by analyst",
                "Waiting for a decision -"
            ]
        );
        assert_eq!(trail[1].said.as_deref(), Some("Print it"));
        let said = feedback(&requests, Some("Project Planning"), before(10));
        assert_eq!(said, Some(("ada".to_owned(), "Print it".to_owned())));
        assert_eq!(feedback(&requests, Some("Project Planning"), before(90)), None);
    }

    #[test]
    fn documents_are_words_and_source_code_is_files() {
        assert_eq!(read(&plan_document()).size, "3 words");
        let files = json!({"files": [{"path": "a.js", "content": "1"}], "entry": "a.js"});
        let source_code = artifact(2, ArtifactType::SourceCode, &files);
        assert_eq!(source(&source_code).unwrap().files.len(), 1);
        assert_eq!(source(&plan_document()), None);
    }

    #[test]
    fn a_digest_is_shortened_where_it_is_long() {
        assert_eq!(short(&"9c1f4be07d22a8e651d7".repeat(2)), "9c1f4be0…51d7");
        assert_eq!(short("abc"), "abc");
    }
}
