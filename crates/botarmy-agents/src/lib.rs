//! How an agent really runs. Two runners so far: [`OfflineDrafter`], which does every step of the
//! built-in workflow from templates, without a model, a key or a network; and [`Scripted`], which
//! does what a test tells it.

pub mod offline;
pub mod scripted;

pub use offline::OfflineDrafter;
pub use scripted::{Act, Scripted};
