//! How an agent really runs. [`LlmRunner`] asks a model provider; [`OfflineDrafter`] does every step
//! of the built-in workflow from templates, without a model, a key or a network; and [`Scripted`]
//! does what a test tells it.

pub mod llm;
pub mod offline;
pub mod scripted;

pub use llm::LlmRunner;
pub use offline::OfflineDrafter;
pub use scripted::{Act, Scripted};
