//! A client that keeps cookies and follows pages as a browser does, without scripts.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Method, Response, Url};

use crate::server::bare_client_builder;

/// Largest number of redirections and pages that refer onward.
const MAX_STEPS: usize = 20;

/// Name of a client, if a test gives it no other.
const AGENT: &str = "Mozilla/5.0 (tests)";

/// Cookie of a server.
#[derive(Debug, Clone)]
struct Cookie {
    value: String,
    is_strict: bool,
}

/// A client with cookies.
pub struct CookieClient {
    client: reqwest::Client,
    /// Cookies by server and name.
    cookies: BTreeMap<String, BTreeMap<String, Cookie>>,
    agent: String,
    /// Addresses that were visited, in order.
    pub visited: Vec<String>,
}

/// A page that a server has sent.
#[derive(Debug)]
pub struct Page {
    /// Address.
    pub url: Url,
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// HTML.
    pub body: String,
}

impl Default for CookieClient {
    fn default() -> Self {
        Self::new(AGENT)
    }
}

impl CookieClient {
    /// Creates a client without cookies that names itself so.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn new(agent: &str) -> Self {
        Self::with(bare_client_builder(), agent)
    }

    /// Creates a client that makes a connection for every request.
    #[must_use]
    pub fn without_reuse() -> Self {
        Self::with(bare_client_builder().pool_max_idle_per_host(0), AGENT)
    }

    fn with(builder: ClientBuilder, agent: &str) -> Self {
        let client = builder.redirect(Policy::none()).build().unwrap();
        Self { client, cookies: BTreeMap::new(), agent: agent.to_owned(), visited: Vec::new() }
    }

    /// Returns the value of a cookie for the server at this address.
    ///
    /// # Panics
    /// If it is no address.
    #[must_use]
    pub fn cookie(&self, url: &str, name: &str) -> Option<String> {
        let cookies = self.cookies.get(&origin(&url.parse().unwrap()))?;
        cookies.get(name).map(|cookie| cookie.value.clone())
    }

    /// Opens an address that was typed, and follows it to a page.
    pub async fn open(&mut self, url: &str) -> Page {
        self.follow(Method::GET, url, None, None).await
    }

    /// Follows a link or sends a form of a page, and follows the answer to a page.
    pub async fn submit(&mut self, page: &Page, url: &str, fields: &[(&str, &str)]) -> Page {
        self.follow(Method::POST, url, Some(fields), Some(origin(&page.url))).await
    }

    /// Makes one request and follows nothing. `from` is the server whose page makes it.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn step(
        &mut self,
        method: Method,
        url: &Url,
        fields: Option<&[(&str, &str)]>,
        from: Option<&str>,
    ) -> Page {
        let here = origin(url);
        let site = match from {
            None => "none",
            Some(from) if from == here => "same-origin",
            // Another port would be the same site; providers are at another one.
            Some(_) => "cross-site",
        };
        let mut request = self
            .client
            .request(method.clone(), url.clone())
            .header(USER_AGENT, &self.agent)
            .header("accept", "text/html")
            .header("sec-fetch-site", site)
            .header("sec-fetch-mode", "navigate");
        if let (Some(from), true) = (from, method == Method::POST) {
            request = request.header("origin", from);
        }
        let sent = self.cookies.get(&here).into_iter().flatten();
        let sent = sent.filter(|(_, cookie)| !cookie.is_strict || site != "cross-site");
        let sent: Vec<_> = sent.map(|(name, cookie)| format!("{name}={}", cookie.value)).collect();
        if !sent.is_empty() {
            request = request.header(COOKIE, sent.join("; "));
        }
        if let Some(fields) = fields {
            let mut form = Url::parse("http://localhost").unwrap();
            form.query_pairs_mut().extend_pairs(fields);
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.query().unwrap_or_default().to_owned());
        }
        let response = request.send().await.unwrap();
        self.visited.push(url.to_string());
        self.keep_cookies(&here, &response);
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Page { url: url.clone(), status, headers, body: response.text().await.unwrap() }
    }

    async fn follow(
        &mut self,
        method: Method,
        url: &str,
        fields: Option<&[(&str, &str)]>,
        from: Option<String>,
    ) -> Page {
        let url = url.parse().unwrap();
        let mut page = self.step(method, &url, fields, from.as_deref()).await;
        // A chain of redirections is as foreign as its beginning.
        let mut from = from;
        for _ in 0..MAX_STEPS {
            let Some((next, is_redirection)) = page.next() else { return page };
            let is_other = from.is_some() && origin(&page.url) != origin(&next);
            if !is_redirection || is_other {
                from = Some(origin(&page.url));
            }
            page = self.step(Method::GET, &next, None, from.as_deref()).await;
        }
        panic!("too many redirections: {:?}", self.visited);
    }

    fn keep_cookies(&mut self, origin: &str, response: &Response) {
        let cookies = self.cookies.entry(origin.to_owned()).or_default();
        for header in response.headers().get_all(SET_COOKIE) {
            let text = header.to_str().unwrap();
            let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let attributes = attributes.to_lowercase();
            if value.is_empty() || attributes.contains("max-age=0") || attributes.contains("1970") {
                cookies.remove(name);
            } else {
                let is_strict = attributes.contains("samesite=strict");
                cookies.insert(name.to_owned(), Cookie { value: value.to_owned(), is_strict });
            }
        }
    }
}

impl Page {
    /// Returns the address to which the page sends a browser, with a redirection or by itself.
    #[must_use]
    pub fn onward(&self) -> Option<Url> {
        self.next().map(|(url, _)| url)
    }

    /// Returns the address to which the page sends a browser, and whether with a redirection.
    fn next(&self) -> Option<(Url, bool)> {
        if let Some(location) = self.headers.get(LOCATION) {
            return Some((self.url.join(location.to_str().unwrap()).unwrap(), true));
        }
        let (_, refresh) = self.body.split_once("http-equiv=\"refresh\"")?;
        let (_, url) = refresh.split_once("url=")?;
        let url = unescaped(url.split_once('"')?.0);
        Some((self.url.join(&url).unwrap(), false))
    }

    /// Returns the address of the form on the page.
    ///
    /// # Panics
    /// If there is no form.
    #[must_use]
    pub fn form(&self) -> String {
        let (_, form) = self.body.split_once("<form").unwrap_or_else(|| panic!("{}", self.body));
        let (tag, _) = form.split_once('>').unwrap();
        let action = tag.split_once("action=\"").map(|(_, rest)| rest.split_once('"').unwrap().0);
        let url =
            action.map_or_else(|| self.url.clone(), |to| self.url.join(&unescaped(to)).unwrap());
        url.into()
    }
}

/// Returns scheme, host and port.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Returns a text of HTML without the escapes that occur in addresses.
fn unescaped(text: &str) -> String {
    text.replace("&amp;", "&").replace("&#38;", "&").replace("&#x26;", "&").replace("&#x2F;", "/")
}
