//! Tasks for external workers: `dispatch/leases.rs` is the port that they use,
//! `dispatch/dispatcher.rs` where their requests wait.

mod dispatcher;
mod leases;

pub use dispatcher::LeaseDispatcher;
pub use leases::Leases;
