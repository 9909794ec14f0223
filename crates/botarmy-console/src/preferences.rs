//! Settings of a browser, which it keeps in a cookie: they contain nothing secret, and are there before
//! the first page is painted.

use actix_web::http::header::{HeaderMap, HeaderValue};
use botarmy_web::cookie;

/// Name of the cookie.
const COOKIE: &str = "botarmy-settings";
/// Time for which a browser keeps it, in seconds: a year.
const KEPT_S: u32 = 365 * 86_400;

/// Appearance of the pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the system of the person is set.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub(crate) const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }

    /// Returns the value of `data-theme`, if the page does not follow the system.
    pub(crate) fn forced(self) -> Option<&'static str> {
        (self != Self::System).then(|| self.as_str())
    }
}

/// Settings of a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Preferences {
    pub(crate) theme: Theme,
    /// Whether times are shown in UTC; otherwise in the time zone of the browser.
    pub(crate) is_utc: bool,
    /// Whether single letters are shortcuts (WCAG 2.1.4).
    pub(crate) has_shortcuts: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { theme: Theme::System, is_utc: false, has_shortcuts: true }
    }
}

impl Preferences {
    /// Reads the settings that came with a request. A value that is not understood is the default.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = cookie(headers, COOKIE).ok().flatten().unwrap_or_default();
        let words: Vec<_> = text.split('.').collect();
        Self {
            theme: words.iter().find_map(|word| Theme::parse(word)).unwrap_or_default(),
            is_utc: words.contains(&"utc"),
            has_shortcuts: !words.contains(&"nokeys"),
        }
    }

    /// Whether settings came with a request.
    pub(crate) fn are_kept(headers: &HeaderMap) -> bool {
        cookie(headers, COOKIE).is_ok_and(|kept| kept.is_some())
    }

    /// Returns the header that has the browser keep them.
    pub(crate) fn cookie(self, path: &str) -> HeaderValue {
        let zone = if self.is_utc { ".utc" } else { "" };
        let keys = if self.has_shortcuts { "" } else { ".nokeys" };
        let value = format!("{}{zone}{keys}", self.theme.as_str());
        let text =
            format!("{COOKIE}={value}; HttpOnly; SameSite=Lax; Path={path}; Max-Age={KEPT_S}");
        HeaderValue::from_str(&text).expect("a path of this server is visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;

    use super::*;

    fn read(text: &str) -> Preferences {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(text).unwrap());
        Preferences::of(&headers)
    }

    #[test]
    fn settings_come_back_as_they_were_kept() {
        for theme in Theme::ALL {
            for (is_utc, has_shortcuts) in [(false, true), (true, true), (false, false)] {
                let preferences = Preferences { theme, is_utc, has_shortcuts };
                let set = preferences.cookie("/console");
                let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
                assert_eq!(read(&pair), preferences);
            }
        }
        for text in ["x=1", "botarmy-settings=", "botarmy-settings=<b>.x"] {
            assert_eq!(read(text), Preferences::default(), "{text}");
        }
    }
}
