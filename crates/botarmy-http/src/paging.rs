//! Pages of lists: their length in items and in bytes.
//!
//! An item can be as large as a request body, so a page is not only limited in items. It is read in
//! the parts that the store reads at once, written as it is read, and ends early when it has become
//! too large; its cursor says where the next one begins.

use std::fmt::Display;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::{Error, Page};
use botarmy_web::parameter_name;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::State;
use crate::error::Problem;
use crate::extract::{Whole, in_range};

/// Largest page in bytes, if it has more than one item.
pub(crate) const PAGE_BYTES: usize = 8 * 1024 * 1024;
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
    type Cursor: Copy + Display + Serialize;

    /// Reads up to `limit` items after the cursor. The page may end before.
    async fn read(
        &self,
        after: Option<Self::Cursor>,
        limit: u32,
    ) -> Result<Page<Self::Item>, Error>;

    /// Returns the cursor of an item.
    fn cursor(item: &Self::Item) -> Self::Cursor;

    /// Writes an item as it is shown in the list.
    fn write(&self, item: &Self::Item, json: &mut Vec<u8>) -> serde_json::Result<()>;
}

/// Position and length of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range<C> {
    /// Cursor after which it begins.
    pub(crate) after: Option<C>,
    /// Largest number of items.
    pub(crate) limit: u32,
}

/// A page as it is written.
struct Written<C> {
    json: Vec<u8>,
    count: u32,
    last: Option<C>,
    has_more: bool,
}

impl<C: Copy> Written<C> {
    /// Returns the cursor of the next page.
    fn next(&self) -> Option<C> {
        self.last.filter(|_| self.has_more)
    }
}

/// Responds with a page of a list: `items` and `next_cursor`, and a link to the next page.
pub(crate) async fn respond<L: List>(
    state: &State,
    request: &HttpRequest,
    list: &L,
    range: Range<L::Cursor>,
) -> Result<HttpResponse, Problem> {
    let mut page = read_page(list, range, b"{\"items\":[").await?;
    let next = page.next();
    page.json.extend_from_slice(b"],\"next_cursor\":");
    serde_json::to_writer(&mut page.json, &next).map_err(Problem::internal)?;
    page.json.push(b'}');
    Ok(response(state, request, page.json, next))
}

/// Responds with a page of a list: an array, and a link to the next page.
pub(crate) async fn respond_array<L: List>(
    state: &State,
    request: &HttpRequest,
    list: &L,
    range: Range<L::Cursor>,
) -> Result<HttpResponse, Problem> {
    let mut page = read_page(list, range, b"[").await?;
    let next = page.next();
    page.json.push(b']');
    Ok(response(state, request, page.json, next))
}

fn response(
    state: &State,
    request: &HttpRequest,
    json: Vec<u8>,
    next: Option<impl Display>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(next) = next {
        response.insert_header((header::LINK, next_link(state, request, next)));
    }
    response.content_type("application/json").body(json)
}

/// Returns the link to the page after this cursor, as in RFC 8288: the same query with another
/// cursor.
fn next_link(state: &State, request: &HttpRequest, next: impl Display) -> String {
    let mut query: Vec<&str> = request
        .query_string()
        .split('&')
        .filter(|pair| {
            let name = parameter_name(pair).unwrap_or_default();
            !name.is_empty() && name != "cursor" && name != "offset"
        })
        .collect();
    let cursor = format!("cursor={next}");
    query.push(&cursor);
    let path = state.public_path(request.path());
    format!("<{path}?{}>; rel=\"next\"", query.join("&"))
}

async fn read_page<L: List>(
    list: &L,
    range: Range<L::Cursor>,
    begin: &[u8],
) -> Result<Written<L::Cursor>, Problem> {
    let Range { after, limit } = range;
    let mut page = Written { json: begin.to_vec(), count: 0, last: after, has_more: true };
    while page.has_more && page.count < limit {
        let read = list.read(page.last, limit - page.count).await?;
        page.has_more = read.has_more;
        for item in read {
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
            page.count += 1;
            page.last = Some(L::cursor(&item));
        }
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
fn weight(document: &Value) -> usize {
    let inside = match document {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => map_weight(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inside
}

/// Returns about the memory that an object takes, in bytes.
fn map_weight(fields: &Map<String, Value>) -> usize {
    fields.iter().map(|(name, value)| size_of::<String>() + name.len() + weight(value)).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use botarmy_domain::page::PART_BYTES;

    use super::*;

    /// A list of texts of these lengths, read in parts as a store reads them.
    struct Texts {
        lengths: Vec<usize>,
        parts: Mutex<Vec<u32>>,
    }

    impl List for Texts {
        type Item = (usize, String);
        type Cursor = usize;

        async fn read(&self, after: Option<usize>, limit: u32) -> Result<Page<Self::Item>, Error> {
            self.parts.lock().unwrap().push(limit);
            let start = after.map_or(0, |after| after + 1);
            let items = self.lengths.iter().enumerate().skip(start);
            let items = items.map(|(n, length)| Ok(((n, "x".repeat(*length)), *length)));
            Page::part(items, limit, PART_BYTES)
        }

        fn cursor(item: &Self::Item) -> usize {
            item.0
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
    ) -> (Vec<usize>, Option<usize>, Vec<u32>) {
        let list = Texts { lengths: lengths.to_vec(), parts: Mutex::default() };
        let page = read_page(&list, Range { after, limit }, b"[").await.unwrap();
        let next = page.next();
        let mut json = page.json;
        json.push(b']');
        assert!(json.len() < PAGE_BYTES + 1000 || page.count == 1, "{}", json.len());
        let texts: Vec<String> = serde_json::from_slice(&json).unwrap();
        let lengths = texts.iter().map(String::len).collect();
        (lengths, next, list.parts.into_inner().unwrap())
    }

    #[tokio::test]
    async fn small_items_are_read_at_once_and_end_with_the_limit() {
        let lengths: Vec<usize> = (0..50).collect();
        let (items, next, parts) = page(&lengths, None, 20).await;
        assert_eq!((items, next, parts), ((0..20).collect(), Some(19), vec![20]));
        let (items, next, _) = page(&lengths, Some(39), 20).await;
        assert_eq!((items, next), ((40..50).collect(), None));
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
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, 7);
    }

    #[tokio::test]
    async fn an_item_that_is_larger_than_a_page_is_a_page_of_its_own() {
        let (items, next, _) = page(&[PAGE_BYTES + 1, 1], None, 1).await;
        assert_eq!((items.len(), next), (1, Some(0)));
        let (items, next, _) = page(&[PAGE_BYTES + 1, 1], None, 10).await;
        assert_eq!((items.len(), next), (1, Some(0)));
    }

    #[tokio::test]
    async fn heavy_items_are_read_in_small_parts() {
        let mut lengths = vec![1024 * 1024; 8];
        lengths.extend([10; 100]);
        let (items, next, parts) = page(&lengths, None, 100).await;
        assert_eq!((items.len(), next), (7, Some(6)));
        assert_eq!(parts, [100, 99, 98, 97, 96, 95, 94, 93]);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("short"), ("short", false));
        let long = "é€".repeat(1000);
        let (text, cut) = shortened(&long);
        assert!(cut && (2043..=2048).contains(&text.len()), "{}", text.len());
    }
}
