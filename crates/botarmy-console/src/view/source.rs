//! Source code as HTML: escaped, with `span` elements that give words their colour, and nothing else.
//!
//! The colours are an aid for reading. Each text is divided into pieces that together are the whole
//! text, so a language that is read wrongly gets wrong colours and never another text.

mod grammar;
mod lexer;

use super::markup::Markup;
use lexer::Class;

/// Longest text that gets colours, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// Returns a text with colours. The language is named by the ending of a file or as in Markdown.
pub(crate) fn highlight(language: &str, text: &str) -> Markup {
    let mut html = Markup::default();
    for (class, piece) in pieces(language, text) {
        push(&mut html, class, piece);
    }
    html
}

/// Largest number of lines of a file that a page shows.
const MAX_LINES: usize = 10_000;

/// Returns the lines of a file with colours, without their ends. A text that ends with a line end has no
/// empty line after it. Of a file with very many lines the first are returned, and one that says so.
pub(crate) fn lines(path: &str, text: &str) -> Vec<Markup> {
    let mut lines = Vec::new();
    let mut line = Markup::default();
    for (class, piece) in pieces(language_of(path), text) {
        let mut parts = piece.split('\n');
        push(&mut line, class, parts.next().unwrap_or_default());
        for part in parts {
            lines.push(std::mem::take(&mut line));
            if lines.len() == MAX_LINES {
                let more = line_count(text) - MAX_LINES;
                if more > 0 {
                    lines.push(Markup::text(&format!("… {more} more lines are not shown here.")));
                }
                return lines;
            }
            push(&mut line, class, part);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Returns the number of lines of a text.
pub(crate) fn line_count(text: &str) -> usize {
    text.split_inclusive('\n').count()
}

fn pieces<'a>(language: &str, text: &'a str) -> Vec<(Option<Class>, &'a str)> {
    if text.len() > MAX_BYTES {
        return vec![(None, text)];
    }
    lexer::pieces(language, text)
}

fn push(html: &mut Markup, class: Option<Class>, text: &str) {
    if text.is_empty() {
        return;
    }
    let Some(class) = class else { return html.push_code(text) };
    html.push_tags(match class {
        Class::Keyword => "<span class=\"k\">",
        Class::String => "<span class=\"s\">",
        Class::Function => "<span class=\"f\">",
        Class::Constant => "<span class=\"o\">",
        Class::Comment => "<span class=\"c\">",
    });
    html.push_code(text);
    html.push_tags("</span>");
}

/// Returns the name of the language of a file.
fn language_of(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(_, ending)| ending)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::view::markup::testing::parse;

    const LANGUAGES: [&str; 16] = [
        "js", "ts", "py", "rs", "go", "html", "css", "json", "toml", "yaml", "sh", "sql", "rb",
        "c", "md", "unknown",
    ];

    fn check(language: &str, text: &str) {
        let html = highlight(language, text);
        let parsed = parse(&html);
        assert_eq!(parsed.text, text, "{language}");
        for (name, attributes) in &parsed.tags {
            assert_eq!(name, "span", "{html}");
            let [(attribute, value)] = attributes.as_slice() else { panic!("{html}") };
            let known = ["k", "s", "f", "o", "c", "bidi"];
            assert!(attribute == "class" && known.contains(&value.as_str()), "{html}");
        }
        let all = lines(&format!("a.{language}"), text);
        assert_eq!(all.len(), line_count(text), "{text:?}");
        let texts: Vec<_> = all.iter().map(|line| parse(line).text).collect();
        let expected: Vec<_> = text
            .split_inclusive('\n')
            .map(|line| line.strip_suffix('\n').unwrap_or(line).to_owned())
            .collect();
        assert_eq!(texts, expected, "{language}");
    }

    proptest! {
        #[test]
        fn the_text_is_unchanged_and_no_other_tag_appears(
            language in 0..LANGUAGES.len(),
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("\"".to_owned()), Just("'".to_owned()), Just("`".to_owned()),
                    Just("\\".to_owned()), Just("\n".to_owned()), Just("\r\n".to_owned()),
                    Just("/*".to_owned()), Just("*/".to_owned()), Just("//".to_owned()),
                    Just("#".to_owned()), Just("<!--".to_owned()), Just("-->".to_owned()),
                    Just("<script>".to_owned()), Just("</script>".to_owned()),
                    Just("<style>".to_owned()), Just("<a href=".to_owned()), Just(">".to_owned()),
                    Just("</".to_owned()), Just("\"\"\"".to_owned()), Just("'a".to_owned()),
                    Just("fn f(".to_owned()), Just("0x1f".to_owned()), Just("1.5e3".to_owned()),
                    Just("key: value".to_owned()), Just("[a]".to_owned()), Just("&amp;".to_owned()),
                    Just("é\u{202e}".to_owned()), Just("return".to_owned()), Just("{".to_owned()),
                    "\\PC{0,6}",
                ],
                0..40,
            )
        ) {
            check(LANGUAGES[language], &parts.concat());
        }
    }

    #[test]
    fn words_have_the_colours_of_their_language() {
        for (language, text, expected) in [
            (
                "js",
                "// c\nconst a = f(\"x\", 5);",
                "<span class=\"c\">// c</span>\n<span class=\"k\">const</span> a = \
                 <span class=\"f\">f</span>(<span class=\"s\">&quot;x&quot;</span>, \
                 <span class=\"o\">5</span>);",
            ),
            (
                "python",
                "def f():\n  '''a\n  b'''",
                "<span class=\"k\">def</span> <span class=\"f\">f</span>():\n  \
                 <span class=\"s\">&#39;&#39;&#39;a\n  b&#39;&#39;&#39;</span>",
            ),
            (
                "rs",
                "fn f<'a>(c: char) { c == 'x' }",
                "<span class=\"k\">fn</span> f&lt;&#39;a&gt;(c: char) { c == \
                 <span class=\"s\">&#39;x&#39;</span> }",
            ),
            (
                "html",
                "<a href=\"x\">y</a><script>let b</script>",
                "&lt;<span class=\"k\">a</span> <span class=\"f\">href</span>=\
                 <span class=\"s\">&quot;x&quot;</span>&gt;y&lt;/<span class=\"k\">a</span>&gt;\
                 &lt;<span class=\"k\">script</span>&gt;<span class=\"k\">let</span> b\
                 &lt;/<span class=\"k\">script</span>&gt;",
            ),
            (
                "css",
                "a { color: #fff; margin: 2px }",
                "a { <span class=\"f\">color</span>: <span class=\"o\">#fff</span>; \
                 <span class=\"f\">margin</span>: <span class=\"o\">2px</span> }",
            ),
            (
                "json",
                "{\"a\": [true, \"b\"]}",
                "{<span class=\"f\">&quot;a&quot;</span>: [<span class=\"k\">true</span>, \
                 <span class=\"s\">&quot;b&quot;</span>]}",
            ),
            (
                "toml",
                "[a]\nb = 1 # c",
                "<span class=\"k\">[a]</span>\n<span class=\"f\">b</span> = \
                 <span class=\"o\">1</span> <span class=\"c\"># c</span>",
            ),
            (
                "yml",
                "a-b: \"x\"",
                "<span class=\"f\">a-b</span>: <span class=\"s\">&quot;x&quot;</span>",
            ),
            ("md", "# a", "# a"),
            ("unknown", "fn <a>", "fn &lt;a&gt;"),
        ] {
            assert_eq!(highlight(language, text).as_str(), expected, "{language}");
        }
    }

    #[test]
    fn a_comment_over_lines_has_its_colour_on_each_line() {
        let all = lines("x/a.css", "/* a\nb */\n");
        let texts: Vec<_> = all.iter().map(Markup::as_str).collect();
        assert_eq!(texts, ["<span class=\"c\">/* a</span>", "<span class=\"c\">b */</span>"]);
        assert_eq!((lines("a", "").len(), lines("a", "\n\na").len()), (0, 3));
        assert_eq!(lines("a", &"\n".repeat(MAX_LINES)).len(), MAX_LINES);
        let many = lines("a", &"\n".repeat(MAX_LINES + 5));
        assert_eq!(many.len(), MAX_LINES + 1);
        assert!(many[MAX_LINES].as_str().contains("5 more lines"));
    }

    #[test]
    fn a_long_text_is_plain_and_the_longest_with_colours_is_short_work() {
        let long = "let a = 1;\n".repeat(MAX_BYTES / 11 + 1);
        assert!(!highlight("js", &long).as_str().contains("span"));
        for part in ["\"", "'", "/*", "<", "<a ", "<script>", "{", "a", "\\\"", "r#", "\"\"\"", "`"]
        {
            let text = part.repeat(MAX_BYTES / part.len());
            // Reading the HTML takes longer than writing it.
            let short = part.repeat(MAX_BYTES / 16 / part.len());
            for language in LANGUAGES {
                check(language, &short);
                let began = Instant::now();
                highlight(language, &text);
                assert!(began.elapsed() < Duration::from_secs(5), "{language} {part}");
            }
        }
    }
}
