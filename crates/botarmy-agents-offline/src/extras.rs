//! Optional features that a text can ask for or decline, and the features that free words name.

use crate::english::singular;
use crate::idea::tokens;

/// An optional part of a product that can be asked for in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extra {
    /// Name of the feature, as stories carry it.
    pub(crate) feature: &'static str,
    words: &'static [&'static str],
}

/// The optional parts that the templates can build.
pub(crate) const EXTRAS: &[Extra] = &[
    Extra {
        feature: "rating",
        words: &[
            "rate",
            "rated",
            "rating",
            "star",
            "review",
            "favourite",
            "favorite",
            "vote",
            "score",
        ],
    },
    Extra { feature: "share", words: &["share", "shared", "sharing", "send", "forward"] },
    Extra { feature: "photo", words: &["photo", "picture", "image", "screenshot"] },
    Extra {
        feature: "due",
        words: &["due", "deadline", "calendar", "date", "schedule", "scheduling", "reminder"],
    },
    Extra { feature: "price", words: &["price", "cost", "budget", "money", "pay", "paid"] },
    Extra { feature: "done", words: &["done", "complete", "completed", "checklist", "finished"] },
    Extra {
        feature: "person",
        words: &["assign", "assigned", "assignee", "owner", "responsible", "whose"],
    },
    Extra { feature: "tags", words: &["tag", "label", "tagging", "keyword"] },
    Extra { feature: "notes", words: &["comment", "note", "description", "remark"] },
    Extra { feature: "print", words: &["print", "printed", "printable", "printing", "paper"] },
    Extra { feature: "api", words: &["api", "endpoint", "openapi", "webservice"] },
];

/// Words before another one that decline it.
const DECLINING: &[&str] =
    &["no", "not", "without", "never", "remove", "drop", "skip", "omit", "dont"];

/// Returns `true` if one of the three words before a position declines it ("no star ratings").
pub(crate) fn is_declined(tokens: &[String], at: usize) -> bool {
    tokens[at.saturating_sub(3)..at].iter().any(|token| DECLINING.contains(&token.as_str()))
}

/// Returns the optional features that a text asks for, and those that it declines ("no ratings",
/// "without photos").
pub(crate) fn extras(text: &str) -> (Vec<&'static str>, Vec<&'static str>) {
    let tokens = tokens(text);
    let (mut wanted, mut declined) = (Vec::new(), Vec::new());
    for extra in EXTRAS {
        let Some(at) = tokens.iter().position(|token| is_one_of(token, extra.words)) else {
            continue;
        };
        if is_declined(&tokens, at) {
            declined.push(extra.feature);
        } else {
            wanted.push(extra.feature);
        }
    }
    (wanted, declined)
}

/// Words for the parts that every application has.
const BASE: &[(&str, &[&str])] = &[
    ("delete", &["delete", "remove", "discard", "erase"]),
    ("edit", &["edit", "change", "correct", "update", "rename", "modify"]),
    ("search", &["search", "find", "filter", "look", "sort", "narrow"]),
    ("keep", &["export", "import", "save", "backup", "keep", "persist", "download", "offline"]),
    (
        "accessible",
        &["accessible", "accessibility", "keyboard", "phone", "mobile", "dark", "screen"],
    ),
    ("add", &["add", "create", "enter", "record", "new", "submit"]),
    ("list", &["list", "see", "view", "show", "browse", "overview", "read"]),
];

/// Returns the feature that a text names, if it names one: for requirements that a person wrote
/// without a feature.
pub(crate) fn feature_in(text: &str) -> Option<&'static str> {
    let tokens = tokens(text);
    BASE.iter()
        .find(|(_, words)| tokens.iter().any(|token| is_one_of(token, words)))
        .map(|(feature, _)| *feature)
        .or_else(|| extras(text).0.first().copied())
}

/// Returns `true` if a word names a feature.
pub(crate) fn names_a_feature(token: &str) -> bool {
    BASE.iter().any(|(_, words)| is_one_of(token, words))
        || EXTRAS.iter().any(|extra| is_one_of(token, extra.words))
}

fn is_one_of(token: &str, words: &[&str]) -> bool {
    words.contains(&token) || words.contains(&singular(token).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extras_can_be_asked_for_and_declined() {
        assert_eq!(extras("Share recipes with photos").0, ["share", "photo"]);
        assert_eq!(extras("Please add star ratings, but no photos").1, ["photo"]);
        assert_eq!(extras("Don't show any prices").1, ["price"]);
        assert_eq!(extras("nothing special"), (vec![], vec![]));
    }

    #[test]
    fn a_requirement_in_free_words_finds_its_feature() {
        assert_eq!(feature_in("to delete old entries"), Some("delete"));
        assert_eq!(feature_in("to see everything at once"), Some("list"));
        assert_eq!(feature_in("to rate what I ate"), Some("rating"));
        assert_eq!(feature_in("world peace"), None);
    }
}
