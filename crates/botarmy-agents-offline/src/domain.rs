//! The kinds of application and the subjects that they are written for, both as data: a subject
//! ([`Domain`]) has words that an idea may contain, a noun, fields and samples, and names the
//! [`Kind`] of application that presents it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::english::singular;
use crate::field::Field;
use crate::kind::{Kind, Panel};

/// A subject that the templates know.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Domain {
    pub(crate) key: String,
    pub(crate) kind: Kind,
    /// Words that decide for this subject against mere mentions of others.
    #[serde(default)]
    strong: Vec<String>,
    /// Words that speak for this subject.
    #[serde(default)]
    words: Vec<String>,
    pub(crate) singular: String,
    pub(crate) plural: String,
    pub(crate) role: String,
    /// Completes "a small web application to …".
    pub(crate) purpose: String,
    pub(crate) icon: String,
    pub(crate) hue: u16,
    pub(crate) fields: Vec<Field>,
    pub(crate) samples: Vec<Map<String, Value>>,
    /// Fields that the kind of application gives a part, and its settings: `date` → `arrive`.
    #[serde(default)]
    pub(crate) roles: BTreeMap<String, String>,
}

static DOMAINS: LazyLock<Vec<Domain>> = LazyLock::new(|| {
    [
        include_str!("templates/domains/documents.json"),
        include_str!("templates/domains/planner.json"),
        include_str!("templates/domains/converter.json"),
        include_str!("templates/domains/conversation.json"),
        include_str!("templates/domains/quiz.json"),
        include_str!("templates/domains/streaks.json"),
        include_str!("templates/domains/guide.json"),
        include_str!("templates/domains/records.json"),
    ]
    .iter()
    .flat_map(|text| {
        serde_json::from_str::<Vec<Domain>>(text)
            .expect("the compiled-in domains are valid, a test reads them")
    })
    .collect()
});

/// Key of the domain that fits every idea.
pub(crate) const ANY: &str = "items";

/// Returns all domains; the last one fits every idea.
pub(crate) fn domains() -> &'static [Domain] {
    &DOMAINS
}

/// Returns the domain with this key, or the one that fits every idea.
pub(crate) fn domain(key: &str) -> &'static Domain {
    let fallback = domains().last().expect("the list of domains is not empty");
    domains().iter().find(|domain| domain.key == key).unwrap_or(fallback)
}

/// Points for a word that decides.
const STRONG: usize = 4;

/// Returns the domain that fits an idea best: the one with the most points, or of several the one
/// whose word comes first.
pub(crate) fn guess(tokens: &[String]) -> &'static Domain {
    let mut best: Option<(usize, usize, &Domain)> = None;
    for domain in domains() {
        let (points, first) = domain.fit(tokens);
        let is_better = match best {
            _ if points == 0 => false,
            None => true,
            Some((most, earliest, _)) => points > most || (points == most && first < earliest),
        };
        if is_better {
            best = Some((points, first, domain));
        }
    }
    best.map_or_else(|| domain(ANY), |(_, _, domain)| domain)
}

impl Domain {
    /// Returns the points of this subject for an idea, and the position of its first word.
    fn fit(&self, tokens: &[String]) -> (usize, usize) {
        let (mut points, mut first) = (0, usize::MAX);
        for (words, weight) in [(&self.strong, STRONG), (&self.words, 1)] {
            for at in words.iter().filter_map(|word| position(word, tokens)) {
                points += weight;
                first = first.min(at);
            }
        }
        (points, first)
    }

    /// Returns the positions of the words of an idea that speak for this subject.
    pub(crate) fn words_in(&self, tokens: &[String]) -> Vec<usize> {
        let mut found = Vec::new();
        for word in self.strong.iter().chain(&self.words) {
            let length = word.split(' ').count();
            for at in 0..tokens.len() {
                if matches_at(word, tokens, at) {
                    found.extend(at..at + length);
                }
            }
        }
        found
    }

    /// Returns the features of the panel. Records without states have none.
    pub(crate) fn features(&self) -> &'static [&'static str] {
        if self.panel().is_some() { self.kind.features() } else { &[] }
    }

    /// Returns the panel above the list; records without states have none.
    pub(crate) fn panel(&self) -> Option<&'static Panel> {
        let is_plain = self.kind == Kind::Records && self.role("state").is_none();
        (!is_plain).then(|| self.kind.panel())
    }

    /// Returns the field that has this part.
    pub(crate) fn role(&self, role: &str) -> Option<&str> {
        self.roles.get(role).map(String::as_str)
    }
}

