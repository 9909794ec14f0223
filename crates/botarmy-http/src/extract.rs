//! Extractors: the JSON body, the query, the id in the path, and the caller. They parse into typed
//! values; input that does not parse, or is not known, gets a 4xx that names the field.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::{Method, StatusCode, header};
use actix_web::web::{BytesMut, Data};
use actix_web::{FromRequest, HttpRequest};
use botarmy_domain::{Timestamp, json, text};
use botarmy_web::{UnknownFields, field_problem, parse_query, strict};
use futures_util::StreamExt;
use futures_util::future::{Either, LocalBoxFuture};
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::State;
use crate::connections::is_too_slow;
use crate::documented::Documented;
use crate::error::Problem;
use crate::idempotency;

pub(crate) use botarmy_web::Caller;

/// A JSON object from the body.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            check_content_type(&request)?;
            let body = read(&request, payload).await?;
            let parsed = parse(&body, unknown_fields(&request))?;
            idempotency::remember_body(&request, without_mark(&body));
            Ok(Self(parsed))
        })
    }
}

/// A JSON object from the body, or the default if the body is empty.
pub(crate) struct JsonOrDefault<T>(pub(crate) T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for JsonOrDefault<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let body = read(&request, payload).await?;
            if without_mark(&body).is_empty() {
                return Ok(Self(T::default()));
            }
            check_content_type(&request)?;
            let parsed = parse(&body, unknown_fields(&request))?;
            idempotency::remember_body(&request, without_mark(&body));
            Ok(Self(parsed))
        })
    }
}

/// Returns an error (415) for a compressed body and for a content type other than JSON. A body
/// without a content type is read as JSON.
fn check_content_type(request: &HttpRequest) -> Result<(), Problem> {
    let headers = request.headers();
    if let Some(coding) = headers.get(header::CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body must not be compressed: leave Content-Encoding out.",
        ));
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let suffixed = essence.starts_with("application/") && essence.ends_with("+json");
    if essence == "application/json" || suffixed {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "The body must be JSON, with Content-Type application/json or none.",
    ))
}

/// Reads the whole body, up to the limit.
async fn read(request: &HttpRequest, mut payload: Payload) -> Result<BytesMut, Problem> {
    let limit = limit_of(request);
    let too_large = || {
        let detail = format!("The body is larger than {limit} bytes, which is the limit.");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut body = BytesMut::with_capacity(length.unwrap_or(0).min(64 * 1024));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| body_error(&error))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Converts the error of a body that did not arrive.
pub(crate) fn body_error(error: &PayloadError) -> Problem {
    if is_too_slow(error) {
        let detail = "The request body arrived too slowly; send it at 16 KiB a second or more.";
        return Problem::new(StatusCode::REQUEST_TIMEOUT, detail);
    }
    Problem::truncated_body()
}

fn limit_of(request: &HttpRequest) -> usize {
    request.app_data::<Data<State>>().map_or(0, |state| state.settings.body_limit)
}

fn unknown_fields(request: &HttpRequest) -> UnknownFields {
    request
        .app_data::<Data<State>>()
        .map_or_else(UnknownFields::default, |state| state.settings.unknown_fields)
}

/// Returns a body without the byte order mark that some editors and languages begin it with (RFC
/// 8259, section 8.1).
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Parses a JSON object. Text that is not JSON is a 400, JSON of another shape a 422.
pub(crate) fn parse<T: DeserializeOwned>(
    body: &[u8],
    unknown: UnknownFields,
) -> Result<T, Problem> {
    let malformed = |detail: String| Problem::bad_request(format!("Malformed JSON: {detail}."));
    let body = std::str::from_utf8(without_mark(body));
    let body = body.map_err(|_| malformed("it is not UTF-8".to_owned()))?;
    // First whether it is JSON at all, so that a wrong type before a missing brace is still 400.
    serde_json::from_str::<IgnoredAny>(body).map_err(|error| malformed(error.to_string()))?;
    if !body.trim_start().starts_with('{') {
        return Err(Problem::invalid("body", "must be a JSON object"));
    }
    json::check(body, json::MAX_DEPTH).map_err(|error| {
        let field = if error.path.is_empty() { "body" } else { error.path.as_str() };
        Problem::invalid(field, error.message)
    })?;
    if let Some(path) = text::find_unstorable(body) {
        return Err(Problem::invalid(
            path,
            "must not contain NUL (\\u0000) or half of a surrogate pair (\\ud800 to \\udfff)",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_str(body);
    // The parser's own limit is a level lower than the one that was checked.
    deserializer.disable_recursion_limit();
    strict::deserialize(&mut deserializer, unknown).map_err(|error| {
        let path = error.path().to_string();
        let (error, text) = (error.inner().is_data(), error.inner().to_string());
        match error {
            true => field_problem(&path, &text),
            // JSON it is, so this is what the parser itself does not take.
            false if text.starts_with("number out") => malformed(text),
            false => field_problem(&path, "is not of the right type"),
        }
    })
}

/// Parameters from the query string.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse_query(request.query_string(), unknown_fields(request)).map(Self))
    }
}

/// A whole number in a query. [`in_range`] checks it against the range of its parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.trim().parse().map(Self).map_err(|_| D::Error::custom("must be a whole number"))
    }
}

