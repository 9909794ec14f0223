//! Storage for applications in a preview. `localStorage` throws in a frame without an origin; most
//! applications would stop there. Values are kept in memory, until the frame is loaded again.

/// Script that defines storage where there is none.
const SHIM: &str = include_str!("../../assets/preview.js");

/// Returns a page with the script as its first one.
pub(crate) fn add(page: &str) -> String {
    let (before, after) = page.split_at(place(page));
    format!("{before}<script>{SHIM}</script>{after}")
}

/// Returns the place of the first element of the head: after its tag, or where a parser would begin one.
fn place(page: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &page[at..];
        let trimmed = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}');
        at += rest.len() - trimmed.len();
        let length = if trimmed.starts_with("<!--") {
            trimmed.find("-->").map(|end| end + 3)
        } else if is_tag(trimmed, "<!doctype") || is_tag(trimmed, "<html") {
            end_of_tag(trimmed)
        } else if is_tag(trimmed, "<head") {
            return end_of_tag(trimmed).map_or(at, |end| at + end);
        } else {
            return at;
        };
        match length {
            Some(length) => at += length,
            None => return at,
        }
    }
}

fn is_tag(text: &str, begin: &str) -> bool {
    let head = text.as_bytes().get(..begin.len());
    let next = text.as_bytes().get(begin.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(begin.as_bytes()))
        && next.is_some_and(|next| next.is_ascii_whitespace() || b"/>".contains(next))
}

/// Returns the position after a tag. A mark in the quoted value of an attribute does not end it.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at + 1),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_the_first_element_of_the_head() {
        for (page, before) in [
            ("<!doctype html><html><head><title>x</title>", "<!doctype html><html><head>"),
            (
                "\u{feff}<!DOCTYPE html>\n<HTML lang='>'>\n<Head data-x=\"a>b\">\n<script>",
                "\u{feff}<!DOCTYPE html>\n<HTML lang='>'>\n<Head data-x=\"a>b\">",
            ),
            ("<!-- <head> --><script>x</script><head>", "<!-- <head> -->"),
            ("<p>x</p>", ""),
            ("<header>x</header>", ""),
            ("<html", ""),
            ("", ""),
            ("<!-- open", ""),
        ] {
            let with = add(page);
            let rest = with.strip_prefix(before).unwrap_or_else(|| panic!("{page}: {with}"));
            assert!(rest.starts_with("<script>"), "{page}: {with}");
            assert_eq!(with.replacen(&format!("<script>{SHIM}</script>"), "", 1), page);
        }
    }

    #[test]
    fn the_script_cannot_end_early() {
        assert!(!SHIM.contains("</") && !SHIM.contains("<!--"));
    }
}
