//! A page of a list that is longer than one answer.

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

    /// Returns the last item, after which the next page begins, or `None` on the last page.
    #[must_use]
    pub fn last_before_next(&self) -> Option<&T> {
        self.items.last().filter(|_| self.has_more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
