//! Access control: who a caller is, and the principals, keys and sessions.
//!
//! Every principal, key and session is in memory ([`cache`]), so that recognising a caller reads nothing.
//! The table is replaced as a whole when its version changes, which [`AccessControl::run`] notices by a
//! message and by comparing the version with the stored one.

mod admins;
mod cache;
mod commands;
mod denials;
mod sessions;
mod table;
#[cfg(test)]
mod tests;
mod tickets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use botarmy_domain::decide::access::note_denials;
use botarmy_domain::event::AccessDenied;
use botarmy_domain::ports::{Denial, RecordsExt, Secrets, Subscription, Tickets};
use botarmy_domain::{
    ApiKeyText, BusMessage, Caller, CredentialId, EventType, KeyDigest, KeySecret, LogId,
    Principal, PrincipalId, Role, Scope, StoreError, Timestamp,
};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tracing::{debug, warn};

use crate::engine::Engine;
pub use admins::{AdminKey, Admins};
use cache::Cache;
use denials::DenialLog;
use table::Entry;

/// Interval at which the stored version is compared with that in memory.
const COMPARISON: Duration = Duration::from_millis(500);
/// Longest duration of one comparison.
const COMPARISON_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval at which summaries of refused requests are looked at.
const DENIALS: Duration = Duration::from_secs(1);
/// Least time between two notes of the use of one key.
const USE_INTERVAL: Duration = Duration::from_secs(60);
/// Largest number of uses that wait to be noted; a later use is noted in place of one that is left out.
const USES: usize = 1_024;

/// Longest interval at which the noted uses of sessions are read.
const USES_READ: Duration = Duration::from_secs(30);
/// Largest number of cookies of sessions that were signed out and wait to be acted on.
const REUSES: usize = 64;

/// Settings of access control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessSettings {
    /// Whether requests need a credential.
    pub is_required: bool,
    /// Time until a key expires, unless it is created with another; `None` for never.
    pub key_lifetime: Option<Duration>,
    /// Time until a session ends, however much it is used.
    pub session_lifetime: Duration,
    /// Time until a session ends that is not used.
    pub session_idle: Duration,
    /// Whether people of an OpenID provider can sign in, whom the server does not know before.
    pub has_provider: bool,
    /// Roles on all projects that the groups of an OpenID provider have, by the names of the groups.
    pub group_roles: BTreeMap<String, BTreeSet<Role>>,
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            is_required: true,
            key_lifetime: Some(Duration::from_secs(365 * 86_400)),
            session_lifetime: Duration::from_secs(12 * 3_600),
            session_idle: Duration::from_secs(3_600),
            has_provider: false,
            group_roles: BTreeMap::new(),
        }
    }
}

/// Access control. Clones share everything.
#[derive(Clone)]
pub struct AccessControl(Arc<Inner>);

struct Inner {
    engine: Engine,
    secrets: Arc<dyn Secrets>,
    tickets: Arc<dyn Tickets>,
    settings: AccessSettings,
    cache: Arc<Cache>,
    denials: DenialLog,
    uses: mpsc::Sender<(CredentialId, Timestamp)>,
    coming_uses: Mutex<Option<mpsc::Receiver<(CredentialId, Timestamp)>>>,
    /// Cookies of sessions that were signed out, by person and session.
    reuses: mpsc::Sender<(PrincipalId, CredentialId)>,
    coming_reuses: Mutex<Option<mpsc::Receiver<(PrincipalId, CredentialId)>>>,
}

impl AccessControl {
    /// Creates access control without principals; [`AccessControl::load`] reads them.
    #[must_use]
    pub fn new(
        engine: Engine,
        secrets: Arc<dyn Secrets>,
        tickets: Arc<dyn Tickets>,
        settings: AccessSettings,
    ) -> Self {
        let (uses, coming_uses) = mpsc::channel(USES);
        let (reuses, coming_reuses) = mpsc::channel(REUSES);
        let cache = Arc::new(Cache::new(settings.has_provider));
        let (people, is_required) = (Arc::clone(&cache), settings.is_required);
        engine.know_people(move || is_required.then(|| Arc::clone(people.latest().roster())));
        Self(Arc::new(Inner {
            engine,
            secrets,
            tickets,
            settings,
            cache,
            denials: DenialLog::default(),
            uses,
            coming_uses: Mutex::new(Some(coming_uses)),
            reuses,
            coming_reuses: Mutex::new(Some(coming_reuses)),
        }))
    }

    /// Reads the principals, keys and sessions, and when they were used.
    ///
    /// # Errors
    /// The error of the store.
    pub async fn load(&self) -> Result<(), StoreError> {
        self.compare().await?;
        self.read_uses().await
    }

    /// Brings the table in memory up to date.
    async fn compare(&self) -> Result<(), StoreError> {
        self.0.cache.compare(&*self.0.engine.ports.stores.records).await
    }

