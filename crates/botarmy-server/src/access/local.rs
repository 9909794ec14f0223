//! Access control for commands: they work on the store itself, so that whoever may read and write it
//! needs no key.

use std::sync::Arc;

use anyhow::{Context, bail};
use botarmy_domain::ports::{Access, PrincipalChange, RecordsExt, Sessions};
use botarmy_domain::{Caller, Grant, Principal, PrincipalId};
use botarmy_memory::{MemoryEventBus, MemoryWakeUps};
use botarmy_orchestrator::{AccessControl, Engine, Ports, Workflows};

use super::header_file;
use crate::settings::Settings;
use crate::stores::{self, Stores};
use crate::system::{RandomIds, RandomSecrets, SystemClock};
use crate::wiring::{access_control, engine_settings};

/// Number of rows that are read at once.
pub(super) const PAGE: u32 = 500;

/// The store with the access control on it.
pub(super) struct Local {
    pub(super) access: Arc<dyn Access>,
    pub(super) sessions: Arc<dyn Sessions>,
    stores: Stores,
}

impl Local {
    /// Opens the store that the settings name. `list` is the collection of the API that does the same
    /// while a server uses the store.
    ///
    /// # Errors
    /// A database that does not exist, or that a server uses alone.
    pub(super) async fn open(settings: &Settings, list: &str) -> anyhow::Result<Self> {
        let stores = Stores::open_unchanged(settings).await;
        let stores = stores.map_err(|error| explain(settings, list, error))?;
        let access = control(settings, &stores).await?;
        Ok(Self { access: Arc::new(access.clone()), sessions: Arc::new(access), stores })
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

    /// Returns the local principal with this name, or the principal with this id, if there is one. The
    /// name of a person at a provider is what the provider says, so it chooses none.
    pub(super) async fn find(&self, name: &str) -> anyhow::Result<Option<Arc<Principal>>> {
        let name = name.trim();
        let is_meant = |one: &Arc<Principal>| match name.parse::<PrincipalId>() {
            Ok(id) => one.id == id,
            Err(_) => Principal::is_local_id(one.id, name),
        };
        Ok(self.principals().await?.into_iter().find(is_meant))
    }

    /// Returns the local principal with this name, or the principal with this id.
    ///
    /// # Errors
    /// That there is none; persons at a provider with this name are listed with their ids.
    pub(super) async fn principal(&self, name: &str) -> anyhow::Result<Arc<Principal>> {
        if let Some(principal) = self.find(name).await? {
            return Ok(principal);
        }
        let all = self.principals().await?;
        let same = all.iter().filter(|one| one.openid.is_some() && one.name == name);
        let same: Vec<_> = same.map(|one| one.id.to_string()).collect();
        if same.is_empty() {
            bail!("there is no principal {name:?}; `grants list` lists all of them");
        }
        bail!("{name:?} is the name of a person at a provider; give the id: {}", same.join(", "))
    }

    /// Returns the principal with this name that was deleted, if there is one. Its name is taken for ever.
    pub(super) async fn was_deleted(&self, name: &str) -> anyhow::Result<bool> {
        let id = Principal::local_id(name.trim());
        let stored = self.stores.ports.records.record::<Principal>(id).await?;
        Ok(stored.is_some_and(|stored| stored.deleted_at.is_some()))
    }

    /// Disables or enables a principal.
    pub(super) async fn set_disabled(
        &self,
        principal: &Principal,
        is_disabled: bool,
    ) -> anyhow::Result<Arc<Principal>> {
        let change = PrincipalChange { disabled: Some(is_disabled), ..PrincipalChange::default() };
        Ok(self.access.change_principal(principal.id, change, Self::caller()).await?)
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
async fn control(settings: &Settings, stores: &Stores) -> anyhow::Result<AccessControl> {
    let ports = Ports {
        stores: stores.ports.clone(),
        bus: Arc::new(MemoryEventBus::default()),
        wake_ups: Arc::new(MemoryWakeUps::default()),
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
        secrets: Arc::new(RandomSecrets),
    };
    let engine = Engine::new(ports, Workflows::default(), engine_settings(settings));
    let access = access_control(settings, engine, stores);
    access.load().await?;
    Ok(access)
}

/// Returns whether a store could not be opened because a server uses it.
pub(super) fn is_in_use(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        matches!(
            cause.downcast_ref::<botarmy_sqlite::OpenError>(),
            Some(botarmy_sqlite::OpenError::InUse { .. })
        )
    })
}

/// Adds the remedy to the error of a store that cannot be opened. A server uses SQLite alone.
fn explain(settings: &Settings, list: &str, error: anyhow::Error) -> anyhow::Error {
    if !is_in_use(&error) {
        return error;
    }
    let header = match header_file::read(&settings.store.data_dir) {
        Ok(Some(_)) => format!("@{}", header_file::path(&settings.store.data_dir).display()),
        Ok(None) | Err(_) => "\"Authorization: Bearer $BOTARMY_KEY\"".to_owned(),
    };
    let scheme = if settings.http.has_tls() { "https" } else { "http" };
    let host = std::net::SocketAddr::new(settings.http.host, settings.http.port);
    error.context(format!(
        "a server uses this data folder. Ask it instead, as in `curl -H {header} \
         {scheme}://{host}/api/v1/access/{list}`, or stop it first"
    ))
}

/// Opens the store as [`Local::open`] does, and refuses a folder without a database by its remedy.
pub(super) async fn open(settings: &Settings, list: &str) -> anyhow::Result<Local> {
    let is_sqlite = settings.store.url.is_empty();
    let path = stores::sqlite(settings).path;
    if is_sqlite && !path.exists() {
        bail!(
            "{} does not exist yet. Start the server once: with access.mode = \"keys\" it creates \
             the first key by itself",
            path.display()
        );
    }
    Local::open(settings, list).await.context("access control cannot be reached")
}
