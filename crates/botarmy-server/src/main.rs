//! `botarmy-server`: the control plane for teams of AI agents, in one binary.

use std::process::ExitCode;

use botarmy_domain::error_chain;
use botarmy_server::cli;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the threads cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(cli::main());
    // What had to be finished has been awaited. A migration that waits for another server's, or
    // somebody who was asked something, must not keep the process.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(error) => {
            // The whole chain, once, for the person who started it.
            eprintln!("error: {}", error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
