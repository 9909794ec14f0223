//! Documents of agents and people as text for reading. Most are JSON: they become Markdown, with headings,
//! lists and tables, and from there HTML. Comparing two versions compares these texts.

use botarmy_domain::{ArtifactType, SourceCode};
use serde_json::{Map, Value};

use super::markdown;
use super::markup::Markup;

/// Deepest level of a document with headings of its own; what is deeper becomes lists.
const HEADINGS: usize = 3;
/// Deepest level of lists; what is deeper is JSON.
const MAX_DEPTH: usize = 8;
/// Most columns of a table; a list of objects with more members is a list.
const MAX_COLUMNS: usize = 6;
/// Longest text in a cell of a table, in characters; with a longer one there is no table.
const MAX_CELL: usize = 300;
/// Longest document that is shown with headings and lists, in bytes of its text.
const MAX_BYTES: usize = 256 * 1024;

/// Members that come first, in this order, in documents that have them.
const FIRST: [&str; 40] = [
    "title",
    "id",
    "name",
    "summary",
    "idea",
    "passed",
    "ok",
    "question",
    "answer",
    "goals",
    "scope",
    "in",
    "out",
    "user_stories",
    "acceptance",
    "entities",
    "pages",
    "components",
    "flow",
    "decisions",
    "decision",
    "reason",
    "alternative",
    "as_a",
    "i_want",
    "so_that",
    "text",
    "check",
    "file",
    "risk",
    "likelihood",
    "mitigation",
    "milestones",
    "done_when",
    "tasks",
    "tests",
    "checks",
    "failures",
    "target",
    "steps",
];
/// Members about the making of a document, which come last.
const LAST: [&str; 6] =
    ["questions", "not_built", "not_covered", "changes_requested", "remarks", "generated_by"];

/// A document, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentView {
    pub(crate) html: Markup,
    /// Number of words.
    pub(crate) words: usize,
    /// Members beside a text of its own in Markdown: agents are given these too.
    pub(crate) members: Option<Markup>,
}

/// Returns the files of a document that is source code; `None` for another one.
pub(crate) fn source_code(kind: ArtifactType, content: &Map<String, Value>) -> Option<SourceCode> {
    if kind != ArtifactType::SourceCode {
        return None;
    }
    let code = SourceCode::read(&Value::Object(content.clone()));
    code.ok()
}

/// Returns a document as it is shown.
pub(crate) fn view(kind: ArtifactType, content: &Map<String, Value>) -> DocumentView {
    let text = text(kind, content);
    let members = markdown_of(content).map(|_| {
        let mut rest = content.clone();
        rest.remove("markdown");
        rest
    });
    let members = members.filter(|members| !members.is_empty());
    DocumentView {
        words: text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count(),
        html: markdown::render(&text),
        members: members.map(|members| markdown::render(&of_members(&members))),
    }
}

/// Returns a document as Markdown: its own text, if it has one, or its members.
pub(crate) fn text(kind: ArtifactType, content: &Map<String, Value>) -> String {
    if let Some(text) = markdown_of(content) {
        return text.to_owned();
    }
    let text = match kind {
        ArtifactType::UserInput => simple(content, &["idea", "text", "content"]),
        ArtifactType::HitlResponse => {
            simple(content, &["feedback", "user_content", "content", "text"])
        }
        _ => None,
    };
    text.unwrap_or_else(|| of_members(content))
}

/// Returns one line that names the result of a document, such as `2 of 14 checks failed`.
pub(crate) fn outcome(kind: ArtifactType, content: &Map<String, Value>) -> Option<String> {
    match kind {
        ArtifactType::TestResults => {
            let checks = content.get("checks").and_then(Value::as_array)?;
            let passed = |check: &&Value| check.get("passed") == Some(&Value::Bool(true));
            let passed = checks.iter().filter(passed).count();
            Some(format!("{passed} of {} passed", checks.len()))
        }
        ArtifactType::SourceCode => {
            let files = content.get("files").and_then(Value::as_array)?.len();
            Some(if files == 1 { "1 file".to_owned() } else { format!("{files} files") })
        }
        _ => None,
    }
}

