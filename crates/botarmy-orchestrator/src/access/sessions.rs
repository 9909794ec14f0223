//! The driving port `Sessions`.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use botarmy_domain::access::{BrowserBinding, PreviewCheck};
use botarmy_domain::decide::access::{
    NOT_A_PERSON, NewLink, NewSession, PERSON_DISABLED, SIGN_IN_EXPIRED, SIGN_IN_INVALID,
    SignInProof, create_link, end_reused, end_session, sessions_scope, sign_out, start_session,
};
use botarmy_domain::ports::{
    Denial, IssuedLink, Sessions, SignIn, SignInRefusal, StartedSession, UsedSession,
};
use botarmy_domain::{
    ApiKeyText, Authentication, Browser, Caller, CredentialId, DomainError, Error, OpenIdIdentity,
    Page, Permission, PersonSessions, Place, PreviewToken, Principal, PrincipalId, Rights, Role,
    SessionText, SignInLinkText, StoreError, Timestamp, Via,
};
use tracing::{info, warn};

use super::table::SessionEntry;
use super::{AccessControl, USE_INTERVAL};

/// A checked proof: the person, the caller that signs in, the key on which the session depends, and what
/// the decision needs.
struct Checked {
    person: PrincipalId,
    caller: Caller,
    key: Option<CredentialId>,
    proof: SignInProof,
}

#[async_trait]
impl Sessions for AccessControl {
    async fn sign_in(
        &self,
        proof: SignIn,
        browser: &Browser,
        request_id: Option<String>,
    ) -> Result<StartedSession, SignInRefusal> {
        let text = SessionText::new(self.0.secrets.secret());
        let checked = match proof {
            SignIn::Key(key) => self.check_key(key.trim())?,
            SignIn::Link(code) => self.check_link(code.trim()).await?,
            SignIn::OpenId(identity) => self.check_identity(identity),
        };
        let has_roles =
            !matches!(&checked.proof, SignInProof::OpenId(_, roles) if roles.is_empty());
        let id = self.start(checked, &text, browser.binding(), request_id).await?;
        if !has_roles {
            return Err(SignInRefusal::NoMappedGroup);
        }
        let table = self.0.cache.table().ok_or(SignInRefusal::Unavailable)?;
        // It may have been ended since.
        let started = table.session_with_id(id).ok_or(SignInRefusal::Invalid)?;
        let (session, caller) = (Arc::clone(&started.session), started.caller.clone());
        info!(session.id = %id, "\"{}\" signed in", caller.name());
        Ok(StartedSession { session, caller, text })
    }

    fn caller_of(&self, cookie: &str, browser: &Browser) -> Result<Caller, Denial> {
        let text: SessionText = cookie.parse().map_err(|_| Denial::Invalid)?;
        let table = self.0.cache.table().ok_or(Denial::Unavailable)?;
        let digest = text.digest();
        let Some(entry) = table.session(&digest) else {
            let now = self.engine().ports.clock.now();
            if let Some(ended) = table.ended(&digest).filter(|ended| ended.is_reuse(now)) {
                // A full queue leaves it to a later request with the cookie.
                self.0.reuses.try_send((ended.principal, ended.id)).ok();
            }
            return Err(Denial::Invalid);
        };
        if entry.session.browser != browser.binding() {
            return Err(Denial::Invalid);
        }
        let (caller, now) = self.accept_session(entry)?;
        if entry.uses.is_news(now, self.part_of_idle(USE_INTERVAL)) {
            // A full queue leaves it to a later use.
            self.0.uses.try_send((entry.use_id, now)).ok();
        }
        Ok(caller.clone())
    }

    async fn find_caller(&self, cookie: &str, browser: &Browser) -> Result<Caller, Denial> {
        let found = self.caller_of(cookie, browser);
        let read = match found {
            Err(Denial::Invalid) if cookie.parse::<SessionText>().is_ok() => self.compare().await,
            Err(Denial::Expired) if self.is_only_idle(cookie) => self.read_uses().await,
            _ => return found,
        };
        match read {
            Ok(()) => self.caller_of(cookie, browser),
            Err(error) => {
                warn!(%error, "A session could not be looked for in the store");
                Err(Denial::Unavailable)
            }
        }
    }

