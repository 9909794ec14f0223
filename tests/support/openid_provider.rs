//! A double of an OpenID provider: discovery, authorization, token, userinfo and key set on one port.
//! It checks what a client sends as strictly as the specifications ask, and lies as a test wants.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use botarmy_domain::ports::Clock;
use reqwest::Url;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Id of the client that the double knows.
pub const CLIENT_ID: &str = "bot army";
/// Secret of the client. Its characters differ once they are encoded.
pub const CLIENT_SECRET: &str = "s3cr3t%:+ of the client";

/// Signs in the way of an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with PKCS #1.
    Rs256,
    /// RSA with PSS.
    Ps256,
    /// P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Key of the provider.
pub struct SigningKey {
    /// Id, as in tokens and in the key set.
    pub id: String,
    algorithm: Algorithm,
    pair: Pair,
}

impl SigningKey {
    /// Creates a key. There are two RSA keys, which the id selects: one for ids that begin with `a`.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn new(id: &str, algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                let pem = if id.starts_with('a') {
                    include_bytes!("openid_keys/rsa_1.pem").as_slice()
                } else {
                    include_bytes!("openid_keys/rsa_2.pem")
                };
                let key = PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap();
                Pair::Rsa(RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap())
            }
            Algorithm::Es256 => {
                let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let key = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
                Pair::P256(EcdsaKeyPair::from_pkcs8(kind, key.as_ref(), &random).unwrap())
            }
            Algorithm::EdDsa => {
                let key = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
            }
        };
        Self { id: id.to_owned(), algorithm, pair }
    }

    /// Returns the public key as it stands in a key set.
    #[must_use]
    pub fn public(&self) -> Value {
        let mut key = match &self.pair {
            Pair::Rsa(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "kty": "RSA", "n": encoded(&parts.n), "e": encoded(&parts.e) })
            }
            Pair::P256(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y) })
            }
            Pair::Ed25519(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref()) })
            }
        };
        key["kid"] = json!(self.id);
        key["use"] = json!("sig");
        key
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding: &dyn ring::signature::RsaEncoding = match self.algorithm {
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Pair::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Signature of an ID token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signature {
    /// That of the key.
    #[default]
    Valid,
    /// None, with the algorithm `none`.
    None,
    /// An HMAC with the modulus or the encoded form of the public key as its secret.
    PublicKeyAsSecret,
    /// That of another key of the same type.
    OtherKey,
    /// That of the key, for other claims.
    Tampered,
}

/// Answer of an endpoint in place of the right one.
#[derive(Debug, Clone)]
pub enum Canned {
    /// Status, content type and body.
    Body(u16, &'static str, String),
    /// A redirection to this address.
    Redirect(String),
    /// Ten megabytes, with a length or in chunks.
    Large(bool),
    /// Nothing; the connection stays open.
    Silence,
    /// A byte in every tenth of a second, for ever.
    Drip,
    /// The connection is dropped.
    Dropped,
    /// The right answer, after this time.
    After(Duration),
}

/// Behaviour of the provider. The default is honest.
pub struct Behaviour {
    /// Members that replace those of the description; `null` removes one.
    pub description: Value,
    /// Claims that replace those of the ID token; `null` removes one.
    pub claims: Value,
    /// Members that replace those of the header of the ID token; `null` removes one.
    pub header: Value,
    /// Signature of the ID token.
    pub signature: Signature,
    /// Changes of the ID token as a text.
    pub token: fn(String) -> String,
    /// Parameters that replace those of the callback; `null` removes one.
    pub callback: Value,
    /// Members that replace those of the token response; `null` removes one.
    pub response: Value,
    /// Claims of the userinfo endpoint, besides the subject.
    pub userinfo: Value,
    /// Answers in place of the right ones, by path.
    pub canned: BTreeMap<&'static str, Canned>,
    /// Key that signs.
    pub key: SigningKey,
    /// The key set; `None` for the key that signs.
    pub key_set: Option<Value>,
    /// Person who signs in.
    pub subject: String,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            description: json!({}),
            claims: json!({ "name": "Ada", "groups": ["army-admins"] }),
            header: json!({}),
            signature: Signature::Valid,
            token: |token| token,
            callback: json!({}),
            response: json!({}),
            userinfo: json!({}),
            canned: BTreeMap::new(),
            key: SigningKey::new("a", Algorithm::Rs256),
            key_set: None,
            subject: "ada".to_owned(),
        }
    }
}

