//! Pages for people who use a browser: sign-in, and the page with one's own roles and sessions. Rendered
//! by the server; they work without scripts.
//!
//! [`routes`] mounts them into the application of `botarmy-http`, which finds the caller of each request
//! from the cookie of its session before it is routed. [`Console`] also writes the errors of requests for
//! pages ([`ErrorPages`](botarmy_web::ErrorPages)).

mod assets;
mod errors;
mod form;
mod guard;
mod html;
mod next;
mod pages;
mod view;

use std::sync::Arc;

use actix_web::guard::{GuardContext, fn_guard};
use actix_web::middleware::Compress;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::ports::{Access, IdentityProvider, Sessions};
use botarmy_web::{Problem, PublicUrl, accepts_html};

/// Parts of the console: the ports that its pages call, and its settings.
#[derive(Clone)]
pub struct Console {
    /// Tells whether a sign-in is needed, and the roles of a person.
    pub access: Arc<dyn Access>,
    /// Signs people in and out.
    pub sessions: Arc<dyn Sessions>,
    /// OpenID provider, if people sign in with one.
    pub provider: Option<Arc<dyn IdentityProvider>>,
    /// Address that clients use, if it is another than that of the listener.
    pub public_url: Option<PublicUrl>,
    /// Whether the server has TLS of its own.
    pub has_tls: bool,
}

impl Console {
    /// Returns the path under which browsers reach this path of the server.
    pub(crate) fn path(&self, path: &str) -> String {
        let prefix = self.public_url.as_ref().map_or("", PublicUrl::prefix);
        format!("{prefix}{path}")
    }
}

/// Mounts the pages. The requests must have their callers as extensions, and the application must have a
/// `Data<dyn TicketOffice>`.
pub fn routes(config: &mut ServiceConfig, console: &Console) {
    let pages = web::scope("/console")
        .service(
            web::resource("/login")
                .route(web::get().to(pages::login::show))
                .route(web::post().to(pages::login::sign_in))
                .default_service(web::to(allow_get_and_post)),
        )
        .service(page("/login/callback", web::get().to(pages::openid::callback)))
        .service(page("/signed-in", web::get().to(pages::login::signed_in)))
        .service(change("/logout", web::post().to(pages::account::sign_out)))
        .service(change("/ticket", web::post().to(pages::ticket::create)))
        .service(change("/sessions/{id}/end", web::post().to(pages::account::end_session)))
        .service(page("/assets/{file}", web::get().to(assets::serve)))
        .service(page("", web::get().to(pages::account::show)))
        .wrap(Compress::default());
    config
        .app_data(Data::new(console.clone()))
        .service(web::resource("/").guard(fn_guard(shows_html)).route(web::get().to(go_to_console)))
        .service(pages);
}

fn page(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(path).route(route).default_service(web::to(allow_get))
}

fn change(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(path).route(route).default_service(web::to(allow_post))
}

async fn allow_get(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::method_not_allowed(request.method(), "GET, HEAD"))
}

async fn allow_post(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::method_not_allowed(request.method(), "POST"))
}

async fn allow_get_and_post(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::method_not_allowed(request.method(), "GET, HEAD, POST"))
}

/// Whether a request is that of a browser for a page.
fn shows_html(context: &GuardContext<'_>) -> bool {
    accepts_html(context.head().headers())
}

/// Sends a browser that asks for the server itself to the console.
async fn go_to_console(console: Data<Console>) -> HttpResponse {
    html::redirect(&console.path("/console"))
}

#[cfg(test)]
mod tests;
