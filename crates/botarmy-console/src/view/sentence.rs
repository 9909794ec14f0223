//! Sentences with names in them. Each name is isolated: one that is written from right to left, or that ends
//! in a number, would otherwise change the order of the words beside it.

use std::fmt;

use askama::filters::{Escaper as _, Html, HtmlSafe};

/// Sentence with names. Templates write it with each name in a `bdi` element.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Sentence(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Text(String),
    /// Name of a person, a program, a project or a file.
    Name(String),
}

impl Sentence {
    /// Appends a text.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Text(text.into()));
        self
    }

    /// Appends a name.
    pub(crate) fn name(mut self, name: impl Into<String>) -> Self {
        self.0.push(Part::Name(name.into()));
        self
    }

    /// Appends a sentence.
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns the sentence as text, for titles and attributes, which have no elements.
    pub(crate) fn plain(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) | Part::Name(text) => text.clone(),
        };
        self.0.iter().map(text).collect()
    }
}

impl<T: Into<String>> From<T> for Sentence {
    fn from(text: T) -> Self {
        Self::default().text(text)
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => Html.write_escaped_str(&mut *f, text)?,
                Part::Name(name) => {
                    f.write_str("<bdi>")?;
                    Html.write_escaped_str(&mut *f, name)?;
                    f.write_str("</bdi>")?;
                }
            }
        }
        Ok(())
    }
}

impl HtmlSafe for Sentence {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_isolated_and_all_is_escaped() {
        let sentence = Sentence::from("<a> by ").name("</bdi><b>\u{5d0}").text(", 5");
        assert_eq!(
            sentence.to_string(),
            "&#60;a&#62; by <bdi>&#60;/bdi&#62;&#60;b&#62;\u{5d0}</bdi>, 5"
        );
        assert_eq!(sentence.plain(), "<a> by </bdi><b>\u{5d0}, 5");
    }
}
