//! The header `Idempotency-Key`: reading it, refusing what cannot be repeated under it, and replaying
//! the reply to the first request.

pub(crate) mod replayable;

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse};
use botarmy_domain::artifact::{digest, digest_bytes};
use botarmy_domain::idempotency::{ALREADY_REPLIED, IDEMPOTENCY_KEY};
use botarmy_domain::{
    CallKey, CallReply, Caller, DomainError, Error, KeptReply, KeyedCall, Permission, RequestDigest,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::State;
use crate::documented::Documented;
use crate::error::Problem;

/// The header of a request.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of a reply that was kept.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key, in characters.
const MAX_KEY: usize = 255;
/// Seconds after which to repeat a request whose first one is in progress.
const RETRY_AFTER_S: u64 = 1;

/// Digest of a request's body, left by the extractor that read it.
struct BodyDigest(String);

/// Remembers the body of a request with a key. Bodies that differ only in white space or in the order
/// of keys are the same.
pub(crate) fn remember_body(request: &HttpRequest, body: &[u8]) {
    if !request.headers().contains_key(KEY) {
        return;
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    // The depth has been checked.
    deserializer.disable_recursion_limit();
    let object = Map::<String, Value>::deserialize(&mut deserializer);
    let digest = object.map_or_else(|_| digest_bytes(body), |object| digest(&object));
    request.extensions_mut().insert(BodyDigest(digest));
}

/// Returns an error (400) for a request with a key to an operation that does not take one.
pub(crate) fn refuse_key(request: &HttpRequest) -> Result<(), Problem> {
    if !request.headers().contains_key(KEY) {
        return Ok(());
    }
    let detail = "This operation takes no Idempotency-Key. Leave it out; the documentation of the \
                  operation says what a repetition does.";
    Err(Problem::bad_request(detail).with_code("idempotency_key_not_taken"))
}

/// A request that may have a key.
pub(crate) struct Keyed(HttpRequest);

impl FromRequest for Keyed {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.clone())))
    }
}

impl Keyed {
    /// Returns the permission that the operation needs, and the path of the request.
    fn target(&self) -> (Option<Permission>, &str) {
        (Documented::of(&self.0).and_then(|parts| parts.permission), self.0.path())
    }

    /// Returns the key of the call, and the digest of what it asks for. Has to be called after the body
    /// was read.
    pub(crate) fn call(
        &self,
        caller: &Caller,
    ) -> Result<Option<(CallKey, RequestDigest)>, Problem> {
        let mut keys = self.0.headers().get_all(KEY);
        let key = match (keys.next(), keys.next()) {
            (None, _) => return Ok(None),
            (Some(key), None) => parse(key).map_err(malformed)?,
            (Some(_), Some(_)) => return Err(malformed("must be sent once")),
        };
        let (method, path) = (self.0.method().as_str(), self.0.path());
        let extensions = self.0.extensions();
        let body = extensions.get::<BodyDigest>().map_or("", |digest| digest.0.as_str());
        let digest = RequestDigest::of(method, path, self.0.query_string(), body);
        Ok(Some((caller.call_key(&key), digest)))
    }
}

fn malformed(rule: &str) -> Problem {
    Problem::bad_request(format!("{IDEMPOTENCY_KEY} {rule}."))
        .with_code("idempotency_key_malformed")
}

/// Reads a key: a string of structured fields (RFC 9651, section 3.3.3) in quotation marks, or the same
/// characters without them.
fn parse(value: &HeaderValue) -> Result<String, &'static str> {
    const CHARACTERS: &str =
        "must have visible ASCII characters, and in quotation marks also spaces";
    let text = value.to_str().map_err(|_| CHARACTERS)?.trim_matches([' ', '\t']);
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None if text.contains(['"', '\\', ',', ';', ' ', '\t']) => {
            return Err(
                "with quotation marks, backslashes, commas, semicolons or spaces in it must be in \
                        quotation marks",
            );
        }
        None => text.to_owned(),
    };
    if !key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(CHARACTERS);
    }
    match key.len() {
        0 => Err("must not be empty"),
        1..=MAX_KEY => Ok(key),
        _ => Err("must have at most 255 characters"),
    }
}

