//! Paths of the third-party programs that the test `external_programs` runs against. The command
//! `services` fetches them (`./tests/run --with-model`) and passes their paths in the environment.
//!
//! Without that, the functions return `None` and report the skipped test on standard error. With
//! it, a missing program fails the test.

use std::path::PathBuf;

use crate::services::required;

/// Variable that says whether the external programs are required; the command `services` sets it to
/// `required`.
pub const EXTERNAL_PROGRAMS: &str = "BOTARMY_TEST_EXTERNAL_PROGRAMS";
/// Variable with the folder of the npm packages: a double of the model providers, and coding
/// agents.
pub const NODE_MODULES: &str = "BOTARMY_TEST_NODE_MODULES";
/// Variable with the folder of the PyPI wheels: a model, and a server for it.
pub const WHEELS: &str = "BOTARMY_TEST_WHEELS";

/// Variable with the folder of the PyPI wheels with the messages of OpenTelemetry.
pub const OTEL_MESSAGES: &str = "BOTARMY_TEST_OTEL_MESSAGES";

/// Returns the folder of the messages of OpenTelemetry.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn otel_messages() -> Option<PathBuf> {
    folder("the messages of OpenTelemetry", OTEL_MESSAGES)
}

/// Variable with the folder into which Prometheus is unpacked.
pub const PROMETHEUS: &str = "BOTARMY_TEST_PROMETHEUS";

/// Returns the folder of the programs `prometheus` and `promtool`.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn prometheus() -> Option<PathBuf> {
    folder("Prometheus", PROMETHEUS).map(|folder| folder.join("usr/bin"))
}

/// Variable with the folder of the agent frameworks from PyPI, each in a folder of its own, because
/// their dependencies contradict each other.
pub const FRAMEWORKS: &str = "BOTARMY_TEST_FRAMEWORKS";
/// Variable with the folder of the PyPI wheels that read OpenAPI documents.
pub const OPENAPI_TOOLS: &str = "BOTARMY_TEST_OPENAPI_TOOLS";

/// Returns the folder of the programs that read OpenAPI documents.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn openapi_tools() -> Option<PathBuf> {
    folder("programs that read OpenAPI documents", OPENAPI_TOOLS)
}

/// Variable with the folder of the PyPI wheels for the client library for Python.
pub const CLIENT_WHEELS: &str = "BOTARMY_TEST_CLIENT_WHEELS";

/// Returns the folder of what the client library for Python runs on, with its generator and its checks.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn client_wheels() -> Option<PathBuf> {
    folder("the packages of the client library for Python", CLIENT_WHEELS)
}

/// Variable with the folder of the npm packages for the client library for TypeScript.
pub const CLIENT_MODULES: &str = "BOTARMY_TEST_CLIENT_MODULES";

/// Returns the folder of what the client library for TypeScript runs on, with its generator and its
/// checks.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn client_modules() -> Option<PathBuf> {
    folder("the packages of the client library for TypeScript", CLIENT_MODULES)
}

/// Variable with the folder of the PyPI wheels of the fuzzer.
pub const FUZZER: &str = "BOTARMY_TEST_FUZZER";

/// Returns the folder of the program that sends requests made from the OpenAPI document.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn fuzzer() -> Option<PathBuf> {
    folder("a fuzzer", FUZZER)
}

/// Variable with the folder of the PyPI wheels of an OpenID provider.
pub const OPENID_MOCK: &str = "BOTARMY_TEST_OPENID_MOCK";

/// Returns the folder of the OpenID provider from PyPI. The one from npm is among [`node_modules`].
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn openid_mock() -> Option<PathBuf> {
    folder("an OpenID provider", OPENID_MOCK)
}

/// Variable with the folder of the PyPI wheels of two MCP clients.
pub const MCP_CLIENTS: &str = "BOTARMY_TEST_MCP_CLIENTS";

/// Returns the folder of the MCP clients.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn mcp_clients() -> Option<PathBuf> {
    folder("MCP clients", MCP_CLIENTS)
}

/// Variable with the folder of the PyPI wheel of the library of Standard Webhooks.
pub const STANDARD_WEBHOOKS: &str = "BOTARMY_TEST_STANDARD_WEBHOOKS";

/// Returns the folder of the library of Standard Webhooks from PyPI. That from npm is among
/// [`node_modules`].
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn standard_webhooks() -> Option<PathBuf> {
    folder("the library of Standard Webhooks", STANDARD_WEBHOOKS)
}

/// Variable with the folder into which the reverse proxies are unpacked.
pub const PROXIES: &str = "BOTARMY_TEST_PROXIES";

/// Returns the folder of the reverse proxies.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn proxies() -> Option<PathBuf> {
    folder("reverse proxies", PROXIES)
}

/// Variable with the path of Chromium. Its driver is found beside it on the PATH.
pub const CHROMIUM: &str = "BOTARMY_TEST_CHROMIUM";

/// Returns the path of Chromium.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn chromium() -> Option<PathBuf> {
    required(EXTERNAL_PROGRAMS, "Chromium", CHROMIUM, "./tests/run --with-model").map(PathBuf::from)
}

/// Variable with the folder of the PyPI wheels that read the files of containers.
pub const CONTAINER_TOOLS: &str = "BOTARMY_TEST_CONTAINER_TOOLS";

/// Returns the folder of a linter for Dockerfiles, and of the schemas of Kubernetes.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn container_tools() -> Option<PathBuf> {
    folder("programs that read the files of containers", CONTAINER_TOOLS)
}

/// Variable with the folder into which Docker Compose is unpacked.
pub const COMPOSE: &str = "BOTARMY_TEST_COMPOSE";

/// Returns the program of Docker Compose. It has no engine.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn compose() -> Option<PathBuf> {
    Some(folder("Docker Compose", COMPOSE)?.join("usr/libexec/docker/cli-plugins/docker-compose"))
}

/// Returns the folder of the npm packages.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn node_modules() -> Option<PathBuf> {
    folder("the packages of npm", NODE_MODULES)
}

/// Returns the folder of the wheels.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn wheels() -> Option<PathBuf> {
    folder("a model", WHEELS)
}

/// Returns the folder of the packages of an agent framework.
///
/// # Panics
/// If it is required but missing.
#[must_use]
pub fn framework(name: &str) -> Option<PathBuf> {
    let folder = folder("the agent frameworks", FRAMEWORKS)?.join(name);
    assert!(folder.is_dir(), "{} is not there", folder.display());
    Some(folder)
}

fn folder(what: &str, name: &str) -> Option<PathBuf> {
    let folder =
        PathBuf::from(required(EXTERNAL_PROGRAMS, what, name, "./tests/run --with-model")?);
    assert!(folder.is_dir(), "{name} names {}, and it is not there", folder.display());
    Some(folder)
}
