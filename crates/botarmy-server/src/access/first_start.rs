//! The way into a server that needs keys: the first administrator.

use std::path::PathBuf;

use botarmy_domain::ports::Access;
use botarmy_domain::{ApiKeyText, Caller};
use botarmy_orchestrator::AccessControl;
use tracing::{info, warn};

use super::header_file;
use crate::settings::Settings;
use crate::stores::Stores;

/// State of access after a start, with which a user makes a first request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FirstStart {
    /// Nothing: the server is open.
    Open,
    /// The header in this file.
    Header(PathBuf),
    /// A key that the server does not know where to find.
    OwnKey,
}

/// Makes sure that a server with its own database has an administrator whose key is in the data
/// folder. On a shared database an administrator is created only with a key from the settings,
/// because a file would be on one machine of several.
///
/// The file is written before the administrator: if the process ends in between, the next start uses
/// the key in the file. So there is never an administrator without a file.
///
/// # Errors
/// A file that cannot be written or used, and the errors of the store.
pub(crate) async fn prepare(
    settings: &Settings,
    stores: &Stores,
    access: &AccessControl,
) -> anyhow::Result<FirstStart> {
    access.load().await?;
    if !settings.access.needs_keys() {
        warn!(
            "access.mode = \"open\": everyone on this machine can do everything, under any name. \
             docs/security.md explains how to change that"
        );
        return Ok(FirstStart::Open);
    }
    let folder = &settings.store.data_dir;
    if !access.is_set_up().await? {
        if let Some(key) = settings.access.first_key.key() {
            if access.create_first_admin(key, Caller::system()).await?.is_some() {
                info!("Created the person \"admin\" with the key in BOTARMY_ACCESS__FIRST_KEY");
            }
            return Ok(FirstStart::OwnKey);
        }
        if !settings.server.role.answers() {
            return Ok(FirstStart::OwnKey);
        }
        if stores.is_shared() {
            warn!(
                "There is no key yet, so every request is refused. Create an administrator with \
                 `botarmy-server keys create admin --person --role admin`"
            );
            return Ok(FirstStart::OwnKey);
        }
        let key = match header_file::read(folder)? {
            Some(key) => key,
            None => {
                let key = access.new_key();
                header_file::write(folder, &key)?;
                key
            }
        };
        access.create_first_admin(key, Caller::system()).await?;
        let path = header_file::path(folder);
        info!(path = %path.display(), "Created the person \"admin\"; the key is in {}", path.display());
        return Ok(FirstStart::Header(path));
    }
    Ok(if stores.is_shared() { FirstStart::OwnKey } else { of_the_file(settings, access) })
}

/// Returns the file, if its key still works.
fn of_the_file(settings: &Settings, access: &AccessControl) -> FirstStart {
    let is_valid = |key: &ApiKeyText| access.authenticate(key.expose()).is_ok();
    match header_file::read(&settings.store.data_dir) {
        Ok(Some(key)) if is_valid(&key) => {
            FirstStart::Header(header_file::path(&settings.store.data_dir))
        }
        _ => FirstStart::OwnKey,
    }
}