    fn caller_of_preview(&self, token: &PreviewToken, browser: &Browser) -> Result<Caller, Denial> {
        let id = token.session().ok_or(Denial::Invalid)?;
        self.check_preview(id, token, browser)
    }

    async fn find_caller_of_preview(
        &self,
        token: &PreviewToken,
        browser: &Browser,
    ) -> Result<Caller, Denial> {
        let id = token.session().ok_or(Denial::Invalid)?;
        if self.0.cache.latest().session_with_id(id).is_none() {
            // It may have been started on another server a moment ago.
            if let Err(error) = self.compare().await {
                warn!(%error, "A session could not be looked for in the store");
                return Err(Denial::Unavailable);
            }
        }
        match self.check_preview(id, token, browser) {
            // It may have been used on another server.
            Err(Denial::Expired) => {}
            found => return found,
        }
        if let Err(error) = self.read_uses().await {
            warn!(%error, "The uses of a session could not be read");
            return Err(Denial::Unavailable);
        }
        self.check_preview(id, token, browser)
    }

    async fn sign_out(&self, caller: Caller, everywhere: bool) -> Result<(), Error> {
        let Some(person) = caller.principal() else {
            let detail = "Only a person who has signed in can sign out.".to_owned();
            return Err(DomainError::Forbidden { code: NOT_A_PERSON, detail }.into());
        };
        let is_session = caller.authentication() == Authentication::Session;
        let session = caller.credential().filter(|_| is_session);
        let context = self.engine().context(caller);
        let decide = move |context: &_, snapshot: &_| {
            sign_out(context, snapshot, person, session, everywhere)
        };
        self.engine().commit(context, sessions_scope(person, None), decide).await?;
        self.update().await;
        Ok(())
    }

    async fn sessions(
        &self,
        caller: &Caller,
        principal: Option<PrincipalId>,
        after: Option<CredentialId>,
        limit: u32,
    ) -> Result<Page<UsedSession>, Error> {
        if principal.is_none() || principal != caller.principal() {
            caller.check(Permission::AccessManage, Place::Installation)?;
        }
        self.load().await?;
        let table = self.0.cache.latest();
        let mut found: Vec<UsedSession> = table
            .sessions()
            .filter(|entry| {
                Some(entry.session.id) > after
                    && principal.is_none_or(|owner| entry.session.principal == owner)
                    && self.accept_session(entry).is_ok()
            })
            .map(|entry| UsedSession {
                session: Arc::clone(&entry.session),
                name: entry.caller.name().to_owned(),
                last_used_at: entry.uses.last(),
            })
            .collect();
        found.sort_by_key(|used| used.session.id);
        Ok(Page::first(found, limit))
    }

    async fn end_session(&self, id: CredentialId, caller: Caller) -> Result<bool, Error> {
        self.compare().await?;
        let person = self.0.cache.latest().owner_of_session(id);
        let manages = caller.check(Permission::AccessManage, Place::Installation).is_ok();
        let person = person.filter(|person| manages || caller.principal() == Some(*person));
        // For others, a session of someone else is as unknown as one that never was.
        let person = person.ok_or_else(|| DomainError::not_found("Session", id))?;
        let context = self.engine().context(caller);
        let decide = move |context: &_, snapshot: &_| end_session(context, snapshot, person, id);
        let done = self.engine().commit(context, sessions_scope(person, None), decide).await?;
        self.update().await;
        let is_ended = !done.entries.is_empty();
        if is_ended {
            info!(session.id = %id, "Ended a session");
        }
        Ok(is_ended)
    }

    async fn create_link(
        &self,
        principal: PrincipalId,
        caller: Caller,
    ) -> Result<IssuedLink, Error> {
        if caller.authentication() == Authentication::Open {
            // The link would sign anyone in once the server needs keys.
            let detail = "This server is open: no one needs to sign in.".to_owned();
            return Err(DomainError::Forbidden { code: NOT_A_PERSON, detail }.into());
        }
        let key = self.key_behind(&caller);
        let context = self.engine().context(caller);
        let text = SignInLinkText::new(self.0.secrets.secret());
        let id = context.fork(1).id_generator().credential();
        let new = NewLink { id, digest: text.digest() };
        let decide =
            move |context: &_, snapshot: &_| create_link(context, snapshot, principal, &new);
        let scope = sessions_scope(principal, key);
        let committed = self.engine().commit(context, scope, decide).await?;
        self.update().await;
        let record = committed.record::<PersonSessions>(principal);
        let link = record.and_then(|record| record.links.iter().find(|link| link.id == id));
        let link = Arc::new(crate::commands::written(link)?.clone());
        info!(link.id = %id, principal.id = %principal, "Created a sign-in link");
        Ok(IssuedLink { link, text })
    }
}

