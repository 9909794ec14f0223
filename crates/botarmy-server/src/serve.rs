//! `serve`: answers clients until it is told to stop, then stops without losing anything.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use actix_web::dev::ServerHandle;
use anyhow::Context;
use botarmy_domain::ports::Sessions;
use botarmy_domain::{Caller, Principal};
use botarmy_http::ServerIdentity;
use tracing::{error, info};

use crate::access::{FirstStart, command, prepare, sign_in_address};
use crate::features::Features;
use crate::output::say;
use crate::settings::Settings;
use crate::signals::{Hangups, Signals};
use crate::wiring::System;

/// Number of connections that may wait to be accepted; the system lowers it to its own limit.
const BACKLOG: i32 = 4096;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting, or from going on.
pub async fn serve(settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let identity = settings.http.identity()?;
    if let Some(identity) = identity.clone() {
        tokio::spawn(reload_identity(Hangups::listen()?, identity));
    }
    let address = SocketAddr::new(settings.http.host, settings.http.port);
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    listener.set_nonblocking(true)?;
    // The library asks for 128, which a burst of clients fills while one is accepted.
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    let mut system = tokio::select! {
        opened = System::open(settings) => opened?,
        () = signals.told() => {
            info!("Stopped before anything was begun");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let mut handle = None;
    let ended = tokio::select! {
        ended = answer(&mut system, listener, identity.as_ref(), settings, &mut handle) => ended,
        () = signals.told() => Ok(()),
    };
    // A second signal ends it at once; nothing is lost by that, only handed back later.
    tokio::spawn(async move {
        signals.told().await;
        std::process::exit(130);
    });
    system.close_live_sessions().await;
    let close_live_sessions = async {
        if let Some(handle) = &handle {
            handle.stop(true).await;
        }
    };
    tokio::join!(system.drain(), close_live_sessions);
    system.close().await;
    ended?;
    info!("Stopped");
    Ok(ExitCode::SUCCESS)
}

/// Lets everybody work, and answers clients until the server has ended, which by itself it does not.
async fn answer(
    system: &mut System,
    listener: TcpListener,
    identity: Option<&ServerIdentity>,
    settings: &Settings,
    handle: &mut Option<ServerHandle>,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let first_start = prepare(settings, &system.stores, &system.access).await?;
    let server = system.http(listener, identity, settings)?;
    system.start().await?;
    let link = first_link(settings, system, address, &first_start).await;
    greet(settings, address, &first_start, link.as_deref());
    *handle = Some(server.handle());
    // A task of its own: it goes on until it is stopped, also when nobody waits here any more.
    tokio::spawn(server)
        .await
        .context("the HTTP server stopped")?
        .context("the HTTP server stopped")
}

/// Reads certificate and key again at every SIGHUP. What cannot be used changes nothing.
async fn reload_identity(mut hangups: Hangups, identity: ServerIdentity) {
    while hangups.next().await {
        match identity.reload() {
            Ok(()) => info!("Certificate and key were read again; new connections use them"),
            Err(error) => error!(
                %error,
                "Certificate and key cannot be used; the server goes on with the earlier ones: {error}"
            ),
        }
    }
}

/// Creates the link with which the first administrator signs in. It is printed for people alone: a log
/// must not have it.
async fn first_link(
    settings: &Settings,
    system: &System,
    address: SocketAddr,
    first_start: &FirstStart,
) -> Option<String> {
    let is_new = matches!(first_start, FirstStart::Header { is_new: true, .. });
    if !is_new || settings.log.format != crate::settings::LogFormat::Text {
        return None;
    }
    let admin = Principal::local_id("admin");
    let issued = system.access.create_link(admin, Caller::local("local")).await;
    let link = issued
        .map_err(anyhow::Error::from)
        .and_then(|issued| sign_in_address(settings, address.port(), &issued.text));
    // The server works without it, and `login` makes another.
    link.inspect_err(|error| error!(%error, "No sign-in link could be created: {error}")).ok()
}

fn greet(settings: &Settings, address: SocketAddr, first_start: &FirstStart, link: Option<&str>) {
    let role = settings.server.role;
    let scheme = if settings.http.has_tls() { "https" } else { "http" };
    info!(%address, ?role, data_dir = %settings.store.data_dir.display(), "Serving on {scheme}://{address}");
    if settings.log.format != crate::settings::LogFormat::Text {
        return;
    }
    if !role.answers() {
        say!("\nBotArmy works here. Health probes are answered on {scheme}://{address}/readyz\n");
        return;
    }
    let place = if settings.store.url.is_empty() {
        settings.store.data_dir.display().to_string()
    } else {
        "PostgreSQL".to_owned()
    };
    let docs = if Features::COMPILED.docs { "docs" } else { "openapi.json" };
    let (header, hint) = match first_start {
        FirstStart::Open => (String::new(), String::new()),
        FirstStart::Header { path, .. } => {
            let path = path.display();
            let console = match link {
                Some(link) => format!(
                    "Sign in with a browser, once and within ten minutes:\n\n  {link}\n\n\
                     `botarmy-server login` prints another link. "
                ),
                None => {
                    "`botarmy-server login` prints a link to sign in with a browser. ".to_owned()
                }
            };
            let hint = format!("{console}The key of the administrator is in {path}.\n");
            (format!(" -H @{path}"), hint)
        }
        FirstStart::OwnKey => {
            (" -H \"Authorization: Bearer $BOTARMY_KEY\"".to_owned(), own_key_hint(settings))
        }
    };
    say!(
        "\nBotArmy serves on {scheme}://{address} and keeps everything in {place}.\n{hint}\
         The documentation of its API is at {scheme}://{address}/{docs}. Try:\n\n  \
         curl -s{header} {scheme}://{address}/api/v1/projects -H 'Content-Type: application/json' -d '{{\"name\": \"Recipes\", \"description\": \
         \"A recipe-sharing site for small families\", \"workflow\": \"sdlc\"}}'\n  \
         curl -s{header} {scheme}://{address}/api/v1/hitl/pending\n"
    );
}

/// Returns how a caller gets a key that the server does not know where to find.
fn own_key_hint(settings: &Settings) -> String {
    let command = command(settings);
    let first = if settings.store.url.is_empty() { "stop the server, and " } else { "" };
    format!(
        "Put your key into the variable BOTARMY_KEY. If it is lost, {first}run `{command} keys create \
         NAME`, with the name of its owner.\n"
    )
}
