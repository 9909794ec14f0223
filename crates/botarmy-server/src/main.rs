//! `botarmy-server`: the control plane for teams of AI agents, in one binary.

use std::process::ExitCode;

use botarmy_server::cli;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::main().await {
        Ok(code) => code,
        Err(error) => {
            // The whole chain, once, for the person who started it.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
