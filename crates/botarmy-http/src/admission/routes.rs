//! The audience and the effort of a request, by its method and path, before it is routed. The table is
//! made of the endpoints themselves; a path that is not in it needs a credential.

use std::collections::HashMap;

use actix_web::http::Method;
use botarmy_web::{is_answer_link, is_page, preview_path};

use crate::endpoint::{Effort, Endpoint, RAW, Requires, method};

/// Path of the WebSocket route, which is mounted beside the API.
pub(super) const LIVE: &str = "/ws";

/// Parties that may send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everyone. Credentials are ignored.
    Public,
    /// Callers.
    Callers,
    /// Callers, and whoever has the token of the lease that the path names.
    LeaseHolders,
    /// Persons with the cookie of a session, and with nothing else.
    Sessions,
    /// Those who have the token that the path of a preview names.
    Previews,
    /// Everyone, as often as an address may begin to sign in. Credentials are ignored.
    SignIns,
}

/// Treatment of a request before it is routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) audience: Audience,
    pub(super) effort: Effort,
    /// Units that it costs.
    pub(super) units: u64,
}

/// Pages that are open to everyone, with their methods and audiences; all others need a session.
const PAGES: [(&str, Method, Audience); 6] = [
    ("/console/login", Method::GET, Audience::Public),
    ("/console/login", Method::POST, Audience::SignIns),
    ("/console/login/callback", Method::GET, Audience::SignIns),
    ("/console/assets/{file}", Method::GET, Audience::Public),
    ("/g/{token}", Method::GET, Audience::Public),
    ("/g/{token}", Method::POST, Audience::SignIns),
];

/// Page that reads a whole log.
const CHECK: &str = "/console/audit/verify";

/// Units of a read.
const READ: u64 = 1;
/// Units of a write.
const WRITE: u64 = 5;
/// Units of a heavy operation.
const HEAVY: u64 = 50;

/// Operations that are treated otherwise than most.
pub(super) struct Routes {
    /// By the last part of the path; those that end with a parameter under the empty text.
    special: HashMap<String, Vec<Special>>,
}

struct Special {
    methods: Vec<Method>,
    /// Parts of the path; a parameter is `None`.
    parts: Vec<Option<String>>,
    audience: Audience,
    effort: Effort,
}

impl Special {
    fn matches(&self, method: &Method, path: &str) -> bool {
        let mut parts = self.parts.iter();
        let all = path.split('/').skip(1).all(|part| match parts.next() {
            Some(Some(literal)) => literal == part,
            Some(None) => !part.is_empty(),
            None => false,
        });
        all && parts.next().is_none() && self.methods.contains(method)
    }
}

impl Routes {
    pub(super) fn new(endpoints: &[Endpoint], docs_public: bool) -> Self {
        let mut routes = Self { special: HashMap::new() };
        for endpoint in endpoints {
            let audience = match endpoint.requires {
                Requires::Public => Audience::Public,
                Requires::Docs if docs_public => Audience::Public,
                Requires::Lease => Audience::LeaseHolders,
                Requires::Docs | Requires::AnyCaller | Requires::Permission(_) => Audience::Callers,
            };
            let methods: Vec<_> = endpoint.methods.iter().map(method).collect();
            if let Some(path) = endpoint.path_for_pages()
                && endpoint.effort == Effort::Heavy
            {
                let path = format!("{RAW}{path}");
                routes.add(&path, methods.clone(), Audience::Sessions, endpoint.effort);
            }
            routes.add(&endpoint.path, methods, audience, endpoint.effort);
        }
        routes.add(LIVE, vec![Method::GET], Audience::Callers, Effort::Stream);
        routes.add(CHECK, vec![Method::GET], Audience::Sessions, Effort::Heavy);
        for (path, method, audience) in PAGES {
            routes.add(path, vec![method], audience, Effort::Plain);
        }
        routes
    }

    fn add(&mut self, path: &str, methods: Vec<Method>, audience: Audience, effort: Effort) {
        if audience == Audience::Callers && effort == Effort::Plain {
            return;
        }
        let parts = path.split('/').skip(1);
        let parts = parts.map(|part| (!part.starts_with('{')).then(|| part.to_owned()));
        let parts: Vec<_> = parts.collect();
        let last = parts.last().cloned().flatten().unwrap_or_default();
        let special = Special { methods, parts, audience, effort };
        self.special.entry(last).or_default().push(special);
    }

