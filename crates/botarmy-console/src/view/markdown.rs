//! Markdown of agents and people as HTML. The text is not trusted: nothing in it may run, fetch or
//! navigate by itself.
//!
//! The events of the parser are filtered and written here, so no tag and no attribute exists in the
//! result that this file does not write. Raw HTML becomes text. Links keep `https`, `http`, `mailto` and
//! fragments. An image becomes a link, so nothing is fetched.

use std::collections::BTreeMap;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::markup::Markup;
use super::source;

/// Longest text that is read as Markdown, in bytes; a longer one is shown as it is.
const MAX_BYTES: usize = 256 * 1024;
/// Most levels of lists and quotations, one in the other. Deeper ones are shown at this level.
const MAX_DEPTH: usize = 16;
/// Most lists and quotations that one line of Markdown may open.
const MAX_OPENED: usize = 64;
/// Prefix of the ids of headings, so that none is the id of another part of the page.
const ID_PREFIX: &str = "doc-";
/// Longest id of a heading, in characters.
const MAX_ID: usize = 60;
/// Start tag of a cell in the head of a table.
const HEAD_CELL: &str = "<th scope=\"col\">";
/// Attributes of links that leave the console.
const EXTERNAL: &str = "rel=\"noopener noreferrer nofollow\"";

/// Returns a text as HTML, with ids for its headings.
pub(crate) fn render(text: &str) -> Markup {
    written(text, Writer::default())
}

/// Returns a short text beside a document as HTML. Its headings are paragraphs, so that they are none of
/// the page.
pub(crate) fn words(text: &str) -> Markup {
    written(text, Writer { is_remark: true, ..Writer::default() })
}

fn written(text: &str, mut writer: Writer) -> Markup {
    // The parser takes very long for lines that open thousands of lists.
    if text.len() > MAX_BYTES || text.lines().any(|line| opened(line) > MAX_OPENED) {
        return plain(text);
    }
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let parser = Parser::new_ext(text, options);
    let mut definitions: Vec<(String, String)> = parser
        .reference_definitions()
        .iter()
        .map(|(label, definition)| {
            (label.to_owned(), target(&definition.dest, definition.title.as_deref()))
        })
        .collect();
    definitions.sort_unstable();
    for event in parser {
        writer.event(event);
    }
    writer.finish();
    writer.definitions(&definitions);
    writer.html
}

/// Returns a text as it is.
pub(crate) fn plain(text: &str) -> Markup {
    let mut html = Markup::default();
    html.push_tags("<pre tabindex=\"0\">");
    html.push_code(text);
    html.push_tags("</pre>");
    html
}

/// Returns the number of lists and quotations that a line opens or continues, at most.
fn opened(line: &str) -> usize {
    let mut rest = line.trim_start();
    let mut count = 0;
    loop {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let mark = &rest[digits..];
        let is_mark =
            mark.starts_with(if digits > 0 { &['.', ')'][..] } else { &['>', '-', '+', '*'][..] });
        if !is_mark {
            return count;
        }
        count += 1;
        rest = mark[1..].trim_start();
    }
}

/// Returns the address of a definition with its title, which is not shown elsewhere.
fn target(address: &str, title: Option<&str>) -> String {
    match title {
        Some(title) => format!("{address} \"{title}\""),
        None => address.to_owned(),
    }
}