impl Whole {
    /// Returns the number. One that is not positive is a 422.
    pub(crate) fn positive(self, field: &str) -> Result<u64, Problem> {
        let number = u64::try_from(self.0).ok().filter(|number| *number > 0);
        number.ok_or_else(|| Problem::invalid(field, "must be at least 1"))
    }
}

/// `true` or `false` in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| D::Error::custom("must be true or false"))
    }
}

/// Returns the number, or the default where none was given. A number outside the range is a 422.
pub(crate) fn in_range(
    field: &str,
    number: Option<Whole>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, Problem> {
    let Some(Whole(number)) = number else { return Ok(default) };
    u32::try_from(number).ok().filter(|number| range.contains(number)).ok_or_else(|| {
        Problem::invalid(field, format!("must be {} to {}", range.start(), range.end()))
    })
}

/// A date, or a date and time (RFC 3339), in a query. Without an offset it is UTC. A date stands for
/// the whole day: its first instant where a range begins, its last where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When {
    start: Timestamp,
    end: Timestamp,
}

impl When {
    /// Returns the earliest instant that is meant.
    pub(crate) const fn start(self) -> Timestamp {
        self.start
    }

    /// Returns the latest instant that is meant.
    pub(crate) const fn end(self) -> Timestamp {
        self.end
    }
}

/// Length of a date, such as `2026-01-31`.
const DATE: usize = 10;
/// The last instant of a day in the resolution of timestamps.
const END_OF_DAY: &str = "T23:59:59.999999Z";

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A plus sign that was not escaped arrives as a blank.
        let text = match text.rfind(' ') {
            Some(at) if at > DATE => format!("{}+{}", &text[..at], &text[at + 1..]),
            Some(at) => format!("{}T{}", &text[..at], &text[at + 1..]),
            None => text,
        };
        let start = Timestamp::parse(&text)
            .or_else(|error| Timestamp::parse(&format!("{text}Z")).map_err(|_| error))
            .map_err(D::Error::custom)?;
        let end =
            if text.len() == DATE { Timestamp::parse(&(text + END_OF_DAY)) } else { Ok(start) };
        Ok(Self { start, end: end.map_err(D::Error::custom)? })
    }
}

/// Check of the parts of a request that its operation does not document. Comes before all other
/// extractors; see [`Documented`].
pub(crate) struct Undocumented;

/// Something without fields.
#[derive(Deserialize)]
struct Nothing {}

impl FromRequest for Undocumented {
    type Error = Problem;
    type Future =
        Either<Ready<Result<Self, Problem>>, LocalBoxFuture<'static, Result<Self, Problem>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let parts = Documented::of(request);
        if request.method() == Method::POST
            && parts.is_some_and(|parts| !parts.key)
            && let Err(problem) = idempotency::refuse_key(request)
        {
            return Either::Left(ready(Err(problem)));
        }
        let Some(parts) = parts.filter(|_| unknown_fields(request) == UnknownFields::Reject) else {
            return Either::Left(ready(Ok(Self)));
        };
        if !parts.query
            && let Err(problem) =
                parse_query::<Nothing>(request.query_string(), UnknownFields::Reject)
        {
            return Either::Left(ready(Err(problem)));
        }
        // The body of a GET means nothing (RFC 9110, section 9.3.1).
        if parts.body || request.method() == Method::GET {
            return Either::Left(ready(Ok(Self)));
        }
        let (request, payload) = (request.clone(), payload.take());
        Either::Right(Box::pin(async move {
            let body = read(&request, payload).await?;
            if without_mark(&body).trim_ascii().is_empty() {
                return Ok(Self);
            }
            check_content_type(&request)?;
            parse::<Nothing>(&body, UnknownFields::Reject).map(|Nothing {}| Self)
        }))
    }
}

/// A variable segment of the path: an id or a word. `N` counts those before it.
pub(crate) struct Segment<T, const N: usize = 0>(pub(crate) T);

