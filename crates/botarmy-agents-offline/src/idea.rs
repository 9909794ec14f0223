//! Interpretation of an idea by rules over its words: domain, name, audience and optional features.
//! The same idea always gives the same result.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::field::Field;
use crate::template::clip;

/// Knowledge about one kind of product.
#[derive(Debug, Deserialize)]
pub(crate) struct Domain {
    pub(crate) key: String,
    words: Vec<String>,
    pub(crate) singular: String,
    pub(crate) plural: String,
    pub(crate) role: String,
    pub(crate) purpose: String,
    pub(crate) icon: String,
    pub(crate) hue: u16,
    pub(crate) fields: Vec<Field>,
    pub(crate) samples: Vec<Map<String, Value>>,
}

static DOMAINS: LazyLock<Vec<Domain>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("templates/domains.json"))
        .expect("the compiled-in domains are valid, a test reads them")
});

/// Returns all domains; the last one fits every idea.
pub(crate) fn domains() -> &'static [Domain] {
    &DOMAINS
}

/// Returns the domain with this key, or the one that fits every idea.
pub(crate) fn domain(key: &str) -> &'static Domain {
    let fallback = domains().last().expect("the list of domains is not empty");
    domains().iter().find(|domain| domain.key == key).unwrap_or(fallback)
}

/// The interpretation of an idea.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) name: String,
    pub(crate) audience: Option<String>,
    pub(crate) keywords: Vec<String>,
    pub(crate) domain: &'static Domain,
    /// Singular and plural of the items that the product keeps.
    pub(crate) noun: (String, String),
}

/// Interprets an idea.
pub(crate) fn read(idea: &str) -> Reading {
    let tokens = tokens(idea);
    let domain = guess_domain(idea, &tokens);
    let headline = headline(idea);
    let noun = if domain.key == "items" {
        noun(&headline).map_or_else(
            || (domain.singular.clone(), domain.plural.clone()),
            |noun| (noun.clone(), plural(&noun)),
        )
    } else {
        (domain.singular.clone(), domain.plural.clone())
    };
    Reading {
        name: given_name(idea).unwrap_or_else(|| name(&headline, &domain.key)),
        audience: audience(idea),
        keywords: keywords(&tokens),
        domain,
        noun,
    }
}

/// An optional part of a product that can be asked for in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extra {
    /// The name of the feature, as stories carry it.
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
    Extra { feature: "photo", words: &["photo", "picture", "image", "gallery", "screenshot"] },
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
];

/// Returns the optional features that a text asks for, and those that it declines ("no ratings",
/// "without photos").
pub(crate) fn extras(text: &str) -> (Vec<&'static str>, Vec<&'static str>) {
    const DECLINING: &[&str] =
        &["no", "not", "without", "never", "remove", "drop", "skip", "omit", "dont", "any"];
    let tokens = tokens(text);
    let (mut wanted, mut declined) = (Vec::new(), Vec::new());
    for extra in EXTRAS {
        let Some(at) = tokens.iter().position(|token| is_one_of(token, extra.words)) else {
            continue;
        };
        let before = &tokens[at.saturating_sub(3)..at];
        let no = before.iter().any(|token| token != "any" && DECLINING.contains(&token.as_str()));
        if no { declined.push(extra.feature) } else { wanted.push(extra.feature) }
    }
    (wanted, declined)
}

/// Returns the feature that a text names, if it names one: for requirements that a person wrote
/// without a feature.
pub(crate) fn feature_in(text: &str) -> Option<&'static str> {
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
    let tokens = tokens(text);
    BASE.iter()
        .find(|(_, words)| tokens.iter().any(|token| is_one_of(token, words)))
        .map(|(feature, _)| *feature)
        .or_else(|| extras(text).0.first().copied())
}

fn is_one_of(token: &str, words: &[&str]) -> bool {
    words.contains(&token) || words.contains(&singular(token).as_str())
}

/// Returns the words of a text in lower case; a hyphen separates words.
fn tokens(text: &str) -> Vec<String> {
    text.to_lowercase()
        .replace(['\'', '’'], "")
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn guess_domain(idea: &str, tokens: &[String]) -> &'static Domain {
    let spaced = format!(" {} ", tokens.join(" "));
    let lower = idea.to_lowercase();
    let mut best: Option<(usize, usize, &Domain)> = None;
    for domain in domains() {
        let mut hits = 0;
        let mut first = usize::MAX;
        for word in &domain.words {
            let at = if word.contains(' ') {
                spaced.find(&format!(" {word} ")).map(|byte| spaced[..=byte].split(' ').count() - 2)
            } else if word.contains('-') {
                lower.contains(word.as_str()).then_some(0)
            } else {
                tokens.iter().position(|token| token == word || singular(token) == *word)
            };
            if let Some(at) = at {
                hits += 1;
                first = first.min(at);
            }
        }
        let better = match best {
            _ if hits == 0 => false,
            None => true,
            Some((most, earliest, _)) => hits > most || (hits == most && first < earliest),
        };
        if better {
            best = Some((hits, first, domain));
        }
    }
    best.map_or_else(|| self::domain("items"), |(_, _, domain)| domain)
}

