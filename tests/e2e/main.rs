//! Tests from outside: the real server as a process, used like a user does.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod access;
mod backup;
mod bad_answers;
mod bad_programs;
mod border;
mod cli;
mod client;
mod code_map;
mod commands;
mod console;
mod console_gates;
mod console_projects;
mod containers;
mod copy;
mod crash;
mod deploy;
mod documentation;
mod documented_commands;
mod documented_events;
mod documented_failures;
mod event_streams;
mod exposure;
mod gates;
mod ideas;
mod idempotency;
mod killed;
mod lists;
mod live;
mod log;
mod log_lines;
mod mcp;
mod memory;
mod metrics;
mod migrations;
mod models;
mod operations;
mod operator_pages;
mod oversight;
mod policies;
mod relays;
mod replicas;
mod rest;
mod sandbox;
mod slow_clients;
mod source_paths;
mod stopping;
mod terminal;
mod tls;
mod tracing;
mod upgrades;
mod waiting_workers;
mod walkthrough;
mod webhooks;
mod workers;

/// Returns the names of the migrations of the database at this address, in order: SQLite without one.
fn migrations(url: &str) -> Vec<String> {
    let folder = match url {
        "" => concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/sqlite"),
        _ => concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/postgres"),
    };
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs the binary; returns its exit code and its output.
fn say(command: &mut std::process::Command) -> (Option<i32>, String) {
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}
