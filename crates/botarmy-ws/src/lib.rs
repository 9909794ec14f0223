//! WebSocket sessions: sends the frames of `botarmy-live` to clients and reads their requests.
//!
//! ```ignore
//! let hub = Hub::start(bus, logs, clock, LiveSettings::default());
//! let settings = Arc::new(WsSettings::default());
//! let on_connect = botarmy_ws::on_connect(&settings);
//! let mount = {
//!     let hub = Arc::clone(&hub);
//!     move |cfg: &mut ServiceConfig| botarmy_ws::routes(cfg, &hub, &access, &settings)
//! };
//! HttpServer::new(move || App::new().configure(&mount)).on_connect(on_connect);
//! // Before the HTTP server is stopped:
//! hub.shutdown().await;
//! ```

mod guard;
mod outgoing;
mod session;
mod settings;

pub use session::{on_connect, routes};
pub use settings::WsSettings;
