//! Lengths of pages.

use crate::State;
use crate::error::Problem;
use crate::extract::{Whole, in_range};

impl State {
    /// Returns the length of a page: what the client asks for, else the default of the settings.
    pub(crate) fn page(&self, limit: Option<Whole>) -> Result<u32, Problem> {
        in_range("limit", limit, self.settings.page, 1..=self.settings.page_max)
    }
}
