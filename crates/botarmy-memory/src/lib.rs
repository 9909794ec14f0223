//! Every driven port in plain memory: the reference the contract tests are written against, and
//! the fake for everyone's tests. Nothing here outlives the process.

mod agent_runner;
mod clock;
mod delivery_store;
mod event_bus;
mod ledger;
mod reads;
mod state;
mod tickets;
mod wake_ups;
mod webhook_state;

pub use agent_runner::{NoopRunner, least_outcome};
pub use clock::{CountingIds, CountingSecrets, ManualClock};
pub use event_bus::MemoryEventBus;
pub use state::MemoryStore;
pub use tickets::MemoryTickets;
pub use wake_ups::MemoryWakeUps;
