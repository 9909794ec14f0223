//! Pages of lists: their length in items and in bytes.
//!
//! An item can be as large as a request body, so a page is not only limited in items. It is read in
//! parts whose size follows from the items read so far, written as it is read, and ends early when
//! it has become too large; its cursor says where the next one begins.

use std::sync::Arc;

use actix_web::HttpResponse;
use botarmy_domain::{Error, Page};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::State;
use crate::error::Problem;
use crate::extract::{Whole, in_range};

/// Largest page in bytes, if it has more than one item.
pub(crate) const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// Number of items of the first part, of which nothing is known yet.
const FIRST_PART: u32 = 8;
/// Longest text in an item of a list, in bytes. The item itself has all of it.
const LISTED_TEXT: usize = 2048;
/// Largest document in an item of a list, in bytes.
const LISTED_DOCUMENT: usize = 16 * 1024;

impl State {
    /// Returns the length of a page: what the client asks for, else the default of the settings.
    pub(crate) fn page(&self, limit: Option<Whole>) -> Result<u32, Problem> {
        in_range("limit", limit, self.settings.page, 1..=self.settings.page_max)
    }
}

/// Reader of a list, part by part.
pub(crate) trait List {
    type Item;
    type Cursor: Copy + Serialize;

    /// Reads up to `limit` items after the cursor.
    async fn read(
        &self,
        after: Option<Self::Cursor>,
        limit: u32,
    ) -> Result<Page<Arc<Self::Item>>, Error>;

    /// Returns the cursor of an item.
    fn cursor(item: &Self::Item) -> Self::Cursor;

    /// Returns about the memory that an item takes, in bytes.
    fn weight(item: &Self::Item) -> usize;

    /// Writes an item as it is shown in the list.
    fn write(&self, item: &Self::Item, json: &mut Vec<u8>) -> serde_json::Result<()>;
}

/// A page as it is written.
struct Written<C> {
    json: Vec<u8>,
    count: u32,
    last: Option<C>,
    has_more: bool,
}

/// Responds with a page of a list: `items` and `next_cursor`.
pub(crate) async fn respond<L: List>(
    list: &L,
    after: Option<L::Cursor>,
    limit: u32,
) -> Result<HttpResponse, Problem> {
    let mut page = read_page(list, after, limit).await?;
    let next = page.last.filter(|_| page.has_more);
    page.json.extend_from_slice(b"],\"next_cursor\":");
    serde_json::to_writer(&mut page.json, &next).map_err(Problem::internal)?;
    page.json.push(b'}');
    Ok(HttpResponse::Ok().content_type("application/json").body(page.json))
}

async fn read_page<L: List>(
    list: &L,
    after: Option<L::Cursor>,
    limit: u32,
) -> Result<Written<L::Cursor>, Problem> {
    let mut page =
        Written { json: b"{\"items\":[".to_vec(), count: 0, last: after, has_more: true };
    let mut part = FIRST_PART.min(limit);
    let mut heaviest = 1;
    while page.has_more && page.count < limit {
        let read = list.read(page.last, part).await?;
        page.has_more = read.has_more;
        for item in read.items {
            let end = page.json.len();
            if page.count > 0 {
                page.json.push(b',');
            }
            list.write(&item, &mut page.json).map_err(Problem::internal)?;
            if page.count > 0 && page.json.len() > PAGE_BYTES {
                page.json.truncate(end);
                page.has_more = true;
                return Ok(page);
            }
            heaviest = heaviest.max(L::weight(&item));
            page.count += 1;
            page.last = Some(L::cursor(&item));
        }
        let fits = u32::try_from(PAGE_BYTES / heaviest).unwrap_or(u32::MAX).max(1);
        part = fits.min(limit - page.count.min(limit));
    }
    Ok(page)
}

