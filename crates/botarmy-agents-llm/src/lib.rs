//! The runner that asks a model provider: one conversation with a model makes one document.
//!
//! [`Prompts`] tell the model its role, `context.rs` selects the context that fits, `schema.rs`
//! gives the structure of the answer, and `answer.rs` makes a document of the text that arrives.
//! `error.rs` is the table of everything that can go wrong and whether a retry can help.
//! `connection.rs` is the only file that names the library for the providers' protocols.
//!
//! **One attempt.** Nothing here or below sends a request again, neither after an error nor after
//! an answer with the wrong structure: the orchestrator retries, with the reason among the
//! instructions.

mod answer;
mod connection;
mod context;
mod error;
mod prompts;
mod provider;
mod runner;
mod schema;
mod usage;
mod wire;

pub use connection::SetupError;
pub use prompts::{PromptError, Prompts};
pub use provider::{Key, Provider, ProviderKind};
pub use runner::LlmRunner;
pub use usage::Price;
