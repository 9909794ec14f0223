//! Access control through the real server: who may do what, what strangers learn, and how keys begin
//! and end.

mod enumeration;
mod first_start;
mod guessing;
mod leases;
mod references;
mod revocation;
mod secrets;
mod table;
mod world;
