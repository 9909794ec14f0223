//! Being told to stop: SIGTERM, and SIGINT from a terminal. Being told to read files again: SIGHUP.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// Both signals, from when this was made. Until then either ends the process at once.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// Returns the error of the system, which may refuse it.
    pub fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Returns when somebody wants it to stop.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => info!("Told to terminate"),
            _ = self.interrupt.recv() => info!("Told to stop"),
        }
    }
}

/// SIGHUP, from when this was made. Until then it ends the process.
#[derive(Debug)]
pub struct Hangups(Signal);

impl Hangups {
    /// Begins to listen.
    ///
    /// # Errors
    /// Returns the error of the system, which may refuse it.
    pub fn listen() -> std::io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one; returns `false` when there are no more.
    pub async fn next(&mut self) -> bool {
        self.0.recv().await.is_some()
    }
}
