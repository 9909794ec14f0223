//! Endpoints: what is routed and what is documented are the same list, so neither can forget one.

use actix_web::middleware::Compress;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, Route, http::Method};
use utoipa::__dev::SchemaReferences;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::{RefOr, Schema};

use crate::error::Problem;

/// One method of one path: the handler, and how the OpenAPI document describes it.
pub(crate) struct Endpoint {
    pub(crate) path: String,
    pub(crate) methods: Vec<HttpMethod>,
    pub(crate) operation: fn() -> Operation,
    pub(crate) schemas: fn(&mut Vec<(String, RefOr<Schema>)>),
    route: Route,
    compressed: bool,
}

impl Endpoint {
    /// The endpoint that `#[utoipa::path]` on the handler describes; `P` is the type it made.
    pub(crate) fn new<P, F, Args>(handler: F) -> Self
    where
        P: utoipa::Path + SchemaReferences,
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let methods = P::methods();
        let route = methods.iter().fold(Route::new(), |route, m| route.method(method(m)));
        Self {
            path: P::path(),
            methods,
            operation: P::operation,
            schemas: P::schemas,
            route: route.to(handler),
            compressed: true,
        }
    }

    /// Never compressed: its bytes have a strong `ETag` (RFC 9110, section 8.8.3).
    pub(crate) fn uncompressed(mut self) -> Self {
        self.compressed = false;
        self
    }
}

/// Things in the order in which they were first named.
type Ordered<T> = Vec<(String, Vec<T>)>;

/// Routes all of them, in this order.
pub(crate) fn mount(config: &mut ServiceConfig, endpoints: Vec<Endpoint>) {
    let mut scopes: Ordered<(String, Vec<Endpoint>)> = Vec::new();
    for endpoint in endpoints {
        let (scope, rest) = split(&endpoint.path);
        let (scope, rest) = (scope.to_owned(), rest.to_owned());
        let paths = entry(&mut scopes, scope);
        entry(paths, rest).push(endpoint);
    }
    for (scope, paths) in scopes {
        let mut service = web::scope(&scope);
        for (path, endpoints) in paths {
            let compressed = endpoints.iter().all(|endpoint| endpoint.compressed);
            let resource = resource(&path, endpoints);
            service = if compressed {
                service.service(resource.wrap(Compress::default()))
            } else {
                service.service(resource)
            };
        }
        config.service(service);
    }
}

/// The part of a path that a scope matches by comparing text alone, and the rest.
fn split(path: &str) -> (&str, &str) {
    let end = if path.starts_with("/api/v1/") {
        path.match_indices('/').nth(3).map_or(path.len(), |(at, _)| at)
    } else {
        0
    };
    path.split_at(end)
}

/// The list under this key, made at the end when it is new: order is what routing goes by.
fn entry<T>(list: &mut Ordered<T>, key: String) -> &mut Vec<T> {
    let at = list.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        list.push((key, Vec::new()));
        list.len() - 1
    });
    &mut list[at].1
}

/// One path with its methods, and 405 for the others.
fn resource(path: &str, endpoints: Vec<Endpoint>) -> Resource {
    let mut allow: Vec<&str> = Vec::new();
    for method in endpoints.iter().flat_map(|endpoint| &endpoint.methods) {
        match method {
            HttpMethod::Get => allow.extend(["GET", "HEAD"]),
            HttpMethod::Post => allow.push("POST"),
            HttpMethod::Delete => allow.push("DELETE"),
            _ => unreachable!("no other method is used"),
        }
    }
    let allow = allow.join(", ");
    let refuse = move |request: HttpRequest| {
        let problem = Problem::method_not_allowed(request.method(), &allow);
        async move { Err::<&'static str, _>(problem) }
    };
    let resource = web::resource(path).default_service(web::to(refuse));
    endpoints.into_iter().fold(resource, |resource, endpoint| resource.route(endpoint.route))
}

fn method(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Delete => Method::DELETE,
        _ => unreachable!("no other method is used"),
    }
}