/// Returns the first position of a word of a domain. It may consist of several words, and a `*`
/// before or after it stands for any letters, for the compounds of other languages.
fn position(word: &str, tokens: &[String]) -> Option<usize> {
    (0..tokens.len()).find(|at| matches_at(word, tokens, *at))
}

/// Returns `true` if a word of a domain is at a position of an idea.
pub(crate) fn matches_at(word: &str, tokens: &[String], at: usize) -> bool {
    word.split(' ').enumerate().all(|(n, part)| {
        tokens.get(at + n).is_some_and(|token| {
            let bare = part.trim_matches('*');
            match (part.starts_with('*'), part.ends_with('*')) {
                (true, true) => token.contains(bare),
                (true, false) => token.ends_with(bare),
                (false, true) => token.starts_with(bare),
                (false, false) => token == bare || singular(token) == bare,
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::idea::tokens;

    #[test]
    fn every_compiled_in_domain_is_complete() {
        assert_eq!(domains().last().unwrap().key, ANY);
        let keys: BTreeSet<_> = domains().iter().map(|domain| &domain.key).collect();
        assert_eq!(keys.len(), domains().len(), "two domains have the same key");
        for domain in domains() {
            let key = &domain.key;
            assert_eq!(domain.fields[0].name, "title", "{key}");
            assert!(domain.fields[0].required && domain.fields.len() >= 3, "{key}");
            assert!(domain.samples.len() >= 3, "{key}");
            for sample in &domain.samples {
                for name in sample.keys() {
                    let known = domain.fields.iter().any(|field| field.name == *name);
                    assert!(known, "{key}: a sample has the unknown field {name}");
                }
                for field in &domain.fields {
                    let value = sample.get(&field.name).and_then(Value::as_str);
                    let fits = field.options.is_empty()
                        || value.is_some_and(|value| field.options.iter().any(|o| o == value));
                    assert!(fits, "{key}: {} is no option", field.name);
                }
            }
        }
    }

    #[test]
    fn every_domain_has_the_fields_that_its_kind_needs() {
        for domain in domains() {
            for role in domain.kind.roles() {
                let name = domain.role(role);
                let name = name.unwrap_or_else(|| panic!("{}: no {role}", domain.key));
                let known = domain.fields.iter().any(|field| field.name == name);
                assert!(known, "{}: {role} is the unknown field {name}", domain.key);
            }
        }
    }

    #[test]
    fn the_domain_follows_the_words_of_the_idea() {
        for (idea, key) in [
            ("A recipe-sharing site for small families", "recipes"),
            ("a to-do list", "tasks"),
            ("Something to do the housework, a list of chores", "tasks"),
            ("Let guests book a table at our restaurant", "bookings"),
            ("An online shop for books", "shop"),
            ("a book club with reading lists", "library"),
            ("Bug tracker", "issues"),
            ("Beehive logbook", "items"),
            ("", "items"),
            ("Invoicing for freelancers", "invoices"),
            ("An audio guide for the old town", "guide"),
            ("Ein Planer für einen Ruderverein", "bookings"),
            ("A currency API", "currency"),
            ("A chatbot that answers questions about a library", "chatbot"),
            ("A tool library where neighbours lend tools", "lending"),
            ("A quiz about recipes", "quiz"),
            ("A habit tracker for running", "habits"),
            ("A ticket desk for a small IT team", "issues"),
            ("Flashcards for Latin vocabulary", "cards"),
            ("A unit converter for the kitchen", "units"),
            ("A rota for the food bank volunteers", "rota"),
        ] {
            assert_eq!(guess(&tokens(idea)).key, key, "{idea}");
        }
    }

    #[test]
    fn a_star_stands_for_the_rest_of_a_compound() {
        let tokens = tokens("Terminplaner und Buchungen");
        assert_eq!(position("*planer", &tokens), Some(0));
        assert_eq!(position("buchung*", &tokens), Some(2));
        assert_eq!(position("planer", &tokens), None);
    }
}