fn markdown_of(content: &Map<String, Value>) -> Option<&str> {
    content.get("markdown").and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

/// Returns the text of a document that is one text and nothing else.
fn simple(content: &Map<String, Value>, names: &[&str]) -> Option<String> {
    let name = names.iter().find(|name| content.get(**name).is_some_and(Value::is_string))?;
    let is_all = content.len() == 1;
    is_all.then(|| content[*name].as_str().unwrap_or_default().to_owned())
}

fn of_members(content: &Map<String, Value>) -> String {
    let mut writer = Writer::default();
    let mut content = content.clone();
    if content.get("title").is_some_and(is_short_text) {
        let title = content.remove("title").unwrap_or_default();
        writer.heading(1, &one_line(title.as_str().unwrap_or_default()));
    }
    if content.is_empty() {
        writer.line("(empty)");
    }
    writer.members(&content, 2);
    if writer.text.len() > MAX_BYTES {
        // Too long to be read with headings: as JSON it is at least complete.
        return serde_json::to_string_pretty(&content).unwrap_or_default();
    }
    writer.text
}

#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Ends the block before.
    fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn heading(&mut self, level: usize, title: &str) {
        self.gap();
        self.line(&format!("{} {}", "#".repeat(level), escaped(title)));
        self.gap();
    }

    fn members(&mut self, content: &Map<String, Value>, level: usize) {
        for (name, value) in in_order(content) {
            let is_lead = matches!(name.as_str(), "summary" | "idea") && level == 2;
            if !(is_lead && value.is_string()) {
                self.heading(level, &title(name));
            }
            self.value(value, level);
        }
    }

    fn value(&mut self, value: &Value, level: usize) {
        match value {
            Value::String(text) => self.paragraphs(text),
            Value::Object(members) if members.is_empty() => self.line("(none)"),
            Value::Object(members) if level <= HEADINGS => self.members(members, level + 1),
            Value::Array(items) if items.is_empty() => self.line("(none)"),
            Value::Array(items) => {
                if let Some(columns) = columns(items) {
                    self.table(&columns, items);
                } else {
                    self.list(value, 0);
                }
            }
            Value::Object(_) => self.list(value, 0),
            scalar => self.line(&scalar_text(scalar)),
        }
        self.gap();
    }

    /// Writes a text of an agent, which may itself be Markdown.
    fn paragraphs(&mut self, text: &str) {
        let text = text.trim_end();
        if text.trim().is_empty() {
            self.line("(empty)");
            return;
        }
        self.line(text);
        // A block of code that is not closed would take in what follows.
        if let Some(fence) = open_fence(text) {
            self.line(&fence);
        }
    }

    fn table(&mut self, columns: &[&str], items: &[Value]) {
        let row = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        self.line(&row(columns.iter().map(|name| cell(&title(name))).collect()));
        self.line(&row(columns.iter().map(|_| "---".to_owned()).collect()));
        for item in items {
            let text = |name: &&str| item.get(*name).map_or_else(String::new, cell_text);
            self.line(&row(columns.iter().map(text).collect()));
        }
    }

    fn list(&mut self, value: &Value, depth: usize) {
        let indent = "  ".repeat(depth);
        if depth > MAX_DEPTH {
            self.line(&format!("{indent}- {}", code(&value.to_string())));
            return;
        }
        match value {
            Value::Array(items) => {
                for item in items {
                    self.item(&indent, None, item, depth);
                }
            }
            Value::Object(members) => {
                for (name, item) in in_order(members) {
                    self.item(&indent, Some(name), item, depth);
                }
            }
            scalar => self.line(&format!("{indent}{}", scalar_text(scalar))),
        }
    }

    fn item(&mut self, indent: &str, name: Option<&str>, item: &Value, depth: usize) {
        let label = name.map(|name| format!("**{}**", escaped(&title(name))));
        match item {
            Value::Object(members) if members.is_empty() => self.labelled(indent, label, "(none)"),
            Value::Array(items) if items.is_empty() => self.labelled(indent, label, "(none)"),
            Value::Object(members) if label.is_none() => {
                // The first members name the object.
                let (head, rest) = head_of(members);
                self.line(&format!("{indent}- {head}"));
                if !rest.is_empty() {
                    self.list(&Value::Object(rest), depth + 1);
                }
            }
            Value::Array(_) | Value::Object(_) => {
                self.line(&format!("{indent}- {}", label.unwrap_or_default()));
                self.list(item, depth + 1);
            }
            scalar => self.labelled(indent, label, &scalar_text(scalar)),
        }
    }

    fn labelled(&mut self, indent: &str, label: Option<String>, text: &str) {
        match label {
            Some(label) => self.line(&format!("{indent}- {label}: {text}")),
            None => self.line(&format!("{indent}- {text}")),
        }
    }
}

/// Returns the members of an object in the order in which people read them.
fn in_order(content: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let rank = |name: &str| {
        let first = FIRST.iter().position(|one| *one == name);
        let last = LAST.iter().position(|one| *one == name);
        match (first, last) {
            (Some(at), _) => (0, at),
            (None, None) => (1, 0),
            (None, Some(at)) => (2, at),
        }
    };
    let mut members: Vec<_> = content.iter().collect();
    members.sort_by_key(|(name, _)| rank(name));
    members
}

