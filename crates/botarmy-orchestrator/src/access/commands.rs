//! The driving port `Access`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::access::MAX_PROJECTS;
use botarmy_domain::decide::access::{
    FIRST_ADMIN, NewApiKey, change_delegation, change_principal, create_key, create_principal,
    first_admin, first_admin_scope, id_of, restore_first_admin, revoke_key, rotate_key, scope,
    set_member_roles,
};
use botarmy_domain::hitl::{Delegation, check_delegation};
use botarmy_domain::ports::{
    Access, Denial, IssuedKey, Lifetime, Member, NewDelegation, NewKey, NewPrincipal,
    PrincipalChange, RecordsExt, UsedKey,
};
use botarmy_domain::{
    AccessVersion, ApiKey, ApiKeyText, Authentication, Caller, Committed, CredentialId,
    DecisionContext, DomainError, EntryFilter, Error, Grant, GrantTarget, LogId, Page, Permission,
    PersonSessions, Place, Principal, PrincipalId, PrincipalKind, ProjectId, Role, Scope, Snapshot,
    StoreError, TicketText, Timestamp,
};
use tracing::{info, warn};

use super::AccessControl;
use super::admins::{AdminKey, Admins, EVENTS};
use crate::engine::Engine;

/// Largest number of keys of other administrators whose validity a decision checks.
const WITNESSES: usize = 16;
/// Number of entries that are read at once.
const PAGE: u32 = 500;
/// Longest lifetime of a key that expires.
const MAX_LIFETIME: Duration = Duration::from_secs(100 * 365 * 86_400);
/// Longest time for which a key works after it was replaced.
const MAX_OVERLAP: Duration = Duration::from_secs(365 * 86_400);
/// Name of the key of the first administrator.
const FIRST_KEY: &str = "first key";

/// Keys that a change of a principal is about.
#[derive(Debug, Clone, Copy)]
enum Changed {
    /// None: the change is about the principal itself.
    Principal,
    /// This one.
    Key(CredentialId),
    /// All of the principal.
    AllKeys,
}

#[async_trait]
impl Access for AccessControl {
    fn is_required(&self) -> bool {
        self.0.settings.is_required
    }

    fn authenticate(&self, credential: &str) -> Result<Caller, Denial> {
        self.recognise(credential)
    }

    fn recheck(&self, caller: &Caller) -> Result<Caller, Denial> {
        let Some(id) = caller.credential() else { return Ok(caller.clone()) };
        let now = match caller.authentication() {
            Authentication::Key => self.caller_with_key(id)?,
            Authentication::Session => self.caller_with_session(id)?,
            _ => return Err(Denial::Invalid),
        };
        Ok(caller.clone().with_identity_of(&now))
    }

    fn caller_with_key(&self, key: CredentialId) -> Result<Caller, Denial> {
        let table = self.0.cache.table().ok_or(Denial::Unavailable)?;
        let entry = table.with_id(key).ok_or(Denial::Invalid)?;
        Ok(self.accept(entry)?.0.clone())
    }

    async fn issue_ticket(&self, caller: &Caller) -> Result<TicketText, Error> {
        self.new_ticket(caller).await
    }

    async fn redeem_ticket(&self, ticket: &TicketText) -> Result<Caller, Denial> {
        self.holder_of(ticket).await
    }

    fn principal_of(&self, caller: &Caller) -> Option<Arc<Principal>> {
        self.0.cache.latest().principal(caller.principal()?).cloned()
    }

    fn record_denial(&self, reason: &'static str, source: String) {
        self.0.denials.record(reason, &source, self.engine().ports.clock.now());
    }

