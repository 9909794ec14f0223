//! The other unfinished projects of a data folder: the agents of `run` work on those that are
//! ready, because all projects share one queue.

use botarmy_domain::ports::Queries;
use botarmy_domain::{Caller, ProjectId, ProjectStatus};

use crate::wiring::System;
use botarmy_terminal::text::one_line;

/// Most projects that are named.
const MAX_NAMED: usize = 8;

/// Returns a line for each unfinished project besides this one: whether it goes on meanwhile.
///
/// # Errors
/// The error of the store.
pub(super) async fn lines(system: &System, this: ProjectId) -> anyhow::Result<Vec<String>> {
    let caller = Caller::system();
    let mut lines = Vec::new();
    let mut left = 0_usize;
    for status in [ProjectStatus::Active, ProjectStatus::Paused] {
        let page = system.engine.projects(&caller, Some(status), None, 100).await?;
        for project in page.items.iter().filter(|project| project.id != this) {
            if lines.len() == MAX_NAMED {
                left += 1;
                continue;
            }
            let counts = system.engine.project_detail(&caller, project.id).await?.counts;
            let what = if status == ProjectStatus::Paused {
                "is paused and left alone"
            } else if counts.pending + counts.working > 0 {
                "goes on while this runs"
            } else if counts.open_requests > 0 {
                "waits for a person and is left alone"
            } else {
                "has nothing to do and is left alone"
            };
            lines.push(format!("  “{}” {what}", one_line(&project.name, 60)));
        }
    }
    if left > 0 {
        lines.push(format!("  … and {left} more"));
    }
    Ok(lines)
}
