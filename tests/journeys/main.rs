//! Journeys from outside: the real server, as its people use it.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod cli;
mod containers;
mod crash;
mod deploy;
mod live;
mod operations;
mod readme;
mod replicas;
mod rest;
mod walkthrough;
