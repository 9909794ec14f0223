//! The statement about their author that all documents carry.

/// Name of the engine in the documents.
pub(crate) const ENGINE: &str = "BotArmy offline drafter";

/// Sentence in every document: a template engine wrote it, not a language model.
pub const STATEMENT: &str =
    "Written by BotArmy's offline drafter, a deterministic template engine, not a language model";
