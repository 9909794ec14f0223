//! The adapter: begins and finishes sign-ins.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use botarmy_domain::access::{LoginAttempt, OpenIdIdentity};
use botarmy_domain::ports::{
    BegunLogin, Callback, Clock, IdentityProvider, ProviderError, Secrets,
};
use ring::digest::{SHA256, digest};

use crate::cached::Cached;
use crate::callback::{check_state, code};
use crate::http::{Http, fetch, unavailable, untrusted};
use crate::id_token::{Claims, Expected, check, identity, is_complete};
use crate::keys::{KeySet, fetch_keys};
use crate::metadata::{Metadata, discover};
use crate::settings::{OpenIdSettings, SetupError, issuer_url};
use crate::signature::SignedToken;
use crate::token_request::{Tokens, exchange};

/// Longest duration of a call, with all of its requests.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which the provider's description and keys are used. A key that the provider has taken
/// back is accepted no longer.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Least time between two requests for the keys because a signature does not match.
const KEY_INTERVAL: Duration = Duration::from_secs(60);
/// Time for which an error is returned again without a request.
const PAUSE: Duration = Duration::from_secs(2);

/// An OpenID provider.
pub struct OpenId {
    settings: OpenIdSettings,
    http: Http,
    clock: Arc<dyn Clock>,
    secrets: Arc<dyn Secrets>,
    metadata: Cached<Metadata>,
    keys: Cached<KeySet>,
}

impl fmt::Debug for OpenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenId").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl OpenId {
    /// Creates the adapter. Nothing is requested before the first sign-in, so that a server starts
    /// without its provider.
    ///
    /// # Errors
    /// An issuer that cannot be used, or a system without certificates of authorities.
    pub fn new(
        settings: OpenIdSettings,
        clock: Arc<dyn Clock>,
        secrets: Arc<dyn Secrets>,
    ) -> Result<Self, SetupError> {
        let http = Http::new(&issuer_url(&settings.issuer)?)?;
        let (metadata, keys) = (Cached::default(), Cached::default());
        Ok(Self { settings, http, clock, secrets, metadata, keys })
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let fetch = discover(&self.http, &self.settings.issuer);
        self.metadata.get(self.clock.now(), MAX_AGE, PAUSE, fetch).await
    }

    async fn keys(
        &self,
        metadata: &Metadata,
        max_age: Duration,
        pause: Duration,
    ) -> Result<Arc<KeySet>, ProviderError> {
        let fetch = fetch_keys(&self.http, &metadata.jwks_uri);
        self.keys.get(self.clock.now(), max_age, pause, fetch).await
    }

    async fn begin_in_time(&self, redirect_uri: &str) -> Result<BegunLogin, ProviderError> {
        let metadata = self.metadata().await?;
        let attempt = LoginAttempt::new(self.secrets.secret());
        let challenge = digest(&SHA256, attempt.verifier().as_bytes());
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &self.settings.scopes.join(" "))
            .append_pair("state", &attempt.state())
            .append_pair("nonce", &attempt.nonce())
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
            .append_pair("code_challenge_method", "S256");
        Ok(BegunLogin { url: url.into(), attempt })
    }

    async fn finish_in_time(
        &self,
        redirect_uri: &str,
        attempt: &LoginAttempt,
        answer: Callback,
    ) -> Result<OpenIdIdentity, ProviderError> {
        check_state(&answer, attempt)?;
        let (settings, metadata) = (&self.settings, self.metadata().await?);
        let code = code(answer, &settings.issuer, metadata.names_issuer)?;
        let verifier = attempt.verifier();
        let tokens =
            exchange(&self.http, settings, &metadata, &code, &verifier, redirect_uri).await?;
        let claims = self.verified_claims(&metadata, tokens.id_token.expose()).await?;
        let nonce = attempt.nonce();
        let expected = Expected {
            issuer: &settings.issuer,
            client_id: &settings.client_id,
            nonce: &nonce,
            now: self.clock.now(),
        };
        let subject = check(&claims, &expected)?;
        let claims = self.completed(&metadata, &tokens, claims, &subject).await?;
        identity(&settings.issuer, subject, &claims, &settings.groups_claim)
    }

    /// Returns the claims of a token that a key of the provider signed. The keys are fetched again if
    /// none of them did, because the provider may have a new one.
    async fn verified_claims(
        &self,
        metadata: &Metadata,
        token: &str,
    ) -> Result<Claims, ProviderError> {
        let token = SignedToken::parse(token)?;
        let verify =
            |keys: &KeySet| token.claims(keys.find(token.key_id.as_deref(), token.algorithm)?);
        let keys = self.keys(metadata, MAX_AGE, PAUSE).await?;
        let refused = match verify(&keys) {
            Ok(claims) => return Ok(claims),
            Err(refused) => refused,
        };
        let newer = self.keys(metadata, KEY_INTERVAL, KEY_INTERVAL).await?;
        if Arc::ptr_eq(&keys, &newer) { Err(refused) } else { verify(&newer) }
    }

    /// Adds the claims of the userinfo endpoint (OpenID Connect Core 1.0, section 5.3) if the ID token
    /// has no name or no groups. Those of the token take precedence.
    async fn completed(
        &self,
        metadata: &Metadata,
        tokens: &Tokens,
        claims: Claims,
        subject: &str,
    ) -> Result<Claims, ProviderError> {
        let (Some(endpoint), Some(access_token)) =
            (&metadata.userinfo_endpoint, &tokens.access_token)
        else {
            return Ok(claims);
        };
        if is_complete(&claims, &self.settings.groups_claim) {
            return Ok(claims);
        }
        let request = self.http.get(endpoint).bearer_auth(access_token.expose());
        let mut all = fetch("the answer of the userinfo endpoint", request).await?;
        // Section 5.3.2: the answer may be about another person.
        if all.get("sub").and_then(serde_json::Value::as_str) != Some(subject) {
            return Err(untrusted("the answer of the userinfo endpoint is about another person"));
        }
        all.extend(claims);
        Ok(all)
    }
}

#[async_trait]
impl IdentityProvider for OpenId {
    fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    async fn begin(&self, redirect_uri: &str) -> Result<BegunLogin, ProviderError> {
        in_time(self.begin_in_time(redirect_uri)).await
    }

    async fn finish(
        &self,
        redirect_uri: &str,
        attempt: &LoginAttempt,
        answer: Callback,
    ) -> Result<OpenIdIdentity, ProviderError> {
        in_time(self.finish_in_time(redirect_uri, attempt, answer)).await
    }
}

async fn in_time<T>(
    call: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let too_slow = |_| Err(unavailable(format!("it took more than {} s", CALL_TIMEOUT.as_secs())));
    tokio::time::timeout(CALL_TIMEOUT, call).await.unwrap_or_else(too_slow)
}
