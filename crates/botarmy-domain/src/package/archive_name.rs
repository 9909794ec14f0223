//! The file name under which a package is downloaded.

use crate::text::is_bidi;

/// Most bytes of a file name on common file systems.
const MAX_BYTES: usize = 255;
/// End of the name, which is kept whatever the length.
const ENDING: &str = "_artifacts.zip";

/// Returns the file name of a project's package: the project's name without the characters that no
/// file name can have or that disguise one, and not longer than a file name can be.
#[must_use]
pub fn archive_name(project: &str) -> String {
    let shown = project.trim().chars().filter(|c| !is_bidi(*c));
    let mut name: String = shown
        .map(|c| match c {
            c if c.is_whitespace() || c.is_control() => '_',
            '"' | '\\' | '/' | ':' | '*' | '?' | '<' | '>' | '|' => '_',
            c => c,
        })
        .collect();
    let longest = name.len().min(MAX_BYTES - ENDING.len());
    let end = (0..=longest).rev().find(|at| name.is_char_boundary(*at));
    name.truncate(end.unwrap_or(0));
    name + ENDING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_can_be_saved() {
        for (project, expected) in [
            ("To do", "To_do_artifacts.zip"),
            (" a/b\\c:d \n", "a_b_c_d_artifacts.zip"),
            ("Größe \"1\"", "Größe__1__artifacts.zip"),
            ("bill\u{202e}gpj.exe", "billgpj.exe_artifacts.zip"),
            ("a\u{200f}b\u{2066}c\u{61c}d", "abcd_artifacts.zip"),
            ("\u{202e}", "_artifacts.zip"),
        ] {
            assert_eq!(archive_name(project), expected);
        }
    }

    #[test]
    fn a_long_name_is_cut_to_255_bytes_and_keeps_its_extension() {
        for letter in ["x", "ż", "語", "𝔘"] {
            let name = archive_name(&letter.repeat(255));
            assert!((252..=255).contains(&name.len()), "{}", name.len());
            assert!(name.starts_with(letter) && name.ends_with("_artifacts.zip"), "{name}");
        }
    }
}
