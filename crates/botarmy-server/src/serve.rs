//! `serve`: answers clients until it is told to stop, then stops without losing anything.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::settings::Settings;
use crate::wiring::System;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting.
pub async fn serve(settings: &Settings) -> anyhow::Result<ExitCode> {
    let address = SocketAddr::new(settings.http.host, settings.http.port);
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let mut system = System::open(settings).await?;
    let server = system.http(listener, settings)?;
    let grace = Duration::from_secs(settings.http.shutdown_timeout_s);
    system.start(grace).await?;
    greet(settings, address);
    let handle = server.handle();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut serving = tokio::spawn(server);
    tokio::select! {
        ended = &mut serving => ended.context("the HTTP server stopped")??,
        _ = terminate.recv() => info!("Told to terminate"),
        _ = interrupt.recv() => info!("Told to stop"),
    }
    // A second signal ends it at once; nothing is lost by that, only handed back later.
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        std::process::exit(130);
    });
    system.hang_up().await;
    tokio::join!(system.wind_down(), handle.stop(true));
    system.close().await;
    info!("Stopped");
    Ok(ExitCode::SUCCESS)
}

fn greet(settings: &Settings, address: SocketAddr) {
    let role = settings.server.role;
    info!(%address, ?role, data_dir = %settings.store.data_dir.display(), "Serving on http://{address}");
    if settings.log.format != crate::settings::LogFormat::Text {
        return;
    }
    if !role.answers() {
        println!("\nBotArmy works here. Health probes are answered on http://{address}/readyz\n");
        return;
    }
    let place = if settings.store.url.is_empty() {
        settings.store.data_dir.display().to_string()
    } else {
        "PostgreSQL".to_owned()
    };
    println!(
        "\nBotArmy serves on http://{address} and keeps everything in {place}.\n\
         The documentation of its API is at http://{address}/docs. Try:\n\n  \
         curl -s http://{address}/api/v1/projects -H 'Content-Type: application/json' -d '{{\"name\": \"Recipes\", \"description\": \
         \"A recipe-sharing site for small families\", \"workflow\": \"sdlc\"}}'\n  \
         curl -s http://{address}/api/v1/hitl/pending\n"
    );
}