    /// Returns the treatment of a request.
    pub(super) fn policy(&self, method: &Method, path: &str) -> Policy {
        let last = path.rsplit('/').next().unwrap_or_default();
        let candidates = [last, ""].into_iter().filter_map(|last| self.special.get(last)).flatten();
        let special = candidates.into_iter().find(|special| special.matches(method, path));
        let others = match path {
            path if preview_path(path).is_some() && *method == Method::GET => Audience::Previews,
            path if is_page(path) => Audience::Sessions,
            // People who have a link have no credential. A path with a slash at its end leads to the page.
            path if is_answer_link(path) && *method == Method::POST => Audience::SignIns,
            path if is_answer_link(path) => Audience::Public,
            _ => Audience::Callers,
        };
        let (audience, effort) =
            special.map_or((others, Effort::Plain), |special| (special.audience, special.effort));
        let units = match effort {
            Effort::Heavy => HEAVY,
            _ if method.is_safe() => READ,
            _ => WRITE,
        };
        Policy { audience, effort, units }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(method: &Method, path: &str) -> (Audience, Effort, u64) {
        let routes = Routes::new(&crate::endpoints(), true);
        let Policy { audience, effort, units } = routes.policy(method, path);
        (audience, effort, units)
    }

    #[test]
    fn what_is_not_known_to_be_public_needs_a_caller() {
        use Audience::{Callers, LeaseHolders, Previews, Public, Sessions, SignIns};
        use Effort::{Heavy, LongPoll, Plain, Stream};
        let id = "019c0a5e-7c3a-7b7e-8f5a-3d9d0c1b2a4f";
        for (method, path, expected) in [
            (Method::GET, "/livez", (Public, Plain, 1)),
            (Method::GET, "/health", (Public, Plain, 1)),
            (Method::GET, "/health/z", (Public, Plain, 1)),
            (Method::GET, "/openapi.json", (Public, Plain, 1)),
            (Method::POST, "/livez", (Callers, Plain, 5)),
            (Method::GET, "/health/detailed", (Callers, Plain, 1)),
            (Method::GET, "/health/livez", (Callers, Plain, 1)),
            (Method::GET, "//livez", (Callers, Plain, 1)),
            (Method::GET, "/livez/x", (Callers, Plain, 1)),
            (Method::GET, "/nothing", (Callers, Plain, 1)),
            (Method::GET, "/", (Callers, Plain, 1)),
            (Method::GET, "/ws", (Callers, Stream, 1)),
            (Method::GET, "/console/login", (Public, Plain, 1)),
            (Method::POST, "/console/login", (SignIns, Plain, 5)),
            (Method::PUT, "/console/login", (Sessions, Plain, 5)),
            (Method::GET, "/console/login/callback", (SignIns, Plain, 1)),
            (Method::POST, "/console/login/callback", (Sessions, Plain, 5)),
            (Method::GET, "/console/assets/x.css", (Public, Plain, 1)),
            (Method::GET, "/g/botarmy_a_x", (Public, Plain, 1)),
            (Method::POST, "/g/botarmy_a_x", (SignIns, Plain, 5)),
            (Method::PUT, "/g/botarmy_a_x", (Public, Plain, 5)),
            (Method::GET, "/g/botarmy_a_x/", (Public, Plain, 1)),
            (Method::POST, "/g/botarmy_a_x/", (SignIns, Plain, 5)),
            (Method::GET, "/g/", (Callers, Plain, 1)),
            (Method::GET, "/g//", (Callers, Plain, 1)),
            (Method::GET, "/g", (Callers, Plain, 1)),
            (Method::GET, "/g/x/y", (Callers, Plain, 1)),
            (Method::GET, "/console/assets/x/y", (Sessions, Plain, 1)),
            (Method::GET, "/console", (Sessions, Plain, 1)),
            (Method::POST, "/console/logout", (Sessions, Plain, 5)),
            (Method::GET, "/console/nothing", (Sessions, Plain, 1)),
            (Method::GET, "/console/preview/x", (Previews, Plain, 1)),
            (Method::GET, "/console/preview/x/y/z.js", (Previews, Plain, 1)),
            (Method::POST, "/console/preview/x/y", (Sessions, Plain, 5)),
            (Method::GET, "/console/preview", (Sessions, Plain, 1)),
            (Method::GET, "/console/login/callback/x", (Sessions, Plain, 1)),
            (Method::GET, "/consoles", (Callers, Plain, 1)),
            (Method::GET, "//console", (Callers, Plain, 1)),
            (Method::POST, "/api/v1/worker/leases", (Callers, LongPoll, 5)),
            (Method::POST, "/api/v1/worker/leases/x/heartbeat", (LeaseHolders, Plain, 5)),
            (Method::POST, "/api/v1/worker/leases//heartbeat", (Callers, Plain, 5)),
            (Method::GET, "/api/v1/worker/leases/x/heartbeat", (Callers, Plain, 1)),
            (Method::GET, "/api/v1/audit/system/verify", (Callers, Heavy, 50)),
            (Method::GET, &format!("/api/v1/artifacts/{id}/download"), (Callers, Heavy, 50)),
            (Method::POST, &format!("/api/v1/artifacts/{id}/generate"), (Callers, Heavy, 50)),
            (Method::GET, &format!("/api/v1/projects/{id}"), (Callers, Plain, 1)),
            (Method::GET, &format!("/console/raw/projects/{id}"), (Sessions, Plain, 1)),
            (Method::GET, &format!("/console/raw/artifacts/{id}/download"), (Sessions, Heavy, 50)),
        ] {
            assert_eq!(policy(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_documentation_is_public_only_if_the_settings_say_so() {
        let closed = Routes::new(&crate::endpoints(), false);
        for path in ["/openapi.json", "/docs", "/docs/index.html"] {
            assert_eq!(closed.policy(&Method::GET, path).audience, Audience::Callers, "{path}");
        }
        #[cfg(feature = "docs")]
        assert_eq!(policy(&Method::GET, "/docs/index.html").0, Audience::Public);
    }
}
