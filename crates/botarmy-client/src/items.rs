//! The items of a list, read page by page.

use std::collections::VecDeque;

use serde_json::Value;

use crate::client::Client;
use crate::error::ClientError;

/// Largest page that is asked for.
const MAX_PAGE: usize = 100;

/// Items of a list. The next page is read when the items of the last one are used up.
#[derive(Debug)]
pub struct Items {
    client: Client,
    path: Vec<String>,
    query: Vec<(String, String)>,
    /// Number of items that may still be returned.
    left: usize,
    page: VecDeque<Value>,
    next: Next,
}

/// Page that is read next.
#[derive(Debug)]
enum Next {
    First,
    After(String),
    None,
}

impl Client {
    /// Returns the items of a list, at most `limit` of them, read page by page as they are asked for.
    #[must_use]
    pub fn items(&self, path: &[&str], query: &[(&str, &str)], limit: usize) -> Items {
        Items::new(self.clone(), path, query, limit)
    }
}

impl Items {
    fn new(client: Client, path: &[&str], query: &[(&str, &str)], limit: usize) -> Self {
        Self {
            client,
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            query: query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            left: limit,
            page: VecDeque::new(),
            next: Next::First,
        }
    }

    /// Returns the next item; `None` at the end of the list or at the limit.
    ///
    /// # Errors
    /// Those of the connection and of the server, and an answer that is no list.
    pub async fn next(&mut self) -> Result<Option<Value>, ClientError> {
        if self.left == 0 {
            return Ok(None);
        }
        // A page may be empty and have a successor.
        while self.page.is_empty() {
            if !self.read().await? {
                return Ok(None);
            }
        }
        self.left -= 1;
        Ok(self.page.pop_front())
    }

    /// Returns all items up to the limit.
    ///
    /// # Errors
    /// Those of [`Items::next`].
    pub async fn all(mut self) -> Result<Vec<Value>, ClientError> {
        let mut items = Vec::new();
        while let Some(item) = self.next().await? {
            items.push(item);
        }
        Ok(items)
    }

    /// Returns whether the list has, as far as is known, more items than were returned.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.page.is_empty() || !matches!(self.next, Next::None)
    }

    /// Reads the next page. Returns `false` if there is none.
    async fn read(&mut self) -> Result<bool, ClientError> {
        let limit = self.left.min(MAX_PAGE).to_string();
        let mut query: Vec<(&str, &str)> =
            self.query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        query.push(("limit", &limit));
        match &self.next {
            Next::First => {}
            Next::After(cursor) => query.push(("cursor", cursor)),
            Next::None => return Ok(false),
        }
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let (mut page, linked) = self.client.page(&path, &query).await?;
        let next = page["next_cursor"].as_str().map(str::to_owned).or(linked);
        let items = if page.is_array() { Some(&mut page) } else { page.get_mut("items") };
        let Some(items) = items.and_then(Value::as_array_mut) else {
            let (server, reason) = (self.client.server().to_string(), "it is no list".to_owned());
            return Err(ClientError::Unexpected { server, reason });
        };
        self.page.extend(items.drain(..));
        // A server that returns the same page for ever would keep the client for ever.
        let is_same = matches!(&self.next, Next::After(last) if Some(last) == next.as_ref());
        self.next = next.filter(|_| !is_same).map_or(Next::None, Next::After);
        Ok(true)
    }
}