    async fn set_delegation(
        &self,
        delegation: Option<NewDelegation>,
        caller: Caller,
    ) -> Result<Arc<Principal>, Error> {
        let Some(id) = caller.principal().filter(|_| caller.kind() == PrincipalKind::Person) else {
            let detail = "Only a person with an account delegates; a program and a person of an open \
                          server have none.";
            let code = "persons_only";
            return Err(DomainError::Forbidden { code, detail: detail.to_owned() }.into());
        };
        let context = self.engine().context(caller);
        let mut scope = scope().record::<Principal>(id);
        let mut people = BTreeSet::from([id]);
        let delegation = delegation.map(|new| {
            let roster = self.0.cache.latest();
            let roster = roster.roster();
            let to = roster.find(&new.to).map(|person| person.id);
            let to = to.ok_or_else(|| {
                DomainError::invalid("to", "must be the name or the id of another active person")
            })?;
            // Those to whom it leads further.
            let mut next = Some(to);
            while let Some(person) = next.filter(|person| people.insert(*person)) {
                scope = std::mem::replace(&mut scope, Scope::log(LogId::System))
                    .record::<Principal>(person);
                let person = roster.person(person);
                next = person.and_then(|person| Some(person.delegation.as_ref()?.to));
            }
            let from = new.from.unwrap_or(context.now);
            Ok::<_, DomainError>(Delegation { to, from, until: new.until })
        });
        let delegation = delegation.transpose()?;
        let change = move |context: &_, snapshot: &Snapshot| {
            if let Some(delegation) = &delegation {
                let principal = |id| snapshot.record::<Principal>(id).map(Arc::as_ref);
                check_delegation(delegation, id, principal)?;
            }
            change_delegation(context, snapshot, id, delegation.as_ref())
        };
        let changed = move |committed: &Committed| committed.record::<Principal>(id).cloned();
        let changed = self.engine().commit_call(context, scope, change, changed).await?;
        self.update().await;
        match changed {
            Some(changed) => Ok(changed),
            None => self.existing_principal(id).await,
        }
    }

    async fn principals(
        &self,
        caller: &Caller,
        after: Option<PrincipalId>,
        limit: u32,
    ) -> Result<Page<Arc<Principal>>, Error> {
        caller.check(Permission::AccessManage, Place::Installation)?;
        let mut found = self.engine().ports.stores.records.all::<Principal>().await?;
        found.retain(|one| one.deleted_at.is_none() && Some(one.id) > after);
        Ok(Page::first(found, limit))
    }

    async fn principal(&self, caller: &Caller, id: PrincipalId) -> Result<Arc<Principal>, Error> {
        caller.check(Permission::AccessManage, Place::Installation)?;
        let found = self.existing_principal(id).await?;
        if found.deleted_at.is_some() {
            return Err(DomainError::not_found("Principal", id).into());
        }
        Ok(found)
    }

    async fn create_principal(
        &self,
        new: NewPrincipal,
        caller: Caller,
    ) -> Result<Arc<Principal>, Error> {
        caller.check(Permission::AccessManage, Place::Installation)?;
        let id = id_of(&new)?;
        self.check_projects(&new.grants, &[]).await?;
        // A name of an earlier version, or in another form, has another id.
        let all = self.engine().ports.stores.records.all::<Principal>().await?;
        if let Some(taken) = all.iter().find(|other| other.id != id && other.is_called(&new.name)) {
            let detail = format!(
                "The name \"{}\" differs from that of the principal {} in its form only; choose \
                 another.",
                new.name, taken.id
            );
            return Err(DomainError::conflict("name_taken", detail).into());
        }
        let context = self.engine().context(caller);
        let create = move |context: &_, snapshot: &_| create_principal(context, snapshot, &new);
        let created = move |committed: &Committed| committed.record::<Principal>(id).cloned();
        let scope = scope().record::<Principal>(id);
        let created = self.engine().commit_call(context, scope, create, created).await?;
        self.update().await;
        let created = crate::commands::written(created)?;
        info!(principal.id = %id, "Created the principal \"{}\"", created.name);
        Ok(created)
    }

