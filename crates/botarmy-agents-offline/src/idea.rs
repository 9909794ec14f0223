//! Interpretation of an idea by rules over its words: subject, name, audience and items. The same
//! idea always gives the same result.

use crate::domain::{self, ANY, Domain};
use crate::english::{capitalised, is_countable, plural, singular};
use crate::language::{self, Language};
use crate::template::clip;

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
    let domain = domain::guess(&tokens);
    let foreign = language::foreign(idea);
    let noun = match foreign {
        None if domain.key == ANY => noun(&headline(idea)),
        _ => None,
    };
    let noun = noun.unwrap_or_else(|| (domain.singular.clone(), domain.plural.clone()));
    let name = given_name(idea).unwrap_or_else(|| match foreign {
        Some(language) => foreign_name(idea, language, domain),
        None => name(&headline(idea), domain),
    });
    Reading {
        name,
        audience: if foreign.is_some() { None } else { audience(idea) },
        keywords: keywords(&tokens),
        domain,
        noun,
    }
}

/// Returns the words of a text in lower case; a hyphen separates words.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    text.to_lowercase()
        .replace(['\'', '’'], "")
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

const STOP_WORDS: &[&str] = &[
    "called",
    "named",
    "write",
    "writes",
    "a",
    "about",
    "after",
    "again",
    "all",
    "also",
    "an",
    "and",
    "another",
    "any",
    "anyone",
    "app",
    "application",
    "are",
    "as",
    "at",
    "back",
    "be",
    "because",
    "been",
    "before",
    "between",
    "both",
    "build",
    "but",
    "by",
    "can",
    "could",
    "create",
    "develop",
    "did",
    "do",
    "does",
    "each",
    "easily",
    "easy",
    "etc",
    "ever",
    "every",
    "everybody",
    "everyone",
    "everything",
    "few",
    "first",
    "for",
    "from",
    "get",
    "gets",
    "give",
    "gives",
    "go",
    "good",
    "had",
    "has",
    "have",
    "help",
    "helps",
    "her",
    "here",
    "him",
    "his",
    "how",
    "i",
    "id",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "just",
    "keep",
    "keeps",
    "last",
    "less",
    "let",
    "lets",
    "like",
    "make",
    "makes",
    "many",
    "may",
    "me",
    "more",
    "most",
    "much",
    "must",
    "my",
    "near",
    "need",
    "needs",
    "never",
    "next",
    "nice",
    "no",
    "not",
    "of",
    "often",
    "on",
    "once",
    "one",
    "only",
    "or",
    "other",
    "others",
    "our",
    "out",
    "over",
    "own",
    "page",
    "people",
    "person",
    "platform",
    "please",
    "program",
    "quick",
    "quickly",
    "same",
    "see",
    "she",
    "should",
    "show",
    "shows",
    "simple",
    "site",
    "small",
    "so",
    "some",
    "somebody",
    "someone",
    "something",
    "software",
    "soon",
    "still",
    "such",
    "system",
    "take",
    "takes",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "thing",
    "things",
    "this",
    "those",
    "through",
    "to",
    "together",
    "too",
    "tool",
    "under",
    "until",
    "up",
    "us",
    "use",
    "used",
    "user",
    "users",
    "using",
    "very",
    "want",
    "wants",
    "was",
    "we",
    "web",
    "website",
    "well",
    "were",
    "what",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "who",
    "whole",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "within",
    "without",
    "work",
    "works",
    "would",
    "yet",
    "you",
    "your",
];

/// Returns `true` for a word without a content of its own.
pub(crate) fn is_stop_word(token: &str) -> bool {
    STOP_WORDS.contains(&token) || language::is_small_word(token)
}

/// Returns `true` for a word that stands for software and not for what it is about.
pub(crate) fn is_container(token: &str) -> bool {
    CONTAINERS.contains(&token)
}

fn keywords(tokens: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for token in tokens {
        let long_enough = token.chars().count() > 2 && !token.chars().all(char::is_numeric);
        if long_enough && !is_stop_word(token) && !found.contains(token) {
            found.push(token.clone());
        }
        if found.len() == 8 {
            break;
        }
    }
    found
}

/// Returns the first sentence or part of a sentence of an idea.
fn first_part(idea: &str) -> &str {
    let start = idea.trim_start();
    let end = start.find(['.', ',', ';', ':', '!', '?', '\n', '(', '–', '—']);
    &start[..end.unwrap_or(start.len())]
}