    /// Returns the principal as the caller on whose behalf the server acts, or `None` if it is disabled or
    /// deleted. On an open server, what belongs to no principal may do everything; elsewhere nothing.
    ///
    /// # Errors
    /// The error of the store, also while it is not known whether the principals in memory are current.
    pub(crate) async fn owner(
        &self,
        id: Option<PrincipalId>,
    ) -> Result<Option<Caller>, StoreError> {
        let Some(id) = id else {
            return Ok((!self.0.settings.is_required).then(|| Caller::person("anonymous")));
        };
        let stale = || StoreError::Unavailable {
            detail: "the principals cannot be read at the moment".to_owned(),
            source: None,
        };
        let table = self.0.cache.table().ok_or_else(stale)?;
        if let Some(owner) = table.principal(id).filter(|owner| owner.is_active()) {
            return Ok(Some(Caller::on_behalf_of(owner)));
        }
        // Another server may have created or enabled it a moment ago.
        let stored = self.0.engine.ports.stores.records.record::<Principal>(id).await?;
        let active = stored.filter(|owner| owner.is_active());
        Ok(active.map(|owner| Caller::on_behalf_of(&owner)))
    }

    /// Returns the text of a new key.
    #[must_use]
    pub fn new_key(&self) -> ApiKeyText {
        KeySecret::new(self.0.secrets.secret()).text()
    }

    /// Follows changes that other servers make, and writes denials and uses of keys, until `stop` is
    /// set. Credentials are refused as [`Denial::Unavailable`] a few seconds after it ended.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let work = async {
            tokio::join!(
                self.follow_changes(),
                self.write_denials(),
                self.write_uses(),
                self.follow_uses(),
                self.end_reused_sessions(),
            );
        };
        tokio::select! {
            () = work => {}
            _ = stop.wait_for(|stopped| *stopped) => {}
        }
        self.flush_denials(self.0.denials.take_all()).await;
    }

    async fn follow_changes(&self) {
        let mut ticks = tokio::time::interval(COMPARISON);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut messages = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    if messages.is_none() {
                        messages = self.0.engine.ports.bus.subscribe().await.ok();
                    }
                }
                is_about_access = next_about_access(&mut messages) => {
                    if !is_about_access {
                        continue;
                    }
                }
            }
            match tokio::time::timeout(COMPARISON_TIMEOUT, self.compare()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    warn!(%error, "The version of access could not be read; trying again");
                }
                Err(_) => warn!("Reading the version of access takes too long; trying again"),
            }
        }
    }

    async fn write_denials(&self) {
        let mut ticks = tokio::time::interval(DENIALS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.0.denials.first() => {}
            }
            let due = self.0.denials.take_due(tokio::time::Instant::now());
            self.flush_denials(due).await;
        }
    }

    async fn flush_denials(&self, due: Vec<AccessDenied>) {
        if due.is_empty() {
            return;
        }
        let denials = due.clone();
        let note = move |context: &_, snapshot: &_| note_denials(context, snapshot, &denials);
        let engine = &self.0.engine;
        let context = engine.context(Caller::system());
        if let Err(error) = engine.commit(context, Scope::log(LogId::System), note).await {
            warn!(%error, "Refused requests could not be logged; trying again");
            self.0.denials.put_back(due);
        }
    }

    async fn write_uses(&self) {
        let uses = self.0.coming_uses.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut uses) = uses else { return };
        while let Some((key, at)) = uses.recv().await {
            if let Err(error) = self.0.engine.ports.stores.ledger.note_key_use(key, at).await {
                debug!(%error, key.id = %key, "The use of a key or session could not be noted");
            }
        }
    }

    async fn follow_uses(&self) {
        let mut ticks = tokio::time::interval(self.part_of_idle(USES_READ));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.read_uses().await {
                debug!(%error, "The uses of sessions could not be read; trying again");
            }
        }
    }

    /// Returns the caller of a valid entry.
    fn accept<'a>(&self, entry: &'a Entry) -> Result<(&'a Caller, Timestamp), Denial> {
        let now = self.0.engine.ports.clock.now();
        if entry.key.has_expired(now) { Err(Denial::Expired) } else { Ok((&entry.caller, now)) }
    }

    /// Returns the caller with this key, and notes its use.
    fn recognise(&self, credential: &str) -> Result<Caller, Denial> {
        let digest = KeyDigest::of_key(credential).map_err(|_| Denial::Invalid)?;
        let table = self.0.cache.table().ok_or(Denial::Unavailable)?;
        let entry = table.with_digest(&digest).ok_or(Denial::Invalid)?;
        let (caller, now) = self.accept(entry)?;
        self.note_use(entry, now);
        Ok(caller.clone())
    }

    /// Notes the use of a key, unless it was noted a moment ago.
    fn note_use(&self, entry: &Entry, now: Timestamp) {
        if entry.uses.is_news(now, USE_INTERVAL) {
            // A full queue leaves it to a later use.
            self.0.uses.try_send((entry.key.id, now)).ok();
        }
    }
}

/// Waits for the next message, and returns whether it may be about access. Without a subscription it
/// waits for ever.
async fn next_about_access(messages: &mut Option<Box<dyn Subscription>>) -> bool {
    let Some(subscription) = messages else { return std::future::pending().await };
    match subscription.next().await {
        Some(BusMessage::Entry(entry)) => is_about_access(entry.event_type),
        Some(BusMessage::Progress(_)) => false,
        Some(BusMessage::Lagged) => true,
        None => {
            *messages = None;
            false
        }
    }
}

const fn is_about_access(event: EventType) -> bool {
    matches!(
        event,
        EventType::PrincipalCreated
            | EventType::GrantChanged
            | EventType::KeyCreated
            | EventType::KeyRotated
            | EventType::KeyRevoked
            | EventType::SessionStarted
            | EventType::SessionEnded
            | EventType::SignInLinkCreated
    )
}
