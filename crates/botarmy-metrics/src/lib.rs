//! Figures of a running server in the Prometheus text format. Ports are decorated or observed, so that
//! nothing else knows of metrics: [`MeteredLedger`] counts what is committed, [`MeteredRunner`] the runs
//! of agents, [`Figures`] has everything and writes the text.
//!
//! **Invariant:** counting takes no lock and does not allocate, but for the first request of a route.
//! **Invariant:** the number of series is bounded: no label has the name or the id of anything that users
//! create, and models beyond a limit share one series.

mod figures;
mod histogram;
mod ledger;
mod models;
mod process;
mod read;
mod routes;
mod runner;
mod store;

pub use figures::{Figures, MetricsSettings};
pub use ledger::MeteredLedger;
pub use runner::MeteredRunner;
