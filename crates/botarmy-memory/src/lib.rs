//! Every driven port in plain memory: the reference the contract tests are written against, and
//! the fake for everyone's tests. Nothing here outlives the process.

mod bell;
mod clock;
mod event_bus;
mod ledger;
mod reads;
mod state;

pub use bell::Bell;
pub use clock::{CountingIds, ManualClock};
pub use event_bus::MemoryEventBus;
pub use state::MemoryStore;
