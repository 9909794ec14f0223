//! Pages for people who use a browser. Rendered by the server; they work without scripts.
//!
//! [`routes`] mounts them into the application of `botarmy-http`, which finds the caller of each request
//! from the cookie of its session before it is routed. [`Console`] also writes the errors of requests for
//! pages ([`ErrorPages`](botarmy_web::ErrorPages)).
//!
//! # Adding a page
//!
//! 1. `view/NOUN.rs`: pure functions from domain values to a view model; texts are in `view/texts.rs`.
//! 2. `templates/NOUN/page.html`: `{% extends "frame.html" %}` with the block `main`. Its struct has the
//!    fields `layout: Layout` and `frame: Frame`, which `frame.html` reads.
//! 3. `pages/NOUN.rs`: a handler that takes a `PageContext`, parses its query with
//!    `query`, calls the ports of [`Console`], and returns
//!    `respond`. Errors are returned as `Err`; they become pages by
//!    themselves, objects that the caller does not see are a 404.
//! 4. A line in [`routes`]: `page` for a page, `change` for a form. A form is read with
//!    `Form`, which checks the form token, and answered with a redirection.
//!
//! A *live part* is a template of its own, rendered with `Part::new` and put into the
//! page with `{{ part }}`. With `?part=NAME` the page returns only that part
//! (`respond_part`). Rows in it have an `id` and a `data-v`
//! (`Versioned`).
//!
//! Icons are values of `Icon`, written as `{{ Icon::Inbox }}`. Times are
//! `TimeView`s, written with `parts/time.html`, which shows the variable `time`.
//! No template uses the filter `safe`; a test says so. HTML is written as it is only from types of this
//! crate that are `HtmlSafe`.