/// Returns one line about an object, and the members that are not in it.
fn head_of(members: &Map<String, Value>) -> (String, Map<String, Value>) {
    let mut rest = members.clone();
    let text = |rest: &mut Map<String, Value>, name: &str| {
        let value =
            rest.get(name).filter(|value| is_short_text(value) || value.is_number())?.clone();
        rest.remove(name);
        Some(scalar_text(&value))
    };
    let mut parts = Vec::new();
    if let Some(id) = text(&mut rest, "id") {
        parts.push(format!("**{id}**"));
    }
    let story = ["as_a", "i_want", "so_that"];
    if story.iter().all(|name| rest.get(*name).is_some_and(is_short_text)) {
        let mut next = |name| text(&mut rest, name).unwrap_or_default();
        parts.push(format!(
            "As {}, I want {}, so that {}.",
            next("as_a"),
            next("i_want"),
            next("so_that")
        ));
    } else {
        let names = ["title", "name", "decision", "text", "risk", "check", "file", "path"];
        let name = names.iter().find_map(|name| text(&mut rest, name));
        parts.extend(name);
    }
    if parts.is_empty() {
        let first = in_order(members).first().map(|(name, _)| (*name).clone());
        if let Some((name, value)) =
            first.and_then(|name| text(&mut rest, &name).map(|text| (name, text)))
        {
            parts.push(format!("**{}**: {value}", escaped(&title(&name))));
        }
    }
    let head = if parts.is_empty() { "…".to_owned() } else { parts.join(" ") };
    (head, rest)
}

/// Returns the columns of a list of objects that can be a table.
fn columns(items: &[Value]) -> Option<Vec<&str>> {
    if items.len() < 2 {
        return None;
    }
    let mut names: Vec<(&String, &Value)> = Vec::new();
    for item in items {
        for (name, value) in item.as_object()? {
            let fits = match value {
                Value::String(text) => text.chars().count() <= MAX_CELL && !text.contains('\n'),
                Value::Array(items) => items.iter().all(is_short_text) && items.len() <= 8,
                Value::Object(_) => false,
                _ => true,
            };
            if !fits {
                return None;
            }
            if !names.iter().any(|(known, _)| *known == name) {
                names.push((name, value));
            }
            if names.len() > MAX_COLUMNS {
                return None;
            }
        }
    }
    let all: Map<String, Value> =
        names.iter().map(|(name, value)| ((*name).clone(), (*value).clone())).collect();
    let ordered: Vec<String> = in_order(&all).into_iter().map(|(name, _)| name.clone()).collect();
    let find = |name: String| {
        names.iter().find(|(known, _)| **known == name).map(|(known, _)| known.as_str())
    };
    let columns: Vec<&str> = ordered.into_iter().filter_map(find).collect();
    (columns.len() > 1).then_some(columns)
}

fn is_short_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.chars().count() <= MAX_CELL && !text.contains('\n'))
}