/// An open element of the parser, and what was written for it.
enum Open {
    /// An element with this end tag; empty if no tag was written.
    Element(&'static str),
    /// A heading, whose id is known at its end.
    Heading { level: u8, outer: Markup, text: String },
    /// A fenced or indented block of code.
    Code { language: Option<String>, text: String },
    /// A link with an address that is kept.
    Link,
    /// A link whose address is only shown.
    Shown { address: String },
    /// An image, with its address.
    Image { address: String, text: String },
}

#[derive(Default)]
struct Writer {
    html: Markup,
    open: Vec<Open>,
    /// Places in `open` of those that collect text. Nested marks are many, so that they are not looked
    /// through.
    collecting: Vec<usize>,
    /// Whether an image is open: it has text only.
    is_in_image: bool,
    /// Number of open lists and quotations with tags.
    depth: usize,
    /// Whether the row of the table is its head.
    is_head: bool,
    /// Whether a link is open: links do not nest.
    is_in_link: bool,
    /// Ids of headings, with the last number that was added to each to make another.
    ids: BTreeMap<String, usize>,
    /// Whether headings become paragraphs.
    is_remark: bool,
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.text(&text);
            }
            Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::FootnoteReference(text) => self.text(&text),
            Event::Code(text) => {
                if !self.is_collected(&text) {
                    self.html.push_tags("<code>");
                    self.html.push_code(&text);
                    self.html.push_tags("</code>");
                }
            }
            Event::SoftBreak => self.text("\n"),
            Event::HardBreak => {
                if !self.is_collected("\n") {
                    self.html.push_tags("<br>");
                }
            }
            Event::Rule => self.html.push_tags("<hr>"),
            Event::TaskListMarker(is_done) => self.text(if is_done { "☑ " } else { "☐ " }),
        }
    }

    fn text(&mut self, text: &str) {
        if !self.is_collected(text) {
            self.html.push_text(text);
        }
    }

    /// Keeps a text for an open block of code, an image or the id of a heading; returns whether it is
    /// written later.
    fn is_collected(&mut self, more: &str) -> bool {
        let open = self.collecting.last().and_then(|at| self.open.get_mut(*at));
        match open {
            Some(Open::Code { text, .. } | Open::Image { text, .. }) => {
                text.push_str(more);
                true
            }
            Some(Open::Heading { text, .. }) => {
                text.push_str(more);
                false
            }
            Some(Open::Element(_) | Open::Link | Open::Shown { .. }) | None => false,
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        let open = match tag {
            Tag::Paragraph => self.element("<p>", "</p>"),
            Tag::Heading { level, .. } => {
                let outer = std::mem::take(&mut self.html);
                Open::Heading { level: lowered(level), outer, text: String::new() }
            }
            Tag::BlockQuote(_) => self.nested("<blockquote>", "</blockquote>"),
            Tag::CodeBlock(kind) => {
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.split([' ', ',']).next().map(str::to_owned),
                    CodeBlockKind::Indented => None,
                };
                Open::Code { language, text: String::new() }
            }
            Tag::List(None) => self.nested("<ul>", "</ul>"),
            Tag::List(Some(first)) => self.ordered(first),
            Tag::Item if self.is_too_deep() => self.element("<br>", ""),
            Tag::Item => self.element("<li>", "</li>"),
            Tag::Table(_) => {
                self.element("<div class=\"scroll\" tabindex=\"0\"><table>", "</table></div>")
            }
            Tag::TableHead => {
                self.is_head = true;
                self.element("<thead><tr>", "</tr></thead><tbody>")
            }
            Tag::TableRow => self.element("<tr>", "</tr>"),
            Tag::TableCell if self.is_head => self.element(HEAD_CELL, "</th>"),
            Tag::TableCell => self.element("<td>", "</td>"),
            Tag::Emphasis => self.element("<em>", "</em>"),
            Tag::Strong => self.element("<strong>", "</strong>"),
            Tag::Strikethrough => self.element("<del>", "</del>"),
            Tag::Link { dest_url, .. } => self.link(&dest_url),
            // Its text is a part of that of the image around it.
            Tag::Image { .. } if self.is_in_image => Open::Element(""),
            Tag::Image { dest_url, .. } => {
                self.is_in_image = true;
                Open::Image { address: dest_url.to_string(), text: String::new() }
            }
            // None of the others is switched on, or has a tag: their text is shown.
            _ => Open::Element(""),
        };
        if matches!(open, Open::Heading { .. } | Open::Code { .. } | Open::Image { .. }) {
            self.collecting.push(self.open.len());
        }
        self.open.push(open);
    }

    fn element(&mut self, start: &'static str, end: &'static str) -> Open {
        if self.is_in_image {
            return Open::Element("");
        }
        self.html.push_tags(start);
        Open::Element(end)
    }

    const fn is_too_deep(&self) -> bool {
        self.depth > MAX_DEPTH
    }

    /// Begins a list or a quotation, with tags unless there are too many around it.
    fn nested(&mut self, start: &'static str, end: &'static str) -> Open {
        self.depth += 1;
        if self.is_too_deep() { Open::Element("") } else { self.element(start, end) }
    }

    fn ordered(&mut self, first: u64) -> Open {
        if first == 1 || self.depth >= MAX_DEPTH {
            return self.nested("<ol>", "</ol>");
        }
        self.depth += 1;
        self.html.push_tags("<ol start=\"");
        self.html.push_text(&first.to_string());
        self.html.push_tags("\">");
        Open::Element("</ol>")
    }

    fn link(&mut self, address: &str) -> Open {
        if self.is_in_link || self.is_in_image {
            return Open::Element("");
        }
        match kept(address) {
            Some(href) => {
                self.is_in_link = true;
                self.begin_link(&href);
                Open::Link
            }
            None => Open::Shown { address: address.to_owned() },
        }
    }

    fn begin_link(&mut self, href: &str) {
        self.html.push_tags("<a href=\"");
        self.html.push_text(href);
        self.html.push_tags("\" ");
        self.html.push_tags(EXTERNAL);
        self.html.push_tags(">");
    }

    fn end(&mut self, tag: TagEnd) {
        if matches!(tag, TagEnd::List(_) | TagEnd::BlockQuote(_)) {
            self.depth -= 1;
        }
        if tag == TagEnd::TableHead {
            self.is_head = false;
        }
        match self.close() {
            None => {}
            // A head without text is no head: a screen reader would announce nothing.
            Some(Open::Element("</th>")) if self.html.remove_tags(HEAD_CELL) => {
                self.html.push_tags("<td></td>");
            }
            Some(Open::Element(end)) => {
                // The body of the table began with the end of its head.
                if tag == TagEnd::Table && end == "</table></div>" {
                    self.html.push_tags("</tbody>");
                }
                self.html.push_tags(end);
            }
            Some(Open::Heading { level, outer, text }) => self.end_heading(level, outer, &text),
            Some(Open::Code { language, text }) => self.code(language.as_deref(), &text),
            Some(Open::Link) => {
                self.is_in_link = false;
                self.html.push_tags("</a>");
            }
            Some(Open::Shown { address }) => self.shown(&address),
            Some(Open::Image { address, text }) => self.image(&address, &text),
        }
    }

    /// Returns the innermost open element, which is closed.
    fn close(&mut self) -> Option<Open> {
        let open = self.open.pop()?;
        if self.collecting.last() == Some(&self.open.len()) {
            self.collecting.pop();
        }
        if matches!(open, Open::Image { .. }) {
            self.is_in_image = false;
        }
        Some(open)
    }

    fn end_heading(&mut self, level: u8, outer: Markup, text: &str) {
        let inner = std::mem::replace(&mut self.html, outer);
        if self.is_remark {
            self.html.push_tags("<p><strong>");
            self.html.push(&inner);
            self.html.push_tags("</strong></p>");
            return;
        }
        let (start, end) = match level {
            2 => ("<h2 id=\"", "</h2>"),
            3 => ("<h3 id=\"", "</h3>"),
            4 => ("<h4 id=\"", "</h4>"),
            5 => ("<h5 id=\"", "</h5>"),
            _ => ("<h6 id=\"", "</h6>"),
        };
        let id = self.free_id(text);
        self.html.push_tags(start);
        self.html.push_text(&id);
        self.html.push_tags("\">");
        self.html.push(&inner);
        self.html.push_tags(end);
    }

    fn free_id(&mut self, text: &str) -> String {
        let slug = slug(text);
        // Headings that are equal go on counting, so that each is looked at a few times only.
        let mut n = self.ids.get(&slug).map_or(1, |last| last + 1);
        let mut id = slug.clone();
        while n > 1 {
            id = format!("{slug}-{n}");
            if !self.ids.contains_key(&id) {
                break;
            }
            n += 1;
        }
        self.ids.insert(slug, n);
        self.ids.entry(id.clone()).or_insert(1);
        format!("{ID_PREFIX}{id}")
    }

    fn code(&mut self, language: Option<&str>, text: &str) {
        if self.is_in_image {
            return;
        }
        self.html.push_tags("<pre class=\"code\" tabindex=\"0\"><code>");
        let html = source::highlight(language.unwrap_or_default(), text);
        self.html.push(&html);
        self.html.push_tags("</code></pre>");
    }

    /// Shows the address of a link that is not kept, because the text need not be true.
    fn shown(&mut self, address: &str) {
        if address.is_empty() || self.is_collected("") {
            return;
        }
        self.html.push_tags(" <code>");
        self.html.push_code(address);
        self.html.push_tags("</code>");
    }

    fn image(&mut self, address: &str, text: &str) {
        let text = if text.trim().is_empty() { "Image" } else { text };
        if self.is_collected(text) {
            return;
        }
        match kept(address).filter(|_| !self.is_in_link) {
            Some(href) => {
                self.begin_link(&href);
                self.html.push_text(text);
                self.html.push_tags("</a>");
            }
            None => {
                self.html.push_text(text);
                if kept(address).is_none() {
                    self.shown(address);
                }
            }
        }
    }

    fn finish(&mut self) {
        // The parser closes all that it opens; this makes the writer independent of it.
        while let Some(open) = self.close() {
            match open {
                Open::Element(end) => self.html.push_tags(end),
                Open::Link => self.html.push_tags("</a>"),
                Open::Heading { level, outer, text } => self.end_heading(level, outer, &text),
                Open::Code { text, .. } | Open::Image { text, .. } => self.html.push_text(&text),
                Open::Shown { .. } => {}
            }
        }
    }

    /// Appends the definitions of links: they have no place in the text, and must not hide anything.
    fn definitions(&mut self, definitions: &[(String, String)]) {
        if definitions.is_empty() {
            return;
        }
        self.html.push_tags("<ul class=\"refs\">");
        for (label, target) in definitions {
            self.html.push_tags("<li><code>");
            self.html.push_code(&format!("[{label}]: {target}"));
            self.html.push_tags("</code></li>");
        }
        self.html.push_tags("</ul>");
    }
}