impl AccessControl {
    /// Returns the person of a key that was pasted.
    fn check_key(&self, text: &str) -> Result<Checked, SignInRefusal> {
        let text: ApiKeyText = text.parse().map_err(|_| SignInRefusal::Invalid)?;
        let table = self.0.cache.table().ok_or(SignInRefusal::Unavailable)?;
        let entry = table.with_digest(&text.digest()).ok_or(SignInRefusal::Invalid)?;
        let (_, now) = self.accept(entry).map_err(|_| SignInRefusal::Expired)?;
        self.note_use(entry, now);
        let (person, key) = (entry.key.principal, entry.key.id);
        let (caller, proof) = (entry.caller.clone(), SignInProof::Key(key));
        Ok(Checked { person, caller, key: Some(key), proof })
    }

    /// Returns the person of a link. One that this server does not know may have been created on another
    /// a moment ago.
    async fn check_link(&self, code: &str) -> Result<Checked, SignInRefusal> {
        let text: SignInLinkText = code.parse().map_err(|_| SignInRefusal::Invalid)?;
        let digest = text.digest();
        if self.0.cache.latest().link(&digest).is_none() {
            self.compare().await.map_err(Error::from)?;
        }
        let table = self.0.cache.table().ok_or(SignInRefusal::Unavailable)?;
        let link = table.link(&digest).ok_or(SignInRefusal::Invalid)?;
        let person = table.principal(link.principal).ok_or(SignInRefusal::Invalid)?;
        let caller = Caller::proven(person, Authentication::Link, link.id, Rights::none());
        let (person, key) = (link.principal, link.narrowing.key);
        Ok(Checked { person, caller, key, proof: SignInProof::Link(digest) })
    }

    /// Returns the person that a provider has confirmed, with the roles of its groups.
    fn check_identity(&self, identity: OpenIdIdentity) -> Checked {
        let roles = identity.groups.iter().filter_map(|group| {
            let mapped = self.0.settings.group_roles.get(group);
            mapped.map(|roles| roles.iter().copied())
        });
        let roles: BTreeSet<Role> = roles.flatten().collect();
        let person = Principal::openid_id(&identity.subject);
        let caller = Caller::openid(&identity);
        Checked { person, caller, key: None, proof: SignInProof::OpenId(identity, roles) }
    }

    /// Commits a sign-in, and returns the id of the session.
    async fn start(
        &self,
        checked: Checked,
        text: &SessionText,
        browser: BrowserBinding,
        request_id: Option<String>,
    ) -> Result<CredentialId, SignInRefusal> {
        let Checked { person, caller, key, proof } = checked;
        // Only pages start sessions.
        let caller = caller.with_request_id(request_id).with_via(Via::Console);
        let context = self.engine().context(caller);
        let id = context.fork(1).id_generator().credential();
        let lifetime = self.0.settings.session_lifetime;
        let new = NewSession { id, digest: text.digest(), browser, lifetime };
        let decide =
            move |context: &_, snapshot: &_| start_session(context, snapshot, person, &proof, &new);
        let scope = sessions_scope(person, key);
        self.engine().commit(context, scope, decide).await.map_err(refusal)?;
        self.update().await;
        Ok(id)
    }

    /// Returns the key with which the caller acts, or with which its session ends.
    fn key_behind(&self, caller: &Caller) -> Option<CredentialId> {
        let id = caller.credential()?;
        match caller.authentication() {
            Authentication::Key => Some(id),
            Authentication::Session => {
                self.0.cache.latest().session_with_id(id)?.session.narrowing.key
            }
            _ => None,
        }
    }

