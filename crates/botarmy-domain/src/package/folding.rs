//! Names in the form in which lenient file systems compare them: APFS, NTFS and others take names
//! for the same that differ in case, in composition, or in invisible characters.

use icu_casemap::CaseMapper;
use icu_normalizer::DecomposingNormalizerBorrowed;

/// Returns the form of a name that is compared: without ignorable characters, in full case folding
/// and canonical decomposition (Unicode 16, definition D145).
pub(super) fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let decomposition = DecomposingNormalizerBorrowed::new_nfd();
    let visible = decomposition.normalize(name);
    let visible: String = visible.chars().filter(|c| !is_ignorable(*c)).collect();
    decomposition.normalize(&CaseMapper::new().fold_string(&visible)).into_owned()
}

/// Returns whether a character has the property `Default_Ignorable_Code_Point`: it is invisible,
/// and HFS+ skips it when it compares names.
const fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_file_system_takes_for_one_are_equal() {
        for (one, other) in [
            ("README", "readme"),
            ("straße", "STRASSE"),
            ("straße", "strasse"),
            ("STRAẞE", "strasse"),
            ("ſoup", "soup"),
            ("λόγος", "ΛΌΓΟΣ"),
            ("\u{212a}elvin", "kelvin"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("CAF\u{c9}", "cafe\u{301}"),
            ("\u{fb01}le", "file"),
            (".g\u{200c}it", ".GIT"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in [("cafe", "café"), ("sık", "sik"), ("a", "а"), ("x1", "x¹")] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }
}
