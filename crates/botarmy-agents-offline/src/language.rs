//! The language of an idea, by its small words, letters and script. The templates are in English;
//! an idea in another language is named as such and quoted.

/// A language that can be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language {
    /// Name in English, such as `German`.
    pub(crate) name: &'static str,
    /// Tag for the attribute `lang` (BCP 47).
    pub(crate) tag: &'static str,
}

/// Small words and letters of a language.
struct Evidence {
    language: Language,
    words: &'static [&'static str],
    letters: &'static str,
}

const ENGLISH: &[&str] = &[
    "a", "an", "and", "are", "by", "can", "every", "for", "from", "how", "i", "in", "is", "it",
    "my", "of", "on", "or", "our", "people", "so", "that", "the", "their", "they", "this", "to",
    "want", "we", "what", "when", "where", "which", "who", "with", "you", "your",
];

const OTHERS: &[Evidence] = &[
    Evidence {
        language: Language { name: "German", tag: "de" },
        words: &[
            "alle", "auch", "haben", "können", "möchte", "möchten", "nicht", "sehen", "sein",
            "werden", "will", "wollen", "auf", "aus", "bei", "das", "dem", "den", "der", "des",
            "die", "ein", "eine", "einem", "einen", "einer", "eines", "für", "ich", "im", "ist",
            "kann", "man", "mit", "nach", "oder", "sich", "sind", "soll", "sollen", "über", "und",
            "unser", "unsere", "unseren", "von", "wer", "wie", "wir", "wird", "zum", "zur",
        ],
        letters: "äöüß",
    },
    Evidence {
        language: Language { name: "French", tag: "fr" },
        words: &[
            "au", "aux", "avec", "ce", "chaque", "dans", "de", "des", "du", "elle", "est", "et",
            "je", "la", "le", "les", "leur", "leurs", "mes", "mon", "nos", "nous", "ou", "où",
            "par", "pour", "que", "qui", "sans", "ses", "sont", "sur", "un", "une", "vous",
        ],
        letters: "éèêçàùœ",
    },
    Evidence {
        language: Language { name: "Spanish", tag: "es" },
        words: &[
            "al", "con", "cada", "de", "del", "el", "en", "es", "la", "las", "lo", "los", "mi",
            "nuestro", "nuestra", "o", "para", "por", "que", "quiero", "se", "sin", "son", "su",
            "sus", "un", "una", "y",
        ],
        letters: "ñ¿¡",
    },
    Evidence {
        language: Language { name: "Italian", tag: "it" },
        words: &[
            "che", "con", "da", "dei", "del", "della", "delle", "di", "e", "gli", "i", "il", "in",
            "la", "le", "lo", "nostro", "o", "ogni", "per", "senza", "sono", "su", "un", "una",
            "uno",
        ],
        letters: "ìò",
    },
    Evidence {
        language: Language { name: "Portuguese", tag: "pt" },
        words: &[
            "as", "cada", "com", "da", "das", "de", "do", "dos", "e", "em", "meu", "minha", "na",
            "nas", "no", "nos", "nosso", "o", "os", "ou", "para", "por", "que", "quero", "sem",
            "são", "um", "uma",
        ],
        letters: "ãõ",
    },
    Evidence {
        language: Language { name: "Dutch", tag: "nl" },
        words: &[
            "aan", "bij", "dat", "de", "deze", "die", "een", "en", "er", "het", "hun", "ik", "je",
            "met", "mijn", "naar", "niet", "om", "ons", "onze", "of", "op", "te", "uit", "van",
            "voor", "wij", "zijn", "zonder",
        ],
        letters: "ĳ",
    },
    Evidence {
        language: Language { name: "Polish", tag: "pl" },
        words: &[
            "albo", "bez", "dla", "do", "i", "jest", "każdy", "lub", "na", "nasz", "nie", "od",
            "oraz", "po", "przez", "są", "się", "w", "z", "za", "ze", "że",
        ],
        letters: "ąćęłńśźż",
    },
    Evidence {
        language: Language { name: "Swedish", tag: "sv" },
        words: &[
            "att", "av", "med", "den", "det", "där", "en", "ett", "för", "från", "jag", "och",
            "om", "på", "som", "till", "utan", "vi", "vår", "är",
        ],
        letters: "å",
    },
];

