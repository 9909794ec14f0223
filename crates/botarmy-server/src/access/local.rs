//! Access control for commands: they work on the store itself, so that whoever may read and write it
//! needs no key.

use std::sync::Arc;

use anyhow::{Context, bail};
use botarmy_domain::ports::{Access, PrincipalChange};
use botarmy_domain::{Caller, Grant, Principal};
use botarmy_memory::{MemoryEventBus, MemoryWakeUps};
use botarmy_orchestrator::{Engine, Ports, Workflows};

use super::header_file;
use crate::settings::Settings;
use crate::stores::{self, Stores};
use crate::system::{RandomIds, SystemClock};
use crate::wiring::{access_control, engine_settings};

/// Number of rows that are read at once.
pub(super) const PAGE: u32 = 500;

/// The store with the access control on it.
pub(super) struct Local {
    pub(super) access: Arc<dyn Access>,
    stores: Stores,
}

impl Local {
    /// Opens the store that the settings name.
    ///
    /// # Errors
    /// A database that does not exist, or that a server uses alone.
    pub(super) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let stores =
            Stores::open_unchanged(settings).await.map_err(|error| explain(settings, error))?;
        let access = control(settings, &stores).await?;
        Ok(Self { access, stores })
    }

    /// Returns the caller of the commands.
    pub(super) fn caller() -> Caller {
        Caller::local("local")
    }

    /// Returns the local principals by name, without those that were deleted.
    pub(super) async fn principals(&self) -> anyhow::Result<Vec<Arc<Principal>>> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.access.principals(&Self::caller(), after, PAGE).await?;
            after = page.items.last().map(|one| one.id);
            found.extend(page.items);
            if !page.has_more {
                break;
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Returns the principal with this name, if there is one.
    pub(super) async fn find(&self, name: &str) -> anyhow::Result<Option<Arc<Principal>>> {
        let id = Principal::local_id(name.trim());
        let mut all = self.principals().await?.into_iter();
        // A person at a provider is found by the name that the log records.
        Ok(all.find(|one| one.id == id || one.name == name))
    }

    /// Returns the principal with this name.
    pub(super) async fn principal(&self, name: &str) -> anyhow::Result<Arc<Principal>> {
        match self.find(name).await? {
            Some(principal) => Ok(principal),
            None => bail!("there is no principal {name:?}; `grants list` lists all of them"),
        }
    }

    /// Gives a principal these grants in place of its own.
    pub(super) async fn set_grants(
        &self,
        principal: &Principal,
        grants: Vec<Grant>,
    ) -> anyhow::Result<Arc<Principal>> {
        let change = PrincipalChange { grants: Some(grants), ..PrincipalChange::default() };
        Ok(self.access.change_principal(principal.id, change, Self::caller()).await?)
    }

    /// Closes the store.
    pub(super) async fn close(self) {
        self.stores.close().await;
    }
}

/// Returns the access control on a store. Servers that share it compare what they remember with it
/// twice a second.
async fn control(settings: &Settings, stores: &Stores) -> anyhow::Result<Arc<dyn Access>> {
    let ports = Ports {
        stores: stores.ports.clone(),
        bus: Arc::new(MemoryEventBus::default()),
        wake_ups: Arc::new(MemoryWakeUps::default()),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
    };
    let engine = Engine::new(ports, Workflows::default(), engine_settings(settings));
    let access = access_control(settings, engine);
    access.load().await?;
    Ok(Arc::new(access))
}

/// Adds the remedy to the error of a store that cannot be opened. A server uses SQLite alone.
fn explain(settings: &Settings, error: anyhow::Error) -> anyhow::Error {
    let is_in_use = error.chain().any(|cause| {
        matches!(
            cause.downcast_ref::<botarmy_sqlite::OpenError>(),
            Some(botarmy_sqlite::OpenError::InUse { .. })
        )
    });
    if !is_in_use {
        return error;
    }
    let header = header_file::path(&settings.store.data_dir);
    let scheme = if settings.http.has_tls() { "https" } else { "http" };
    let host = std::net::SocketAddr::new(settings.http.host, settings.http.port);
    error.context(format!(
        "a server uses this data folder. Ask it instead, as in `curl -H @{} \
         {scheme}://{host}/api/v1/access/keys`, or stop it first",
        header.display()
    ))
}

/// Refuses a folder without a database by its remedy.
pub(super) async fn open(settings: &Settings) -> anyhow::Result<Local> {
    let is_sqlite = settings.store.url.is_empty();
    let path = stores::sqlite(settings).path;
    if is_sqlite && !path.exists() {
        bail!(
            "{} does not exist yet. Start the server once: with access.mode = \"keys\" it creates \
             the first key by itself",
            path.display()
        );
    }
    Local::open(settings).await.context("the keys cannot be reached")
}
