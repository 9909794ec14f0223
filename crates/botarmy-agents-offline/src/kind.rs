//! The kinds of application: the list with its form is the same in all of them, and each adds a
//! panel of its own above the list.

use serde::Deserialize;

/// A kind of application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Items with fields, and states to move them through where the domain has some.
    Records,
    /// Documents with lines and totals, such as invoices.
    Documents,
    /// Entries with a date and a time, on a calendar week, without overlaps.
    Planner,
    /// A table of rates, and a calculation with them.
    Converter,
    /// Questions answered by the words in them.
    Conversation,
    /// Questions with answers to choose from, or cards to turn.
    Quiz,
    /// Things done day by day.
    Streaks,
    /// Stops in an order, with texts to read or to hear.
    Guide,
}

/// The files of a panel.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) html: &'static str,
    pub(crate) css: &'static str,
    pub(crate) script: &'static str,
    /// Purpose of the script, as the documents list it.
    pub(crate) purpose: &'static str,
}

macro_rules! panel {
    ($name:literal, $purpose:literal) => {
        Panel {
            html: include_str!(concat!("templates/panels/", $name, ".html")),
            css: include_str!(concat!("templates/panels/", $name, ".css")),
            script: include_str!(concat!("templates/panels/", $name, ".js")),
            purpose: $purpose,
        }
    };
}

impl Kind {
    /// Every kind.
    #[cfg(test)]
    pub(crate) const ALL: &'static [Self] = &[
        Self::Records,
        Self::Documents,
        Self::Planner,
        Self::Converter,
        Self::Conversation,
        Self::Quiz,
        Self::Streaks,
        Self::Guide,
    ];

    /// Returns the name in documents.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Records => "a list of records",
            Self::Documents => "documents with lines and totals",
            Self::Planner => "a week planner",
            Self::Converter => "a converter",
            Self::Conversation => "a conversation by keywords",
            Self::Quiz => "questions to practise with",
            Self::Streaks => "a grid of days",
            Self::Guide => "a guide with stops",
        }
    }

    /// Returns the panel.
    pub(crate) const fn panel(self) -> &'static Panel {
        const RECORDS: Panel = panel!("records", "the states: how many items are in each");
        const DOCUMENTS: Panel = panel!("documents", "the lines, their totals, and the print view");
        const PLANNER: Panel = panel!("planner", "the calendar week, and the check for overlaps");
        const CONVERTER: Panel = panel!("converter", "the conversion");
        const CONVERSATION: Panel = panel!("conversation", "the choice of an answer by its words");
        const QUIZ: Panel = panel!("quiz", "a round of questions, and its score");
        const STREAKS: Panel = panel!("streaks", "the grid of the last days, and the streaks");
        const GUIDE: Panel = panel!("guide", "the way from stop to stop, and the reading aloud");
        match self {
            Self::Records => &RECORDS,
            Self::Documents => &DOCUMENTS,
            Self::Planner => &PLANNER,
            Self::Converter => &CONVERTER,
            Self::Conversation => &CONVERSATION,
            Self::Quiz => &QUIZ,
            Self::Streaks => &STREAKS,
            Self::Guide => &GUIDE,
        }
    }

    /// Returns the features of the panel, in the order in which stories describe them.
    pub(crate) const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Records => &["states"],
            Self::Documents => &["lines", "totals", "sheet"],
            Self::Planner => &["week", "overlap"],
            Self::Converter => &["convert"],
            Self::Conversation => &["converse"],
            Self::Quiz => &["play"],
            Self::Streaks => &["tick", "streak"],
            Self::Guide => &["tour", "listen"],
        }
    }

    /// Returns the parts for which a domain of this kind must name a field.
    #[cfg(test)]
    pub(crate) const fn roles(self) -> &'static [&'static str] {
        match self {
            Self::Records => &[],
            Self::Documents => &["lines", "state", "number"],
            Self::Planner => &["date", "from", "to"],
            Self::Converter => &["rate", "label"],
            Self::Conversation => &["words", "answer"],
            Self::Quiz => &["right"],
            Self::Streaks => &["ticks"],
            Self::Guide => &["order", "text"],
        }
    }

    /// Returns the optional features that the words of an idea do not add, because the kind does
    /// the same in its own way, or because the words mean something else there.
    pub(crate) const fn covers(self) -> &'static [&'static str] {
        match self {
            Self::Records => &[],
            Self::Documents => &["price", "done", "due", "print"],
            Self::Planner => &["due"],
            Self::Converter => &["rating", "price"],
            Self::Conversation => &["notes", "due", "price"],
            Self::Quiz => &["rating", "done", "notes"],
            Self::Streaks => &["done", "due"],
            Self::Guide => &["notes", "due", "rating"],
        }
    }
}