/// Scripts other than the Latin one, with the languages that are named for them.
const SCRIPTS: &[(std::ops::RangeInclusive<char>, Language)] = &[
    ('\u{370}'..='\u{3ff}', Language { name: "Greek", tag: "el" }),
    ('\u{400}'..='\u{52f}', Language { name: "a language in Cyrillic script", tag: "und-Cyrl" }),
    ('\u{590}'..='\u{5ff}', Language { name: "Hebrew", tag: "he" }),
    ('\u{600}'..='\u{6ff}', Language { name: "a language in Arabic script", tag: "und-Arab" }),
    ('\u{900}'..='\u{97f}', Language { name: "a language in Devanagari script", tag: "und-Deva" }),
    ('\u{e00}'..='\u{e7f}', Language { name: "Thai", tag: "th" }),
    ('\u{3040}'..='\u{30ff}', Language { name: "Japanese", tag: "ja" }),
    ('\u{ac00}'..='\u{d7af}', Language { name: "Korean", tag: "ko" }),
    ('\u{4e00}'..='\u{9fff}', Language { name: "Chinese or Japanese", tag: "und-Hani" }),
];

/// Returns the language of a text, or `None` for English and for a text that does not say.
pub(crate) fn foreign(text: &str) -> Option<Language> {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    for (script, language) in SCRIPTS {
        let there = text.chars().filter(|c| script.contains(c)).count();
        if there * 3 > letters {
            return Some(*language);
        }
    }
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let hits = |list: &[&str]| words.iter().filter(|word| list.contains(*word)).count();
    let score = |evidence: &Evidence| {
        let marked = words
            .iter()
            .filter(|word| word.contains(|c: char| evidence.letters.contains(c)))
            .count();
        hits(evidence.words) + marked
    };
    let mut best: Option<(usize, &Evidence)> = None;
    for evidence in OTHERS {
        let score = score(evidence);
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, evidence));
        }
    }
    let (score, evidence) = best?;
    let is_clear = score >= 2 && score > hits(ENGLISH) && score * 8 >= words.len();
    is_clear.then_some(evidence.language)
}

/// Returns `true` for a small word of any language that is recognised.
pub(crate) fn is_small_word(word: &str) -> bool {
    ENGLISH.contains(&word) || OTHERS.iter().any(|evidence| evidence.words.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idea_in_another_language_is_recognised() {
        for (idea, name) in [
            ("Ein Planer für einen Ruderverein: Boote reservieren und Termine sehen", "German"),
            ("Une application pour gérer les recettes de la famille", "French"),
            ("Una aplicación para los recibos de una tienda", "Spanish"),
            ("Un'app per le ricette della nonna e per gli amici", "Italian"),
            ("Um aplicativo para as receitas da minha avó", "Portuguese"),
            ("Een app voor het plannen van onze diensten", "Dutch"),
            ("Aplikacja do przepisów dla rodziny i przyjaciół", "Polish"),
            ("Приложение для рецептов", "a language in Cyrillic script"),
            ("レシピを共有するサイト", "Japanese"),
        ] {
            assert_eq!(foreign(idea).map(|language| language.name), Some(name), "{idea}");
        }
    }

    #[test]
    fn english_and_bare_names_are_not_called_foreign() {
        for idea in [
            "A recipe-sharing site for small families",
            "Café finder",
            "recipes",
            "",
            "An app called Die Küche for our cooks",
            "A to-do list with an en-suite calendar",
        ] {
            assert_eq!(foreign(idea), None, "{idea}");
        }
    }
}
