//! The headers `RateLimit-Policy` and `RateLimit`, as in draft-ietf-httpapi-ratelimit-headers-10. They
//! are written here and nowhere else, because a draft may change.

use std::fmt::Write;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::web::BytesMut;
use botarmy_domain::limits::{Rate, Taken};

use crate::error::Problem;

/// Limits with their quotas.
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Use of a limit.
pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Name of the limit of units.
pub(super) const UNITS: &str = "units";

/// Returns the value of `RateLimit-Policy` for a rate.
pub(super) fn policy(rate: Rate) -> HeaderValue {
    let window = rate.window().as_secs().max(1);
    value(format_args!("\"{UNITS}\";q={};w={window}", rate.burst()))
}

fn value(text: std::fmt::Arguments<'_>) -> HeaderValue {
    let mut bytes = BytesMut::with_capacity(48);
    bytes.write_fmt(text).expect("writing into memory");
    HeaderValue::from_maybe_shared(bytes.freeze()).expect("names and numbers are a header value")
}

/// The quota of a principal after a request.
pub(super) struct Quota {
    policy: HeaderValue,
    taken: Taken,
}

impl Quota {
    /// Begins with the value of [`policy`] for the rate.
    pub(super) const fn new(policy: HeaderValue, taken: Taken) -> Self {
        Self { policy, taken }
    }

    /// Adds the headers to a response.
    pub(super) fn write(self, headers: &mut HeaderMap) {
        for (name, value) in self.headers() {
            headers.insert(name, value);
        }
    }

    /// Adds the headers to a problem.
    pub(super) fn write_to(self, problem: Problem) -> Problem {
        self.headers()
            .into_iter()
            .fold(problem, |problem, (name, value)| problem.with_header(name, value))
    }

    fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        // All of the quota is free again after this time.
        let reset = self.taken.until_full.as_micros().div_ceil(1_000_000);
        let limit = value(format_args!("\"{UNITS}\";r={};t={reset}", self.taken.left));
        [(RATE_LIMIT_POLICY, self.policy), (RATE_LIMIT, limit)]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use botarmy_domain::limits::Meter;

    use super::*;

    #[test]
    fn the_headers_have_the_form_of_the_draft() {
        let rate = Rate::new(200, Duration::from_secs(1), 4000).unwrap();
        let quota = Quota::new(policy(rate), rate.take(Meter::default(), 50, 1_000_000));
        let mut headers = HeaderMap::new();
        quota.write(&mut headers);
        assert_eq!(headers.get("RateLimit-Policy").unwrap(), "\"units\";q=4000;w=20");
        assert_eq!(headers.get("RateLimit").unwrap(), "\"units\";r=3950;t=1");
    }
}