/// Code that was given out and not exchanged yet.
struct Grant {
    redirect_uri: String,
    nonce: String,
    challenge: String,
}

struct Inner {
    issuer: String,
    clock: Arc<dyn Clock>,
    behaviour: Mutex<Behaviour>,
    grants: Mutex<BTreeMap<String, Grant>>,
    requests: Mutex<Vec<String>>,
    secrets: Mutex<Vec<String>>,
    complaints: Mutex<Vec<String>>,
}

/// A provider that runs until it is dropped.
pub struct OpenIdProvider {
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl OpenIdProvider {
    /// Starts a provider on loopback.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Arc::new(Inner {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            clock,
            behaviour: Mutex::default(),
            grants: Mutex::default(),
            requests: Mutex::default(),
            secrets: Mutex::default(),
            complaints: Mutex::default(),
        });
        let served = Arc::clone(&inner);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = Arc::clone(&served);
                tokio::spawn(async move { serve(stream, &served).await });
            }
        });
        Self { inner, serving }
    }

    /// Returns the issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// Changes the behaviour.
    ///
    /// # Panics
    /// Never.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.inner.behaviour.lock().unwrap());
    }

    /// Returns how often a path was requested.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn requests(&self, path: &str) -> usize {
        self.inner.requests.lock().unwrap().iter().filter(|one| *one == path).count()
    }

    /// Returns the codes, tokens and verifiers that went through the provider, and the secret of the
    /// client in the forms in which it may be sent.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = self.inner.secrets.lock().unwrap().clone();
        secrets.extend([CLIENT_SECRET.to_owned(), encoded_in_form(CLIENT_SECRET)]);
        secrets
    }

    /// Returns what the client did wrong.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.inner.complaints.lock().unwrap().clone()
    }
}

/// Returns a text as it is written into a form.
fn encoded_in_form(text: &str) -> String {
    let mut url = Url::parse("http://localhost").unwrap();
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap().to_owned()
}

/// Replaces members of an object; `null` removes one.
fn replaced(object: Value, changes: &Value) -> Value {
    let Value::Object(mut object) = object else { unreachable!("it is an object") };
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    Value::Object(object)
}

struct Request {
    path: String,
    query: String,
    authorization: Option<String>,
    body: String,
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let (head, start) = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&bytes[..end]).into_owned(), end + 4);
        }
    };
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < start + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let target = head.split_whitespace().nth(1)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some(Request {
        path: path.to_owned(),
        query: query.to_owned(),
        authorization: header("authorization"),
        body: String::from_utf8_lossy(&bytes[start..start + length]).into_owned(),
    })
}

async fn serve(mut stream: TcpStream, inner: &Inner) {
    let Some(request) = read(&mut stream).await else { return };
    inner.requests.lock().unwrap().push(request.path.clone());
    let canned = inner.behaviour.lock().unwrap().canned.get(request.path.as_str()).cloned();
    // The client may go away at any point.
    drop(answer(&mut stream, inner, &request, canned).await);
}

