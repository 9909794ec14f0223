//! A REST client of a BotArmy server: [`Client`] sends requests and repeats those that may be
//! repeated, [`Items`] reads lists page by page, [`Events`] follows the event stream, and
//! [`Selection`] finds the server and the key that a user means. Answers are JSON, except for errors,
//! which are one type.

mod client;
mod error;
mod events;
mod files;
mod http;
mod items;
mod key;
mod profiles;
mod retry;
mod selection;
mod sse;

pub use client::{Client, ClientKind, Configuration};
pub use error::{ClientError, FieldError, Problem};
pub use events::{Events, Heard};
pub use items::Items;
pub use key::Key;
pub use profiles::{Profile, Profiles};
pub use selection::{Connection, Selection};
pub use sse::Event;

#[cfg(test)]
mod tests;
