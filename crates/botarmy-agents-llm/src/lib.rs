//! The runner that asks a model provider: one conversation with a model makes one document.
//!
//! [`Prompts`] tell the model its role, `context.rs` selects the context that fits, `schema.rs`
//! gives the structure of the answer, and `answer.rs` makes a document of the text that arrives, with
//! `objects.rs`, which finds the JSON in it. `error.rs` is the table of everything that can go wrong
//! and whether a retry can help.
//!
//! Below that, `connection.rs` sends the request and reads the answer while it arrives: `frames.rs`
//! divides its bytes, and `protocols.rs` knows what the frames of each provider mean.
//!
//! **One attempt.** Nothing here or below sends a request again, neither after an error nor after
//! an answer with the wrong structure: the orchestrator retries, with the reason among the
//! instructions.

mod answer;
mod connection;
mod context;
mod error;
mod frames;
mod http;
mod objects;
mod prompts;
mod protocols;
mod provider;
mod provider_error;
mod runner;
mod schema;
mod usage;
mod wire;

pub use http::SetupError;
pub use prompts::{PromptError, Prompts};
pub use provider::{Key, Provider, ProviderKind};
pub use runner::LlmRunner;
pub use usage::Price;