const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "all",
    "also",
    "an",
    "and",
    "any",
    "app",
    "application",
    "are",
    "as",
    "at",
    "be",
    "build",
    "but",
    "by",
    "can",
    "could",
    "create",
    "develop",
    "do",
    "each",
    "easy",
    "for",
    "from",
    "get",
    "has",
    "have",
    "help",
    "helps",
    "i",
    "id",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "keep",
    "lets",
    "like",
    "make",
    "me",
    "my",
    "need",
    "of",
    "on",
    "one",
    "or",
    "other",
    "our",
    "page",
    "people",
    "platform",
    "please",
    "program",
    "simple",
    "site",
    "small",
    "so",
    "some",
    "software",
    "system",
    "that",
    "the",
    "their",
    "them",
    "there",
    "they",
    "this",
    "to",
    "tool",
    "up",
    "us",
    "use",
    "user",
    "users",
    "using",
    "want",
    "we",
    "web",
    "website",
    "what",
    "when",
    "where",
    "which",
    "who",
    "will",
    "with",
    "would",
    "you",
    "your",
];

fn keywords(tokens: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for token in tokens {
        let long_enough = token.chars().count() > 2 && !token.chars().all(char::is_numeric);
        if long_enough && !STOP_WORDS.contains(&token.as_str()) && !found.contains(token) {
            found.push(token.clone());
        }
        if found.len() == 8 {
            break;
        }
    }
    found
}

/// Returns the words of the idea that name the product: those after "I want a …" and before "for",
/// "that", …
fn headline(idea: &str) -> Vec<String> {
    const OPENING: &[&str] = &[
        "i", "we", "want", "need", "would", "like", "love", "to", "please", "build", "create",
        "make", "develop", "design", "write", "have", "me", "us", "a", "an", "the", "my", "our",
        "some", "idea", "simple", "new",
    ];
    const END: &[&str] = &[
        "for", "that", "which", "with", "where", "who", "whose", "so", "to", "called", "named",
        "and", "from", "by", "using", "when", "because", "without", "helping", "letting", "in",
        "on", "at",
    ];
    let start = idea.trim_start();
    let end = start.find(['.', ',', ';', ':', '!', '?', '\n', '(']).unwrap_or(start.len());
    let mut words: Vec<String> = Vec::new();
    for word in start[..end].split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let lower = word.to_lowercase();
        if word.is_empty() || (words.is_empty() && OPENING.contains(&lower.as_str())) {
            continue;
        }
        if END.contains(&lower.as_str()) || words.len() == 6 {
            break;
        }
        words.push(word.to_owned());
    }
    while words
        .last()
        .is_some_and(|word| matches!(word.to_lowercase().as_str(), "of" | "the" | "a"))
    {
        words.pop();
    }
    words
}

const CONTAINERS: &[&str] = &[
    "app",
    "application",
    "site",
    "website",
    "webapp",
    "page",
    "tool",
    "platform",
    "tracker",
    "manager",
    "system",
    "service",
    "software",
    "program",
    "dashboard",
    "portal",
    "database",
    "catalogue",
    "catalog",
    "collection",
    "list",
    "log",
    "register",
    "board",
    "game",
    "web",
    "mobile",
    "online",
    "thing",
    "something",
];

/// Returns the items that a product without a known domain keeps: the last word of the headline that
/// is neither a word for software nor an activity.
fn noun(headline: &[String]) -> Option<String> {
    let candidates: Vec<String> = headline
        .iter()
        .map(|word| word.to_lowercase())
        .filter(|word| {
            (3..=20).contains(&word.len())
                && word.chars().all(|c| c.is_ascii_alphabetic())
                && !CONTAINERS.contains(&word.as_str())
                && !STOP_WORDS.contains(&word.as_str())
        })
        .collect();
    let things = candidates.iter().rev().find(|word| !word.ends_with("ing"));
    things.or(candidates.last()).map(|word| singular(word))
}

fn name(headline: &[String], subject: &str) -> String {
    let only_containers =
        headline.iter().all(|word| CONTAINERS.contains(&word.to_lowercase().as_str()));
    let words: Vec<&str> = match headline {
        [] => vec![subject],
        words if only_containers => {
            std::iter::once(subject).chain(words.iter().map(String::as_str)).collect()
        }
        words => words.iter().map(String::as_str).collect(),
    };
    let title: Vec<String> =
        words.iter().enumerate().map(|(n, word)| title_word(word, n == 0)).collect();
    clip(&title.join(" "), 48)
}

/// Returns the name that the idea states: `called "Crumbs"`, `named Crumbs & Co`.
fn given_name(idea: &str) -> Option<String> {
    let lower = idea.to_ascii_lowercase();
    let after = ["called ", "named ", "call it ", "name it "]
        .iter()
        .filter_map(|word| lower.find(word).map(|at| at + word.len()))
        .min()?;
    let rest = idea.get(after..)?.trim_start();
    let quoted = [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('\'', '\'')].iter().find_map(
        |(open, close)| rest.strip_prefix(*open)?.split_once(*close).map(|(name, _)| name),
    );
    let name = match quoted {
        Some(name) => name.split_whitespace().collect::<Vec<_>>().join(" "),
        None => rest
            .split_whitespace()
            .take_while(|word| word.chars().next().is_some_and(char::is_uppercase) || *word == "&")
            .take(4)
            .collect::<Vec<_>>()
            .join(" ")
            .trim_end_matches(|c: char| c.is_ascii_punctuation())
            .to_owned(),
    };
    (!name.is_empty() && name.chars().count() <= 48).then_some(name)
}

