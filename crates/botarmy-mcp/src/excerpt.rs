//! One part of a long text.

/// Smallest number of characters that can be asked for.
pub(crate) const MIN_CHARS: u64 = 500;
/// Largest number of characters that can be asked for: about as much as assistants take in one result.
pub(crate) const MAX_CHARS: u64 = 50_000;
/// Number of characters when none is asked for.
pub(crate) const DEFAULT_CHARS: u64 = 20_000;

/// Part of a text, in characters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    /// Length of the whole text.
    pub(crate) total: u64,
    /// Offset of the part after this one; `None` at the end.
    pub(crate) next: Option<u64>,
}

impl Excerpt {
    /// Returns the part from `offset` with at most `chars` characters, or `None` beyond the end.
    pub(crate) fn of(text: &str, offset: u64, chars: u64) -> Option<Self> {
        let total = text.chars().count() as u64;
        if offset > total {
            return None;
        }
        let end = offset.saturating_add(chars).min(total);
        let index = |at: u64| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            text.char_indices().nth(at).map_or(text.len(), |(index, _)| index)
        };
        let part = text[index(offset)..index(end)].to_owned();
        Some(Self { text: part, total, next: (end < total).then_some(end) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_text_are_the_text() {
        let whole = "é1\n2€34".repeat(300);
        let (mut read, mut offset) = (String::new(), Some(0));
        while let Some(at) = offset {
            let part = Excerpt::of(&whole, at, 500).unwrap();
            assert_eq!(part.total, whole.chars().count() as u64);
            read += &part.text;
            offset = part.next;
        }
        assert_eq!(read, whole);
        assert_eq!(Excerpt::of("ab", 2, 500).unwrap().text, "");
        assert_eq!(Excerpt::of("ab", 3, 500), None);
        assert_eq!(Excerpt::of("ab", 0, u64::MAX).unwrap().next, None);
    }
}