async fn answer(
    stream: &mut TcpStream,
    inner: &Inner,
    request: &Request,
    canned: Option<Canned>,
) -> std::io::Result<()> {
    match canned {
        None => {}
        Some(Canned::After(wait)) => tokio::time::sleep(wait).await,
        Some(Canned::Body(status, kind, body)) => {
            return send(stream, status, kind, &body, "").await;
        }
        Some(Canned::Redirect(to)) => {
            return send(stream, 307, "text/plain", "", &format!("location: {to}\r\n")).await;
        }
        Some(Canned::Large(has_length)) => return send_large(stream, has_length).await,
        Some(Canned::Silence) => return std::future::pending().await,
        Some(Canned::Drip) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{").await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Some(Canned::Dropped) => return Ok(()),
    }
    const JSON: &str = "application/json";
    match request.path.as_str() {
        "/.well-known/openid-configuration" => {
            send(stream, 200, JSON, &inner.description().to_string(), "").await
        }
        "/keys" => send(stream, 200, JSON, &inner.key_set().to_string(), "").await,
        "/authorize" => match inner.authorize(&request.query) {
            Ok(to) => send(stream, 303, "text/plain", "", &format!("location: {to}\r\n")).await,
            Err(complaint) => {
                inner.complaints.lock().unwrap().push(complaint.clone());
                send(stream, 400, "text/plain", &complaint, "").await
            }
        },
        "/token" => match inner.exchange(request) {
            Ok(response) => send(stream, 200, JSON, &response.to_string(), "").await,
            Err((status, error)) => {
                let body = json!({ "error": error, "error_description": request.body });
                send(stream, status, JSON, &body.to_string(), "").await
            }
        },
        "/userinfo" => match inner.userinfo(request) {
            Some(claims) => send(stream, 200, JSON, &claims.to_string(), "").await,
            None => send(stream, 401, JSON, "{}", "").await,
        },
        _ => send(stream, 404, "text/html", "<h1>Not found</h1>", "").await,
    }
}

async fn send(
    stream: &mut TcpStream,
    status: u16,
    kind: &str,
    body: &str,
    more: &str,
) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: {kind}\r\n{more}connection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

async fn send_large(stream: &mut TcpStream, has_length: bool) -> std::io::Result<()> {
    const PART: usize = 64 << 10;
    let parts = (10 << 20) / PART;
    let head = if has_length {
        format!("content-length: {}\r\n", parts * PART)
    } else {
        "transfer-encoding: chunked\r\n".to_owned()
    };
    stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes()).await?;
    let part = " ".repeat(PART);
    for _ in 0..parts {
        if has_length {
            stream.write_all(part.as_bytes()).await?;
        } else {
            stream.write_all(format!("{PART:x}\r\n{part}\r\n").as_bytes()).await?;
        }
    }
    stream.write_all(if has_length { b"" } else { b"0\r\n\r\n" }).await
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    let url = Url::parse(&format!("http://localhost/?{query}")).unwrap();
    url.query_pairs().into_owned().collect()
}

impl Inner {
    fn description(&self) -> Value {
        let issuer = &self.issuer;
        let description = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize?tenant=one%20two"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        });
        replaced(description, &self.behaviour.lock().unwrap().description)
    }

    fn key_set(&self) -> Value {
        let behaviour = self.behaviour.lock().unwrap();
        behaviour.key_set.clone().unwrap_or_else(|| json!({ "keys": [behaviour.key.public()] }))
    }

    /// Signs in at once, and returns the address of the callback.
    fn authorize(&self, query: &str) -> Result<String, String> {
        let parameters = parameters(query);
        let get = |name: &str| {
            parameters.get(name).cloned().ok_or_else(|| format!("{name} is missing in {query}"))
        };
        for (name, expected) in [
            ("tenant", "one two"),
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("code_challenge_method", "S256"),
        ] {
            if get(name)? != expected {
                return Err(format!("{name} is {}", get(name)?));
            }
        }
        if !get("scope")?.split(' ').any(|scope| scope == "openid") {
            return Err(format!("the scope is {}", get("scope")?));
        }
        let redirect_uri = get("redirect_uri")?;
        let mut url = Url::parse(&redirect_uri).map_err(|error| error.to_string())?;
        let grant = Grant { redirect_uri, nonce: get("nonce")?, challenge: get("code_challenge")? };
        let code = format!("code-{}", encoded(&random()));
        self.secrets.lock().unwrap().push(code.clone());
        self.grants.lock().unwrap().insert(code.clone(), grant);
        let answer = json!({ "code": code, "state": get("state")?, "iss": self.issuer });
        let answer = replaced(answer, &self.behaviour.lock().unwrap().callback);
        for (name, value) in answer.as_object().unwrap() {
            url.query_pairs_mut().append_pair(name, value.as_str().unwrap());
        }
        Ok(url.into())
    }

