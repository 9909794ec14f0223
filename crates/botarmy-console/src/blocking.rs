//! Work that takes long, beside the threads that serve.

use actix_web::web;
use botarmy_web::Problem;

/// Runs work that takes long for large documents beside the threads that serve.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    web::block(work).await.map_err(Problem::internal)
}
