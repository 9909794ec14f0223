//! HTML that needs no further escaping. Only the modules beside this one write it.

use std::fmt;

use askama::filters::HtmlSafe;
use botarmy_domain::text;

/// HTML that templates write as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Markup(String);

impl Markup {
    /// Returns a text as HTML.
    pub(crate) fn text(text: &str) -> Self {
        let mut html = Self::default();
        html.push_text(text);
        html
    }

    /// Appends a text, escaped.
    pub(crate) fn push_text(&mut self, text: &str) {
        push_escaped(&mut self.0, text);
    }

    /// Appends a text of code, escaped. Each mark of writing direction is in a `span` of its own, which
    /// the style sheet isolates and shows: otherwise code can look other than it is.
    pub(crate) fn push_code(&mut self, code: &str) {
        let mut rest = code;
        while let Some(at) = rest.find(text::is_bidi) {
            let (plain, marked) = rest.split_at(at);
            let length = marked.chars().next().map_or(0, char::len_utf8);
            self.push_text(plain);
            self.push_tags("<span class=\"bidi\">");
            self.push_text(&marked[..length]);
            self.push_tags("</span>");
            rest = &marked[length..];
        }
        self.push_text(rest);
    }

    /// Appends tags of our own.
    pub(super) fn push_tags(&mut self, tags: &'static str) {
        self.0.push_str(tags);
    }

    /// Removes tags of our own from the end; returns whether they were there. No text looks like tags,
    /// because it is escaped.
    pub(super) fn remove_tags(&mut self, tags: &'static str) -> bool {
        let kept = self.0.strip_suffix(tags).map(str::len);
        if let Some(length) = kept {
            self.0.truncate(length);
        }
        kept.is_some()
    }

    /// Appends other HTML.
    pub(super) fn push(&mut self, html: &Self) {
        self.0.push_str(&html.0);
    }

    /// Returns the HTML.
    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Markup {}

/// Escapes for text and for values of attributes in double quotes. A character that HTML does not allow
/// becomes one that is shown.
fn push_escaped(out: &mut String, text: &str) {
    out.reserve(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Browsers would make a line feed of a carriage return, and drop a null.
            '\r' => out.push_str("&#13;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! Reads HTML as browsers do, to test what is in it.

    use html5gum::{Token, Tokenizer};

    use super::Markup;

    /// Tags, attributes and text of a piece of HTML.
    #[derive(Debug, Default, PartialEq, Eq)]
    pub(crate) struct Parsed {
        /// Names of the start tags, each with its attributes.
        pub(crate) tags: Vec<(String, Vec<(String, String)>)>,
        /// Names of the end tags.
        pub(crate) ends: Vec<String>,
        /// Text between all tags.
        pub(crate) text: String,
    }

    /// Reads HTML.
    ///
    /// # Panics
    /// If there is a comment or a doctype in it, or if its tags are not balanced.
    pub(crate) fn parse(html: &Markup) -> Parsed {
        const VOID: [&str; 2] = ["br", "hr"];
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut parsed = Parsed::default();
        let mut open: Vec<String> = Vec::new();
        for token in Tokenizer::new(html.as_str()) {
            let Ok(token) = token;
            match token {
                Token::StartTag(tag) => {
                    let name = text(&tag.name);
                    if !VOID.contains(&name.as_str()) {
                        open.push(name.clone());
                    }
                    let attributes =
                        tag.attributes.iter().map(|(name, value)| (text(name), text(value)));
                    parsed.tags.push((name, attributes.collect()));
                }
                Token::EndTag(tag) => {
                    let name = text(&tag.name);
                    assert_eq!(open.pop().as_ref(), Some(&name), "{html}");
                    parsed.ends.push(name);
                }
                Token::String(string) => parsed.text.push_str(&text(&string)),
                Token::Error(error) => {
                    // The text may hold characters that HTML advises against; they do no harm.
                    let name = format!("{error:?}").to_lowercase();
                    assert!(name.contains("character"), "{error:?}: {html}");
                }
                other => panic!("{other:?} in {html}"),
            }
        }
        assert!(open.is_empty(), "{open:?} are open in {html}");
        parsed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::parse;
    use super::*;

    proptest! {
        #[test]
        fn a_text_comes_back_as_it_was(text in "\\PC*") {
            let parsed = parse(&Markup::text(&text));
            prop_assert!(parsed.tags.is_empty());
            prop_assert_eq!(parsed.text, text);
        }
    }

    #[test]
    fn marks_of_writing_direction_in_code_are_isolated() {
        let mut html = Markup::default();
        html.push_code("a\u{202e}<b\u{2066}");
        assert_eq!(
            html.as_str(),
            "a<span class=\"bidi\">\u{202e}</span>&lt;b<span class=\"bidi\">\u{2066}</span>"
        );
        assert_eq!(parse(&html).text, "a\u{202e}<b\u{2066}");
    }
}