impl<T, const N: usize> FromRequest for Segment<T, N>
where
    T: FromStr + 'static,
    T::Err: std::fmt::Display,
{
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (name, value) = request.match_info().iter().nth(N).unwrap_or(("path", ""));
        ready(match value.parse() {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(Problem::invalid(name, error.to_string())),
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use botarmy_domain::{AgentType, ProjectId};

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Body {
        name: String,
        #[serde(default)]
        ids: Vec<ProjectId>,
        agent: Option<AgentType>,
        #[serde(default)]
        priority: Option<u8>,
    }

    fn read_body(body: &[u8]) -> Result<Body, Problem> {
        parse(body, UnknownFields::Reject)
    }

    fn read_list(query: &str) -> Result<List, Problem> {
        parse_query(query, UnknownFields::Reject)
    }

    fn status_and_field(problem: &Problem) -> (u16, String) {
        let body: serde_json::Value = serde_json::from_str(&problem.body("")).unwrap();
        let field = body["errors"][0]["field"].as_str().unwrap_or_default().to_owned();
        (problem.status_code().as_u16(), field)
    }

    #[test]
    fn what_is_not_json_is_400() {
        let deep = format!("{{\"name\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [
            "",
            " ",
            "{",
            "{\"name\":1",
            "{name:1}",
            "{\"name\":\"x\"} x",
            "{\"name\":\"a\nb\"}",
            "nul",
            "{\"name\":1e999}",
            "{\"priority\":1e999,\"name\":\"\"}",
            deep.as_str(),
        ] {
            let status = read_body(body.as_bytes()).unwrap_err().status_code().as_u16();
            let expected = if body.len() > 100 { [400, 422] } else { [400, 400] };
            assert!(expected.contains(&status), "{body:.40} is {status}");
        }
        let (status, _) = status_and_field(&read_body(b"{\"name\":\"\xff\"}").unwrap_err());
        assert_eq!(status, 400);
    }

    #[test]
    fn what_is_not_acceptable_is_422_and_named() {
        for (body, field) in [
            ("[]", "body"),
            ("[\"a\"]", "body"),
            ("\"a\"", "body"),
            ("null", "body"),
            ("{}", "name"),
            ("{\"name\":1}", "name"),
            ("{\"name\":null}", "name"),
            ("{\"name\":\"\",\"ids\":[\"x\"]}", "ids[0]"),
            ("{\"name\":\"\",\"ids\":\"x\"}", "ids"),
            ("{\"name\":\"\",\"agent\":\"typist\"}", "agent"),
            ("{\"name\":\"\",\"agent\":7}", "agent"),
            ("{\"name\":\"\",\"priority\":-1}", "priority"),
            ("{\"name\":\"\",\"priority\":1.5}", "priority"),
            ("{\"name\":\"\",\"priority\":99999999999999999999999999}", "priority"),
        ] {
            let problem = read_body(body.as_bytes()).unwrap_err();
            assert_eq!(status_and_field(&problem), (422, field.to_owned()), "{body}");
        }
    }

    #[test]
    fn a_number_or_key_that_would_be_lost_is_422_and_named() {
        #[derive(Debug, Deserialize)]
        struct Document {
            content: serde_json::Value,
        }
        for (content, field) in [
            ("{\"a\":[0,1234567890123456789012345]}", "content.a[1]"),
            ("{\"a\":0.1234567890123456789}", "content.a"),
            ("{\"a\":9007199254740993.0}", "content.a"),
            ("{\"a\":{\"b\":1,\"\\u0062\":2}}", "content.a.b"),
            ("1,\"content\":2", "content"),
        ] {
            let body = format!("{{\"content\":{content}}}");
            let problem = parse::<Document>(body.as_bytes(), UnknownFields::Reject).unwrap_err();
            assert_eq!(status_and_field(&problem), (422, field.to_owned()), "{body}");
        }
        let body = br#"{"content":{"a":18446744073709551615,"b":-9223372036854775808,"c":0.1}}"#;
        let content = parse::<Document>(body, UnknownFields::Reject).unwrap().content;
        assert_eq!(content["a"], u64::MAX);
        assert_eq!(content["b"], i64::MIN);
    }

    #[test]
    fn the_depth_of_a_body_has_one_limit_whatever_its_fields_are() {
        #[derive(Debug, Deserialize)]
        struct Document {
            content: serde_json::Value,
        }
        for (field, known) in [("content", true), ("unknown", false)] {
            for depth in [json::MAX_DEPTH - 1, json::MAX_DEPTH] {
                let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
                let content = if known { "" } else { ",\"content\":1" };
                let body = format!("{{\"{field}\":{nested}{content}}}");
                match parse::<Document>(body.as_bytes(), UnknownFields::Ignore) {
                    Ok(document) => {
                        assert!(depth < json::MAX_DEPTH, "{field}");
                        assert_eq!(document.content.is_array(), known);
                    }
                    Err(problem) => {
                        assert_eq!(depth, json::MAX_DEPTH, "{field}");
                        assert_eq!(status_and_field(&problem), (422, "body".to_owned()));
                    }
                }
            }
        }
    }

    #[test]
    fn text_that_no_store_can_hold_is_refused_by_name_and_a_byte_order_mark_is_not_text() {
        for (body, field) in [
            (r#"{"name":"a\u0000b"}"#, "name"),
            (r#"{"name":"a","ids":["\ud800"]}"#, "ids[0]"),
            (r#"{"name":"a","agent":"\udc00"}"#, "agent"),
        ] {
            let problem = read_body(body.as_bytes()).unwrap_err();
            assert_eq!(status_and_field(&problem), (422, field.to_owned()), "{body}");
        }
        let body = read_body("\u{feff}{\"name\":\"\\ud83d\\ude00\"}".as_bytes()).unwrap();
        assert_eq!(body.name, "\u{1f600}");
        assert!(body.ids.is_empty() && body.agent.is_none() && body.priority.is_none());
        assert_eq!(read_body("\u{feff}\u{feff}{}".as_bytes()).unwrap_err().status_code(), 400);
    }

    #[test]
    fn unknown_fields_are_refused_unless_they_are_to_be_ignored() {
        let body = br#"{"name":"a","priorty":1}"#;
        let problem = read_body(body).unwrap_err();
        assert_eq!(status_and_field(&problem), (422, "priorty".to_owned()));
        assert!(problem.to_string().contains("`priority`"), "{problem}");
        let body: Body = parse(body, UnknownFields::Ignore).unwrap();
        assert!(body.name == "a" && body.priority.is_none());
    }

    #[derive(Debug, Deserialize)]
    struct List {
        limit: Option<Whole>,
        agent: Option<AgentType>,
        project_id: Option<ProjectId>,
        start_date: Option<When>,
    }

    #[test]
    fn a_query_names_its_bad_parameter() {
        for (query, field) in [
            ("limit=x", "limit"),
            ("limit=", "limit"),
            ("limit=1.5", "limit"),
            ("limit=99999999999999999999", "limit"),
            ("agent=typist", "agent"),
            ("project_id=7", "project_id"),
            ("project_id=", "project_id"),
            ("start_date=yesterday", "start_date"),
            ("start_date=2026-13-01", "start_date"),
            ("x=1", "x"),
            ("limit=1&limit=3", "limit"),
        ] {
            let problem = read_list(query).unwrap_err();
            assert_eq!(status_and_field(&problem), (422, field.to_owned()), "{query}");
        }
    }

    #[test]
    fn a_number_in_a_query_has_a_range() {
        let list = read_list("limit=3&agent=coder").unwrap();
        assert_eq!((list.limit, list.agent), (Some(Whole(3)), Some(AgentType::Coder)));
        assert!(list.project_id.is_none());
        assert_eq!(in_range("limit", list.limit, 10, 1..=5).unwrap(), 3);
        assert_eq!(in_range("limit", None, 10, 1..=5).unwrap(), 10);
        for outside in [0, 6, -1] {
            assert!(in_range("limit", Some(Whole(outside)), 10, 1..=5).is_err());
        }
    }

    #[test]
    fn a_time_may_lack_its_offset_or_have_an_unescaped_plus() {
        let at = |query: &str| read_list(query).unwrap().start_date.unwrap().start().to_string();
        assert_eq!(at("start_date=2026-01-31"), "2026-01-31T00:00:00.000000Z");
        assert_eq!(at("start_date=2026-01-31T10:00:00"), "2026-01-31T10:00:00.000000Z");
        assert_eq!(at("start_date=2026-01-31 10:00:00"), "2026-01-31T10:00:00.000000Z");
        assert_eq!(at("start_date=2026-01-31T10:00:00+02:00"), "2026-01-31T08:00:00.000000Z");
        assert_eq!(at("start_date=2026-01-31T10%3A00%3A00%2B02:00"), "2026-01-31T08:00:00.000000Z");
    }
    #[test]
    fn a_date_ends_with_its_last_instant() {
        let end = |query: &str| read_list(query).unwrap().start_date.unwrap().end().to_string();
        assert_eq!(end("start_date=2026-01-31"), "2026-01-31T23:59:59.999999Z");
        assert_eq!(end("start_date=2024-02-29"), "2024-02-29T23:59:59.999999Z");
        assert_eq!(end("start_date=2026-01-31T00:00:00"), "2026-01-31T00:00:00.000000Z");
        assert_eq!(end("start_date=2026-01-31T10:00:00-02:00"), "2026-01-31T12:00:00.000000Z");
    }
}
