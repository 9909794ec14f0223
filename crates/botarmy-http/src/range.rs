//! Ranges of a response (RFC 9110, section 14) and conditions on its entity tag (section 13).

use std::ops::Range;

use actix_web::HttpRequest;
use actix_web::http::header;

/// Part of a response that a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The whole response.
    Whole,
    /// A range of bytes.
    Bytes(Range<usize>),
    /// A range outside of the response.
    Unsatisfiable,
}

/// Returns the part of a response of this length that the request asks for. Anything but one range of
/// bytes gets the whole response, which is always allowed.
pub(crate) fn part(request: &HttpRequest, etag: &str, length: usize) -> Part {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(range) = text(header::RANGE) else { return Part::Whole };
    if text(header::IF_RANGE).is_some_and(|tag| tag.trim() != etag) {
        return Part::Whole;
    }
    parse(range, length)
}

fn parse(range: &str, length: usize) -> Part {
    let Some((unit, spec)) = range.split_once('=') else { return Part::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return Part::Whole };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<usize>().unwrap_or(usize::MAX))
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Part::Whole;
    }
    let (start, end) = match (first.is_empty(), number(first), last.is_empty(), number(last)) {
        (true, _, _, Some(suffix)) if suffix > 0 => (length.saturating_sub(suffix), length),
        (true, _, _, Some(_)) => return Part::Unsatisfiable,
        (_, Some(start), true, _) => (start, length),
        (_, Some(start), _, Some(last)) if start <= last => {
            (start, last.saturating_add(1).min(length))
        }
        _ => return Part::Whole,
    };
    if start < length { Part::Bytes(start..end) } else { Part::Unsatisfiable }
}

/// Returns whether the client has this version: `If-None-Match` names it, or is `*`.
pub(crate) fn is_known(request: &HttpRequest, etag: &str) -> bool {
    request.headers().get_all(header::IF_NONE_MATCH).any(|value| {
        let tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag)).any(|tag| tag == etag || tag == "*")
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (range, expected) in [
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=2-4", Part::Bytes(2..5)),
            ("bytes=5-", Part::Bytes(5..10)),
            ("bytes=-3", Part::Bytes(7..10)),
            ("bytes=-99", Part::Bytes(0..10)),
            ("bytes=2-99999999999999999999999", Part::Bytes(2..10)),
            ("Bytes=9-9", Part::Bytes(9..10)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=10-11", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=4-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes", Part::Whole),
            ("lines=0-1", Part::Whole),
        ] {
            assert_eq!(parse(range, 10), expected, "{range}");
        }
        assert_eq!(parse("bytes=0-", 0), Part::Unsatisfiable);
    }

    #[test]
    fn a_range_of_another_version_is_answered_with_all_of_it() {
        let request = |tag: &str| {
            TestRequest::get()
                .insert_header(("Range", "bytes=0-1"))
                .insert_header(("If-Range", tag))
                .to_http_request()
        };
        assert_eq!(part(&request("\"x\""), "\"x\"", 10), Part::Bytes(0..2));
        assert_eq!(part(&request("\"y\""), "\"x\"", 10), Part::Whole);
        assert_eq!(part(&request("W/\"x\""), "\"x\"", 10), Part::Whole);
        assert_eq!(part(&request("Sun, 06 Nov 1994 08:49:37 GMT"), "\"x\"", 10), Part::Whole);
    }

    #[test]
    fn a_known_version_is_recognised_in_a_list() {
        let known = |tags: &str| {
            let request = TestRequest::get().insert_header(("If-None-Match", tags));
            is_known(&request.to_http_request(), "\"x\"")
        };
        assert!(known("\"x\"") && known("\"a\", \"x\"") && known("*") && known("W/\"x\""));
        assert!(!known("\"a\"") && !known("x"));
    }
}
