//! The page to return to after the sign-in: one of this server, so that no link to the sign-in page leads
//! elsewhere.

use std::fmt::Write;

use botarmy_web::is_page;

/// Page where people arrive when they asked for none.
pub(crate) const HOME: &str = "/console/inbox";
/// Path that leads there.
pub(crate) const CONSOLE: &str = "/console";
/// Longest path and query.
const MAX_LENGTH: usize = 2000;

/// Returns the path and the query of a page of the console, or that of its first page in place of
/// anything else.
///
/// Only letters, digits and a few marks are accepted: no backslash, which browsers read as a slash, no
/// space, no control character, and no part such as `..`. After `/console` nothing can name another host.
pub(crate) fn own(target: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/?=&%+:@".contains(&byte);
    let (path, _) = target.split_once('?').unwrap_or((target, ""));
    let is_dots = |part: &str| {
        let part = part.to_ascii_lowercase().replace("%2e", ".");
        part == "." || part == ".."
    };
    // Pages of the sign-in itself would lead back here.
    let is_sign_in = path == "/console/signed-in"
        || path == "/console/login"
        || path.starts_with("/console/login/");
    let is_own = target.len() <= MAX_LENGTH
        && target.bytes().all(is_plain)
        && is_page(path)
        && !path.split('/').skip(1).any(|part| part.is_empty() || is_dots(part))
        && !is_sign_in;
    if is_own && target != CONSOLE { target } else { HOME }
}

/// Returns the path and the query of a page of the sign-in, with the page to return to.
pub(crate) fn with_next(path: &str, next: &str) -> String {
    if next == HOME {
        return path.to_owned();
    }
    format!("{path}?next={}", escaped(next))
}

/// Escapes a value of a query.
pub(crate) fn escaped(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a text takes every text");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_console_are_returned_to() {
        for target in [
            "/console/account",
            "/console?tab=x",
            "/console/projects/1?tab=log&q=a%20b",
            "/console/x?next=//evil.example",
        ] {
            assert_eq!(own(target), target);
        }
        let long = format!("/console/{}", "x".repeat(MAX_LENGTH));
        for target in [
            "",
            "/",
            "/console",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%5cevil.example",
            "/%2f%2fevil.example",
            "https://evil.example/console",
            "https:/console",
            "javascript:alert(1)",
            "console",
            " /console",
            "/console\\..\\x",
            "/console//evil.example",
            "/console/../..//evil.example",
            "/console/%2e%2E/x",
            "/console/./x",
            "/console@evil.example",
            "/console.evil.example",
            "/consoles",
            "/api/v1/projects",
            "/console\r\nset-cookie:x",
            "/console/\u{ff0f}evil",
            "/console#x",
            "/console/login",
            "/console/login?next=/console",
            "/console/login/callback?code=x",
            "/console/signed-in?next=/console",
            &long,
        ] {
            assert_eq!(own(target), HOME, "{target:?}");
        }
    }

    #[test]
    fn the_page_to_return_to_is_one_parameter() {
        assert_eq!(with_next("/console/login", HOME), "/console/login");
        assert_eq!(
            with_next("/console/login", "/console/x?a=b&c=%20"),
            "/console/login?next=/console/x%3Fa%3Db%26c%3D%2520"
        );
    }
}
