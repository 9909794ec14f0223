//! `package`: lists and downloads the package of a project.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use botarmy_client::{Client, ClientError};
use botarmy_domain::ProjectId;
use botarmy_terminal::table::{Cell, Column};
use botarmy_terminal::text::{grouped, one_line};
use clap::Subcommand;
use serde_json::Value;

use super::options::{Common, Place};
use super::session::Session;
use super::values::{list, number, text};
use crate::output::say;
use crate::run::package_file;

/// Commands for packages.
#[derive(Debug, Subcommand)]
pub(crate) enum PackageCommand {
    /// List the files of the package.
    List {
        /// The id of the project.
        project: ProjectId,
    },
    /// Download the package, and print the path of the file.
    Download {
        /// The id of the project.
        project: ProjectId,
        /// The file to write [default: NAME_artifacts.zip in the current folder].
        #[arg(long, value_name = "FILE.zip")]
        out: Option<PathBuf>,
    },
}

/// Runs a command.
///
/// # Errors
/// Those of the connection, what the server refuses, and a file that cannot be written.
pub(super) async fn run(
    command: PackageCommand,
    common: &Common,
    place: &Place,
) -> anyhow::Result<ExitCode> {
    let session = Session::open(common, place)?;
    match command {
        PackageCommand::List { project } => listed(&session, project).await?,
        PackageCommand::Download { project, out } => {
            let id = project.to_string();
            let summary = session.client.get(&["artifacts", &id, "summary"], &[]).await?;
            let project = session.client.get(&["projects", &id], &[]).await?;
            let status = text(&project, "/status");
            if status != "completed" {
                let status = one_line(status, 40);
                let note = format!("The project is {status}: its package is not complete.");
                session.screen.note(&note);
            }
            let out = package_file::place(out.as_deref(), text(&summary, "/project_name"))?;
            let size = download(&session.client, &id, &out).await?;
            if session.screen.is_json {
                session.screen.json(&serde_json::json!({ "file": out, "size": size }));
            } else {
                say!("{}", out.display());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn listed(session: &Session, project: ProjectId) -> anyhow::Result<()> {
    let summary = session.client.get(&["artifacts", &project.to_string(), "summary"], &[]).await?;
    if session.screen.is_json {
        session.screen.json(&summary);
        return Ok(());
    }
    let columns = [Column::whole("BYTES"), Column::cut("FILE", 20)];
    let row = |file: &Value| {
        vec![Cell::new(&grouped(number(file, "/size"))), Cell::new(text(file, "/name"))]
    };
    let rows: Vec<_> = list(&summary, "/artifacts").iter().map(row).collect();
    session.screen.table(&columns, &rows, "The package would have no files.");
    if summary["download_available"] == false {
        session.screen.note("The package is not built yet; a download builds it.");
    }
    Ok(())
}

/// Failure of a download: of the connection, or of the file.
#[derive(Debug, thiserror::Error)]
enum DownloadError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// Downloads the package of a project into a file, which appears when it is complete. Returns its size.
///
/// # Errors
/// Those of the connection, what the server refuses, and a file that cannot be written.
pub(super) async fn download(
    client: &Client,
    project: &str,
    out: &std::path::Path,
) -> anyhow::Result<u64> {
    let mut pending = package_file::Pending::create(out)?;
    let received = client
        .download(&["artifacts", project, "download"], &[], |part| {
            pending.file().write_all(part).map_err(DownloadError::File)
        })
        .await;
    let size = match received {
        Ok(size) => size,
        Err(DownloadError::Client(error)) => return Err(error.into()),
        Err(DownloadError::File(error)) => {
            return Err(error).with_context(|| format!("{} cannot be written", out.display()));
        }
    };
    pending.publish()?;
    Ok(size)
}