    async fn change_principal(
        &self,
        id: PrincipalId,
        change: PrincipalChange,
        caller: Caller,
    ) -> Result<Arc<Principal>, Error> {
        caller.check(Permission::AccessManage, Place::Installation)?;
        if let Some(grants) = &change.grants {
            let before = self.existing_principal(id).await?;
            self.check_projects(grants, &before.grants).await?;
        }
        let changed = if change.deleted { Changed::AllKeys } else { Changed::Principal };
        let scope = self.scope_of_change(id, changed).await?;
        let context = self.engine().context(caller);
        let decide =
            move |context: &_, snapshot: &_| change_principal(context, snapshot, id, &change);
        let changed = move |committed: &Committed| committed.record::<Principal>(id).cloned();
        let changed = self.engine().commit_call(context, scope, decide, changed).await?;
        self.update().await;
        match changed {
            Some(changed) => {
                info!(principal.id = %id, "Changed the principal \"{}\"", changed.name);
                Ok(changed)
            }
            // It was as wanted already.
            None => self.existing_principal(id).await,
        }
    }

    async fn members(
        &self,
        caller: &Caller,
        project: ProjectId,
        after: Option<PrincipalId>,
        limit: u32,
    ) -> Result<Page<Member>, Error> {
        self.engine().project_for(caller, project, Permission::ProjectManage).await?;
        let all = self.engine().ports.stores.records.all::<Principal>().await?;
        let later = all.iter().filter(|one| one.deleted_at.is_none() && Some(one.id) > after);
        let members = later.map(|one| Member::of(one, project));
        Ok(Page::first(members.filter(|member| !member.roles.is_empty()).collect(), limit))
    }

    async fn set_member_roles(
        &self,
        project: ProjectId,
        principal: PrincipalId,
        roles: BTreeSet<Role>,
        caller: Caller,
    ) -> Result<Member, Error> {
        // The creator of a project, on which the check depends, never changes.
        let stored = self.engine().project_for(&caller, project, Permission::ProjectManage).await?;
        let on = (project, stored.creator);
        let context = self.engine().context(caller);
        let decide = move |context: &_, snapshot: &_| {
            set_member_roles(context, snapshot, on, principal, &roles)
        };
        let changed =
            move |committed: &Committed| committed.record::<Principal>(principal).cloned();
        let scope = scope().record::<Principal>(principal);
        let changed = self.engine().commit_call(context, scope, decide, changed).await?;
        self.update().await;
        let changed = match changed {
            Some(changed) => {
                let name = &changed.name;
                info!(principal.id = %principal, project.id = %project, "Changed the roles of \"{name}\" on a project");
                changed
            }
            // It was as wanted already.
            None => self.existing_principal(principal).await?,
        };
        Ok(Member::of(&changed, project))
    }

    async fn keys(
        &self,
        caller: &Caller,
        principal: Option<PrincipalId>,
        after: Option<CredentialId>,
        limit: u32,
    ) -> Result<Page<UsedKey>, Error> {
        caller.check(Permission::AccessManage, Place::Installation)?;
        let mut found = self.engine().ports.stores.records.all::<ApiKey>().await?;
        found.retain(|key| {
            Some(key.id) > after && principal.is_none_or(|owner| key.principal == owner)
        });
        let page = Page::first(found, limit);
        let keys = self.with_uses(page.items).await?;
        Ok(Page { items: keys, has_more: page.has_more })
    }

    async fn key(&self, caller: &Caller, id: CredentialId) -> Result<UsedKey, Error> {
        caller.check(Permission::AccessManage, Place::Installation)?;
        let key = self.existing_key(id).await?;
        let found = self.with_uses(vec![key]).await?.pop();
        Ok(found.ok_or_else(|| no_key(id))?)
    }

    async fn create_key(&self, new: NewKey, caller: Caller) -> Result<IssuedKey, Error> {
        caller.check(Permission::AccessManage, Place::Installation)?;
        self.check_projects(new.grants.as_deref().unwrap_or_default(), &[]).await?;
        let context = self.engine().context(caller);
        let text = self.new_key();
        let expires_at = self.expiry(context.now, new.lifetime)?;
        let mut key = new_api_key(&context, &text, new.name, expires_at);
        key.grants = new.grants;
        let (id, owner) = (key.id, new.principal);
        let create = move |context: &_, snapshot: &_| create_key(context, snapshot, owner, &key);
        let issued = self.issue(context, scope().record::<Principal>(owner), create, id, text);
        crate::commands::written(issued.await?)
    }

