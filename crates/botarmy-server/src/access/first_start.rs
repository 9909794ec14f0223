//! The way into a server that needs keys: the first administrator.

use std::path::PathBuf;

use botarmy_domain::decide::access::FIRST_ADMIN;
use botarmy_domain::ports::Access;
use botarmy_domain::{ApiKeyText, Caller, Principal};
use botarmy_orchestrator::{AccessControl, AdminKey};
use tracing::{info, warn};

use super::header_file;
use crate::settings::Settings;
use crate::stores::Stores;

/// Largest number of keys that are named in the log at a start.
const MAX_NAMED: usize = 20;

/// State of access after a start, with which a user makes a first request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FirstStart {
    /// Nothing: the server is open.
    Open,
    /// The header in this file.
    Header {
        /// Path of the file.
        path: PathBuf,
        /// Whether the administrator was created just now.
        is_new: bool,
    },
    /// A key that the server does not know where to find.
    OwnKey,
}

/// Makes sure that a server with its own database has an administrator whose key is in the data
/// folder. On a shared database an administrator is created only with a key from the settings,
/// because a file would be on one machine of several.
///
/// A folder that was in use without keys may have administrators already. Those that the log does not
/// account for are named, and do not count: the person `admin` gets a key of its own then.
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
        let key = key_in_file(header_file::read(folder)?, settings, access)?;
        access.create_first_admin(key, Caller::system()).await?;
        let path = header_file::path(folder);
        info!(path = %path.display(), "Created the person \"admin\"; the key is in {}", path.display());
        return Ok(FirstStart::Header { path, is_new: true });
    }
    let admins = access.admins().await?;
    warn_of_unproven(&admins.unproven);
    if stores.is_shared() {
        if admins.is_empty() {
            warn_of_no_admin(settings, access.first_admin().await?.as_deref(), true);
        }
        return Ok(FirstStart::OwnKey);
    }
    let first_admin = access.first_admin().await?;
    if let Some(path) = of_the_file(settings, access) {
        if admins.is_empty() {
            warn_of_no_admin(settings, first_admin.as_deref(), false);
        }
        return Ok(FirstStart::Header { path, is_new: false });
    }
    let is_missing = match &first_admin {
        None => admins.proven.is_empty(),
        Some(admin) => {
            admins.proven.is_empty() && !admins.unproven.is_empty() && admin.manages_access()
        }
    };
    if is_missing && settings.server.role.answers() {
        return restore(settings, access).await;
    }
    if admins.is_empty() {
        warn_of_no_admin(settings, first_admin.as_deref(), false);
    }
    Ok(FirstStart::OwnKey)
}

/// Returns the file, if its key still works.
fn of_the_file(settings: &Settings, access: &AccessControl) -> Option<PathBuf> {
    let is_valid = |key: &ApiKeyText| access.authenticate(key.expose()).is_ok();
    match header_file::read(&settings.store.data_dir) {
        Ok(Some(key)) if is_valid(&key) => Some(header_file::path(&settings.store.data_dir)),
        _ => None,
    }
}

/// Returns the key in the file, or a new one that it has written there.
fn key_in_file(
    kept: Option<ApiKeyText>,
    settings: &Settings,
    access: &AccessControl,
) -> anyhow::Result<ApiKeyText> {
    if let Some(key) = kept {
        return Ok(key);
    }
    let key = access.new_key();
    header_file::write(&settings.store.data_dir, &key)?;
    Ok(key)
}

/// Gives the person `admin` a key in the file, because every key that manages access was created while
/// the server was open, or there is none. The file is written first, as on a first start; one whose key
/// was revoked is not used again.
async fn restore(settings: &Settings, access: &AccessControl) -> anyhow::Result<FirstStart> {
    let folder = &settings.store.data_dir;
    let kept = header_file::read(folder)?;
    if let Some(key) = &kept
        && access.has_key(key).await?
    {
        warn!(
            "The key in {} does not work any more. Remove the file and restart the server, so that it \
             makes another",
            header_file::path(folder).display()
        );
        return Ok(FirstStart::OwnKey);
    }
    let key = key_in_file(kept, settings, access)?;
    access.restore_first_admin(key, Caller::system()).await?;
    let path = header_file::path(folder);
    info!(
        path = %path.display(),
        "Made a key for the person \"admin\", because there was none but those from the time when the \
         server was open; it is in {}",
        path.display()
    );
    Ok(FirstStart::Header { path, is_new: true })
}

/// Names the keys that manage access and that anyone may have created.
fn warn_of_unproven(unproven: &[AdminKey]) {
    for AdminKey { principal, key } in unproven.iter().take(MAX_NAMED) {
        warn!(
            principal.name = %principal.name, key.id = %key.id,
            "\"{}\" can manage access with the key {} (…{}), which it got while the server was open: \
             anyone may have created it. Look at it with `botarmy-server keys list` and \
             `botarmy-server grants list`, or at /api/v1/access/keys, and revoke it unless you know \
             who has it",
            principal.name, key.id, key.hint
        );
    }
    let more = unproven.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        warn!("{more} more keys that manage access were created while the server was open");
    }
}

/// Says with which commands an administrator is made, where no key manages access.
fn warn_of_no_admin(settings: &Settings, first_admin: Option<&Principal>, is_shared: bool) {
    let command = command(settings);
    let remedy = match first_admin {
        Some(admin) if admin.manages_access() => format!("`{command} keys create {FIRST_ADMIN}`"),
        Some(admin) if admin.disabled && admin.deleted_at.is_none() => format!(
            "`{command} grants enable {FIRST_ADMIN}` and `{command} keys create {FIRST_ADMIN}`"
        ),
        Some(admin) if admin.deleted_at.is_none() => format!(
            "`{command} grants set {FIRST_ADMIN} --role admin --add` and `{command} keys create \
             {FIRST_ADMIN}`"
        ),
        Some(_) => format!("`{command} keys create NAME --person --role admin`"),
        None => format!("`{command} keys create {FIRST_ADMIN} --person --role admin`"),
    };
    let first = if is_shared { "" } else { "stop the server, and " };
    warn!(
        "No principal can manage access with a valid key. To make one that can, {first}run {remedy}"
    );
}

/// Returns the beginning of a command on the store of these settings.
pub(crate) fn command(settings: &Settings) -> String {
    if settings.store.url.is_empty() {
        format!("botarmy-server --data-dir {}", settings.store.data_dir.display())
    } else {
        "botarmy-server".to_owned()
    }
}
