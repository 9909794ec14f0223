//! Parts of an idea that the templates do not build. They are named in the documents and in the
//! application, so that nobody has to find out.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::domain;
use crate::english::singular;
use crate::extras::{is_declined, names_a_feature};
use crate::idea::{self, is_container, is_stop_word, tokens};
use crate::kind::Kind;
use crate::language;
use crate::places::has_place;
use crate::product::Product;
use crate::resource;
use crate::template::clip;

/// A subject that no template has a part for.
struct Beyond {
    words: &'static [&'static str],
    /// Name of the subject, and the sentence about it.
    name: &'static str,
    sentence: &'static str,
}

const BEYOND: &[Beyond] = &[
    Beyond {
        words: &[
            "account",
            "accounts",
            "admin",
            "admins",
            "authentication",
            "log in",
            "login",
            "logins",
            "members only",
            "password",
            "passwords",
            "permission",
            "permissions",
            "privacy",
            "register",
            "registration",
            "role",
            "roles",
            "sign in",
            "sign up",
            "anmeldung",
            "anmelden",
            "konten",
            "konto",
            "passwort",
        ],
        name: "Accounts and permissions",
        sentence: "everybody who opens the pages sees and changes everything in that browser.",
    },
    Beyond {
        words: &[
            "alert",
            "alerts",
            "e mail",
            "e mails",
            "email",
            "emails",
            "newsletter",
            "notification",
            "notifications",
            "notified",
            "notifies",
            "notify",
            "push",
            "remind",
            "reminder",
            "reminders",
            "reminds",
            "sms",
            "telegram",
            "text message",
            "text messages",
            "whatsapp",
            "benachrichtigung",
            "benachrichtigungen",
            "erinnerung",
            "erinnerungen",
        ],
        name: "Messages and reminders",
        sentence: "nothing is ever sent.",
    },
    Beyond {
        words: &[
            "checkout",
            "credit card",
            "direct debit",
            "pay online",
            "payment",
            "payments",
            "paypal",
            "stripe",
            "subscription",
            "subscriptions",
            "zahlung",
            "zahlungen",
        ],
        name: "Payments",
        sentence: "nothing can be paid with it.",
    },
    Beyond {
        words: &[
            "collaborate",
            "collaboration",
            "collaborative",
            "multi user",
            "multiplayer",
            "multiuser",
            "real time",
            "realtime",
            "simultaneously",
            "sync",
            "synced",
            "synchronisation",
            "synchronise",
            "synchronised",
            "synchronize",
            "synchronized",
            "synchronization",
        ],
        name: "Data that several people share",
        sentence: "every browser keeps data of its own, which travels as a file.",
    },
    Beyond {
        words: &[
            "api",
            "apis",
            "back end",
            "backend",
            "database",
            "endpoint",
            "endpoints",
            "graphql",
            "server",
            "servers",
            "webhook",
            "webhooks",
        ],
        name: "A server",
        sentence: "the package consists of static files, and nothing in it answers requests.",
    },
    Beyond {
        words: &[
            "bank feed",
            "crawl",
            "crawler",
            "daily rates",
            "fetch",
            "fetched",
            "fetches",
            "google",
            "integrate",
            "integrated",
            "integrates",
            "integration",
            "integrations",
            "latest",
            "live",
            "real rates",
            "rss",
            "scrape",
            "scraper",
            "slack",
            "todays",
            "up to date",
        ],
        name: "Data of other services",
        sentence: "nothing is loaded from anywhere; the data is what is entered or imported.",
    },
    Beyond {
        words: &[
            "geolocation",
            "gps",
            "location",
            "locations",
            "map",
            "maps",
            "navigate",
            "navigation",
            "nearby",
            "nearest",
            "karte",
            "standort",
        ],
        name: "Maps and positions",
        sentence: "nothing is drawn on a map, and no position is known.",
    },
    Beyond {
        words: &[
            "ai",
            "artificial intelligence",
            "chatgpt",
            "generate",
            "generated",
            "generates",
            "gpt",
            "intelligent",
            "language model",
            "llm",
            "machine learning",
            "natural language",
            "predict",
            "prediction",
            "predictions",
            "predicts",
            "understand",
            "understands",
            "ki",
        ],
        name: "Artificial intelligence",
        sentence: "the application follows fixed rules over words and numbers.",
    },
    Beyond {
        words: &[
            "audio",
            "camera",
            "film",
            "microphone",
            "mp3",
            "podcast",
            "recorded",
            "recording",
            "recordings",
            "stream",
            "streaming",
            "upload",
            "uploads",
            "uploaded",
            "video",
            "videos",
            "voice",
            "voices",
        ],
        name: "Recordings and uploads",
        sentence: "the package has no sound and no film, and cannot take files in; addresses of files \
                   elsewhere can be entered where there is a field for them.",
    },
    Beyond {
        words: &["android", "app store", "ios", "iphone", "native app", "play store"],
        name: "An application for an app store",
        sentence: "it is a web page, which also works on a phone.",
    },
    Beyond {
        words: &["csv", "excel", "pdf", "pdfs", "spreadsheet", "spreadsheets", "xlsx"],
        name: "Other file formats",
        sentence: "data leaves as JSON, or over the print dialog of the browser.",
    },
    Beyond {
        words: &[
            "analytics",
            "chart",
            "charts",
            "diagram",
            "diagrams",
            "graph",
            "graphs",
            "statistic",
            "statistics",
            "statistik",
            "statistiken",
        ],
        name: "Charts and statistics",
        sentence: "no diagram is drawn, and nothing is counted beyond what the pages show.",
    },
    Beyond {
        words: &[
            "bilingual",
            "languages",
            "multilingual",
            "translate",
            "translated",
            "translates",
            "translation",
            "translations",
            "mehrsprachig",
        ],
        name: "Several languages",
        sentence: "the interface is in English only.",
    },
    Beyond {
        words: &["barcode", "barcodes", "nfc", "qr", "scan", "scanner", "scans"],
        name: "Scanning of codes",
        sentence: "everything is typed in.",
    },
    Beyond {
        words: &[
            "match",
            "matches",
            "matching",
            "recommend",
            "recommendation",
            "recommendations",
            "recommends",
            "suggest",
            "suggestion",
            "suggestions",
            "suggests",
        ],
        name: "Suggestions",
        sentence: "the application searches and sorts, and proposes nothing by itself.",
    },
    Beyond {
        words: &["community", "follow", "follower", "followers", "forum", "leaderboard", "social"],
        name: "Exchange between people",
        sentence: "nobody sees what others enter.",
    },
];

