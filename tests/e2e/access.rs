//! Access control through the real server: who may do what, what strangers learn, and how keys begin
//! and end.

mod answer_links;
mod enumeration;
mod escalation;
mod first_start;
mod four_eyes;
mod gate_acts;
mod guessing;
mod isolation;
mod leases;
mod members;
mod names;
mod openid;
mod origins;
mod policies;
mod preview;
mod references;
mod revocation;
mod secrets;
mod sessions;
mod table;
mod timing;
mod unauthorised;
mod upgrade;
mod world;
