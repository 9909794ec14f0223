//! Live frames over WebSocket: what happens, told while it happens, in order, with nothing missing
//! and nothing twice.
//!
//! [`Hub`] knows nothing of a web framework: it listens to the bus and reads the log, and a
//! [`Subscriber`] takes frames from it. `session` is the only file that knows the WebSocket crate.
//! [`Live`] is both together, as the server mounts it:
//!
//! ```ignore
//! let live = Live::start(bus, audit, projects, clock, WsSettings::default());
//! HttpServer::new({
//!     let live = live.clone();
//!     move || App::new().configure(|cfg| botarmy_ws::routes(cfg, &live))
//! })
//! .on_connect(botarmy_ws::on_connect(&live));
//! // … and when the server is told to stop:
//! live.shutdown().await;
//! ```

mod feed;
mod frame;
mod guard;
mod hub;
mod sequencer;
mod session;
mod settings;
mod subscriber;
mod topic;

#[cfg(test)]
mod fakes;

use std::sync::Arc;

use botarmy_domain::ports::{AuditLog, Clock, EventBus, ProjectStore};

pub use hub::{Admission, Hub};
pub use session::{on_connect, routes};
pub use settings::WsSettings;
pub use subscriber::{Refused, Subscriber, Target};

/// The live stream as the server mounts it. Clones are the same stream.
#[derive(Debug, Clone)]
pub struct Live {
    hub: Arc<Hub>,
}

impl Live {
    /// Starts the stream. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(
        bus: Arc<dyn EventBus>,
        audit: Arc<dyn AuditLog>,
        projects: Arc<dyn ProjectStore>,
        clock: Arc<dyn Clock>,
        settings: WsSettings,
    ) -> Self {
        Self { hub: Hub::start(bus, audit, projects, clock, settings) }
    }

    /// The hub behind it.
    #[must_use]
    pub const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Ends every session with close code 1001. To be called before the HTTP server is stopped.
    pub async fn shutdown(&self) {
        self.hub.shutdown().await;
    }
}
