//! A connection to the server that a command is about, and the exit codes of commands.

use std::path::Path;
use std::{env, fs, os};

use anyhow::{Context, bail, ensure};
use botarmy_client::{Client, ClientError, ClientKind, Configuration, Connection, Key};
use botarmy_domain::ports::Ids;
use uuid::Uuid;

use super::options::{Common, OutputOptions, Place, ServerOptions};
use super::screen::Screen;
use crate::access::{header_file, login};
use crate::health_check::Target;
use crate::settings::Settings;
use crate::system::RandomIds;

/// Client and output of a command.
pub(crate) struct Session {
    pub(super) client: Client,
    pub(super) screen: Screen,
}

impl Session {
    /// Connects a command to its server. Nothing is sent yet.
    ///
    /// # Errors
    /// Options, variables and files that name no server or no key.
    pub(super) fn open(common: &Common, place: &Place) -> anyhow::Result<Self> {
        Self::with(&common.server, common.output, place)
    }

    /// Connects to a server with options that stand apart.
    ///
    /// # Errors
    /// Those of [`Session::open`].
    pub(super) fn with(
        server: &ServerOptions,
        output: OutputOptions,
        place: &Place,
    ) -> anyhow::Result<Self> {
        if server.is_ambiguous() {
            bail!(Failure::usage("--server and --profile name two servers; give one of them"));
        }
        let selection = server.selection();
        let connection = match selection.resolve(&|name| env::var_os(name))? {
            Some(connection) => connection,
            None => own(place, &selection)?,
        };
        let new_key = || Uuid::from_u128(RandomIds.seed()).to_string();
        let client = Client::new(connection, Configuration::new(ClientKind::Terminal, new_key))?;
        Ok(Self { client, screen: Screen::new(output) })
    }
}

/// Returns the server on this machine that has the same settings, with the key of its administrator.
fn own(place: &Place, selection: &botarmy_client::Selection) -> anyhow::Result<Connection> {
    let none = "no server is named; use --server URL, a profile, or BOTARMY_SERVER";
    let mut settings =
        Settings::load(place.config.as_deref(), env::vars()).context(Failure::usage(none))?;
    if let Some(data_dir) = &place.data_dir {
        settings.store.data_dir.clone_from(data_dir);
    }
    ensure!(settings.http.port != 0, Failure::usage(none));
    let server = Target::own(&settings).at("/").url().to_owned();
    let key = match &selection.key_file {
        Some(file) => Some(Key::read(file)?),
        None => administrator(&settings)?,
    };
    let certificate = settings.http.has_tls().then(|| settings.http.tls_cert.clone());
    let ca_file = selection.ca_file.clone().or(certificate);
    Ok(Connection { server, key, ca_file, allow_http: selection.allow_http })
}

/// Returns the key of the administrator, if the data folder has it. It is for the server of this
/// user alone.
fn administrator(settings: &Settings) -> anyhow::Result<Option<Key>> {
    let folder: &Path = &settings.store.data_dir;
    let Some(key) = header_file::read(folder)? else { return Ok(None) };
    let path = header_file::path(folder);
    let owner = os::unix::fs::MetadataExt::uid(&fs::metadata(&path)?);
    login::check_listener(settings.http.port, owner).with_context(|| Failure {
        code: UNREACHABLE,
        text: format!("the key in {} was not sent", path.display()),
    })?;
    Key::parse(key.expose()).map(Some).map_err(anyhow::Error::msg)
}

/// Exit code for what does not exist.
const NOT_FOUND: u8 = 3;
/// Exit code for a state that does not allow it.
const CONFLICT: u8 = 4;
/// Exit code for a key that is missing, wrong or not allowed to do it.
const UNAUTHORISED: u8 = 5;
/// Exit code for a server that cannot be reached, or does not answer.
const UNREACHABLE: u8 = 6;
/// Exit code for input that the server does not accept.
const INVALID: u8 = 7;
/// Exit code for a wrong use of the command line, as clap has it.
const USAGE: u8 = 2;

/// Failure of a command that has an exit code of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    code: u8,
    text: String,
}

impl Failure {
    /// Returns the failure of a command that was used in a wrong way.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: USAGE, text: text.into() }
    }

    /// Returns the failure of a command about something that does not exist.
    pub(super) fn not_found(text: impl Into<String>) -> Self {
        Self { code: NOT_FOUND, text: text.into() }
    }

    /// Returns the failure of a command that the present state does not allow.
    pub(super) fn conflict(text: impl Into<String>) -> Self {
        Self { code: CONFLICT, text: text.into() }
    }
}

/// Returns the exit code for an error.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.code;
    }
    match error.chain().find_map(|cause| cause.downcast_ref::<ClientError>()) {
        Some(ClientError::Problem(problem)) => match problem.status {
            404 | 410 => NOT_FOUND,
            409 | 412 | 428 => CONFLICT,
            401 | 403 => UNAUTHORISED,
            408 | 429 | 502..=504 => UNREACHABLE,
            400 | 413 | 422 => INVALID,
            _ => 1,
        },
        Some(
            ClientError::Unreachable { .. }
            | ClientError::TimedOut { .. }
            | ClientError::BrokenOff { .. },
        ) => UNREACHABLE,
        Some(ClientError::Configuration(_) | ClientError::File { is_written: false, .. }) => USAGE,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use botarmy_client::Problem;

    use super::*;

    #[test]
    fn errors_have_exit_codes_that_scripts_can_tell_apart() {
        let problem = |status| {
            let problem = Problem { status, ..Problem::default() };
            exit_code(&anyhow::Error::from(ClientError::Problem(Box::new(problem))))
        };
        for (status, code) in
            [(404, 3), (409, 4), (401, 5), (403, 5), (503, 6), (429, 6), (422, 7), (500, 1)]
        {
            assert_eq!(problem(status), code, "{status}");
        }
        let away = ClientError::Unreachable { server: String::new(), reason: String::new() };
        assert_eq!(exit_code(&anyhow::Error::from(away).context("later")), 6);
        assert_eq!(exit_code(&anyhow::Error::from(Failure::usage("x")).context("y")), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("x")), 1);
    }
}
