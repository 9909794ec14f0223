//! `login`: prints a one-time link with which a person signs in to the console.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use botarmy_domain::{Principal, SignInLinkText};
use clap::Args;
use serde_json::{Value, json};

use super::header_file;
use super::local::{self, Local};
use super::sign_in_link::sign_in_address;
use crate::health_check::{Question, Target, exchange};
use crate::output::{say, say_error};
use crate::settings::Settings;

/// Options of `login`.
#[derive(Debug, Args)]
pub struct Login {
    /// The name of the person.
    #[arg(default_value = "admin")]
    name: String,
}

/// Runs the command. The link alone is on standard output.
///
/// # Errors
/// A store that cannot be opened, and what access control refuses.
pub async fn run(settings: &Settings, options: Login) -> anyhow::Result<ExitCode> {
    let Login { name } = options;
    let code = match local::open(settings, "links").await {
        Ok(local) => {
            let code = of_the_store(&local, &name).await;
            local.close().await;
            code?
        }
        Err(error) if local::is_in_use(&error) => of_the_server(settings, &name)
            .with_context(|| how_to_ask(settings))
            .context("a server uses this data folder, and has given no link")?,
        Err(error) => return Err(error),
    };
    say!("{}", sign_in_address(settings, settings.http.port, &code)?);
    say_error!(
        "Open it in a browser to sign in as \"{name}\", once and within ten minutes. Anyone who has \
         the link can do so."
    );
    Ok(ExitCode::SUCCESS)
}

async fn of_the_store(local: &Local, name: &str) -> anyhow::Result<SignInLinkText> {
    let principal = local.principal(name).await?;
    Ok(local.sessions.create_link(principal.id, Local::caller()).await?.text)
}

/// Asks the server on this machine that has the same settings, with the key of the administrator.
fn of_the_server(settings: &Settings, name: &str) -> anyhow::Result<SignInLinkText> {
    let folder = &settings.store.data_dir;
    let path = header_file::path(folder);
    let key =
        header_file::read(folder)?.with_context(|| format!("{} does not exist", path.display()))?;
    ensure!(settings.http.port != 0, "http.port is 0, so that the port of the server is not known");
    let owner = fs::metadata(&path)?.uid();
    check_listener(settings.http.port, owner)?;
    let target = Target::own(settings).at("/api/v1/access/links");
    let body = json!({"principal_id": Principal::local_id(name.trim())}).to_string();
    let head = format!("Authorization: Bearer {}\r\n", key.expose());
    let (status, answer) = exchange(&target, &Question { json: Some(&body), head: &head })?;
    let answer: Value = serde_json::from_str(&answer).context("the answer is not JSON")?;
    match (status, answer["code"].as_str().map(str::parse)) {
        (201, Some(Ok(code))) => Ok(code),
        (404, _) => bail!("there is no person {name:?}"),
        _ => bail!("it answers {status}: {}", answer["detail"].as_str().unwrap_or_default()),
    }
}

/// Checks that nothing but programs of this user listens on the port: any other would get the key.
pub(crate) fn check_listener(port: u16, user: u32) -> anyhow::Result<()> {
    let mut users = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = Path::new(table);
        match fs::read_to_string(table) {
            Ok(text) => users.extend(listeners(&text, port)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", table.display()));
            }
        }
    }
    ensure!(
        !users.is_empty(),
        "it cannot be told who listens on port {port}, or no one does. The settings have to be those \
         of the server, its port included"
    );
    ensure!(
        users.iter().all(|one| *one == user),
        "another user of this machine listens on port {port}, and would get the key"
    );
    Ok(())
}

/// Returns the users that listen on a port, from a table of the kernel (proc(5), `/proc/net/tcp`).
fn listeners(table: &str, port: u16) -> Vec<u32> {
    const LISTEN: &str = "0A";
    let user = |line: &str| {
        let parts: Vec<_> = line.split_whitespace().collect();
        let (_, hex) = parts.get(1)?.rsplit_once(':')?;
        let is_listener = parts.get(3) == Some(&LISTEN) && u16::from_str_radix(hex, 16) == Ok(port);
        is_listener.then(|| parts.get(7)?.parse().ok())?
    };
    table.lines().skip(1).filter_map(user).collect()
}

/// Returns the request that makes a link.
fn how_to_ask(settings: &Settings) -> String {
    let header = header_file::path(&settings.store.data_dir);
    let scheme = if settings.http.has_tls() { "https" } else { "http" };
    let address = std::net::SocketAddr::new(settings.http.host, settings.http.port);
    format!(
        "ask it yourself with `curl -H @{} -X POST {scheme}://{address}/api/v1/access/links`, and \
         open the url in its answer",
        header.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_that_listen_on_a_port_are_read_from_the_table_of_the_kernel() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1\n\
            \x20  1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1001        0 2\n\
            \x20  2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3\n";
        assert_eq!(listeners(table, 8080), [1000]);
        assert_eq!(listeners(table, 8081), [0]);
        assert!(listeners(table, 8082).is_empty());
    }
}
