//! A real model, as small as they come (SmolLM2-135M-Instruct), on llama.cpp's server.

use std::path::Path;
use std::process::Command;

use botarmy_tests::external_programs::wheels;
use serde_json::Value;

use crate::program::Program;

/// A running model server.
pub(crate) struct ModelServer {
    pub(crate) base: String,
    pub(crate) program: Program,
}

impl ModelServer {
    /// Starts one whose answers follow this schema if a request has none; `None` if the external
    /// programs are missing.
    pub(crate) async fn start(schema: &Value) -> Option<Self> {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("external_programs/model_server.py");
        let mut command = Command::new("python3");
        command.arg("-B").arg(script).arg(wheels()?).arg(schema.to_string());
        let (program, base) = Program::start(command, "the model is served at ").await;
        Some(Self { base, program })
    }
}
