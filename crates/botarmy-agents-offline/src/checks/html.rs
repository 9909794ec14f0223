//! Strict parsing of an HTML page: errors of the tokenizer, tags that do not match, and everything
//! that other checks need from a page.

use std::collections::BTreeMap;

use html5gum::{DefaultEmitter, HtmlString, Span, Spanned, StartTag, Token, Tokenizer};

/// A text found in a file, with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) line: usize,
    pub(super) text: String,
}

/// The parts of a page that the checks need.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Places that are not well-formed.
    pub(super) problems: Vec<Found>,
    pub(super) ids: Vec<Found>,
    /// References as they are written.
    pub(super) references: Vec<Found>,
    /// Ids in `data-acceptance` attributes.
    pub(super) acceptance: Vec<String>,
    /// Controls without a name.
    pub(super) nameless: Vec<Found>,
    /// Texts of `script` and `style` elements.
    pub(super) scripts: Vec<Found>,
    pub(super) styles: Vec<Found>,
}

/// Kind of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Html,
    Svg,
}

/// Parses a page.
pub(super) fn read(text: &str, kind: Kind) -> Page {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let line_ends = text.match_indices('\n').map(|(at, _)| at).collect();
    let mut reader = Reader {
        line_ends,
        kind,
        page: Page::default(),
        open: Vec::new(),
        labels: Vec::new(),
        waiting: Vec::new(),
        doctype: false,
    };
    for token in Tokenizer::new_with_emitter(text, emitter) {
        match token {
            Ok(token) => reader.take(token),
            Err(never) => match never {},
        }
    }
    reader.finish()
}

struct Open {
    name: String,
    line: usize,
    /// `true` if an attribute gives it an accessible name.
    named: bool,
    /// `true` if it contains text.
    has_text: bool,
}

struct Reader {
    line_ends: Vec<usize>,
    kind: Kind,
    page: Page,
    open: Vec<Open>,
    labels: Vec<Found>,
    /// Controls whose label may still follow, with their ids.
    waiting: Vec<(Option<String>, Found)>,
    doctype: bool,
}

/// Most nested elements, the limit of browsers.
const MAX_DEPTH: usize = 512;

const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];

/// Elements whose end tag may be left out (HTML, section 13.1.2.4).
const OPTIONAL_END: &[&str] = &[
    "html", "head", "body", "li", "dt", "dd", "p", "rt", "rp", "optgroup", "option", "colgroup",
    "caption", "thead", "tbody", "tfoot", "tr", "td", "th",
];

/// Elements that end an open paragraph.
const ENDS_PARAGRAPH: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "details",
    "dialog",
    "div",
    "dl",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "search",
    "section",
    "table",
    "ul",
];

/// Returns the open elements that a start tag closes implicitly.
fn closed_by(name: &str) -> &'static [&'static str] {
    match name {
        "li" => &["li", "p"],
        "dt" | "dd" => &["dt", "dd", "p"],
        "option" => &["option"],
        "optgroup" => &["option", "optgroup"],
        "td" | "th" => &["td", "th", "p"],
        "tr" => &["td", "th", "tr", "p", "caption", "colgroup"],
        "tbody" | "tfoot" => &["td", "th", "tr", "tbody", "thead", "p", "caption", "colgroup"],
        "body" => &["head"],
        name if ENDS_PARAGRAPH.contains(&name) => &["p"],
        _ => &[],
    }
}

impl Reader {
    fn take(&mut self, token: Token<usize>) {
        match token {
            Token::StartTag(tag) => self.start(&tag),
            Token::EndTag(tag) => self.end(&lossy(&tag.name), tag.span),
            Token::String(text) => self.string(&text),
            Token::Doctype(_) => self.doctype = true,
            Token::Error(error) if self.kind == Kind::Html => {
                let line = self.line(error.span);
                self.problem(line, format!("HTML error \"{}\"", error.value));
            }
            Token::Comment(_) | Token::Error(_) => {}
        }
    }

