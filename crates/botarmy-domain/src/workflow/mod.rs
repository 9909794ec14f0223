//! Workflows: steps, their agents and dependencies, and the gates where people are asked. Data, not
//! code.

mod check;
mod definition;
mod exclusion;
mod output_schema;
mod progress;
mod released;

pub use check::WorkflowError;
pub use definition::{DEFAULT_LOOP_MAX, Loop, Step, Workflow};
pub use progress::{Next, NoProgress, Progress, StepProgress};
pub use released::{Released, ReleasedArtifacts};
