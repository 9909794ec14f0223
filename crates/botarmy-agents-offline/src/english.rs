//! English words: articles, plurals, singulars.

/// Returns a noun with its indefinite article.
pub(crate) fn with_article(noun: &str) -> String {
    format!("{} {noun}", article(noun))
}

/// Returns the indefinite article of a word. It follows the sound: a user, an hour, an FAQ.
fn article(word: &str) -> &'static str {
    const SILENT_H: &[&str] = &["hour", "honest", "honour", "honor", "heir"];
    const CONSONANT_SOUND: &[&str] =
        &["eu", "ew", "one", "once", "uk", "uni", "use", "usu", "usa", "uti", "ubi", "ufo", "ura"];
    const VOWEL_SOUND_AFTER_UNI: &[&str] = &["unid", "unim", "unin"];
    let first = word.split(|c: char| !c.is_alphanumeric()).find(|part| !part.is_empty());
    let first = first.unwrap_or(word);
    let lower = first.to_lowercase();
    let begins = |list: &[&str]| list.iter().any(|start| lower.starts_with(start));
    let letters_spoken_alone = first.chars().count() <= 4
        && first.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let is_vowel = if letters_spoken_alone {
        lower.starts_with(['a', 'e', 'f', 'h', 'i', 'l', 'm', 'n', 'o', 'r', 's', 'x', '8'])
    } else if begins(SILENT_H) || begins(VOWEL_SOUND_AFTER_UNI) {
        true
    } else if begins(CONSONANT_SOUND) {
        false
    } else {
        lower == "11"
            || lower == "18"
            || lower.starts_with(['a', 'e', 'i', 'o', 'u', '8', 'ä', 'ö', 'ü', 'é', 'å'])
    };
    if is_vowel { "an" } else { "a" }
}

/// Returns a count with the noun in its number: `1 file`, `2 files`.
pub(crate) fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {}", plural(one)) }
}

/// Returns the word with a capital first letter and its other letters unchanged.
pub(crate) fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Nouns whose plural follows no rule, singular first.
const IRREGULAR: &[(&str, &str)] = &[
    ("analysis", "analyses"),
    ("basis", "bases"),
    ("calf", "calves"),
    ("child", "children"),
    ("crisis", "crises"),
    ("criterion", "criteria"),
    ("echo", "echoes"),
    ("foot", "feet"),
    ("half", "halves"),
    ("hero", "heroes"),
    ("knife", "knives"),
    ("leaf", "leaves"),
    ("life", "lives"),
    ("loaf", "loaves"),
    ("man", "men"),
    ("mouse", "mice"),
    ("person", "people"),
    ("potato", "potatoes"),
    ("shelf", "shelves"),
    ("thesis", "theses"),
    ("tomato", "tomatoes"),
    ("tooth", "teeth"),
    ("wife", "wives"),
    ("wolf", "wolves"),
    ("woman", "women"),
];

/// Nouns that have no plural, or the same one.
const UNCOUNTABLE: &[&str] = &[
    "advice",
    "art",
    "equipment",
    "feedback",
    "fish",
    "food",
    "furniture",
    "hardware",
    "health",
    "homework",
    "information",
    "inventory",
    "knowledge",
    "luggage",
    "mail",
    "money",
    "music",
    "news",
    "research",
    "series",
    "sheep",
    "software",
    "species",
    "staff",
    "time",
    "traffic",
    "water",
    "weather",
    "work",
];

/// Returns `true` for a noun of which there can be two. Activities (`invoicing`) are not counted.
pub(crate) fn is_countable(noun: &str) -> bool {
    const THINGS_IN_ING: &[&str] =
        &["building", "drawing", "earring", "king", "meeting", "painting", "ring", "wing"];
    !UNCOUNTABLE.contains(&noun) && (!noun.ends_with("ing") || THINGS_IN_ING.contains(&noun))
}

/// Returns an approximate singular.
pub(crate) fn singular(word: &str) -> String {
    if let Some((one, _)) = IRREGULAR.iter().find(|(_, many)| *many == word) {
        return (*one).to_owned();
    }
    if UNCOUNTABLE.contains(&word) {
        return word.to_owned();
    }
    if matches!(word, "movies" | "cookies" | "calories" | "selfies" | "ties" | "pies" | "brownies")
    {
        return word[..word.len() - 1].to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 2) {
        return format!("{stem}y");
    }
    for ending in ["sses", "xes", "ches", "shes", "zzes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 2 && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word.to_owned(),
    }
}

/// Returns an approximate plural. In a noun of several words the last one carries it.
pub(crate) fn plural(noun: &str) -> String {
    let (before, word) = match noun.rfind([' ', '-']) {
        Some(at) => noun.split_at(at + 1),
        None => ("", noun),
    };
    if let Some((_, many)) = IRREGULAR.iter().find(|(one, _)| *one == word) {
        return format!("{before}{many}");
    }
    if UNCOUNTABLE.contains(&word) {
        return noun.to_owned();
    }
    let before_y = word.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    if let Some(stem) = before_y {
        return format!("{before}{stem}ies");
    }
    if word.ends_with(['s', 'x', 'z']) || word.ends_with("ch") || word.ends_with("sh") {
        return format!("{noun}es");
    }
    format!("{noun}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_article_follows_the_sound() {
        for noun in [
            "an invoice",
            "an hour",
            "an honest draft",
            "an FAQ",
            "an MP3",
            "an 8-ball",
            "an unidentified plant",
            "an umbrella",
            "a user",
            "a unit",
            "a one-off",
            "a European",
            "a URL",
            "a boat",
            "a 7-day plan",
            "a uniform",
            "an aunt",
        ] {
            let (article, word) = noun.split_once(' ').unwrap();
            assert_eq!(with_article(word), format!("{article} {word}"));
        }
    }

    #[test]
    fn plurals_and_singulars_meet() {
        for (one, many) in [
            ("recipe", "recipes"),
            ("story", "stories"),
            ("box", "boxes"),
            ("person", "people"),
            ("shelf", "shelves"),
            ("hive", "hives"),
            ("dish", "dishes"),
            ("day", "days"),
            ("movie", "movies"),
        ] {
            assert_eq!(plural(one), many);
            assert_eq!(singular(many), one);
        }
        assert_eq!(plural("geocaching entry"), "geocaching entries");
        assert_eq!(plural("sheep"), "sheep");
        for word in ["bus", "glass", "series", "news"] {
            assert_eq!(singular(word), word);
        }
    }

    #[test]
    fn an_activity_is_not_counted() {
        assert!(!is_countable("invoicing") && !is_countable("equipment"));
        assert!(is_countable("guitar") && is_countable("painting"));
    }

    #[test]
    fn a_count_carries_the_number_of_its_noun() {
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(2, "entry"), "2 entries");
    }
}