    fn start(&mut self, tag: &StartTag<usize>) {
        let name = lossy(&tag.name);
        let line = self.line(tag.span);
        while self.open.last().is_some_and(|top| closed_by(&name).contains(&top.name.as_str())) {
            self.open.pop();
        }
        let attributes: BTreeMap<String, String> =
            tag.attributes.iter().map(|(key, value)| (lossy(key), lossy(&value.value))).collect();
        self.attributes(&name, &attributes, line);

        let foreign = self.kind == Kind::Svg
            || matches!(name.as_str(), "svg" | "math")
            || self.open.iter().any(|open| matches!(open.name.as_str(), "svg" | "math"));
        if VOID.contains(&name.as_str()) || (tag.self_closing && foreign) {
            return;
        }
        if tag.self_closing {
            self.problem(line, format!("<{name}/> is not an empty element; it needs </{name}>"));
            return;
        }
        let named = has_own_name(&attributes);
        if self.open.len() == MAX_DEPTH {
            self.problem(line, format!("<{name}> is nested deeper than {MAX_DEPTH} elements"));
            return;
        }
        self.open.push(Open { name, line, named, has_text: false });
    }

    fn attributes(&mut self, name: &str, attributes: &BTreeMap<String, String>, line: usize) {
        let get = |key: &str| attributes.get(key).map(String::as_str);
        let found = |text: &str| Found { line, text: text.to_owned() };
        if let Some(id) = get("id") {
            self.page.ids.push(found(id));
        }
        if let Some(ids) = get("data-acceptance") {
            self.page.acceptance.extend(ids.split_whitespace().map(str::to_owned));
        }
        for key in ["href", "src", "poster", "data", "action", "formaction"] {
            if let Some(reference) = get(key).filter(|_| key != "data" || name == "object") {
                self.page.references.push(found(reference));
            }
        }
        for key in ["srcset", "imagesrcset"] {
            for candidate in get(key).unwrap_or_default().split(',') {
                if let Some(reference) = candidate.split_whitespace().next() {
                    self.page.references.push(found(reference));
                }
            }
        }
        if let Some(target) = get("for").filter(|_| name == "label") {
            self.labels.push(found(target));
        }
        let kind = get("type").unwrap_or("text").to_ascii_lowercase();
        let is_control = match name {
            "input" => !matches!(kind.as_str(), "hidden" | "submit" | "reset" | "button" | "image"),
            "select" | "textarea" => true,
            _ => false,
        };
        let has_name = has_own_name(attributes);
        let in_label = self.open.iter().any(|open| open.name == "label");
        if is_control && !has_name && !in_label {
            let id = get("id").map(str::to_owned);
            let what = id
                .as_ref()
                .map_or_else(|| format!("<{name}>"), |id| format!("<{name} id=\"{id}\">"));
            self.waiting.push((id, found(&what)));
        }
    }

    fn end(&mut self, name: &str, span: Span<usize>) {
        let line = self.line(span);
        if VOID.contains(&name) {
            self.problem(line, format!("</{name}> cannot be: the element is always empty"));
            return;
        }
        let Some(at) = self.open.iter().rposition(|open| open.name == name) else {
            self.problem(line, format!("</{name}> closes nothing"));
            return;
        };
        let above: Vec<Open> = self.open.drain(at..).collect();
        for open in above.iter().skip(1) {
            if !OPTIONAL_END.contains(&open.name.as_str()) {
                self.problem(
                    line,
                    format!(
                        "</{name}> comes while <{}> from line {} is still open",
                        open.name, open.line
                    ),
                );
            }
        }
        if let Some(button) = above.first().filter(|open| is_nameless_button(open)) {
            self.page.nameless.push(Found { line: button.line, text: "<button>".to_owned() });
        }
    }

    fn string(&mut self, text: &Spanned<HtmlString, usize>) {
        let line = self.line(text.span);
        let content = lossy(&text.value);
        match self.open.last().map(|open| open.name.as_str()) {
            Some("script") => self.page.scripts.push(Found { line, text: content }),
            Some("style") => self.page.styles.push(Found { line, text: content }),
            _ if content.trim().is_empty() => {}
            _ => {
                // An element around one with text contains text too.
                for open in self.open.iter_mut().rev().take_while(|open| !open.has_text) {
                    open.has_text = true;
                }
            }
        }
    }

    fn finish(mut self) -> Page {
        for open in std::mem::take(&mut self.open) {
            if !OPTIONAL_END.contains(&open.name.as_str()) {
                self.problem(open.line, format!("<{}> is never closed", open.name));
            }
        }
        if self.kind == Kind::Html && !self.doctype {
            self.problem(1, "the page does not begin with <!doctype html>".to_owned());
        }
        for (id, control) in std::mem::take(&mut self.waiting) {
            if !id.is_some_and(|id| self.labels.iter().any(|label| label.text == id)) {
                self.page.nameless.push(control);
            }
        }
        for label in &self.labels {
            if !self.page.ids.iter().any(|id| id.text == label.text) {
                let text =
                    format!("<label for=\"{}\">, which no element has as its id", label.text);
                self.page.nameless.push(Found { line: label.line, text });
            }
        }
        self.page.problems.sort_by_key(|problem| problem.line);
        self.page
    }

