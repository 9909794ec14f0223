//! Forms that create something, and do so once however often they are sent: each carries a key, under which
//! the port keeps the place of what was created.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::StatusCode;
use botarmy_domain::artifact::digest_bytes;
use botarmy_domain::idempotency::{ALREADY_REPLIED, IDEMPOTENCY_KEY};
use botarmy_domain::{CallReply, Caller, DomainError, Error, KeyedCall, RequestDigest};
use botarmy_web::Problem;
use serde_json::json;

use crate::context::PageContext;

/// Longest key of a form, in characters.
pub(super) const MAX_KEY: usize = 64;
/// Number of hexadecimal digits of a new key.
const DIGITS: usize = 32;

/// Returns a key for a form that is shown now.
pub(super) fn new_key(context: &PageContext) -> String {
    /// Tells forms apart that are shown in the same microsecond.
    static SHOWN: AtomicU64 = AtomicU64::new(0);
    let n = SHOWN.fetch_add(1, Ordering::Relaxed);
    let parts = json!([context.visitor.form_token(), context.now().micros(), n]);
    let mut key = digest_bytes(parts.to_string().as_bytes());
    key.truncate(DIGITS);
    key
}

/// Checks the key of a form.
///
/// # Errors
/// A 422.
pub(super) fn check_key(key: &str) -> Result<(), Problem> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Problem::invalid("key", format!("must have 1 to {MAX_KEY} characters")));
    }
    Ok(())
}

/// Form with its key.
pub(super) struct Sent<'a> {
    pub(super) key: &'a str,
    /// Path to which it was sent.
    pub(super) path: &'a str,
    /// All that was filled in.
    pub(super) fields: &'a [&'a str],
}

/// Result of a form that creates something.
pub(super) enum Created<T> {
    /// This time.
    Now(T),
    /// Path of what was created when the form was sent before.
    Before(String),
}

/// Makes a call once for the key of its form. `location` returns the path of what was created, which is kept
/// with the decision.
///
/// # Errors
/// Those of the call. [`is_of_another`] tells whether the key was used for other fields.
pub(super) async fn once<T: 'static>(
    context: &PageContext,
    caller: Caller,
    sent: Sent<'_>,
    location: impl Fn(&T) -> String + Send + Sync + 'static,
    call: impl AsyncFnOnce(Caller) -> Result<T, Error>,
) -> Result<Created<T>, Error> {
    let key = caller.call_key(&format!("console:{}", sent.key));
    let fields = digest_bytes(json!(sent.fields).to_string().as_bytes());
    let request = RequestDigest::of("POST", sent.path, "", &fields);
    let keyed = KeyedCall::new(key, request.clone(), move |made: &T| CallReply {
        status: StatusCode::SEE_OTHER.as_u16(),
        location: Some(location(made)),
        etag: None,
        body: "{}".to_owned(),
    });
    let error = match call(caller.clone().with_keyed_call(keyed)).await {
        Ok(made) => return Ok(Created::Now(made)),
        Err(error) => error,
    };
    if !matches!(&error, Error::Refused(DomainError::Conflict { code, .. }) if *code == ALREADY_REPLIED)
    {
        return Err(error);
    }
    let kept = context.console.queries.kept_reply(&caller, key).await?;
    let reply = kept.filter(|kept| kept.check(&request).is_ok()).map(Arc::unwrap_or_clone);
    match reply.and_then(|kept| kept.reply).and_then(|reply| reply.location) {
        Some(location) => Ok(Created::Before(location)),
        None => Err(error),
    }
}

/// Whether a form was refused because it was sent before with other fields.
pub(super) fn is_of_another(error: &DomainError) -> bool {
    match error {
        DomainError::Invalid { field, .. } => *field == IDEMPOTENCY_KEY,
        DomainError::Conflict { code, .. } => *code == ALREADY_REPLIED,
        _ => false,
    }
}