/// Returns the beginning of a long text, and whether something was cut off.
pub(crate) fn shortened(text: &str) -> (&str, bool) {
    if text.len() <= LISTED_TEXT {
        return (text, false);
    }
    let end = (0..=LISTED_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    (&text[..end], true)
}

/// Returns `true` for a document that is too large for an item of a list.
pub(crate) fn is_large(document: &Value) -> bool {
    weight(document) > LISTED_DOCUMENT
}

/// Returns about the memory that a document takes, in bytes.
pub(crate) fn weight(document: &Value) -> usize {
    let inside = match document {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => map_weight(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
}

/// Returns about the memory that an object takes, in bytes.
pub(crate) fn map_weight(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| size_of::<String>() + name.len() + weight(value)).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A list of texts of these lengths.
    struct Texts {
        lengths: Vec<usize>,
        parts: Mutex<Vec<u32>>,
    }

    impl List for Texts {
        type Item = (usize, String);
        type Cursor = usize;

        async fn read(
            &self,
            after: Option<usize>,
            limit: u32,
        ) -> Result<Page<Arc<Self::Item>>, Error> {
            self.parts.lock().unwrap().push(limit);
            let start = after.map_or(0, |after| after + 1);
            let items = self.lengths.iter().enumerate().skip(start).take(limit as usize + 1);
            let items = items.map(|(n, length)| Arc::new((n, "x".repeat(*length))));
            Ok(Page::first(items.collect(), limit))
        }

        fn cursor(item: &Self::Item) -> usize {
            item.0
        }

        fn weight(item: &Self::Item) -> usize {
            item.1.len()
        }

        fn write(&self, item: &Self::Item, json: &mut Vec<u8>) -> serde_json::Result<()> {
            serde_json::to_writer(json, &item.1)
        }
    }

    /// Returns the lengths of a page, its cursor, and the parts in which it was read.
    async fn page(
        lengths: &[usize],
        after: Option<usize>,
        limit: u32,
    ) -> (Vec<usize>, Value, Vec<u32>) {
        let list = Texts { lengths: lengths.to_vec(), parts: Mutex::default() };
        let response = respond(&list, after, limit).await.unwrap();
        let body = actix_web::body::to_bytes(response.into_body()).await.unwrap();
        assert!(body.len() < PAGE_BYTES + 1000 || limit == 1, "{}", body.len());
        let page: Value = serde_json::from_slice(&body).unwrap();
        let items = page["items"].as_array().unwrap().iter();
        let lengths = items.map(|item| item.as_str().unwrap().len()).collect();
        (lengths, page["next_cursor"].clone(), list.parts.into_inner().unwrap())
    }

    #[tokio::test]
    async fn small_items_are_read_in_two_parts_and_end_with_the_limit() {
        let lengths: Vec<usize> = (0..50).collect();
        let (items, next, parts) = page(&lengths, None, 20).await;
        assert_eq!((items, next, parts), ((0..20).collect(), 19.into(), vec![8, 12]));
        let (items, next, _) = page(&lengths, Some(39), 20).await;
        assert_eq!((items, next), ((40..50).collect(), Value::Null));
        assert!(page(&[], None, 20).await.0.is_empty());
    }

    #[tokio::test]
    async fn a_page_ends_at_its_limit_of_bytes_and_the_next_goes_on_there() {
        let mega = 1024 * 1024;
        let lengths = vec![3 * mega; 7];
        let (mut seen, mut after) = (0, None);
        loop {
            let (items, next, _) = page(&lengths, after, 100).await;
            assert!((1..=2).contains(&items.len()), "{}", items.len());
            seen += items.len();
            let Some(next) = next.as_u64() else { break };
            after = usize::try_from(next).ok();
        }
        assert_eq!(seen, 7);
    }

    #[tokio::test]
    async fn an_item_that_is_larger_than_a_page_is_a_page_of_its_own() {
        let (items, next, _) = page(&[PAGE_BYTES + 1, 1], None, 1).await;
        assert_eq!((items.len(), next), (1, 0.into()));
    }

    #[tokio::test]
    async fn heavy_items_are_read_in_small_parts() {
        let mut lengths = vec![1024 * 1024; 8];
        lengths.extend([10; 100]);
        let list = Texts { lengths, parts: Mutex::default() };
        let page = read_page(&list, None, 100).await.unwrap();
        assert!(page.has_more && page.count == 7, "{}", page.count);
        assert_eq!(*list.parts.lock().unwrap(), [8]);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("short"), ("short", false));
        let long = "é€".repeat(1000);
        let (text, cut) = shortened(&long);
        assert!(cut && (2043..=2048).contains(&text.len()), "{}", text.len());
    }
}
