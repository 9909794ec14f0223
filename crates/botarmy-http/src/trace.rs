//! The place of a request in a distributed trace (W3C Trace Context).

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use botarmy_domain::ports::Tracer;
use botarmy_domain::{OpenSpan, SpanKind, TraceContext};

/// Header with the position of the caller in its trace.
const TRACEPARENT: &str = "traceparent";
/// Routes of probes and scrapes, which would fill the traces.
const UNTRACED: [&str; 8] = [
    "/livez",
    "/readyz",
    "/health",
    "/health/ready",
    "/health/z",
    "/health/detailed",
    "/healthz",
    "/metrics",
];

/// Position in a trace of what a request causes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trace(pub(crate) TraceContext);

/// Returns the position of the caller. A header that is malformed, or sent twice, is ignored, as the
/// recommendation asks: a trace begins anew.
fn parent(headers: &HeaderMap) -> Option<TraceContext> {
    let mut sent = headers.get_all(TRACEPARENT);
    let (first, second) = (sent.next()?, sent.next());
    if second.is_some() { None } else { first.to_str().ok()?.parse().ok() }
}

/// Begins the span of a request.
pub(crate) fn begin(tracer: &Arc<dyn Tracer>, headers: &HeaderMap) -> OpenSpan {
    OpenSpan::begin(tracer, "HTTP", SpanKind::Server, parent(headers))
}

/// Completes the span of a request that was answered.
pub(crate) fn answered(span: &mut OpenSpan, method: &Method, route: &str, status: u16) {
    if UNTRACED.contains(&route) {
        return span.discard();
    }
    span.rename(format!("{method} {route}"));
    span.set("http.request.method", method.as_str());
    span.set("http.route", route);
    span.set("http.response.status_code", u64::from(status));
    if status >= 500 {
        span.fail(&status.to_string());
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_traceparent_that_is_malformed_or_sent_twice_is_ignored() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                let value = HeaderValue::from_str(value).unwrap();
                headers.append(HeaderName::from_static(TRACEPARENT), value);
            }
            parent(&headers).map(String::from)
        };
        assert_eq!(read(&[good]).as_deref(), Some(good));
        assert_eq!([read(&[]), read(&["00-0-0-0"]), read(&[good, good])], [None, None, None]);
    }
}
