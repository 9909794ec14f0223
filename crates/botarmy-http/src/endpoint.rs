//! Endpoints: routing and documentation come from one list, so neither can omit one.

use std::cmp::Reverse;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::web::{self, ServiceConfig};
use actix_web::{
    FromRequest, Handler, HttpRequest, Resource, Responder, Route, Scope, http::Method,
};
use utoipa::__dev::{SchemaReferences, Tags};
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterIn};
use utoipa::openapi::{RefOr, Schema};

use botarmy_domain::Permission;
use botarmy_domain::ports::Metrics;
use botarmy_web::ascii;

use crate::documented::{Documented, Parts};
use crate::error::Problem;
use crate::extract::Undocumented;
use crate::route_meters::RouteMeters;

/// Right that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requires {
    /// None. Credentials are ignored.
    Public,
    /// None, if the documentation of the API is public; otherwise a credential.
    Docs,
    /// A credential, whatever it permits.
    AnyCaller,
    /// This permission. The domain checks it, where the objects are known.
    Permission(Permission),
    /// The permission to work, or the token of the lease that the path names.
    Lease,
}

impl From<Permission> for Requires {
    fn from(permission: Permission) -> Self {
        Self::Permission(permission)
    }
}

impl Requires {
    /// Returns the permission that is needed, if it is one.
    pub(crate) const fn permission(self) -> Option<Permission> {
        match self {
            Self::Permission(permission) => Some(permission),
            Self::Lease => Some(Permission::WorkDo),
            Self::Public | Self::Docs | Self::AnyCaller => None,
        }
    }
}

/// Effort of an operation, which the limits of a principal depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A read or a write.
    Plain,
    /// A read or a write of much: an export, a check, a package.
    Heavy,
    /// A request that waits for something.
    LongPoll,
    /// A connection that stays open.
    Stream,
}

/// Method of a path: the handler, and its description in the OpenAPI document.
pub(crate) struct Endpoint {
    pub(crate) path: String,
    pub(crate) methods: Vec<HttpMethod>,
    pub(crate) operation: fn() -> Operation,
    pub(crate) tags: fn() -> Vec<&'static str>,
    pub(crate) schemas: fn(&mut Vec<(String, RefOr<Schema>)>),
    pub(crate) requires: Requires,
    pub(crate) effort: Effort,
    documented: Parts,
    route: Route,
    compressed: bool,
}

impl Endpoint {
    /// Creates the endpoint that `#[utoipa::path]` on the handler describes; `P` is the type that the
    /// attribute generates.
    pub(crate) fn new<P, F, Args>(handler: F, requires: impl Into<Requires>) -> Self
    where
        P: utoipa::Path + SchemaReferences + Tags<'static>,
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let requires = requires.into();
        let methods = P::methods();
        let route = methods.iter().fold(Route::new(), |route, m| route.method(method(m)));
        let operation = P::operation();
        let parameters = operation.parameters.unwrap_or_default();
        let documented = Parts {
            query: parameters.iter().any(is_in_query),
            body: operation.request_body.is_some(),
            key: false,
            permission: requires.permission(),
        };
        let checked = move |_: Undocumented, args: Args| handler.call(args);
        Self {
            path: P::path(),
            methods,
            operation: P::operation,
            tags: P::tags,
            schemas: P::schemas,
            requires,
            effort: Effort::Plain,
            documented,
            route: route.to(checked),
            compressed: true,
        }
    }

    /// Returns the path below [`RAW`] under which browsers read the same; `None` for an endpoint that
    /// changes something, does not end, or is open to everyone.
    pub(crate) fn path_for_pages(&self) -> Option<&str> {
        let is_read = self.methods.iter().all(|method| matches!(method, HttpMethod::Get));
        let is_answered = matches!(self.effort, Effort::Plain | Effort::Heavy);
        let is_checked = matches!(self.requires, Requires::Permission(_));
        let path = self.path.strip_prefix("/api/v1")?;
        (is_read && is_answered && is_checked).then_some(path)
    }

    /// Takes an idempotency key. The handler passes it on with `State::once`.
    pub(crate) const fn keyed(mut self) -> Self {
        self.documented.key = true;
        self
    }

    /// Returns whether requests may have an idempotency key.
    pub(crate) const fn is_keyed(&self) -> bool {
        self.documented.key
    }

    /// Counts as heavy.
    pub(crate) const fn heavy(mut self) -> Self {
        self.effort = Effort::Heavy;
        self
    }

    /// Counts as a request that waits.
    pub(crate) const fn long_poll(mut self) -> Self {
        self.effort = Effort::LongPoll;
        self
    }

    /// Counts as a connection that stays open. It is not compressed: what is compressed waits for more.
    pub(crate) fn stream(mut self) -> Self {
        self.effort = Effort::Stream;
        self.compressed = false;
        self
    }

    /// Turns compression off, because the bytes have a strong `ETag` (RFC 9110, section 8.8.3).
    pub(crate) fn uncompressed(mut self) -> Self {
        self.compressed = false;
        self
    }
}

fn is_in_query(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)
}

/// Groups by name, in the order in which the names first occurred.
type Ordered<T> = Vec<(String, Vec<T>)>;

/// Routes all endpoints, in this order.
///
/// The router tries one after the other, and for a path with an id each try is a regular expression.
/// So paths with the same beginning share a scope: first by the name of the collection, which is
/// compared as text, then up to the first id, which is matched once for all paths behind it. Ten paths behind
/// one id took 3.0 µs without scopes, and take 0.9 µs with them.
pub(crate) fn mount(config: &mut ServiceConfig, endpoints: Vec<Endpoint>, metrics: &dyn Metrics) {
    let paths = endpoints.into_iter().map(|endpoint| (endpoint.path.clone(), endpoint));
    for scope in scopes(paths, "", metrics) {
        config.service(scope);
    }
}

