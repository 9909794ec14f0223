//! The API behind a page: the request that returns the same as JSON.

use botarmy_web::{Problem, origin_of};

use crate::context::PageContext;

/// The request, as a command and as a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiSource {
    /// Command for a shell. The key stands in a variable, never in the command.
    pub(crate) curl: String,
    /// Path under which the browser shows the JSON.
    pub(crate) raw: String,
}

impl ApiSource {
    /// Returns the source for a path below `/api/v1`.
    ///
    /// # Errors
    /// A 400 for a request without a host.
    pub(crate) fn new(context: &PageContext, path: &str) -> Result<Self, Problem> {
        let console = &context.console;
        let origin =
            origin_of(context.request.head(), console.public_url.as_ref(), console.has_tls)?;
        let url = format!("{origin}{}", context.path(&format!("/api/v1{path}")));
        Ok(Self {
            curl: format!("curl -H \"Authorization: Bearer $BOTARMY_KEY\" '{url}'"),
            raw: context.path(&format!("/console/raw{path}")),
        })
    }
}