    fn problem(&mut self, line: usize, text: String) {
        // One mistake causes many problems; the first ones are enough.
        if self.page.problems.len() < 50 {
            self.page.problems.push(Found { line, text });
        }
    }

    fn line(&self, span: Span<usize>) -> usize {
        self.line_ends.partition_point(|end| *end < span.start) + 1
    }
}

fn has_own_name(attributes: &BTreeMap<String, String>) -> bool {
    ["aria-label", "aria-labelledby", "title"]
        .iter()
        .any(|key| attributes.get(*key).is_some_and(|value| !value.trim().is_empty()))
}

fn is_nameless_button(open: &Open) -> bool {
    open.name == "button" && !open.named && !open.has_text
}

fn lossy(text: &HtmlString) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(body: &str) -> Vec<String> {
        let page = read(&format!("<!doctype html>{body}"), Kind::Html);
        page.problems.into_iter().map(|found| found.text).collect()
    }

    #[test]
    fn well_formed_pages_have_no_problems() {
        for body in [
            "<html lang=en><body><p>a<p>b<ul><li>a<li>b</ul></body></html>",
            "<table><tr><td>a<td>b<tr><td>c</table>",
            "<select><option>a<option>b</select><br><img src=x alt=''>",
            "<svg viewBox='0 0 1 1'><path d='M0 0'/></svg>",
            "<script>if (a < b && \"</div>\") {}</script><textarea><b></textarea>",
            "<dl><dt>a<dd>b<dt>c<dd>d</dl><p>x<div>y</div>",
            "<template><li>x</li></template>",
        ] {
            assert_eq!(problems(body), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn broken_pages_have_problems() {
        for (body, expected) in [
            ("<div><span></div>", "still open"),
            ("<div>", "never closed"),
            ("</section>", "closes nothing"),
            ("<div/>", "not an empty element"),
            ("</br>", "always empty"),
            ("<b><i></b></i>", "still open"),
            ("<p title=\"a\" title=\"b\">", "duplicate-attribute"),
            ("<!-- never ends", "eof-in-comment"),
        ] {
            let found = problems(body);
            assert!(found.iter().any(|text| text.contains(expected)), "{body}: {found:?}");
        }
        assert_eq!(read("<p>x", Kind::Html).problems.len(), 1);
    }

    #[test]
    fn problems_name_their_line() {
        let page = read("<!doctype html>\n<p>\n<b>x\n", Kind::Html);
        assert_eq!(page.problems, [Found { line: 3, text: "<b> is never closed".to_owned() }]);
    }

    #[test]
    fn controls_need_a_name() {
        let nameless = |body: &str| read(body, Kind::Html).nameless.len();
        assert_eq!(nameless("<input id=a>"), 1);
        assert_eq!(nameless("<input id=a><label for=a>A</label>"), 0);
        assert_eq!(nameless("<label>A <select></select></label>"), 0);
        assert_eq!(nameless("<textarea aria-label='A'></textarea>"), 0);
        assert_eq!(nameless("<input type=hidden><input type=submit>"), 0);
        assert_eq!(nameless("<label for=nobody>A</label>"), 1);
        assert_eq!(nameless("<button> </button>"), 1);
        assert_eq!(nameless("<button><b>Go</b></button><button title=x></button>"), 0);
    }

    #[test]
    fn deep_nesting_is_a_problem_and_costs_no_time() {
        let page = read(
            &format!("<!doctype html>{}{}", "<b>".repeat(100_000), "</i>".repeat(100_000)),
            Kind::Html,
        );
        assert_eq!(page.problems.len(), 50);
    }

    #[test]
    fn references_ids_and_marks_are_collected() {
        let page = read(
            "<a href='a&amp;b'><img srcset='x.png 1x, y.png 2x' id=i data-acceptance=' A B '></a>",
            Kind::Html,
        );
        let references: Vec<_> = page.references.iter().map(|found| found.text.as_str()).collect();
        assert_eq!(references, ["a&b", "x.png", "y.png"]);
        assert_eq!(page.acceptance, ["A", "B"]);
        assert_eq!(page.ids[0].text, "i");
    }
}
