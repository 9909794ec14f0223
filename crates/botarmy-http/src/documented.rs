//! The parts of a request that its operation documents.

use actix_web::HttpRequest;
use actix_web::http::Method;
use botarmy_domain::Permission;

/// The parts of a request that an operation documents, known to its resource by method. What is not
/// among them must not be there: the typed extractors check the rest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Documented(pub(crate) Vec<(Method, Parts)>);

impl Documented {
    /// Returns the parts that the operation of a request documents.
    pub(crate) fn of(request: &HttpRequest) -> Option<Parts> {
        let documented = request.app_data::<Self>()?;
        let of_method = |(method, _): &&(Method, Parts)| method == request.method();
        documented.0.iter().find(of_method).map(|(_, parts)| *parts)
    }
}

/// Parts of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) query: bool,
    pub(crate) body: bool,
    /// Whether a POST may have an idempotency key.
    pub(crate) key: bool,
    /// Permission that the operation needs.
    pub(crate) permission: Option<Permission>,
}