/// Returns the words of the idea that name the product: those after "I want a …" and before "for",
/// "that", …
pub(crate) fn headline(idea: &str) -> Vec<String> {
    const OPENING: &[&str] = &[
        "i", "we", "want", "need", "would", "like", "love", "to", "please", "build", "create",
        "make", "develop", "design", "write", "have", "me", "us", "a", "an", "the", "my", "our",
        "some", "idea", "simple", "small", "new", "let", "lets", "id",
    ];
    const END: &[&str] = &[
        "for", "that", "which", "with", "where", "who", "whose", "so", "to", "called", "named",
        "and", "from", "by", "using", "when", "because", "without", "helping", "letting", "in",
        "on", "at", "i", "we", "you", "they", "it", "is", "are", "can", "about", "into", "as",
    ];
    let mut words: Vec<String> = Vec::new();
    for word in first_part(idea).split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let lower = word.to_lowercase().replace(['\'', '’'], "");
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
        .is_some_and(|word| matches!(word.to_lowercase().as_str(), "of" | "the" | "a" | "an"))
    {
        words.pop();
    }
    words
}

const CONTAINERS: &[&str] = &[
    "app",
    "application",
    "assistant",
    "board",
    "bot",
    "calculator",
    "calendar",
    "catalog",
    "catalogue",
    "collection",
    "dashboard",
    "database",
    "diary",
    "directory",
    "finder",
    "game",
    "guide",
    "helper",
    "hub",
    "index",
    "inventory",
    "journal",
    "list",
    "log",
    "logbook",
    "manager",
    "mobile",
    "notebook",
    "online",
    "organiser",
    "organizer",
    "overview",
    "page",
    "planner",
    "platform",
    "portal",
    "program",
    "register",
    "service",
    "site",
    "software",
    "something",
    "system",
    "thing",
    "tool",
    "tracker",
    "web",
    "webapp",
    "website",
];

/// Returns the items that a product without a known subject keeps, as singular and plural. Only a
/// word that the headline shows to be a noun counts: a plural ("vintage guitars"), or the word
/// before one for software ("hive tracker").
fn noun(headline: &[String]) -> Option<(String, String)> {
    let words: Vec<String> =
        headline.iter().flat_map(|word| word.split('-')).map(str::to_lowercase).collect();
    let is_word = |word: &str| {
        (3..=20).contains(&word.len())
            && word.chars().all(|c| c.is_ascii_alphabetic())
            && !is_container(word)
            && !is_stop_word(word)
    };
    let is_plural = |word: &&String| is_word(word) && singular(word) != **word;
    let before_container = || {
        let pairs = words.windows(2).rev();
        let mut candidates =
            pairs.filter(|pair| is_container(&pair[1]) && is_word(&pair[0])).map(|pair| &pair[0]);
        candidates.next()
    };
    if let Some(word) = words.iter().rev().find(is_plural) {
        let one = singular(word);
        return Some((one.clone(), plural(&one)));
    }
    let word = before_container()?;
    let one = if is_countable(word) { word.clone() } else { format!("{word} entry") };
    Some((one.clone(), plural(&one)))
}

