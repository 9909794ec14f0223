//! Work that no request causes: `timers.rs` at intervals, `recovery.rs` at the start of a server,
//! `agent_status.rs` after changes.

mod agent_status;
mod recovery;
mod timers;