fn cell_text(value: &Value) -> String {
    match value {
        Value::String(text) if text.trim().is_empty() => String::new(),
        Value::Array(items) => cell(&items.iter().map(scalar_text).collect::<Vec<_>>().join(", ")),
        scalar => cell(&scalar_text(scalar)),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Returns a value on one line.
fn scalar_text(value: &Value) -> String {
    match value {
        Value::String(text) if text.trim().is_empty() => "(empty)".to_owned(),
        Value::String(text) => unmarked(&one_line(text)),
        Value::Null => "(none)".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        other => code(&other.to_string()),
    }
}

/// Returns the line without a mark that would make a block of it, as in a list or a table.
fn unmarked(line: &str) -> String {
    let is_mark = line.starts_with(['#', '>', '-', '+', '*', '|', '`', '~', '=', '[', '<'])
        || line.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(['.', ')']);
    let is_emphasis = line.starts_with("**") || line.starts_with('`') && !line.starts_with("```");
    if is_mark && !is_emphasis { escaped_first(line) } else { line.to_owned() }
}

fn escaped_first(line: &str) -> String {
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = line.split_at(digits);
    format!("{number}\\{rest}")
}

/// Escapes all that Markdown reads as a mark.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() && !".,:;()/-?!'%".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Returns a text as code in a line.
fn code(text: &str) -> String {
    let text = one_line(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let mark = "`".repeat(longest + 1);
    format!("{mark} {text} {mark}")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Turns a name such as `user_stories` into a title such as `User stories`.
pub(crate) fn title(name: &str) -> String {
    let spaced = one_line(&name.replace('_', " "));
    let mut chars = spaced.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Returns the mark that closes the block of code which is open at the end of a text.
fn open_fence(text: &str) -> Option<String> {
    let mut open: Option<(char, usize)> = None;
    for line in text.lines() {
        let line = line.trim_start();
        let Some(mark) = line.chars().next().filter(|c| *c == '`' || *c == '~') else { continue };
        let length = line.chars().take_while(|c| *c == mark).count();
        if length < 3 {
            continue;
        }
        open = match open {
            None => Some((mark, length)),
            Some((known, least)) => {
                let closes = known == mark && length >= least && line[length..].trim().is_empty();
                (!closes).then_some((known, least))
            }
        };
    }
    open.map(|(mark, length)| mark.to_string().repeat(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::view::markup::testing::parse;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("an object") };
        map
    }

    fn of(kind: ArtifactType, value: Value) -> String {
        text(kind, &object(value))
    }

    #[test]
    fn a_plan_has_headings_lists_and_tables() {
        let text = of(
            ArtifactType::ProjectPlan,
            json!({
                "questions": [],
                "scope": {"out": ["b | c"], "in": ["# a"]},
                "risks": [
                    {"mitigation": "w", "risk": "late"},
                    {"risk": "x|y", "likelihood": "low"},
                ],
                "title": "Plan *A*",
                "summary": "One **plan**.\n\n```\ncode",
                "milestones": [{"id": "M1", "name": "First", "done_when": "it works"}],
            }),
        );
        assert_eq!(
            text,
            "# Plan \\*A\\*\n\nOne **plan**.\n\n```\ncode\n```\n\n## Scope\n\n### In\n\n- \\# a\n\n\
             ### Out\n\n- b | c\n\n## Milestones\n\n- **M1** First\n  - **Done when**: it works\n\n\
             ## Risks\n\n| Risk | Likelihood | Mitigation |\n| --- | --- | --- |\n| late |  | w |\n\
             | x\\|y | low |  |\n\n## Questions\n\n(none)\n\n"
        );
    }

    #[test]
    fn user_stories_are_sentences() {
        let text = of(
            ArtifactType::SoftwareSpecification,
            json!({"user_stories": [{
                "id": "S1", "as_a": "cook", "i_want": "to write", "so_that": "I find it",
                "acceptance": [{"id": "A1", "text": "It is saved"}],
            }]}),
        );
        assert_eq!(
            text,
            "## User stories\n\n- **S1** As cook, I want to write, so that I find it.\n  - \
             **Acceptance**\n    - **A1** It is saved\n\n"
        );
    }

    #[test]
    fn a_text_in_markdown_is_taken_and_the_other_members_are_shown_beside_it() {
        let content = object(json!({"markdown": "# Mine\n\ntwo words", "hidden": "x"}));
        let view = view(ArtifactType::ProjectPlan, &content);
        assert_eq!(view.html.as_str(), "<h2 id=\"doc-mine\">Mine</h2><p>two words</p>");
        assert_eq!(view.words, 3);
        assert!(view.members.unwrap().as_str().contains("<p>x</p>"));
        let alone = object(json!({"markdown": "x"}));
        assert_eq!(super::view(ArtifactType::ProjectPlan, &alone).members, None);
        assert_eq!(of(ArtifactType::UserInput, json!({"idea": "A *site*"})), "A *site*");
        let more = of(ArtifactType::UserInput, json!({"idea": "A", "language": "de"}));
        assert_eq!(more, "A\n\n## Language\n\nde\n\n");
    }

    #[test]
    fn results_of_tests_and_source_code_are_counted() {
        let results = object(json!({"checks": [{"passed": true}, {"passed": false}, {}]}));
        let outcome = |kind, content: &Map<String, Value>| outcome(kind, content);
        assert_eq!(outcome(ArtifactType::TestResults, &results).as_deref(), Some("1 of 3 passed"));
        let code = object(json!({"files": [{"path": "a", "content": "b"}]}));
        assert_eq!(outcome(ArtifactType::SourceCode, &code).as_deref(), Some("1 file"));
        assert_eq!(source_code(ArtifactType::SourceCode, &code).unwrap().files.len(), 1);
        assert_eq!(source_code(ArtifactType::ProjectPlan, &code), None);
        assert_eq!(source_code(ArtifactType::SourceCode, &results), None);
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i32>().prop_map(Value::from),
            "[ -~]{0,12}".prop_map(Value::from),
            "(```|# |- |<b>|\\||\n|x){0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("[a-z_]{1,8}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_document_is_shown_with_all_its_words(value in json_value(), word in "[a-z]{9}") {
            let content = object(json!({"member": value, "last": word}));
            let shown = view(ArtifactType::AgentOutput, &content);
            prop_assert!(parse(&shown.html).text.contains(&word), "{}", shown.html);
        }
    }

    #[test]
    fn a_document_without_end_in_depth_or_length_is_shown() {
        let mut deep = json!("bottom");
        for _ in 0..120 {
            deep = json!([{"in": deep}]);
        }
        let shown = view(ArtifactType::AgentOutput, &object(json!({"a": deep})));
        assert!(parse(&shown.html).text.contains("bottom"));
        let long = json!({"a": vec!["word"; 100_000]});
        let shown = view(ArtifactType::AgentOutput, &object(long));
        assert!(shown.html.as_str().starts_with("<pre"));
    }
}