    async fn revoke_key(&self, id: CredentialId, caller: Caller) -> Result<Arc<ApiKey>, Error> {
        caller.check(Permission::AccessManage, Place::Installation)?;
        let owner = self.existing_key(id).await?.principal;
        let context = self.engine().context(caller);
        let revoke = move |context: &_, snapshot: &_| revoke_key(context, snapshot, id);
        let revoked = move |committed: &Committed| committed.record::<ApiKey>(id).cloned();
        let scope = self.scope_of_change(owner, Changed::Key(id)).await?;
        let revoked = self.engine().commit_call(context, scope, revoke, revoked).await?;
        self.update().await;
        match revoked {
            Some(revoked) => {
                info!(key.id = %id, "Revoked the key \"{}\" (…{})", revoked.name, revoked.hint);
                Ok(revoked)
            }
            None => self.existing_key(id).await,
        }
    }

    async fn rotate_key(
        &self,
        id: CredentialId,
        overlap: Duration,
        lifetime: Option<Lifetime>,
        caller: Caller,
    ) -> Result<IssuedKey, Error> {
        caller.check(Permission::AccessManage, Place::Installation)?;
        if overlap > MAX_OVERLAP {
            return Err(DomainError::invalid("overlap_s", "must be at most a year").into());
        }
        let context = self.engine().context(caller);
        let old = self.existing_key(id).await?;
        let as_before = || {
            let lifetime = old.expires_at.map(|end| end.since(old.created_at));
            Ok(lifetime.map(|lifetime| context.now.after(lifetime)))
        };
        let expires_at =
            lifetime.map_or_else(as_before, |lifetime| self.expiry(context.now, lifetime))?;
        let text = self.new_key();
        let key = new_api_key(&context, &text, old.name.clone(), expires_at);
        let new = key.id;
        let scope = self.scope_of_change(old.principal, Changed::Key(id)).await?;
        let rotate =
            move |context: &_, snapshot: &_| rotate_key(context, snapshot, id, &key, overlap);
        crate::commands::written(self.issue(context, scope, rotate, new, text).await?)
    }
}

impl AccessControl {
    /// Creates the first administrator with this key, unless access was set up before: then it returns
    /// `None`.
    ///
    /// # Errors
    /// If the caller may not manage access, or the error of the store.
    pub async fn create_first_admin(
        &self,
        text: ApiKeyText,
        caller: Caller,
    ) -> Result<Option<IssuedKey>, Error> {
        let (context, key) = self.first_key(&text, caller)?;
        let id = key.id;
        let create = move |context: &_, snapshot: &_| first_admin(context, snapshot, &key);
        self.issue(context, first_admin_scope(), create, id, text).await
    }

    /// Makes this key one of the person `admin`, who is created if there never was one. Returns `None`,
    /// and changes nothing, if the person is disabled or deleted or may not manage access.
    ///
    /// # Errors
    /// If the caller may not manage access, or the error of the store.
    pub async fn restore_first_admin(
        &self,
        text: ApiKeyText,
        caller: Caller,
    ) -> Result<Option<IssuedKey>, Error> {
        let (context, key) = self.first_key(&text, caller)?;
        let id = key.id;
        let restore = move |context: &_, snapshot: &_| restore_first_admin(context, snapshot, &key);
        self.issue(context, first_admin_scope(), restore, id, text).await
    }

    /// Returns a key with this text for the first administrator, and the context in which it is created.
    fn first_key(
        &self,
        text: &ApiKeyText,
        caller: Caller,
    ) -> Result<(DecisionContext, NewApiKey), Error> {
        let context = self.engine().context(caller);
        let expires_at = self.expiry(context.now, Lifetime::Default)?;
        let key = new_api_key(&context, text, FIRST_KEY.to_owned(), expires_at);
        Ok((context, key))
    }

