//! The OpenAPI document in the hands of programs that read it: two validators, two generators whose
//! clients drive a project, and a comparison of real responses with the document.

use std::path::Path;
use std::process::{Command, Stdio};

use botarmy_tests::external_programs::{node_modules, openapi_tools};
use botarmy_tests::server::{TestServer, bare};
use tempfile::TempDir;

use crate::alone;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/external_programs");

/// Settings of the generator: it knows two of the content types under other names only.
const CLIENT_CONFIG: &str = "content_type_overrides:\n  application/zip: application/octet-stream\n  \
     application/x-ndjson: text/plain\npost_hooks: []\n";

/// Runs a program to its end and returns its output.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}:\n{said}");
    said
}

/// Returns a command for Python, which finds the packages in this folder.
fn python(tools: &Path) -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", tools).env("PYTHONDONTWRITEBYTECODE", "1");
    command.envs(botarmy_tests::access::environment());
    command
}

/// Writes the document of the binary into a new folder, as `openapi.json`.
fn document() -> TempDir {
    let folder = TempDir::new().unwrap();
    let output = bare().arg("openapi").output().unwrap();
    assert!(output.status.success());
    std::fs::write(folder.path().join("openapi.json"), output.stdout).unwrap();
    folder
}

#[tokio::test]
async fn the_document_is_valid_for_two_validators() {
    let (Some(tools), Some(node)) = (openapi_tools(), node_modules()) else { return };
    let _alone = alone().await;
    let folder = document();
    let file = folder.path().join("openapi.json");
    run(python(&tools).args(["-m", "openapi_spec_validator"]).arg(&file));
    let mut redocly = Command::new(node.join(".bin/redocly"));
    redocly.env("REDOCLY_TELEMETRY", "off").current_dir(folder.path());
    redocly.args(["lint", "--format", "summary"]);
    // A live connection begins with 101, the only response of an operation that is not 2xx.
    redocly.args(["--skip-rule", "operation-2xx-response"]);
    // It compares members that both forms of a bulk answer require, and misses that the list of the
    // one is null in the other.
    redocly.args(["--skip-rule", "no-illogical-composition-keywords"]);
    let said = run(redocly.arg(&file));
    assert!(said.contains("valid") && !said.contains("You have"), "{said}");
}

#[tokio::test]
async fn a_generated_python_client_drives_a_project_from_the_idea_to_the_log() {
    let Some(tools) = openapi_tools() else { return };
    let _alone = alone().await;
    let folder = document();
    std::fs::write(folder.path().join("config.yaml"), CLIENT_CONFIG).unwrap();
    let mut generate = python(&tools);
    generate.current_dir(folder.path()).args(["-m", "openapi_python_client", "generate"]);
    generate.args(["--path", "openapi.json", "--output-path", "client", "--meta", "none"]);
    let said = run(generate.args(["--config", "config.yaml"]));
    assert!(!said.contains("WARNING") && !said.contains("ERROR"), "{said}");
    let server = TestServer::start().await;
    let mut client = python(&tools);
    client.arg(Path::new(HERE).join("openapi_client.py")).arg(folder.path()).arg(&server.base);
    let said = tokio::task::spawn_blocking(move || run(&mut client)).await.unwrap();
    assert!(said.contains("done:"), "{said}");
}

#[tokio::test]
async fn a_client_with_generated_types_drives_a_project_from_the_idea_to_the_log() {
    let Some(node) = node_modules() else { return };
    let _alone = alone().await;
    let folder = document();
    let source = Path::new(HERE).join("openapi_client.ts");
    std::fs::copy(source, folder.path().join("openapi_client.ts")).unwrap();
    let mut generate = Command::new(node.join(".bin/openapi-typescript"));
    run(generate.current_dir(folder.path()).args(["openapi.json", "-o", "api.d.ts"]));
    let mut compile = Command::new(node.join(".bin/tsc"));
    compile.current_dir(folder.path()).args(["--strict", "--target", "es2022", "--module"]);
    compile.args(["commonjs", "--lib", "es2022,dom", "--skipLibCheck", "openapi_client.ts"]);
    run(&mut compile);
    let server = TestServer::start().await;
    let mut client = Command::new("node");
    client.current_dir(folder.path()).arg("openapi_client.js").arg(&server.base);
    client.envs(botarmy_tests::access::environment());
    let said = tokio::task::spawn_blocking(move || run(&mut client)).await.unwrap();
    assert!(said.contains("done:"), "{said}");
}

#[tokio::test]
async fn real_responses_of_every_operation_are_those_of_the_document() {
    let Some(tools) = openapi_tools() else { return };
    let _alone = alone().await;
    // The tasks of testers wait for the external worker in the script.
    let server = TestServer::with(&[("BOTARMY_AGENTS__TESTER__RUNNER", "none")]).await;
    let mut compare = python(&tools);
    let script = Path::new(HERE).join("openapi_conformance.py");
    compare.arg(script).args([&server.base, "300"]);
    let said = tokio::task::spawn_blocking(move || run(&mut compare)).await.unwrap();
    println!("{said}");
}