impl Beyond {
    /// Returns the places of its words in a text that are not declined, in the order of the text.
    fn places(&self, tokens: &[String]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for word in self.words {
            let parts: Vec<&str> = word.split(' ').collect();
            for at in 0..tokens.len() {
                let mut here = parts.iter().zip(tokens.iter().skip(at));
                let fits =
                    at + parts.len() <= tokens.len() && here.all(|(part, token)| token == part);
                if fits && !is_declined(tokens, at) {
                    found.push(at..at + parts.len());
                }
            }
        }
        found.sort_by_key(|place| (place.start, place.end));
        found
    }

    /// Returns the sentence about it for a text that asks for it.
    fn line(&self, tokens: &[String]) -> Option<String> {
        let place = self.places(tokens).into_iter().next()?;
        let words = tokens[place].join(" ").replace("e mail", "e-mail");
        Some(format!("{} (\"{words}\"): {}", self.name, self.sentence))
    }
}

/// The parts of an idea that were not built.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct NotBuilt {
    /// Requirements, one sentence each.
    pub(crate) requirements: Vec<String>,
    /// Other words of the idea without an effect.
    pub(crate) words: Vec<String>,
}

/// Returns the parts of a product's idea, of its reviewers' requests and of its stories that the
/// templates do not build.
pub(crate) fn of(product: &Product) -> NotBuilt {
    let mut found = of_idea(product);
    for change in &product.changes {
        let tokens = tokens(&change.text);
        for beyond in BEYOND {
            if let Some(line) = beyond.line(&tokens) {
                push(&mut found.requirements, format!("{}: {line}", change.story));
            }
        }
        if change.added.is_empty() && change.removed.is_empty() {
            let text = clip(&one_line(&change.text), 200);
            let line = format!(
                "{}: \"{text}\" was recorded; no template has a part for it.",
                change.story
            );
            push(&mut found.requirements, line);
        }
    }
    let kind = domain::domain(&product.domain).kind;
    let built = |feature: &str| has_place(feature, kind) || feature == "request";
    for story in &product.stories {
        if !story.feature.as_deref().is_some_and(built) {
            let line = format!("{}: {}", story.id, clip(&one_line(&story.i_want), 200));
            push(&mut found.requirements, line);
        }
    }
    found
}

fn of_idea(product: &Product) -> NotBuilt {
    let mut found = NotBuilt::default();
    let all = tokens(&product.idea);
    for beyond in BEYOND {
        if let Some(line) = beyond.line(&all) {
            push(&mut found.requirements, line);
        }
    }
    found.requirements.extend(contents(product));
    let is_foreign = language::foreign(&product.idea).is_some();
    let shown = shown_words(product);
    for clause in clauses(&product.idea) {
        let tokens = tokens(clause);
        let known = known_words(product, &shown, &tokens);
        let content: Vec<usize> = (0..tokens.len()).filter(|at| is_content(&tokens[*at])).collect();
        let unused: Vec<usize> = content.iter().copied().filter(|at| !known[*at]).collect();
        if unused.is_empty() {
            continue;
        }
        if unused.len() == content.len() {
            let text = clip(&one_line(clause), 160);
            let reason = if is_foreign {
                "the templates read English only"
            } else {
                "no template has a part for it"
            };
            push(&mut found.requirements, format!("\"{text}\": {reason}."));
        } else {
            for at in unused {
                push(&mut found.words, tokens[at].clone());
            }
        }
    }
    found.words.truncate(24);
    found.requirements.truncate(40);
    found
}