/// Returns the level of a heading below the one heading of the page.
const fn lowered(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 2,
        HeadingLevel::H2 => 3,
        HeadingLevel::H3 => 4,
        HeadingLevel::H4 => 5,
        HeadingLevel::H5 | HeadingLevel::H6 => 6,
    }
}

/// Returns the letters and digits of a text with hyphens between them.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().take(MAX_ID) {
        if c.is_alphanumeric() {
            slug.extend(c.to_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "part".to_owned() } else { slug.to_owned() }
}

/// Returns the address of a link if a page may have it. Browsers skip white space and control characters
/// in addresses, so none is accepted; an address without a scheme would lead into the console.
fn kept(address: &str) -> Option<String> {
    if address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    if let Some(fragment) = address.strip_prefix('#') {
        return Some(format!("#{ID_PREFIX}{}", slug(fragment)));
    }
    let (scheme, rest) = address.split_once(':')?;
    let is_kept = match scheme.to_ascii_lowercase().as_str() {
        "https" | "http" => rest.starts_with("//"),
        "mailto" => true,
        _ => false,
    };
    is_kept.then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::view::markup::testing::parse;

    /// Tags that may be in the result, with their attributes.
    const TAGS: [(&str, &[&str]); 28] = [
        ("p", &[]),
        ("h2", &["id"]),
        ("h3", &["id"]),
        ("h4", &["id"]),
        ("h5", &["id"]),
        ("h6", &["id"]),
        ("blockquote", &[]),
        ("pre", &["class", "tabindex"]),
        ("code", &[]),
        ("span", &["class"]),
        ("ul", &["class"]),
        ("ol", &["start"]),
        ("li", &[]),
        ("div", &["class", "tabindex"]),
        ("table", &[]),
        ("thead", &[]),
        ("tbody", &[]),
        ("tr", &[]),
        ("th", &["scope"]),
        ("td", &[]),
        ("em", &[]),
        ("strong", &[]),
        ("del", &[]),
        ("a", &["href", "rel"]),
        ("br", &[]),
        ("hr", &[]),
        ("ins", &[]),
        ("small", &[]),
    ];

    fn check(text: &str) -> String {
        let html = render(text);
        let parsed = parse(&html);
        let mut ids = std::collections::BTreeSet::new();
        for (name, attributes) in &parsed.tags {
            let (_, allowed) = TAGS
                .iter()
                .find(|(known, _)| known == name)
                .unwrap_or_else(|| panic!("<{name}> of {text:?}: {html}"));
            for (attribute, value) in attributes {
                assert!(allowed.contains(&attribute.as_str()), "{attribute} of {text:?}: {html}");
                match attribute.as_str() {
                    "href" => {
                        let is_safe = ["https://", "http://", "mailto:", "#doc-"]
                            .iter()
                            .any(|start| value.to_ascii_lowercase().starts_with(start));
                        assert!(is_safe, "{value} of {text:?}");
                    }
                    "rel" => assert_eq!(value, "noopener noreferrer nofollow"),
                    "id" => assert!(value.starts_with("doc-") && ids.insert(value), "{value}"),
                    "class" => assert!(
                        ["scroll", "refs", "code", "bidi", "k", "s", "f", "o", "c"]
                            .contains(&value.as_str()),
                        "{value}"
                    ),
                    _ => {}
                }
            }
            if name == "a" {
                assert_eq!(attributes.len(), 2, "{html}");
            }
        }
        html.as_str().to_owned()
    }

    proptest! {
        #[test]
        fn any_text_gives_listed_tags_attributes_and_schemes_only(text in "\\PC{0,200}") {
            check(&text);
        }

        #[test]
        fn marks_in_any_order_give_listed_tags_attributes_and_schemes_only(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("\n"), Just("\n\n"), Just("# "), Just("> "), Just("- "), Just("1. "),
                    Just("7) "), Just("    "), Just("\t"), Just("```"), Just("~~~js\n"), Just("`"),
                    Just("**"), Just("_"), Just("~~"), Just("["), Just("]("), Just(")"), Just("!["),
                    Just("]: "), Just("[a]"), Just("[a]: javascript:alert(1) \"t\"\n"),
                    Just("javascript:alert(1)"), Just("JaVaScRiPt&colon;alert(1)"),
                    Just("https://a.example/\"onload=x"), Just("<https://a.example>"),
                    Just("<javascript:alert(1)>"), Just("data:text/html,<script>"),
                    Just("<script>alert(1)</script>"), Just("<img src=x onerror=alert(1)>"),
                    Just("<!--"), Just("-->"), Just("<![CDATA["), Just("<?"), Just("<a href='"),
                    Just("| a | b |\n"), Just("|---|:-:|\n"), Just("- [x] "), Just("---\n"),
                    Just("&lt;"), Just("&#0;"), Just("&#x202e;"), Just("\u{202e}"), Just("\u{0}"),
                    Just("\r"), Just("text"), Just("é"), Just("\"'<>&"), Just("$x$"), Just("[^1]"),
                    Just("mailto:a@b.example"), Just("#doc-x"), Just("//evil.example"), Just("\\"),
                ],
                0..60,
            )
        ) {
            check(&parts.concat());
        }
    }

    #[test]
    fn what_is_known_to_be_bad_becomes_text() {
        for (text, expected) in [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("a <b onclick=x>b</b>", "<p>a &lt;b onclick=x&gt;b&lt;/b&gt;</p>"),
            ("[x](javascript:alert(1))", "<p>x <code>javascript:alert(1)</code></p>"),
            ("[x](JAVASCRIPT:alert(1))", "<p>x <code>JAVASCRIPT:alert(1)</code></p>"),
            ("[x](<java\tscript:alert(1)>)", "<p>x <code>java\tscript:alert(1)</code></p>"),
            ("[x](&#106;avascript:1)", "<p>x <code>javascript:1</code></p>"),
            ("[x](data:text/html;base64,x)", "<p>x <code>data:text/html;base64,x</code></p>"),
            ("[x](//evil.example)", "<p>x <code>//evil.example</code></p>"),
            ("[x](/console/stop)", "<p>x <code>/console/stop</code></p>"),
            ("[x](https:evil.example)", "<p>x <code>https:evil.example</code></p>"),
            ("![x](https://a.example/y.png)", &link("https://a.example/y.png", "x")),
            ("![](https://a.example/y.png)", &link("https://a.example/y.png", "Image")),
            ("![x](y.png)", "<p>x <code>y.png</code></p>"),
            ("[![x](https://b.example)](https://a.example)", &link("https://a.example", "x")),
            ("[a\\\"b](https://a.example)", &link("https://a.example", "a&quot;b")),
            ("<https://a.example>", &link("https://a.example", "https://a.example")),
            ("[x](mailto:a@b.example)", &link("mailto:a@b.example", "x")),
        ] {
            let html = check(text);
            assert!(html.contains(expected), "{text}: {html}");
        }
    }

    fn link(href: &str, text: &str) -> String {
        format!("<p><a href=\"{href}\" rel=\"noopener noreferrer nofollow\">{text}</a></p>")
    }

    #[test]
    fn a_document_has_headings_lists_and_tables() {
        let html = check(
            "# One\n\ntext *a* **b** ~~c~~ `d`\nnext\n\n## One\n\n1. x\n2. y\n\n7. z\n\n- [x] done\n\n\
             | A | B |\n|---|---|\n| `1` | 2 |\n\n> quoted\n\n---\n\n```rust\nfn a() {}\n```\n\n\
             [up](#One)",
        );
        for part in [
            "<h2 id=\"doc-one\">One</h2>",
            "<p>text <em>a</em> <strong>b</strong> <del>c</del> <code>d</code>\nnext</p>",
            "<h3 id=\"doc-one-2\">One</h3>",
            "<ol><li><p>x</p></li>",
            "<li>☑ done</li>",
            "<thead><tr><th scope=\"col\">A</th><th scope=\"col\">B</th></tr></thead>",
            "<tbody><tr><td><code>1</code></td><td>2</td></tr></tbody></table></div>",
            "<blockquote><p>quoted</p></blockquote><hr>",
            "<pre class=\"code\" tabindex=\"0\"><code><span class=\"k\">fn</span>",
            "<a href=\"#doc-one\" rel",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let html = check("|   | B |\n|---|---|\n| 1 | 2 |\n\n|   |\n|---|\n| 3 |");
        let heads = ["<tr><td></td><th scope=\"col\">B</th></tr>", "<tr><td></td></tr></thead>"];
        assert!(heads.iter().all(|head| html.contains(head)), "an empty head is none: {html}");
    }

    #[test]
    fn a_definition_of_a_link_is_shown() {
        let html = check("[text][a]\n\n[a]: https://a.example \"title\"\n[b]: <approve all>\n");
        assert!(
            html.contains("<li><code>[a]: https://a.example &quot;title&quot;</code>"),
            "{html}"
        );
        assert!(html.contains("[b]: approve all"), "{html}");
    }

    #[test]
    fn a_text_that_is_too_long_is_shown_as_it_is() {
        let text = "*a* ".repeat(MAX_BYTES / 4 + 1);
        let html = render(&text);
        assert!(html.as_str().starts_with("<pre tabindex=\"0\">*a* "));
        assert_eq!(parse(&html).text, text);
    }

    /// Returns the shortest time of several times that a text is rendered this often.
    fn time_of(text: &str, often: usize) -> Duration {
        let time = || {
            let began = Instant::now();
            for _ in 0..often {
                assert!(!render(text).is_empty());
            }
            began.elapsed()
        };
        (0..5).map(|_| time()).min().unwrap_or_default()
    }

    #[test]
    fn four_times_the_text_takes_about_four_times_as_long() {
        /// Times that a text may take in place of its four quarters, which take as long as it if the work
        /// does not grow with the square. Both last equally long, so that a busy machine changes little.
        const MOST: f64 = 2.5;
        let times = |part: &str, bytes: usize| part.repeat(bytes / part.len());
        let both = |begin: &str, end: &str, bytes: usize| {
            let count = bytes / (begin.len() + end.len());
            format!("{}x{}", begin.repeat(count), end.repeat(count))
        };
        type Make = Box<dyn Fn(usize) -> String>;
        let makers: Vec<(&str, Make)> = vec![
            ("emphasis", Box::new(move |n| both("*a **b ", " c** d*", n))),
            ("emphasis that is not closed", Box::new(move |n| times("*a **b _c ", n))),
            ("strikethrough", Box::new(move |n| both("~~a *b ", " c* d~~", n))),
            ("links", Box::new(move |n| times("[a](https://b.example) ", n))),
            ("links in links", Box::new(move |n| both("[a ", "](https://b.example)", n))),
            ("images in images", Box::new(move |n| both("![a ", "](https://b.example)", n))),
            ("an image around much", Box::new(move |n| both("![*a ", "*](b)", n))),
            ("references", Box::new(move |n| times("[a][b] ", n) + "\n\n[b]: https://c.example\n")),
            (
                "definitions",
                Box::new(move |n| {
                    (0..n / 24).map(|m| format!("[{m:06}]: https://c.d\n")).collect()
                }),
            ),
            ("quotations", Box::new(move |n| times("> > > > > > > > a\n", n))),
            ("quotations that alternate", Box::new(move |n| times("> > > a\n\nb\n\n> c\n", n))),
            ("lists", Box::new(move |n| times("- a\n  - b\n    - c\n", n))),
            ("lists in quotations", Box::new(move |n| times("> - a\n>   1. b\n", n))),
            (
                "a table of many rows",
                Box::new(move |n| format!("|a|b|\n|-|-|\n{}", times("|*c*|d|\n", n))),
            ),
            (
                "a table of many columns",
                Box::new(move |n| {
                    format!(
                        "{}\n{}\n{}",
                        times("|a", n / 3),
                        times("|-", n / 3),
                        times("|b", n / 3)
                    )
                }),
            ),
            ("headings", Box::new(move |n| times("# a\n", n))),
            ("code", Box::new(move |n| times("```rust\nlet a = 1;\n```\n", n))),
            ("code in lines", Box::new(move |n| times("`a` ``b`` ", n))),
            ("HTML", Box::new(move |n| times("<b>a</b> <!-- c --> ", n))),
            ("brackets", Box::new(move |n| times("[", n))),
            ("entities", Box::new(move |n| times("&amp;&#x20;&", n))),
        ];
        for (name, make) in makers {
            let quarters = time_of(&make(MAX_BYTES / 16), 4);
            let whole = time_of(&make(MAX_BYTES / 4), 1);
            // What is over in a moment is measured badly.
            let most = quarters.max(Duration::from_millis(4)).mul_f64(MOST);
            assert!(whole < most, "{name}: four of {quarters:?}, then {whole:?}");
        }
    }

    #[test]
    fn text_that_nests_without_end_is_short_work_and_shows_its_text() {
        let half = MAX_BYTES / 2;
        for (text, shown) in [
            (format!("{}x", ">".repeat(half)), "x"),
            (format!("{}x", "- ".repeat(half / 2)), "x"),
            (format!("{}x", "1. ".repeat(half / 3)), "x"),
            (format!("{}x", "> - ".repeat(2_000)), "x"),
            (format!("{}x", "[".repeat(half)), "x"),
            (format!("{}x{}", "[".repeat(5_000), "](a)".repeat(5_000)), "x"),
            (format!("{}x", "![".repeat(half / 2)), "x"),
            (format!("{}x", "**a _b ".repeat(half / 7)), "x"),
            (format!("{}x", "`".repeat(half)), "x"),
            (format!("{}x", "<!--".repeat(half / 4)), "x"),
            (format!("{}x", "a**b".repeat(half / 4)), "x"),
            (format!("{}\n{}x", "- ".repeat(300), "\n".repeat(half)), "x"),
            ((0..3_000).map(|n| format!("{}- x\n", " ".repeat(n % 80))).collect(), "x"),
            (format!("x\n{}", "|a".repeat(half / 2)), "x"),
            ("# x\n".repeat(20_000), "x"),
        ] {
            let began = Instant::now();
            let html = check(&text);
            let begin: String = text.chars().take(20).collect();
            assert!(began.elapsed() < Duration::from_secs(10), "{begin}");
            assert!(html.contains(shown), "{begin}");
            assert!(html.matches("<blockquote>").count() <= MAX_DEPTH, "{begin}");
        }
    }
}