/// Returns the audience: the words after the first "for".
fn audience(idea: &str) -> Option<String> {
    const END: &[&str] =
        &["that", "which", "who", "with", "to", "where", "so", "and", "when", "called", "named"];
    const NOT_PEOPLE: &[&str] =
        &["sharing", "keeping", "tracking", "managing", "storing", "planning", "booking"];
    let words: Vec<&str> = idea.split_whitespace().collect();
    let at = words.iter().position(|word| word.eq_ignore_ascii_case("for"))?;
    let mut audience = Vec::new();
    for word in &words[at + 1..] {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let lower = bare.to_lowercase();
        if bare.is_empty()
            || END.contains(&lower.as_str())
            || (audience.is_empty() && NOT_PEOPLE.contains(&lower.as_str()))
            || audience.len() == 6
        {
            break;
        }
        audience.push(bare);
        if word.ends_with(['.', ',', ';', ':', '!', '?']) {
            break;
        }
    }
    (!audience.is_empty()).then(|| clip(&audience.join(" "), 60))
}

fn title_word(word: &str, first: bool) -> String {
    const SMALL: &[&str] = &["a", "an", "and", "of", "the", "in", "on", "or"];
    if !first && SMALL.contains(&word.to_lowercase().as_str()) {
        return word.to_lowercase();
    }
    word.split('-').map(capitalised).collect::<Vec<_>>().join("-")
}

/// Returns the word with a capital first letter and its other letters unchanged.
pub(crate) fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Returns an approximate English singular.
pub(crate) fn singular(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 2) {
        return format!("{stem}y");
    }
    for ending in ["sses", "xes", "ches", "shes", "zes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 2 && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// Returns an approximate English plural.
pub(crate) fn plural(word: &str) -> String {
    let before_y = word.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    if let Some(stem) = before_y {
        return format!("{stem}ies");
    }
    if word.ends_with(['s', 'x', 'z']) || word.ends_with("ch") || word.ends_with("sh") {
        return format!("{word}es");
    }
    format!("{word}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compiled_in_domain_is_complete() {
        assert_eq!(domains().last().unwrap().key, "items");
        for domain in domains() {
            assert_eq!(domain.fields[0].name, "title", "{}", domain.key);
            assert!(domain.fields[0].required && domain.fields.len() >= 4, "{}", domain.key);
            assert!(domain.samples.len() >= 3, "{}", domain.key);
            for sample in &domain.samples {
                for name in sample.keys() {
                    let known = domain.fields.iter().any(|field| field.name == *name);
                    assert!(known, "{}: a sample has the unknown field {name}", domain.key);
                }
                for field in &domain.fields {
                    let value = sample.get(&field.name).and_then(Value::as_str);
                    let fits = field.options.is_empty()
                        || value.is_some_and(|value| field.options.iter().any(|o| o == value));
                    assert!(fits, "{}: {} is no option", domain.key, field.name);
                }
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
        ] {
            assert_eq!(read(idea).domain.key, key, "{idea}");
        }
    }

    #[test]
    fn the_name_and_the_audience_come_from_the_idea() {
        for (idea, name, audience) in [
            (
                "A recipe-sharing site for small families",
                "Recipe-Sharing Site",
                Some("small families"),
            ),
            (
                "I want to build an app for dog owners that love hiking",
                "Trips App",
                Some("dog owners"),
            ),
            ("A catalogue of vintage guitars.", "Catalogue of Vintage Guitars", None),
            ("A shop called \"Crumbs & Co\" for neighbours", "Crumbs & Co", Some("neighbours")),
            ("We need a tracker named Busy Bee, please", "Busy Bee", None),
            ("", "Items", None),
            ("🦀🦀🦀", "Items", None),
        ] {
            let reading = read(idea);
            assert_eq!(reading.name, name, "{idea}");
            assert_eq!(reading.audience.as_deref(), audience, "{idea}");
        }
    }

    #[test]
    fn an_unknown_domain_takes_its_noun_from_the_headline() {
        let reading = read("A catalogue of vintage guitars");
        assert_eq!(reading.noun, ("guitar".to_owned(), "guitars".to_owned()));
        assert_eq!(read("beekeeping hive tracker").noun.0, "hive");
        assert_eq!(read("an app").noun.0, "item");
    }

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

    #[test]
    fn plurals_and_singulars_meet() {
        for (one, many) in [("recipe", "recipes"), ("story", "stories"), ("box", "boxes")] {
            assert_eq!(plural(one), many);
            assert_eq!(singular(many), one);
        }
        assert_eq!(singular("bus"), "bus");
        assert_eq!(singular("glass"), "glass");
    }
}