/// Returns the line about contents that only the owner of the idea has, for kinds of application
/// that are nothing without them.
fn contents(product: &Product) -> Option<String> {
    let kind = domain::domain(&product.domain).kind;
    if !matches!(kind, Kind::Conversation | Kind::Quiz | Kind::Guide) {
        return None;
    }
    let subject = idea::subject(&product.idea)
        .map_or_else(|| "of your own".to_owned(), |subject| format!("about {subject}"));
    Some(format!(
        "Contents {subject}: the {} are general samples until you replace them.",
        product.plural
    ))
}

fn push(list: &mut Vec<String>, line: String) {
    if !list.contains(&line) {
        list.push(line);
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Splits an idea into the parts that each can ask for something.
fn clauses(idea: &str) -> Vec<&str> {
    let mut clauses = Vec::new();
    for part in idea.split(['.', ',', ';', ':', '!', '?', '\n', '(', ')', '–', '—']) {
        let mut rest = part;
        loop {
            let cut = [" and ", " that ", " which ", " where ", " with ", " so ", " und ", " mit "]
                .iter()
                .filter_map(|word| rest.find(word).map(|at| (at, word.len())))
                .min();
            let Some((at, length)) = cut else { break };
            clauses.push(&rest[..at]);
            rest = &rest[at + length..];
        }
        clauses.push(rest);
    }
    clauses.retain(|clause| !clause.trim().is_empty());
    clauses
}

fn is_content(token: &str) -> bool {
    token.chars().count() > 2
        && token.chars().any(char::is_alphabetic)
        && !is_stop_word(token)
        && !is_container(token)
}

/// Returns the words that the application shows, in the singular.
fn shown_words(product: &Product) -> BTreeSet<String> {
    let names = [product.name.as_str(), product.audience.as_deref().unwrap_or_default()]
        .into_iter()
        .chain([product.singular.as_str(), product.plural.as_str()])
        .chain(product.fields.iter().map(|field| field.label.as_str()))
        .chain(product.fields.iter().flat_map(|field| field.options.iter().map(String::as_str)));
    let mut shown: Vec<String> = names.flat_map(tokens).collect();
    shown.extend(idea::subject(&product.idea).iter().flat_map(|words| tokens(words)));
    shown.extend(idea::headline(&product.idea).iter().flat_map(|word| tokens(word)));
    shown.iter().map(|word| singular(word)).collect()
}

/// Returns, for each word of a clause, whether it had an effect.
fn known_words(product: &Product, shown: &BTreeSet<String>, clause: &[String]) -> Vec<bool> {
    let domain = domain::domain(&product.domain);
    let of_domain = domain.words_in(clause);
    let of_beyond: Vec<usize> =
        BEYOND.iter().flat_map(|beyond| beyond.places(clause)).flatten().collect();
    (0..clause.len())
        .map(|at| {
            let token = &clause[at];
            of_domain.contains(&at)
                || of_beyond.contains(&at)
                || names_a_feature(token)
                || is_declined(clause, at)
                || resource::is_named(clause, at)
                || shown.contains(&singular(token))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirements(idea: &str) -> Vec<String> {
        of(&Product::from_idea(idea)).requirements
    }

    #[test]
    fn an_idea_that_is_covered_leaves_nothing_out() {
        assert_eq!(
            of(&Product::from_idea("A recipe-sharing site for small families")),
            NotBuilt::default()
        );
    }

    #[test]
    fn what_no_template_covers_is_named() {
        for (idea, name) in [
            ("Invoices that are sent by e-mail", "Messages and reminders (\"e-mail\")"),
            ("A shop where customers pay online", "Payments (\"pay online\")"),
            ("An audio guide with GPS", "Maps and positions (\"gps\")"),
            ("A currency API", "A server (\"api\")"),
            ("A recipe site with user accounts", "Accounts and permissions (\"accounts\")"),
            ("A habit tracker with statistics", "Charts and statistics (\"statistics\")"),
        ] {
            let found = requirements(idea);
            assert!(found.iter().any(|line| line.starts_with(name)), "{idea}: {found:?}");
        }
        assert_eq!(requirements("Recipes without accounts"), Vec::<String>::new());
    }

    #[test]
    fn a_clause_without_a_known_word_is_quoted() {
        let found = requirements("A recipe site. It brews coffee by moonlight.");
        assert_eq!(found, ["\"It brews coffee by moonlight\": no template has a part for it."]);
    }

    #[test]
    fn single_words_without_effect_are_listed_apart() {
        let found = of(&Product::from_idea("A recipe site that shows fermented recipes"));
        assert_eq!(found.requirements, Vec::<String>::new());
        assert_eq!(found.words, ["fermented"]);
    }
}