/// Returns the scopes of collections, which are mounted below this path.
fn scopes(
    paths: impl Iterator<Item = (String, Endpoint)>,
    below: &str,
    metrics: &dyn Metrics,
) -> Vec<Scope> {
    let collections = group(paths.map(|(path, endpoint)| {
        let (collection, rest) = split(&path);
        (collection.to_owned(), (rest.to_owned(), endpoint))
    }));
    let scope = |(collection, endpoints): (String, Vec<(String, Endpoint)>)| {
        let mount = |start: String| {
            move |scope, (path, endpoints): (String, Vec<Endpoint>)| {
                let methods = endpoints.iter().flat_map(|endpoint| &endpoint.methods).map(method);
                let meters = RouteMeters::new(metrics, &format!("{start}{path}"), methods);
                mount_path(scope, &path, endpoints, meters)
            }
        };
        let mut items = group(endpoints.into_iter().map(|(rest, endpoint)| {
            let (item, rest) = split_item(&rest);
            (item.to_owned(), (rest.to_owned(), endpoint))
        }));
        // What stands there literally is never an id.
        items.sort_by_key(|(item, _)| (!item.is_empty(), Reverse(item.find('{'))));
        items.into_iter().fold(web::scope(&collection), |scope, (item, endpoints)| {
            let paths = group(endpoints);
            let mount = mount(format!("{below}{collection}{item}"));
            if item.is_empty() {
                paths.into_iter().fold(scope, mount)
            } else {
                scope.service(paths.into_iter().fold(web::scope(&item), mount))
            }
        })
    };
    collections.into_iter().map(scope).collect()
}

/// Beginning of the paths under which people who are signed in read what the API returns.
pub(crate) const RAW: &str = "/console/raw";

/// Routes the reading endpoints once more, for browsers: the cookie of a session is accepted for pages
/// alone, and a page offers what it shows as JSON, and packages as files.
pub(crate) fn mount_for_pages(
    config: &mut ServiceConfig,
    endpoints: Vec<Endpoint>,
    metrics: &dyn Metrics,
) {
    let paths = endpoints.into_iter().filter_map(|endpoint| {
        let path = ascii(endpoint.path_for_pages()?);
        Some((path, endpoint))
    });
    let scope = scopes(paths, RAW, metrics).into_iter().fold(web::scope(RAW), Scope::service);
    config.service(scope.wrap(from_fn(keep_private)));
}

/// Keeps what was read with the cookie of a session out of caches that others share.
async fn keep_private(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let mut response = next.call(request).await?;
    let is_compared = response.headers().contains_key(header::ETAG);
    let value = if is_compared { "private, no-cache" } else { "private, no-store" };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
    Ok(response)
}

/// Mounts a path in a scope.
fn mount_path(scope: Scope, path: &str, endpoints: Vec<Endpoint>, meters: RouteMeters) -> Scope {
    let compressed = endpoints.iter().all(|endpoint| endpoint.compressed);
    let resource = resource(path, endpoints).app_data(meters);
    if compressed {
        scope.service(resource.wrap(Compress::default()))
    } else {
        scope.service(resource)
    }
}

/// Splits a path into the name of its collection and the rest.
fn split(path: &str) -> (&str, &str) {
    const API: &str = "/api/v1";
    let start = if path.starts_with(API) { API.len() } else { 0 };
    let slash = path[start..].match_indices('/').nth(1);
    path.split_at(slash.map_or(path.len(), |(at, _)| start + at))
}

/// Splits a path after the first id in it; without an id, all of it is the rest.
fn split_item(path: &str) -> (&str, &str) {
    path.split_at(path.find('}').map_or(0, |at| at + 1))
}

/// Groups by key, in the order in which the keys first occur: routing depends on the order.
fn group<T>(things: impl IntoIterator<Item = (String, T)>) -> Ordered<T> {
    let mut groups = Ordered::new();
    for (key, thing) in things {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, group)) => group.push(thing),
            None => groups.push((key, vec![thing])),
        }
    }
    groups
}

/// Returns a path with its methods, and 405 for all others.
fn resource(path: &str, endpoints: Vec<Endpoint>) -> Resource {
    let mut allow: Vec<&str> = Vec::new();
    for method in endpoints.iter().flat_map(|endpoint| &endpoint.methods) {
        match method {
            HttpMethod::Get => allow.extend(["GET", "HEAD"]),
            HttpMethod::Post => allow.push("POST"),
            HttpMethod::Delete => allow.push("DELETE"),
            HttpMethod::Put => allow.push("PUT"),
            HttpMethod::Patch => allow.push("PATCH"),
            _ => unreachable!("no other method is used"),
        }
    }
    let allow = allow.join(", ");
    let documented = endpoints
        .iter()
        .flat_map(|endpoint| endpoint.methods.iter().map(|m| (method(m), endpoint.documented)));
    let documented = Documented(documented.collect());
    let refuse = move |request: HttpRequest| {
        let problem = Problem::method_not_allowed(request.method(), &allow);
        async move { Err::<&'static str, _>(problem) }
    };
    let resource = web::resource(path).app_data(documented).default_service(web::to(refuse));
    endpoints.into_iter().fold(resource, |resource, endpoint| resource.route(endpoint.route))
}

pub(crate) fn method(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        _ => unreachable!("no other method is used"),
    }
}
