//! Tasks for external workers: `dispatch/leases.rs` is the port that they use,
//! `dispatch/dispatcher.rs` serves their requests, which wait in `dispatch/waiting.rs`.

mod dispatcher;
mod leases;
mod waiting;

pub use dispatcher::LeaseDispatcher;
pub use leases::Leases;
