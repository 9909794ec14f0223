//! Parts of pages that can be fetched alone, so that the script can keep them current.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use askama::Template;
use askama::filters::HtmlSafe;
use botarmy_web::Problem;

/// Rendered part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Name, which the parameter `part` has.
    pub(crate) name: &'static str,
    /// HTML of the part with the element around it.
    pub(crate) html: String,
}

impl Part {
    /// Renders a part. `topic` names the events that change it: `all` or `project:ID`,
    /// and after a space the beginning of their types, if not all types do.
    ///
    /// # Errors
    /// A 500 for a template that fails.
    pub(crate) fn new(
        name: &'static str,
        topic: &str,
        template: &impl Template,
    ) -> Result<Self, Problem> {
        let inner = template.render().map_err(Problem::internal)?;
        // Name and topic are words of this crate and ids.
        let html = format!(
            "<div id=\"part-{name}\" data-part=\"{name}\" data-live=\"{topic}\" data-v=\"{}\">{inner}</div>",
            inner.v()
        );
        Ok(Self { name, html })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.html)
    }
}

impl HtmlSafe for Part {}

/// Values with a version, which changes with them: that of the row of a list is its `data-v`, by which
/// the script sees that a row is as before.
pub(crate) trait Versioned: Hash {
    /// Returns the version: sixteen hexadecimal digits.
    fn v(&self) -> String {
        // The keys of this hasher are fixed, so that all replicas of one build use the same versions.
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

impl<T: Hash + ?Sized> Versioned for T {}