    /// Returns the valid keys with which principals manage access, and reads in the log where they come
    /// from.
    ///
    /// # Errors
    /// The error of the store.
    pub async fn admins(&self) -> Result<Admins, StoreError> {
        let (stores, now) = (&self.engine().ports.stores, self.engine().ports.clock.now());
        let principals = stores.records.all::<Principal>().await?;
        let principals: HashMap<PrincipalId, Arc<Principal>> =
            principals.into_iter().map(|one| (one.id, one)).collect();
        let keys = stores.records.all::<ApiKey>().await?.into_iter().filter_map(|key| {
            let principal = Arc::clone(principals.get(&key.principal)?);
            principal.manages_access_with(&key, now).then_some(AdminKey { principal, key })
        });
        let keys: Vec<AdminKey> = keys.collect();
        if keys.is_empty() {
            return Ok(Admins::default());
        }
        let mut entries = Vec::new();
        for event in EVENTS {
            let mut filter = EntryFilter { event_type: Some(event), ..EntryFilter::default() };
            loop {
                let page = stores.audit.entries(filter.clone(), PAGE).await?;
                filter.before = page.last_before_next().map(|entry| entry.id);
                entries.extend(page.items);
                if filter.before.is_none() {
                    break;
                }
            }
        }
        Admins::told_apart(keys, entries)
    }

    /// Returns whether there is, or was, a key with this text.
    ///
    /// # Errors
    /// The error of the store.
    pub async fn has_key(&self, text: &ApiKeyText) -> Result<bool, StoreError> {
        let digest = text.digest();
        let keys = self.engine().ports.stores.records.all::<ApiKey>().await?;
        Ok(keys.iter().any(|key| key.digest == digest))
    }

    /// Returns the person `admin`, if there is, or was, one.
    ///
    /// # Errors
    /// The error of the store.
    pub async fn first_admin(&self) -> Result<Option<Arc<Principal>>, StoreError> {
        let id = Principal::local_id(FIRST_ADMIN);
        self.engine().ports.stores.records.record::<Principal>(id).await
    }