mod api_source;
mod assets;
mod blocking;
mod context;
mod errors;
mod etag;
mod form;
mod frame;
mod guard;
mod html;
mod next;
mod pages;
mod part;
mod preferences;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::guard::{GuardContext, fn_guard};
use actix_web::middleware::{Compress, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use botarmy_domain::AgentType;
use botarmy_domain::ports::{
    Access, Clock, Gates, IdentityProvider, LogQueries, Operations, Projects, Queries, Sessions,
    Tasks,
};
use botarmy_web::{Problem, PublicUrl, accepts_html, ascii};

/// Parts of the console: the driving ports that its pages call, and its settings.
#[derive(Clone)]
pub struct Console {
    /// Tells whether a sign-in is needed, and the roles of a person.
    pub access: Arc<dyn Access>,
    /// Signs people in and out.
    pub sessions: Arc<dyn Sessions>,
    /// Reads what pages show.
    pub queries: Arc<dyn Queries>,
    /// Reads logs.
    pub logs: Arc<dyn LogQueries>,
    /// Takes the answers to requests.
    pub gates: Arc<dyn Gates>,
    /// Creates projects, pauses, cancels and completes them.
    pub projects: Arc<dyn Projects>,
    /// Creates tasks, cancels and retries them.
    pub tasks: Arc<dyn Tasks>,
    /// Changes budgets, makes packages.
    pub operations: Arc<dyn Operations>,
    /// Parties that do the work of each agent type, for people; without those that have no runner.
    pub runners: Arc<BTreeMap<AgentType, String>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// OpenID provider, if people sign in with one.
    pub provider: Option<Arc<dyn IdentityProvider>>,
    /// Address that clients use, if it is another than that of the listener.
    pub public_url: Option<PublicUrl>,
    /// Whether the server has TLS of its own.
    pub has_tls: bool,
    /// Largest body of a form, in bytes.
    pub body_limit: usize,
    /// Largest text in a field, in bytes; a document that is edited may be as large as a body.
    pub text_limit: usize,
}

impl Console {
    /// Returns the path under which browsers reach this path of the server.
    pub(crate) fn path(&self, path: &str) -> String {
        let prefix = self.public_url.as_ref().map_or("", PublicUrl::prefix);
        format!("{prefix}{path}")
    }
}

/// Mounts the pages. The requests must have their callers as extensions.
pub fn routes(config: &mut ServiceConfig, console: &Console) {
    let preview = web::resource([ascii("/preview/{token}"), "/{path:.*}".to_owned()].concat())
        .route(web::get().to(pages::preview::file))
        .default_service(web::to(allow_get));
    let pages = web::scope("/console")
        .app_data(web::PayloadConfig::new(console.body_limit))
        .service(form(
            "/login",
            web::get().to(pages::login::show),
            web::post().to(pages::login::sign_in),
        ))
        .service(page("/login/callback", web::get().to(pages::openid::callback)))
        .service(page("/signed-in", web::get().to(pages::login::signed_in)))
        .service(change("/logout", web::post().to(pages::account::sign_out)))
        .service(change("/ticket", web::post().to(pages::ticket::create)))
        .service(change("/sessions/{id}/end", web::post().to(pages::account::end_session)))
        .service(page("/assets/{file}", web::get().to(assets::serve)))
        .service(page("/account", web::get().to(pages::account::show)))
        .service(change("/account/delegation", web::post().to(pages::account::set_delegation)))
        .service(page("/inbox", web::get().to(pages::inbox::show)))
        .service(form(
            "/inbox/answer",
            web::get().to(pages::requests::show_together),
            web::post().to(pages::requests::answer_together),
        ))
        .service(
            scope("/requests/{id}")
                .service(page("", web::get().to(pages::requests::show)))
                .service(change("/answer", web::post().to(pages::requests::answer)))
                // The parts of a page that shows a refused act are loaded from its own path.
                .service(form(
                    "/act",
                    web::get().to(pages::requests::show),
                    web::post().to(pages::requests::act),
                )),
        )
        .service(page("/find", web::get().to(pages::find::show)))
        .service(page("/help", web::get().to(pages::help::show)))
        .service(page("/waiting", web::get().to(pages::waiting::show)))
        .configure(project_routes)
        .service(preview)
        .configure(operator_routes)
        .configure(settings_routes)
        .service(page("/more", web::get().to(pages::more::show)))
        .service(page("", web::get().to(go_to_inbox)))
        .wrap(from_fn(etag::answer_unchanged))
        .wrap(Compress::default());
    config
        .app_data(Data::new(console.clone()))
        .service(
            form(
                "/g/{token}",
                web::get().to(pages::link::show),
                web::post().to(pages::link::answer),
            )
            .app_data(web::PayloadConfig::new(console.body_limit)),
        )
        .service(web::resource("/").guard(fn_guard(shows_html)).route(web::get().to(go_to_inbox)))
        .service(pages);
}

/// Mounts the pages around projects. Paths with the same beginning share a scope, so that each id is
/// matched once.
fn project_routes(config: &mut ServiceConfig) {
    let project = scope("/{id}")
        .service(page("", web::get().to(pages::project::show)))
        .service(form(
            "/tasks",
            web::get().to(pages::tasks::show),
            web::post().to(pages::tasks::add),
        ))
        .service(page("/artifacts", web::get().to(pages::artifacts::show)))
        .service(page("/log", web::get().to(pages::log::show)))
        .service(page("/usage", web::get().to(pages::usage::show)))
        .service(change("/budget", web::post().to(pages::usage::set_budget)))
        .service(change("/pause", web::post().to(pages::project::pause)))
        .service(change("/resume", web::post().to(pages::project::resume)))
        .service(form(
            "/members",
            web::get().to(pages::members::show),
            web::post().to(pages::members::set_roles),
        ))
        .service(form(
            "/{change}",
            web::get().to(pages::project::ask),
            web::post().to(pages::project::make),
        ));
    let task = scope("/{id}")
        .service(page("", web::get().to(pages::tasks::task)))
        .service(change("/retry", web::post().to(pages::tasks::retry)))
        .service(change("/cancel", web::post().to(pages::tasks::cancel)));
    let (new, create) =
        (web::get().to(pages::projects::new), web::post().to(pages::projects::create));
    config
        .service(
            web::scope("/projects")
                .service(page("", web::get().to(pages::projects::show)))
                .service(form("/new", new, create))
                .service(project),
        )
        .service(web::scope("/tasks").service(task))
        .service(page("/artifacts/{id}", web::get().to(pages::artifacts::artifact)))
        .service(page("/entries/{id}", web::get().to(pages::log::entry)));
}

/// Mounts the pages for operators and auditors.
fn operator_routes(config: &mut ServiceConfig) {
    let agent = scope("/{name}")
        .service(page("", web::get().to(pages::agents::agent)))
        .service(change("/reset", web::post().to(pages::agents::reset)));
    config
        .service(
            web::scope("/agents")
                .service(page("", web::get().to(pages::agents::show)))
                .service(agent),
        )
        .service(page("/workers", web::get().to(pages::workers::show)))
        .service(page("/audit", web::get().to(pages::audit::show)))
        .service(page("/audit/verify", web::get().to(pages::audit::verify)))
        .service(form("/stop", web::get().to(pages::stop::show), web::post().to(pages::stop::set)))
        .service(page("/stop/bar", web::get().to(pages::stop::bar)))
        .service(change("/stop/release", web::post().to(pages::stop::release)));
}

/// Mounts the pages of settings: one's own, and those for administrators.
fn settings_routes(config: &mut ServiceConfig) {
    let person = scope("/{id}")
        .service(page("", web::get().to(pages::people::one)))
        .service(change("/link", web::post().to(pages::people::link)))
        .service(change("/{change}", web::post().to(pages::people::change)));
    let people = web::scope("/people")
        .service(form(
            "",
            web::get().to(pages::people::show),
            web::post().to(pages::people::create),
        ))
        .service(person);
    let key = scope("/{id}")
        .service(change("/rotate", web::post().to(pages::keys::rotate)))
        .service(change("/revoke", web::post().to(pages::keys::revoke)));
    let keys = web::scope("/keys")
        .service(form("", web::get().to(pages::keys::show), web::post().to(pages::keys::create)))
        .service(key);
    let (show, save) =
        (web::get().to(pages::settings::show), web::post().to(pages::settings::save));
    config.service(
        web::scope("/settings")
            .service(form("", show, save))
            .service(people)
            .service(keys)
            .service(page("/sessions", web::get().to(pages::sessions::show)))
            .service(change("/sessions/{id}/end", web::post().to(pages::sessions::end))),
    );
}

/// Returns a scope with an id in its path.
fn scope(path: &str) -> actix_web::Scope {
    web::scope(&ascii(path))
}

/// Returns the resource of a page and of its form.
fn form(path: &str, show: actix_web::Route, send: actix_web::Route) -> actix_web::Resource {
    web::resource(ascii(path)).route(show).route(send).default_service(web::to(allow_get_and_post))
}

/// Returns the resource of a page.
fn page(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(ascii(path)).route(route).default_service(web::to(allow_get))
}

/// Returns the resource of a form.
fn change(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(ascii(path)).route(route).default_service(web::to(allow_post))
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

/// Sends a browser that asks for the server itself, or for the console, to the inbox.
async fn go_to_inbox(console: Data<Console>) -> HttpResponse {
    html::redirect(&console.path(next::HOME))
}

#[cfg(test)]
mod tests;