/// Returns the name of a product from the words of its headline.
fn name(headline: &[String], domain: &Domain) -> String {
    let subject = domain.key.as_str();
    let names = |word: &String| singular(&word.to_lowercase()) == singular(subject);
    let only_containers = headline.iter().all(|word| is_container(&word.to_lowercase()))
        && !headline.iter().any(names);
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

/// Returns the name of a product whose idea is not in English: its first words, as they are written.
fn foreign_name(idea: &str, language: Language, domain: &Domain) -> String {
    const OPENING: &[&str] = &[
        "ein", "eine", "einen", "der", "die", "das", "ich", "wir", "möchte", "möchten", "will",
        "wollen", "brauche", "brauchen", "un", "une", "le", "la", "les", "el", "los", "las", "una",
        "uno", "il", "lo", "gli", "um", "uma", "o", "os", "een", "de", "het", "en", "ett", "je",
        "veux", "quiero", "voglio", "quero", "ik", "wil", "jag", "vill", "ha",
    ];
    let words: Vec<&str> = first_part(idea)
        .split_whitespace()
        .skip_while(|word| OPENING.contains(&word.to_lowercase().as_str()))
        .collect();
    let mut kept: Vec<&str> = words.into_iter().take(6).collect();
    let is_small = |word: &str| {
        let word = word.to_lowercase();
        language::is_small_word(word.rsplit(['\'', '’']).next().unwrap_or_default())
    };
    while kept.last().is_some_and(|word| is_small(word)) {
        kept.pop();
    }
    let separated = !matches!(language.tag, "ja" | "th" | "und-Hani");
    let limit = if separated { 48 } else { 16 };
    let name = capitalised(&kept.join(" "));
    if name.is_empty() { capitalised(&domain.plural) } else { clip(&name, limit) }
}

/// Returns the name that the idea states: `called "Crumbs"`, `named Crumbs & Co`.
pub(crate) fn given_name(idea: &str) -> Option<String> {
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

/// Returns the subject: the words after the first "about", of an idea in English.
pub(crate) fn subject(idea: &str) -> Option<String> {
    let words: Vec<&str> = idea.split_whitespace().collect();
    let at = words.iter().position(|word| word.eq_ignore_ascii_case("about"))?;
    let subject = phrase(&words[at + 1..], &["for", "in", "on"]);
    subject.filter(|_| language::foreign(idea).is_none())
}

/// Returns the first words up to one that ends a phrase, or to a sign that does.
fn phrase(words: &[&str], also_end: &[&str]) -> Option<String> {
    const END: &[&str] = &[
        "that", "which", "who", "with", "to", "where", "so", "and", "when", "called", "named",
        "whose", "without", "but", "because", "from", "using", "via", "by",
    ];
    let mut phrase = Vec::new();
    for word in words {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let lower = bare.to_lowercase();
        let ends = END.contains(&lower.as_str()) || also_end.contains(&lower.as_str());
        if bare.is_empty() || ends || phrase.len() == 6 {
            break;
        }
        phrase.push(bare);
        if word.ends_with(['.', ',', ';', ':', '!', '?', ')']) {
            break;
        }
    }
    // "a", "the" and "in" do not end a phrase.
    while phrase.last().is_some_and(|word| is_stop_word(&word.to_lowercase()) && *word != "people")
    {
        phrase.pop();
    }
    (!phrase.is_empty()).then(|| clip(&phrase.join(" "), 60))
}

/// Returns the audience: the words after the first "for".
pub(crate) fn audience(idea: &str) -> Option<String> {
    const NOT_PEOPLE: &[&str] = &["example", "free", "each", "it", "this", "now"];
    let words: Vec<&str> = idea.split_whitespace().collect();
    let at = words.iter().position(|word| word.eq_ignore_ascii_case("for"))?;
    let first = words.get(at + 1)?.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let is_activity = first.ends_with("ing") && !is_countable(&first);
    if is_activity || NOT_PEOPLE.contains(&first.as_str()) {
        return None;
    }
    phrase(&words[at + 1..], &[])
}

fn title_word(word: &str, first: bool) -> String {
    const SMALL: &[&str] = &["a", "an", "and", "of", "the", "in", "on", "or"];
    if !first && SMALL.contains(&word.to_lowercase().as_str()) {
        return word.to_lowercase();
    }
    word.split('-').map(capitalised).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("A quiz for learning capitals", "Quiz", None),
            ("A guide for visitors with a dog", "Guide", Some("visitors")),
            ("", "Items", None),
            ("🦀🦀🦀", "Items", None),
        ] {
            let reading = read(idea);
            assert_eq!(reading.name, name, "{idea}");
            assert_eq!(reading.audience.as_deref(), audience, "{idea}");
        }
    }

    #[test]
    fn an_unknown_subject_takes_its_noun_from_the_headline_only_where_it_is_one() {
        for (idea, one, many) in [
            ("A catalogue of vintage guitars", "guitar", "guitars"),
            ("beekeeping hive tracker", "hive", "hives"),
            ("A geocaching log", "geocaching entry", "geocaching entries"),
            ("A catalogue of things I admire", "item", "items"),
            ("Something beautiful", "item", "items"),
            ("an app", "item", "items"),
            ("Wolves of our valley", "wolf", "wolves"),
        ] {
            let (found, plural) = read(idea).noun;
            assert_eq!((found.as_str(), plural.as_str()), (one, many), "{idea}");
        }
    }

    #[test]
    fn the_subject_is_what_the_idea_is_about() {
        assert_eq!(
            subject("A quiz about European capitals for schools").unwrap(),
            "European capitals"
        );
        assert_eq!(subject("A chatbot about our museum.").unwrap(), "our museum");
        assert_eq!(subject("A quiz"), None);
        assert_eq!(subject("about"), None);
    }

    #[test]
    fn words_of_another_language_are_never_inflected_as_english() {
        let reading = read("Ein Planer für einen Ruderverein: Boote reservieren, Termine sehen");
        assert_eq!(reading.name, "Planer für einen Ruderverein");
        assert_eq!(reading.noun, ("booking".to_owned(), "bookings".to_owned()));
        assert_eq!(reading.audience, None);
        let reading = read("Sammlung der Pfeifen von Opa und der Hüte von Oma");
        assert_eq!(reading.noun.1, "items");
    }
}
