//! `serve`: answers clients until it is told to stop, then stops without losing anything.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use actix_web::dev::ServerHandle;
use anyhow::Context;
use tracing::info;

use crate::features::Features;
use crate::output::say;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::wiring::System;

/// Number of connections that may wait to be accepted; the system lowers it to its own limit.
const BACKLOG: i32 = 4096;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting, or from going on.
pub async fn serve(settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
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
        ended = answer(&mut system, listener, settings, &mut handle) => ended,
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
    settings: &Settings,
    handle: &mut Option<ServerHandle>,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let server = system.http(listener, settings)?;
    system.start().await?;
    greet(settings, address);
    *handle = Some(server.handle());
    // A task of its own: it goes on until it is stopped, also when nobody waits here any more.
    tokio::spawn(server)
        .await
        .context("the HTTP server stopped")?
        .context("the HTTP server stopped")
}

fn greet(settings: &Settings, address: SocketAddr) {
    let role = settings.server.role;
    info!(%address, ?role, data_dir = %settings.store.data_dir.display(), "Serving on http://{address}");
    if settings.log.format != crate::settings::LogFormat::Text {
        return;
    }
    if !role.answers() {
        say!("\nBotArmy works here. Health probes are answered on http://{address}/readyz\n");
        return;
    }
    let place = if settings.store.url.is_empty() {
        settings.store.data_dir.display().to_string()
    } else {
        "PostgreSQL".to_owned()
    };
    let docs = if Features::COMPILED.docs { "docs" } else { "openapi.json" };
    say!(
        "\nBotArmy serves on http://{address} and keeps everything in {place}.\n\
         The documentation of its API is at http://{address}/{docs}. Try:\n\n  \
         curl -s http://{address}/api/v1/projects -H 'Content-Type: application/json' -d '{{\"name\": \"Recipes\", \"description\": \
         \"A recipe-sharing site for small families\", \"workflow\": \"sdlc\"}}'\n  \
         curl -s http://{address}/api/v1/hitl/pending\n"
    );
}