    /// Returns whether access was set up: there is, or was, a principal.
    ///
    /// # Errors
    /// The error of the store.
    pub async fn is_set_up(&self) -> Result<bool, StoreError> {
        let records = &self.engine().ports.stores.records;
        Ok(records.record::<AccessVersion>(AccessVersion::KEY).await?.is_some())
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Commits the decision about a new key, and returns it with its text. The reply that is kept for a
    /// repetition of the call is made of the key, which has no secret.
    async fn issue(
        &self,
        context: DecisionContext,
        scope: Scope,
        decide: impl Fn(
            &DecisionContext,
            &botarmy_domain::Snapshot,
        ) -> Result<botarmy_domain::Decision, DomainError>
        + Send
        + Sync
        + 'static,
        id: CredentialId,
        text: ApiKeyText,
    ) -> Result<Option<IssuedKey>, Error> {
        let issued = move |committed: &Committed| committed.record::<ApiKey>(id).cloned();
        let key = self.engine().commit_call(context, scope, decide, issued).await?;
        self.update().await;
        let Some(key) = key else { return Ok(None) };
        info!(key.id = %id, "Created the key \"{}\" (…{})", key.name, key.hint);
        Ok(Some(IssuedKey { key, text }))
    }

    /// Brings the table in memory up to date before a change is acknowledged.
    pub(super) async fn update(&self) {
        if let Err(error) = self.0.cache.changed(&*self.engine().ports.stores.records).await {
            warn!(%error, "Keys are refused until the store can be read again");
        }
    }

    /// Returns the scope of a change of a principal or of one of its keys, with what it needs: the keys
    /// that it changes, and some with which administrators manage access, so that the last one stays.
    async fn scope_of_change(
        &self,
        id: PrincipalId,
        changed: Changed,
    ) -> Result<Scope, StoreError> {
        let records = &self.engine().ports.stores.records;
        let now = self.engine().ports.clock.now();
        let principals = records.all::<Principal>().await?;
        let keys = records.all::<ApiKey>().await?;
        let owners: HashMap<PrincipalId, &Arc<Principal>> =
            principals.iter().map(|one| (one.id, one)).collect();
        let is_witness = |key: &&Arc<ApiKey>| {
            let owner = owners.get(&key.principal);
            owner.is_some_and(|owner| owner.manages_access_with(key, now))
        };
        let is_own = |key: &&Arc<ApiKey>| key.principal == id;
        let own = keys.iter().filter(|key| is_own(key) && is_witness(key)).take(WITNESSES);
        let others = keys.iter().filter(|key| !is_own(key) && is_witness(key)).take(WITNESSES);
        let concerned = keys.iter().filter(|key| match changed {
            Changed::Principal => false,
            Changed::Key(changed) => key.id == changed,
            Changed::AllKeys => is_own(key) && key.revoked_at.is_none(),
        });
        let chosen = own.chain(others).chain(concerned).map(|key| (key.id, key.principal));
        let chosen: BTreeMap<CredentialId, PrincipalId> = chosen.collect();
        let owners: BTreeSet<PrincipalId> = chosen.values().copied().chain([id]).collect();
        let scope = scope().records::<Principal>(owners).records::<ApiKey>(chosen.into_keys());
        Ok(match changed {
            Changed::Principal | Changed::AllKeys => scope.record::<PersonSessions>(id),
            Changed::Key(_) => scope,
        })
    }

    /// Checks that the projects of grants exist, apart from those of grants that were held before.
    async fn check_projects(&self, grants: &[Grant], held: &[Grant]) -> Result<(), Error> {
        let new = grants.iter().filter(|grant| !held.contains(grant));
        let ids: BTreeSet<ProjectId> = new
            .filter_map(|grant| match grant.target {
                GrantTarget::Project(id) => Some(id),
                GrantTarget::All | GrantTarget::Own => None,
            })
            .collect();
        // The decision refuses more of them.
        for id in ids.into_iter().take(MAX_PROJECTS) {
            if self.engine().ports.stores.projects.project(id).await?.is_none() {
                let message = format!("name the project {id}, which does not exist");
                return Err(DomainError::invalid("grants", message).into());
            }
        }
        Ok(())
    }

    /// Returns the time at which a key that is created now expires.
    fn expiry(&self, now: Timestamp, lifetime: Lifetime) -> Result<Option<Timestamp>, DomainError> {
        let lifetime = match lifetime {
            Lifetime::Default => self.0.settings.key_lifetime,
            Lifetime::For(lifetime) if lifetime.is_zero() || lifetime > MAX_LIFETIME => {
                let message = "must be more than nothing and at most 100 years";
                return Err(DomainError::invalid("expires", message));
            }
            Lifetime::For(lifetime) => Some(lifetime),
            Lifetime::Unlimited => None,
        };
        Ok(lifetime.map(|lifetime| now.after(lifetime)))
    }

    async fn existing_principal(&self, id: PrincipalId) -> Result<Arc<Principal>, Error> {
        let found = self.engine().ports.stores.records.record::<Principal>(id).await?;
        Ok(found.ok_or_else(|| DomainError::not_found("Principal", id))?)
    }

    async fn existing_key(&self, id: CredentialId) -> Result<Arc<ApiKey>, Error> {
        let found = self.engine().ports.stores.records.record::<ApiKey>(id).await?;
        Ok(found.ok_or_else(|| no_key(id))?)
    }

    async fn with_uses(&self, keys: Vec<Arc<ApiKey>>) -> Result<Vec<UsedKey>, StoreError> {
        let uses = self.engine().ports.stores.records.key_uses().await?;
        let uses: HashMap<_, _> = uses.into_iter().collect();
        let used = |key: Arc<ApiKey>| UsedKey { last_used_at: uses.get(&key.id).copied(), key };
        Ok(keys.into_iter().map(used).collect())
    }
}

/// Returns what is stored of a new key with this text.
fn new_api_key(
    context: &DecisionContext,
    text: &ApiKeyText,
    name: String,
    expires_at: Option<Timestamp>,
) -> NewApiKey {
    NewApiKey {
        id: context.fork(1).id_generator().credential(),
        name,
        hint: text.hint(),
        digest: text.digest(),
        grants: None::<Vec<Grant>>,
        expires_at,
    }
}

fn no_key(id: CredentialId) -> DomainError {
    DomainError::not_found("Key", id)
}
