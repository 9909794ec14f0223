//! A browser without scripts: it keeps the cookie of its session, says where its requests come from, and
//! follows no redirection by itself.

use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};

use crate::server::{TIMEOUT, TestServer, bare_client_builder};

/// Name of the cookie of a session.
pub const COOKIE: &str = "__Host-botarmy";

/// A browser. Clones share no cookies.
#[derive(Clone)]
pub struct Browser {
    client: Client,
    base: String,
    /// Its `User-Agent`.
    pub agent: String,
    /// Value of the cookie of its session.
    pub cookie: Option<String>,
}

/// Response to a browser.
pub struct Shown {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: String,
}

impl Shown {
    /// Returns a header; empty without one.
    ///
    /// # Panics
    /// If it is not text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns what the response has the browser do with the cookie of its session, as it is sent.
    ///
    /// # Panics
    /// If there are two such headers.
    #[must_use]
    pub fn set_cookie(&self) -> Option<&str> {
        let values = self.headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
        let mut ours = values.filter(|value| value.starts_with(&format!("{COOKIE}=")));
        let first = ours.next();
        assert_eq!(ours.next(), None, "the cookie is set twice");
        first
    }

    /// Returns the form token of the page.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn form_token(&self) -> String {
        self.hidden("form_token")
    }

    /// Returns the value of the first hidden field with this name on the page.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn hidden(&self, name: &str) -> String {
        let field = format!("type=\"hidden\" name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&field).expect(&self.body);
        rest.split('"').next().unwrap().to_owned()
    }
}

impl Browser {
    /// Starts a browser for this server.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn new(server: &TestServer) -> Self {
        Self {
            client: bare_client_builder()
                .redirect(Policy::none())
                .tls_danger_accept_invalid_certs(true)
                .build()
                .unwrap(),
            base: server.base.clone(),
            agent: "Mozilla/5.0 (X11; Linux x86_64) Test/1".to_owned(),
            cookie: None,
        }
    }

    /// Returns a browser that is signed in with this key.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn with_key(server: &TestServer, key: &str) -> Self {
        let mut browser = Self::new(server);
        let shown = browser.sign_in(&[("key", key)]).await;
        assert_eq!(shown.status, 303, "{}", shown.body);
        assert_eq!(shown.header("location"), "/console/signed-in");
        browser
    }

    /// Sends the form of the sign-in page.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn sign_in(&mut self, form: &[(&str, &str)]) -> Shown {
        self.submit("/console/login", form).await
    }

    /// Asks for a page, as a person who enters its address.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn show(&mut self, path: &str) -> Shown {
        self.send(Method::GET, path, &[("sec-fetch-site", "none")], None).await
    }

    /// Sends a form, as a page of the server does.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn submit(&mut self, path: &str, form: &[(&str, &str)]) -> Shown {
        let origin = self.base.clone();
        let own = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
        self.send(Method::POST, path, &own, Some(form)).await
    }

    /// Returns the form token of the session.
    ///
    /// # Panics
    /// If the page of the account is not shown.
    pub async fn token(&mut self) -> String {
        let shown = self.show("/console/account").await;
        assert_eq!(shown.status, 200, "{} {}", shown.header("location"), shown.body);
        shown.form_token()
    }

    /// Returns whether it is signed in: whether the page of the account is shown.
    ///
    /// # Panics
    /// For any other response than that and the way to the sign-in.
    pub async fn is_signed_in(&mut self) -> bool {
        // The cookie is kept for the next time, also if the server has it deleted.
        let cookie = self.cookie.clone();
        let shown = self.show("/console/account").await;
        self.cookie = cookie;
        match shown.status {
            200 => true,
            303 => {
                assert_eq!(shown.header("location"), "/console/login?next=/console/account");
                false
            }
            status => panic!("{status} {}", shown.body),
        }
    }

    /// Sends a request with these headers, and keeps the cookie of the response.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        form: Option<&[(&str, &str)]>,
    ) -> Shown {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header("user-agent", &self.agent)
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .timeout(TIMEOUT);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", format!("other=1; {COOKIE}={cookie}"));
        }
        if let Some(form) = form {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(urlencoded(form));
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let shown = Shown { status, headers, body: response.text().await.unwrap() };
        if let Some(set) = shown.set_cookie() {
            let value = set.split_once('=').unwrap().1.split(';').next().unwrap();
            self.cookie = (!value.is_empty()).then(|| value.to_owned());
        }
        shown
    }
}

/// Returns fields as the body of a form.
#[must_use]
pub fn urlencoded(form: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |out, byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {
                out + &char::from(byte).to_string()
            }
            byte => out + &format!("%{byte:02X}"),
        })
    };
    let pairs = form.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
    pairs.collect::<Vec<_>>().join("&")
}
