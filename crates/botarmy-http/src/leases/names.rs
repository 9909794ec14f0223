//! Names and other short texts that a worker sends.

use botarmy_domain::text::{is_bidi, non_blank};

use crate::error::Problem;

/// Longest name of a worker, in characters.
pub(super) const MAX_WORKER_ID: usize = 128;

/// Returns the text without surrounding white space, or an error if it is blank or too long.
pub(super) fn check_text<'a>(field: &str, text: &'a str, limit: usize) -> Result<&'a str, Problem> {
    let text = non_blank(text).ok_or_else(|| Problem::invalid(field, "must not be blank"))?;
    if text.chars().count() > limit {
        return Err(Problem::invalid(field, format!("must be at most {limit} characters")));
    }
    Ok(text)
}

/// Returns the name of a worker without surrounding white space, or an error if it is not one.
pub(super) fn check_worker_id(text: &str) -> Result<&str, Problem> {
    let worker = check_text("worker_id", text, MAX_WORKER_ID)?;
    if worker.chars().any(|c| c.is_control() || is_bidi(c)) {
        return Err(Problem::invalid(
            "worker_id",
            "must not have control characters or marks of writing direction",
        ));
    }
    Ok(worker)
}