/// Returns the text of a string whose opening quotation mark has been taken.
fn unquote(quoted: &str) -> Result<String, &'static str> {
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next() {
            Some('"') if characters.as_str().is_empty() => return Ok(text),
            Some('"') => return Err("must end with its quotation mark"),
            Some('\\') => match characters.next() {
                Some(escaped @ ('"' | '\\')) => text.push(escaped),
                _ => {
                    return Err("may have a backslash only before a quotation mark or a backslash");
                }
            },
            Some(other) => text.push(other),
            None => return Err("lacks its closing quotation mark"),
        }
    }
}

/// Keyed calls that are in progress on this server.
#[derive(Debug, Default, Clone)]
pub(crate) struct InProgress(Arc<Mutex<HashMap<CallKey, RequestDigest>>>);

/// A keyed call while it is in progress.
#[derive(Debug)]
pub(crate) struct Turn(InProgress, CallKey);

impl InProgress {
    /// Begins a call, or returns an error if one with its key is in progress.
    fn begin(&self, key: CallKey, request: &RequestDigest) -> Result<Turn, Problem> {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match calls.get(&key) {
            None => {
                calls.insert(key, request.clone());
                Ok(Turn(self.clone(), key))
            }
            Some(first) if first == request => {
                let detail = "The first request with this Idempotency-Key is in progress; send it \
                              again in a moment.";
                Err(Problem::new(StatusCode::CONFLICT, detail)
                    .with_code("idempotency_key_in_progress")
                    .with_header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S)))
            }
            Some(_) => {
                let message = "is in use for another request; use a new key for each request";
                Err(Problem::invalid(IDEMPOTENCY_KEY, message))
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// Returns a reply with this status and JSON body.
pub(crate) fn reply<T: Serialize>(status: StatusCode, body: &T) -> CallReply {
    let body = serde_json::to_string(body).expect("views can be written as JSON");
    CallReply { status: status.as_u16(), location: None, etag: None, body }
}

/// Returns the response of a reply.
pub(crate) fn response(reply: CallReply, is_replayed: bool) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response.content_type("application/json");
    if let Some(location) = reply.location {
        response.insert_header((header::LOCATION, location));
    }
    if let Some(etag) = reply.etag {
        response.insert_header((header::ETAG, etag));
    }
    if is_replayed {
        response.insert_header((REPLAYED, "true"));
    }
    response.body(reply.body)
}

impl State {
    /// Makes a call once for its key, or without one as often as it is asked for. `shape` makes the
    /// reply from the result of the use case.
    pub(crate) async fn once<T: 'static>(
        &self,
        keyed: &Keyed,
        caller: Caller,
        shape: impl Fn(&T) -> CallReply + Send + Sync + 'static,
        call: impl AsyncFnOnce(Caller) -> Result<T, Error>,
    ) -> Result<HttpResponse, Problem> {
        let Some((key, request)) = keyed.call(&caller)? else {
            return Ok(response(shape(&call(caller).await?), false));
        };
        let _turn = self.in_progress.begin(key, &request)?;
        if let Some(kept) = self.queries.kept_reply(&caller, key).await? {
            replayable::check(self, keyed.target(), &caller, &kept).await?;
            return replay(&kept, &request);
        }
        let shape = Arc::new(shape);
        let shaped = Arc::clone(&shape);
        let keyed_call = KeyedCall::new(key, request.clone(), move |result: &T| shaped(result));
        match call(caller.clone().with_keyed_call(keyed_call)).await {
            Ok(result) => Ok(response(shape(&result), false)),
            Err(error) if is_already_replied(&error) => {
                match self.queries.kept_reply(&caller, key).await? {
                    Some(kept) => {
                        replayable::check(self, keyed.target(), &caller, &kept).await?;
                        replay(&kept, &request)
                    }
                    None => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Begins a call of several decisions, unless it is in progress. The turn lasts until it is dropped.
    /// Returns whether the key was used by an earlier call, which is then the same.
    pub(crate) async fn begin_parts(
        &self,
        caller: &Caller,
        key: CallKey,
        request: &RequestDigest,
    ) -> Result<(Turn, bool), Problem> {
        let turn = self.in_progress.begin(key, request)?;
        let kept = self.queries.kept_reply(caller, key).await?;
        if let Some(kept) = &kept {
            kept.check(request)?;
        }
        Ok((turn, kept.is_some()))
    }

    /// Takes one of the decisions of a keyed call, or returns the reply to it from before.
    pub(crate) async fn once_in_parts<T: 'static>(
        &self,
        (whole, part, request): (CallKey, CallKey, &RequestDigest),
        caller: &Caller,
        shape: impl Fn(&T) -> CallReply + Send + Sync + 'static,
        call: impl AsyncFnOnce(Caller) -> Result<T, Error>,
    ) -> Result<(CallReply, bool), Problem> {
        if let Some(reply) = self.reply_to_part(caller, part, request).await? {
            return Ok((reply, true));
        }
        let shape = Arc::new(shape);
        let shaped = Arc::clone(&shape);
        let keyed_call = KeyedCall::new(part, request.clone(), move |result: &T| shaped(result));
        match call(caller.clone().with_keyed_call(keyed_call.part_of(whole))).await {
            Ok(result) => Ok((shape(&result), false)),
            Err(error) if is_already_replied(&error) => {
                match self.reply_to_part(caller, part, request).await? {
                    Some(reply) => Ok((reply, true)),
                    None => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn reply_to_part(
        &self,
        caller: &Caller,
        part: CallKey,
        request: &RequestDigest,
    ) -> Result<Option<CallReply>, Problem> {
        let Some(kept) = self.queries.kept_reply(caller, part).await? else { return Ok(None) };
        kept.check(request)?;
        Ok(kept.reply.clone())
    }
}

fn is_already_replied(error: &Error) -> bool {
    matches!(error, Error::Refused(DomainError::Conflict { code: ALREADY_REPLIED, .. }))
}

/// Returns the kept reply, or an error if the key was used for another request.
fn replay(kept: &KeptReply, request: &RequestDigest) -> Result<HttpResponse, Problem> {
    kept.check(request)?;
    match &kept.reply {
        Some(reply) => Ok(response(reply.clone(), true)),
        None => Err(Problem::internal("a call of one decision was kept as one of several")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_be_in_quotation_marks_or_not() {
        let read = |value: &str| parse(&HeaderValue::from_str(value).unwrap());
        let long = "k".repeat(255);
        for (value, key) in [
            ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            ("\"8e03978e\"", "8e03978e"),
            (" a ", "a"),
            ("\"a b\"", "a b"),
            ("\"a\\\"b\\\\\"", "a\"b\\"),
            ("k=1/:@", "k=1/:@"),
            (&long, &long),
        ] {
            assert_eq!(read(value).as_deref(), Ok(key), "{value}");
        }
        let too_long = "k".repeat(256);
        for value in [
            "",
            "\"\"",
            "\"",
            "\"a",
            "\"a\"b",
            "\"a\";p=1",
            "a b",
            "a,b",
            "a;b",
            "a\"b",
            "a\\b",
            "\"\\a\"",
            "\"a\\",
            "\"a\tb\"",
            &too_long,
        ] {
            assert!(read(value).is_err(), "{value}");
        }
        assert!(parse(&HeaderValue::from_bytes(b"\xc3\xa9").unwrap()).is_err());
    }

    #[test]
    fn of_two_calls_with_one_key_the_second_waits_its_turn() {
        let (calls, key) = (InProgress::default(), Caller::person("ada").call_key("1"));
        let request = |path| RequestDigest::of("POST", path, "", "");
        let turn = calls.begin(key, &request("/a")).unwrap();
        let status = |path| {
            let problem = calls.begin(key, &request(path)).err().unwrap();
            actix_web::ResponseError::status_code(&problem).as_u16()
        };
        assert_eq!((status("/a"), status("/b")), (409, 422));
        drop(turn);
        assert!(calls.begin(key, &request("/b")).is_ok());
        assert!(calls.0.lock().unwrap().is_empty());
    }
}
