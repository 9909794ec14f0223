//! `botarmy-server`: the control plane for teams of AI agents, in one binary.

use std::process::ExitCode;

use botarmy_domain::error_chain;
use botarmy_server::{cli, output};
use botarmy_terminal::text::printable;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::write_error(format_args!("error: the threads cannot be started: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(cli::main());
    // What had to be finished has been awaited. A migration that waits for another server's, or
    // somebody who was asked something, must not keep the process.
    runtime.shutdown_background();
    let ended = match output::finish() {
        Ok(()) => ended,
        Err(error) => ended.and(Err(anyhow::anyhow!("the output cannot be written: {error}"))),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            // The whole chain, once, for the person who started it.
            let text = printable(&error_chain(error.as_ref()));
            output::write_error(format_args!("error: {text}\n"));
            cli::exit_code(&error)
        }
    }
}