    /// Returns the person of the session with this id, in which the token must have been made.
    fn check_preview(
        &self,
        id: CredentialId,
        token: &PreviewToken,
        browser: &Browser,
    ) -> Result<Caller, Denial> {
        let table = self.0.cache.table().ok_or(Denial::Unavailable)?;
        let entry = table.session_with_id(id).ok_or(Denial::Invalid)?;
        let now = self.engine().ports.clock.now();
        let checked = token.check(&entry.session.digest, now);
        if checked == PreviewCheck::Forged || entry.session.browser != browser.binding() {
            return Err(Denial::Invalid);
        }
        let (caller, _) = self.accept_session(entry)?;
        match checked {
            PreviewCheck::Valid => Ok(caller.clone()),
            PreviewCheck::Expired | PreviewCheck::Forged => Err(Denial::Expired),
        }
    }

    /// Returns the person with the session of this id as it is now.
    pub(super) fn caller_with_session(&self, id: CredentialId) -> Result<Caller, Denial> {
        let table = self.0.cache.table().ok_or(Denial::Unavailable)?;
        let entry = table.session_with_id(id).ok_or(Denial::Invalid)?;
        Ok(self.accept_session(entry)?.0.clone())
    }

    /// Returns the person of a valid entry, signed in.
    pub(super) fn accept_session<'a>(
        &self,
        entry: &'a SessionEntry,
    ) -> Result<(&'a Caller, Timestamp), Denial> {
        let now = self.engine().ports.clock.now();
        let idle_end = entry.uses.last().after(self.0.settings.session_idle);
        if now >= entry.ends_at || now >= idle_end {
            return Err(Denial::Expired);
        }
        Ok((&entry.caller, now))
    }

    /// Returns whether the session of this cookie has not reached its end, so that only its use keeps it
    /// alive.
    fn is_only_idle(&self, cookie: &str) -> bool {
        let Ok(text) = cookie.parse::<SessionText>() else { return false };
        let table = self.0.cache.latest();
        let now = self.engine().ports.clock.now();
        table.session(&text.digest()).is_some_and(|entry| now < entry.ends_at)
    }

    /// Returns an interval that is short beside the time until an unused session ends.
    pub(super) fn part_of_idle(&self, longest: Duration) -> Duration {
        (self.0.settings.session_idle / 4).clamp(Duration::from_millis(50), longest)
    }

    /// Reads when sessions were used on other servers.
    pub(super) async fn read_uses(&self) -> Result<(), StoreError> {
        let uses = self.engine().ports.stores.records.key_uses().await?;
        let uses: std::collections::HashMap<_, _> = uses.into_iter().collect();
        for entry in self.0.cache.latest().sessions() {
            if let Some(at) = uses.get(&entry.use_id) {
                entry.uses.learn(*at);
            }
        }
        Ok(())
    }

    /// Ends the sessions of persons whose cookies came back after they had signed out.
    pub(super) async fn end_reused_sessions(&self) {
        let reuses = self.0.coming_reuses.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut reuses) = reuses else { return };
        while let Some((person, id)) = reuses.recv().await {
            let context = self.engine().context(Caller::system());
            let decide = move |context: &_, snapshot: &_| end_reused(context, snapshot, person, id);
            match self.engine().commit(context, sessions_scope(person, None), decide).await {
                Ok(committed) if committed.rows.is_empty() => {}
                Ok(_) => {
                    warn!(
                        session.id = %id, principal.id = %person,
                        "The cookie of a session came back after its sign-out; ended all sessions \
                         of its person"
                    );
                    self.update().await;
                }
                Err(error) => {
                    warn!(%error, "The sessions of a person could not be ended; trying again with \
                                   the next request");
                }
            }
        }
    }
}

/// Returns the refusal that the error of a sign-in is.
fn refusal(error: Error) -> SignInRefusal {
    let code = match &error {
        Error::Refused(
            DomainError::Unauthenticated { code, .. } | DomainError::Forbidden { code, .. },
        ) => *code,
        _ => "",
    };
    match code {
        SIGN_IN_INVALID => SignInRefusal::Invalid,
        SIGN_IN_EXPIRED => SignInRefusal::Expired,
        NOT_A_PERSON => SignInRefusal::NotAPerson,
        PERSON_DISABLED => SignInRefusal::Disabled,
        _ => SignInRefusal::Other(error),
    }
}
