//! A page of a list that is longer than one answer.

use std::ops::Deref;

/// About the most bytes of rows that a store reads for one page. A row can be as large as a request
/// body, so a page is not only limited in rows; it has at least one, however large that is.
pub const PART_BYTES: usize = 1024 * 1024;

/// Part of a list, in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Whether there are more items after the last one.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// Returns the first `limit` items. `found` must have been read with one item more than
    /// `limit`; that item alone shows that there is another page.
    #[must_use]
    pub fn first(mut found: Vec<T>, limit: u32) -> Self {
        let limit = limit as usize;
        let has_more = found.len() > limit;
        found.truncate(limit);
        Self { items: found, has_more }
    }

    /// Returns a page of rows that are read one by one, each with its size in bytes. It ends after
    /// `limit` rows, and after the row with which they have `bytes`. At most one row more is read.
    ///
    /// # Errors
    /// The error of the first row that cannot be read.
    pub fn part<E>(
        rows: impl IntoIterator<Item = Result<(T, usize), E>>,
        limit: u32,
        bytes: usize,
    ) -> Result<Self, E> {
        let mut rows = rows.into_iter();
        let (mut items, mut size) = (Vec::new(), 0_usize);
        while items.len() < limit as usize && (size < bytes || items.is_empty()) {
            let Some(row) = rows.next() else { return Ok(Self { items, has_more: false }) };
            let (item, of_item) = row?;
            size = size.saturating_add(of_item);
            items.push(item);
        }
        Ok(Self { items, has_more: rows.next().is_some() })
    }

    /// Returns the page with each item converted.
    ///
    /// # Errors
    /// The first error of a conversion.
    pub fn try_map<U, E>(self, convert: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let items = self.items.into_iter().map(convert).collect::<Result<_, _>>()?;
        Ok(Page { items, has_more: self.has_more })
    }

    /// Returns the last item, after which the next page begins, or `None` on the last page.
    #[must_use]
    pub fn last_before_next(&self) -> Option<&T> {
        self.items.last().filter(|_| self.has_more)
    }
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), has_more: false }
    }
}

/// Collects items into the last page of a list.
impl<T> FromIterator<T> for Page<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self { items: items.into_iter().collect(), has_more: false }
    }
}

impl<T> Deref for Page<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> IntoIterator for Page<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Page<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_with_the_row_that_reaches_its_bytes_and_reads_one_more() {
        for (sizes, limit, bytes, items, has_more, read) in [
            (&[][..], 2, 10, 0, false, 0),
            (&[4, 4, 4, 4], 10, 100, 4, false, 4),
            (&[4, 4, 4, 4], 2, 100, 2, true, 3),
            (&[4, 4, 4, 4], 10, 8, 2, true, 3),
            (&[4, 4, 4, 4], 10, 9, 3, true, 4),
            (&[4, 4], 10, 8, 2, false, 2),
            (&[400, 400], 10, 8, 1, true, 2),
            (&[400], 10, 0, 1, false, 1),
        ] {
            let mut seen = 0;
            let rows = sizes.iter().inspect(|_| seen += 1).map(|size| Ok::<_, ()>(((), *size)));
            let page = Page::part(rows, limit, bytes).unwrap();
            assert_eq!((page.len(), page.has_more, seen), (items, has_more, read), "{sizes:?}");
        }
    }

    #[test]
    fn only_a_surplus_item_makes_another_page() {
        for (found, limit, items, next) in [
            (vec![], 2, vec![], None),
            (vec![1, 2], 2, vec![1, 2], None),
            (vec![1, 2, 3], 2, vec![1, 2], Some(&2)),
        ] {
            let page = Page::first(found, limit);
            assert_eq!((&page.items, page.last_before_next()), (&items, next));
        }
    }
}