    fn exchange(&self, request: &Request) -> Result<Value, (u16, &'static str)> {
        let form = parameters(&request.body);
        let get = |name: &str| form.get(name).cloned().unwrap_or_default();
        let pair = format!("{}:{}", encoded_in_form(CLIENT_ID), encoded_in_form(CLIENT_SECRET));
        let is_client = match &request.authorization {
            Some(header) => *header == format!("Basic {}", STANDARD.encode(pair)),
            None => get("client_id") == CLIENT_ID && get("client_secret") == CLIENT_SECRET,
        };
        if !is_client {
            return Err((401, "invalid_client"));
        }
        let grant = self.grants.lock().unwrap().remove(&get("code"));
        let grant = grant.ok_or((400, "invalid_grant"))?;
        let verifier = get("code_verifier");
        self.secrets.lock().unwrap().push(verifier.clone());
        let challenge = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
        let is_bound = encoded(challenge.as_ref()) == grant.challenge
            && get("redirect_uri") == grant.redirect_uri
            && get("grant_type") == "authorization_code";
        if !is_bound {
            self.complaints.lock().unwrap().push(format!("exchange of {form:?}"));
            return Err((400, "invalid_grant"));
        }
        let access_token = format!("access-{}", encoded(&random()));
        let id_token = self.id_token(&grant.nonce);
        self.secrets.lock().unwrap().extend([access_token.clone(), id_token.clone()]);
        let response = json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": 60,
            "id_token": id_token,
        });
        Ok(replaced(response, &self.behaviour.lock().unwrap().response))
    }

    fn id_token(&self, nonce: &str) -> String {
        let now = self.clock.now().micros() / 1_000_000;
        let behaviour = self.behaviour.lock().unwrap();
        let claims = json!({
            "iss": self.issuer, "sub": behaviour.subject, "aud": CLIENT_ID, "nonce": nonce,
            "iat": now, "exp": now + 300,
        });
        let claims = replaced(claims, &behaviour.claims);
        let key = &behaviour.key;
        let name = match behaviour.signature {
            Signature::None => "none",
            Signature::PublicKeyAsSecret => "HS256",
            _ => key.algorithm.name(),
        };
        let header = json!({ "alg": name, "typ": "JWT", "kid": key.id });
        let header = replaced(header, &behaviour.header);
        let message = |claims: &Value| {
            let [header, claims] =
                [&header, claims].map(|part| encoded(part.to_string().as_bytes()));
            format!("{header}.{claims}")
        };
        let signed = message(&claims);
        let signature = match behaviour.signature {
            Signature::Valid => key.sign(signed.as_bytes()),
            Signature::None => Vec::new(),
            Signature::PublicKeyAsSecret => {
                let secret = key.public().to_string();
                let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
                ring::hmac::sign(&secret, signed.as_bytes()).as_ref().to_vec()
            }
            Signature::OtherKey => SigningKey::new("other", key.algorithm).sign(signed.as_bytes()),
            Signature::Tampered => {
                let other = replaced(claims, &json!({ "sub": "somebody-else" }));
                key.sign(message(&other).as_bytes())
            }
        };
        (behaviour.token)(format!("{signed}.{}", encoded(&signature)))
    }

    fn userinfo(&self, request: &Request) -> Option<Value> {
        let token = request.authorization.as_ref()?.strip_prefix("Bearer ")?;
        if !self.secrets.lock().unwrap().iter().any(|secret| secret == token) {
            return None;
        }
        let behaviour = self.behaviour.lock().unwrap();
        let subject = json!({ "sub": behaviour.subject });
        Some(replaced(subject, &behaviour.userinfo))
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut bytes).unwrap();
    bytes
}

/// Returns the parameters of a callback.
///
/// # Panics
/// If it is no address.
#[must_use]
pub fn callback_parameters(address: &str) -> Map<String, Value> {
    let url = Url::parse(address).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), json!(value))).collect()
}
