//! The person who asks for a page, and the check that a change was asked for on a page of its session.
//!
//! The session was found before the request was routed. A change also has to come from a page of this
//! server, which was checked there too, and has to carry the form token, which only such a page has.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use botarmy_domain::artifact::digest_bytes;
use botarmy_domain::{Caller, FormToken};
use botarmy_web::{Problem, Session};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::Console;
use crate::form;

/// Number of hexadecimal digits of a mark.
const MARK: usize = 32;

/// Person who asks for a page.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) caller: Caller,
    /// Token of the session; none on an open server, where there are no sessions.
    token: Option<FormToken>,
}

impl Visitor {
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let botarmy_web::Caller(caller) = botarmy_web::Caller::of(request)?;
        let token = request.extensions().get::<Session>().map(|Session(text)| text.form_token());
        Ok(Self { caller, token })
    }

    /// Returns the token as forms carry it.
    pub(crate) fn form_token(&self) -> &str {
        self.token.as_ref().map_or("", FormToken::expose)
    }

    /// Returns the mark of a redirection after a change of this session. The page that follows says what was
    /// done only with it, so that no link from elsewhere makes it say so. Without a session there is none.
    pub(crate) fn mark(&self, parts: &[String]) -> Option<String> {
        let token = self.token.as_ref()?;
        let mut mark = digest_bytes(json!([token.expose(), parts]).to_string().as_bytes());
        mark.truncate(MARK);
        Some(mark)
    }

    /// Whether this is the mark of a change with these parts.
    pub(crate) fn has_mark(&self, mark: Option<&str>, parts: &[String]) -> bool {
        mark.is_some() && self.mark(parts).as_deref() == mark
    }

    /// Returns an error unless this is the token of the session. Without a session there is nothing
    /// that a foreign page could abuse; such a caller has no credential, and no token.
    fn check(&self, text: &str) -> Result<(), Problem> {
        let is_right = match &self.token {
            Some(token) => token.matches(text),
            None => self.caller.credential().is_none() && text.is_empty(),
        };
        if is_right {
            return Ok(());
        }
        let detail = "This form does not belong to your session, or is from an earlier one. Load the \
                      page again and repeat what you did.";
        Err(Problem::new(StatusCode::FORBIDDEN, detail).with_code("form_token_invalid"))
    }
}

impl FromRequest for Visitor {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::of(request))
    }
}

/// Fields of a form, among them the token of the session.
pub(crate) trait HasToken {
    /// Field that may be as large as the form: a document.
    const DOCUMENT: Option<&'static str> = None;

    fn form_token(&self) -> &str;
}

/// Fields that a person has sent from a page of its session.
#[derive(Debug, Clone)]
pub(crate) struct Form<T> {
    pub(crate) caller: Caller,
    pub(crate) fields: T,
}

impl<T: DeserializeOwned + HasToken + 'static> FromRequest for Form<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (visitor, body) = (Visitor::of(request), Bytes::from_request(request, payload));
        let request = request.clone();
        Box::pin(async move {
            let visitor = visitor?;
            let console = request.app_data::<Data<Console>>().cloned();
            let console = console.expect("the pages are mounted with their console");
            let body =
                body.await.map_err(|error| match error.as_response_error().status_code() {
                    status @ StatusCode::PAYLOAD_TOO_LARGE => {
                        let limit = console.body_limit;
                        Problem::new(status, format!("A form has at most {limit} bytes."))
                    }
                    status => Problem::new(status, error.to_string()),
                })?;
            let fields: T = form::read(&request, &body)?;
            visitor.check(fields.form_token())?;
            form::check_texts(&body, console.text_limit, T::DOCUMENT)?;
            Ok(Self { caller: visitor.caller, fields })
        })
    }
}

/// The only field of forms that ask for nothing else.
#[derive(Default, Deserialize)]
pub(crate) struct TokenForm {
    #[serde(default)]
    form_token: String,
}

impl HasToken for TokenForm {
    fn form_token(&self) -> &str {
        &self.form_token
    }
}

/// Person who asks for a change on a page of its session.
#[derive(Debug, Clone)]
pub(crate) struct Confirmed(pub(crate) Caller);

impl FromRequest for Confirmed {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let form = Form::<TokenForm>::from_request(request, payload);
        Box::pin(async move { Ok(Self(form.await?.caller)) })
    }
}
