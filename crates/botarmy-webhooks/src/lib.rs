//! Sends the messages of webhooks over HTTP, as Standard Webhooks 1.0 describes it, and only to
//! addresses that the settings allow.
//!
//! [`HttpSender`] is the adapter for the port
//! [`WebhookSender`](botarmy_domain::ports::WebhookSender). `networks` has the addresses that are not
//! public, `resolver` applies it to every name, `signature` signs.

mod address;
mod networks;
mod resolver;
mod signature;
mod webhook_sender;

pub use networks::{MalformedNetwork, Networks};
pub use webhook_sender::{HttpSender, SenderSettings};
