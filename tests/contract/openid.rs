//! Sign-in with a double of an OpenID provider, which lies in every way that a client has to notice.

use futures_util::future::join_all;
use std::sync::Arc;
use std::time::{Duration, Instant};

use botarmy_domain::access::{OpenIdIdentity, OpenIdSubject};
use botarmy_domain::ports::{BegunLogin, Callback, IdentityProvider, ProviderError};
use botarmy_memory::ManualClock;
use botarmy_openid::{ClientSecret, OpenId, OpenIdSettings};
use botarmy_server::system::RandomSecrets;
use botarmy_tests::openid_provider::{
    Algorithm, Behaviour, CLIENT_ID, CLIENT_SECRET, Canned, OpenIdProvider, Signature, SigningKey,
    callback_parameters,
};
use botarmy_tests::server::bare_client_builder;
use serde_json::{Value, json};

const REDIRECT: &str = "http://127.0.0.1:8080/console/login/callback";

/// A provider and this server as its client, on one clock.
struct World {
    clock: Arc<ManualClock>,
    provider: OpenIdProvider,
    client: OpenId,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut OpenIdSettings)) -> Self {
        let clock = Arc::new(ManualClock::default());
        let provider = OpenIdProvider::start(clock.clone()).await;
        let mut settings = OpenIdSettings {
            issuer: provider.issuer().to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(ClientSecret::new(CLIENT_SECRET.to_owned())),
            scopes: vec!["openid".to_owned(), "profile".to_owned()],
            groups_claim: "groups".to_owned(),
        };
        change(&mut settings);
        let client = OpenId::new(settings, clock.clone(), Arc::new(RandomSecrets)).unwrap();
        Self { clock, provider, client }
    }

    fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        self.provider.behave(change);
    }

    /// Signs in at the provider as a browser does, and returns what it brings back.
    async fn visit(&self, begun: &BegunLogin) -> Callback {
        let client = bare_client_builder().redirect(reqwest::redirect::Policy::none());
        let answer = client.build().unwrap().get(&begun.url).send().await.unwrap();
        let location = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        let location = location.unwrap_or_else(|| panic!("{:?}", self.provider.complaints()));
        assert!(location.starts_with(REDIRECT), "{location}");
        let parameters = callback_parameters(&location);
        let get = |name: &str| parameters.get(name).and_then(Value::as_str).map(str::to_owned);
        Callback { code: get("code"), state: get("state"), iss: get("iss"), error: get("error") }
    }

    /// Signs in from the beginning to the end.
    async fn sign_in(&self) -> Result<OpenIdIdentity, ProviderError> {
        let begun = self.client.begin(REDIRECT).await?;
        let answer = self.visit(&begun).await;
        // Any replica can finish the attempt: only its text is left.
        let attempt = begun.attempt.expose().parse().unwrap();
        self.client.finish(REDIRECT, &attempt, answer).await
    }
}

fn ada(world: &World) -> OpenIdIdentity {
    OpenIdIdentity {
        subject: OpenIdSubject {
            issuer: world.provider.issuer().to_owned(),
            subject: "ada".to_owned(),
        },
        name: "Ada".to_owned(),
        groups: vec!["army-admins".to_owned()],
    }
}

#[tokio::test]
async fn a_person_signs_in_with_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let world = World::new().await;
        world.behave(|provider| provider.key = SigningKey::new("a", algorithm));
        let identity = world.sign_in().await;
        assert_eq!(identity, Ok(ada(&world)), "{algorithm:?}");
        assert_eq!(world.provider.complaints(), Vec::<String>::new(), "{algorithm:?}");
        assert_eq!(world.provider.requests("/userinfo"), 0, "the token had everything");
        assert_eq!(world.sign_in().await, Ok(ada(&world)), "a second time");
        let path = "/.well-known/openid-configuration";
        assert_eq!(world.provider.requests(path), 1);
        assert_eq!(world.provider.requests("/keys"), 1);
    }
}

#[tokio::test]
async fn a_client_proves_its_identity_in_the_way_that_the_provider_offers() {
    for offered in [json!(null), json!(["client_secret_post"]), json!(["client_secret_basic"])] {
        let world = World::new().await;
        let description = json!({ "token_endpoint_auth_methods_supported": offered });
        world.behave(|provider| provider.description = description);
        assert_eq!(world.sign_in().await, Ok(ada(&world)), "{offered}");
    }
    let world = World::with(|settings| settings.client_secret = None).await;
    let error = world.sign_in().await.unwrap_err();
    assert!(error.to_string().contains("oidc.client_secret_env"), "{error}");
}

#[tokio::test]
async fn claims_that_the_token_lacks_come_from_the_userinfo_endpoint() {
    let world = World::new().await;
    world.behave(|provider| {
        provider.claims = json!({ "groups": ["from-token"] });
        provider.userinfo = json!({ "name": "Ada L.", "groups": ["from-userinfo"] });
    });
    let identity = world.sign_in().await.unwrap();
    assert_eq!(
        (identity.name.as_str(), &identity.groups[..]),
        ("Ada L.", &["from-token".into()][..])
    );
    world.behave(|provider| provider.claims = json!({}));
    let identity = world.sign_in().await.unwrap();
    assert_eq!(identity.groups, ["from-userinfo"]);
    world.behave(|provider| provider.userinfo = json!({}));
    let identity = world.sign_in().await.unwrap();
    assert_eq!((identity.name.as_str(), identity.groups.len()), ("ada", 0));
    for (userinfo, reason) in [
        (json!({ "sub": "bob", "groups": ["army-admins"] }), "another person"),
        (json!({ "sub": null, "groups": ["army-admins"] }), "another person"),
    ] {
        world.behave(|provider| provider.userinfo = userinfo);
        let error = world.sign_in().await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    world.behave(|provider| {
        provider.canned.insert("/userinfo", Canned::Body(500, "text/plain", String::new()));
    });
    assert!(matches!(world.sign_in().await, Err(ProviderError::Unavailable(_))));
}

/// Kind of an error.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Foreign,
    Denied,
    Untrusted,
    Unavailable,
}

fn kind(error: &ProviderError) -> Kind {
    match error {
        ProviderError::ForeignState => Kind::Foreign,
        ProviderError::Denied(_) => Kind::Denied,
        ProviderError::Untrusted(_) => Kind::Untrusted,
        ProviderError::Unavailable(_) => Kind::Unavailable,
    }
}

type Lie = (&'static str, fn(&mut Behaviour), Kind, &'static str);

fn claims(behaviour: &mut Behaviour, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        behaviour.claims[name] = value.clone();
    }
}

/// Returns the time of [`ManualClock`] in seconds.
const NOW: i64 = 1_767_225_600;

/// Every lie, with the error that it causes.
fn lies() -> Vec<Lie> {
    use Kind::{Denied, Foreign, Unavailable, Untrusted};
    const CONFIGURATION: &str = "/.well-known/openid-configuration";
    const JSON: &str = "application/json";
    vec![
        ("no signature", |p| p.signature = Signature::None, Untrusted, "not signed"),
        (
            "the algorithm none with a signature",
            |p| p.header = json!({ "alg": "none" }),
            Untrusted,
            "not signed",
        ),
        (
            "HS256 with the public key as secret",
            |p| p.signature = Signature::PublicKeyAsSecret,
            Untrusted,
            "algorithm that is not accepted",
        ),
        (
            "another issuer in the token",
            |p| claims(p, &json!({ "iss": "https://evil.example" })),
            Untrusted,
            "from another issuer",
        ),
        (
            "two audiences",
            |p| claims(p, &json!({ "aud": [CLIENT_ID, "other"] })),
            Untrusted,
            "several clients",
        ),
        (
            "a foreign audience",
            |p| claims(p, &json!({ "aud": "other" })),
            Untrusted,
            "for another client",
        ),
        (
            "issued to another client",
            |p| claims(p, &json!({ "azp": "other" })),
            Untrusted,
            "issued to another client",
        ),
        (
            "expired",
            |p| claims(p, &json!({ "exp": NOW - 120, "iat": NOW - 300 })),
            Untrusted,
            "has expired",
        ),
        ("no expiry", |p| claims(p, &json!({ "exp": null })), Untrusted, "when it expires"),
        (
            "an expiry that is a text",
            |p| claims(p, &json!({ "exp": "9999999999" })),
            Untrusted,
            "not a time",
        ),
        ("not valid yet", |p| claims(p, &json!({ "nbf": NOW + 120 })), Untrusted, "not valid yet"),
        (
            "issued in the future",
            |p| claims(p, &json!({ "iat": NOW + 120 })),
            Untrusted,
            "from the future",
        ),
        (
            "another nonce",
            |p| claims(p, &json!({ "nonce": "another" })),
            Untrusted,
            "for another sign-in",
        ),
        (
            "no nonce",
            |p| claims(p, &json!({ "nonce": null })),
            Untrusted,
            "does not say for which sign-in",
        ),
        (
            "an unknown key",
            |p| p.header = json!({ "kid": "unknown" }),
            Untrusted,
            "the provider does not have",
        ),
        (
            "a key of another type",
            |p| {
                let other = SigningKey::new("b", Algorithm::Es256).public();
                p.key_set = Some(json!({ "keys": [p.key.public(), other] }));
                p.header = json!({ "kid": "b" });
            },
            Untrusted,
            "its key is not for",
        ),
        (
            "a key for another algorithm",
            |p| {
                let mut key = p.key.public();
                key["alg"] = json!("PS256");
                p.key_set = Some(json!({ "keys": [key] }));
            },
            Untrusted,
            "its key is not for",
        ),
        (
            "no key id, and two keys",
            |p| {
                let other = SigningKey::new("b", Algorithm::Rs256).public();
                p.key_set = Some(json!({ "keys": [p.key.public(), other] }));
                p.header = json!({ "kid": null });
            },
            Untrusted,
            "which of the keys",
        ),
        (
            "the signature of another key",
            |p| p.signature = Signature::OtherKey,
            Untrusted,
            "signature of the ID token is not valid",
        ),
        (
            "a tampered payload",
            |p| p.signature = Signature::Tampered,
            Untrusted,
            "signature of the ID token is not valid",
        ),
        (
            "a signature that is cut",
            |p| p.token = |token| token[..token.len() - 4].to_owned(),
            Untrusted,
            "signature of the ID token",
        ),
        (
            "a signature of zeros",
            |p| {
                p.key = SigningKey::new("a", Algorithm::Es256);
                p.token = |token| {
                    let message = &token[..token.rfind('.').unwrap()];
                    format!("{message}.{}", "A".repeat(86))
                };
            },
            Untrusted,
            "signature of the ID token is not valid",
        ),
        (
            "a key in the header",
            |p| {
                p.header = json!({ "jwk": SigningKey::new("b", Algorithm::Rs256).public() });
                p.signature = Signature::OtherKey;
            },
            Untrusted,
            "signature of the ID token is not valid",
        ),
        (
            "an extension that is not understood",
            |p| p.header = json!({ "crit": ["exp"] }),
            Untrusted,
            "extension",
        ),
        (
            "an access token in place of the ID token",
            |p| p.header = json!({ "typ": "at+jwt" }),
            Untrusted,
            "another kind",
        ),
        (
            "an encrypted token",
            |p| p.token = |token| format!("{token}.a.b"),
            Untrusted,
            "compact form",
        ),
        ("no ID token", |p| p.response = json!({ "id_token": null }), Untrusted, "has no ID token"),
        (
            "another issuer in the callback",
            |p| p.callback = json!({ "iss": "https://evil.example" }),
            Untrusted,
            "comes from another issuer",
        ),
        (
            "no issuer in the callback, though it is announced",
            |p| p.callback = json!({ "iss": null }),
            Untrusted,
            "does not name its issuer",
        ),
        (
            "another state",
            |p| p.callback = json!({ "state": "another" }),
            Foreign,
            "did not begin in this browser",
        ),
        (
            "no state",
            |p| p.callback = json!({ "state": null }),
            Foreign,
            "did not begin in this browser",
        ),
        (
            "an error and a code",
            |p| p.callback = json!({ "error": "access_denied" }),
            Untrusted,
            "or both",
        ),
        (
            "an error",
            |p| p.callback = json!({ "code": null, "error": "access_denied" }),
            Denied,
            "access_denied",
        ),
        (
            "an error that is a text for people",
            |p| p.callback = json!({ "code": null, "error": "Call 555-1234" }),
            Denied,
            "for an unknown reason",
        ),
        (
            "a code that is not the provider's",
            |p| p.callback = json!({ "code": "injected" }),
            Denied,
            "does not accept the code",
        ),
        (
            "the description of another issuer",
            |p| p.description = json!({ "issuer": "https://evil.example" }),
            Untrusted,
            "another issuer",
        ),
        (
            "a description with a slash at the end of the issuer",
            |p| p.description = json!({ "issuer": "https://id.example/" }),
            Untrusted,
            "with or without a slash",
        ),
        (
            "a token endpoint without encryption on another machine",
            |p| p.description = json!({ "token_endpoint": "http://192.0.2.1/token" }),
            Untrusted,
            "not encrypted",
        ),
        (
            "an authorization endpoint that is a script",
            |p| p.description = json!({ "authorization_endpoint": "javascript:alert(1)" }),
            Untrusted,
            "not encrypted",
        ),
        (
            "no key set",
            |p| p.description = json!({ "jwks_uri": null }),
            Untrusted,
            "has no jwks_uri",
        ),
        (
            "no PKCE",
            |p| p.description = json!({ "code_challenge_methods_supported": ["plain"] }),
            Untrusted,
            "PKCE",
        ),
        (
            "no usual client authentication",
            |p| {
                p.description =
                    json!({ "token_endpoint_auth_methods_supported": ["private_key_jwt"] });
            },
            Untrusted,
            "neither in a header nor in a form",
        ),
        (
            "a redirecting description",
            |p| {
                p.canned.insert(CONFIGURATION, Canned::Redirect("/elsewhere".to_owned()));
            },
            Untrusted,
            "redirects",
        ),
        (
            "a redirecting token endpoint",
            |p| {
                p.canned.insert("/token", Canned::Redirect("http://192.0.2.1/".to_owned()));
            },
            Untrusted,
            "redirects",
        ),
        (
            "ten megabytes",
            |p| {
                p.canned.insert("/token", Canned::Large(true));
            },
            Untrusted,
            "more than 1 MiB",
        ),
        (
            "ten megabytes in chunks",
            |p| {
                p.canned.insert("/keys", Canned::Large(false));
            },
            Untrusted,
            "more than 1 MiB",
        ),
        (
            "an error of the token endpoint",
            |p| {
                p.canned.insert("/token", Canned::Body(500, JSON, "{}".to_owned()));
            },
            Unavailable,
            "status 500",
        ),
        (
            "a page in place of an error",
            |p| {
                p.canned.insert("/token", Canned::Body(503, "text/html", "<p>".to_owned()));
            },
            Unavailable,
            "status 503",
        ),
        (
            "a page in place of tokens",
            |p| {
                p.canned.insert("/token", Canned::Body(200, "text/html", "<html>".to_owned()));
            },
            Untrusted,
            "not a JSON object",
        ),
        (
            "a page in place of the description",
            |p| {
                let page = Canned::Body(200, "text/html", "<!doctype html>".to_owned());
                p.canned.insert(CONFIGURATION, page);
            },
            Untrusted,
            "not a JSON object",
        ),
        (
            "a list in place of the keys",
            |p| {
                p.canned.insert("/keys", Canned::Body(200, JSON, "[]".to_owned()));
            },
            Untrusted,
            "not a JSON object",
        ),
        (
            "JSON that is too deep",
            |p| {
                p.canned.insert("/keys", Canned::Body(200, JSON, "[".repeat(500_000)));
            },
            Untrusted,
            "not a JSON object",
        ),
        (
            "a dropped connection",
            |p| {
                p.canned.insert("/token", Canned::Dropped);
            },
            Unavailable,
            "broke off",
        ),
        ("no subject", |p| claims(p, &json!({ "sub": null })), Untrusted, "no subject"),
        ("an empty subject", |p| claims(p, &json!({ "sub": "" })), Untrusted, "no subject"),
        (
            "a subject that is a number",
            |p| claims(p, &json!({ "sub": 7 })),
            Untrusted,
            "no subject",
        ),
        (
            "a subject with a NUL",
            |p| claims(p, &json!({ "sub": "ada\u{0}admin" })),
            Untrusted,
            "no subject",
        ),
        (
            "groups as an object",
            |p| claims(p, &json!({ "groups": { "army-admins": true } })),
            Untrusted,
            "not a list of names",
        ),
        (
            "groups with an object",
            |p| claims(p, &json!({ "groups": ["army-admins", { "name": "x" }] })),
            Untrusted,
            "not a list of names",
        ),
        (
            "a key set with a symmetric key",
            |p| {
                let secret = json!({ "kty": "oct", "kid": "a", "alg": "HS256", "k": "c2VjcmV0" });
                p.key_set = Some(json!({ "keys": [secret] }));
            },
            Untrusted,
            "private or symmetric",
        ),
        (
            "a key set with a private key",
            |p| {
                let mut key = p.key.public();
                key["d"] = json!("AQAB");
                p.key_set = Some(json!({ "keys": [key] }));
            },
            Untrusted,
            "private or symmetric",
        ),
        (
            "a key for encryption",
            |p| {
                let mut key = p.key.public();
                key["use"] = json!("enc");
                p.key_set = Some(json!({ "keys": [key] }));
            },
            Untrusted,
            "the provider does not have",
        ),
        (
            "a weak key",
            |p| {
                let key = json!({ "kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB" });
                p.key_set = Some(json!({ "keys": [key] }));
            },
            Untrusted,
            "signature of the ID token is not valid",
        ),
    ]
}

fn assert_has_no_secret(text: &str, world: &World, begun: &[&str]) {
    let secrets = world.provider.secrets();
    for secret in secrets.iter().map(String::as_str).chain(begun.iter().copied()) {
        assert!(!text.contains(secret), "{text} has {secret}");
    }
}

#[tokio::test]
async fn every_lie_is_noticed_and_named() {
    let lies = lies();
    for (name, lie, expected, reason) in &lies {
        let world = World::new().await;
        world.behave(lie);
        let begun = match world.client.begin(REDIRECT).await {
            Ok(begun) => begun,
            Err(error) => {
                assert_eq!(kind(&error), *expected, "{name}: {error}");
                assert!(error.to_string().contains(reason), "{name}: {error}");
                continue;
            }
        };
        let answer = world.visit(&begun).await;
        assert!(!format!("{begun:?} {answer:?} {:?}", world.client).contains("code-"));
        let error = match world.client.finish(REDIRECT, &begun.attempt, answer).await {
            Ok(identity) => panic!("{name}: {identity:?}"),
            Err(error) => error,
        };
        assert_eq!(kind(&error), *expected, "{name}: {error}");
        assert!(error.to_string().contains(reason), "{name}: {error}");
        let attempt = &begun.attempt;
        let secrets = [attempt.expose(), &attempt.verifier(), &attempt.nonce(), &attempt.state()];
        assert_has_no_secret(&format!("{error} {error:?}"), &world, &secrets);
        assert_has_no_secret(&format!("{begun:?} {:?}", world.client), &world, &secrets);
        // A lie in the callback is noticed before the provider is asked for tokens.
        if *expected == Kind::Foreign || name.contains("issuer in the callback") {
            assert_eq!(world.provider.requests("/token"), 0, "{name}");
        }
    }
    println!("{} lies were noticed", lies.len());
}

#[tokio::test]
async fn an_issuer_with_a_slash_at_its_end_is_another_issuer() {
    let world = World::with(|settings| settings.issuer.push('/')).await;
    let error = world.client.begin(REDIRECT).await.unwrap_err();
    assert!(error.to_string().contains("with or without a slash"), "{error}");
    let world = World::new().await;
    let issuer = format!("{}/", world.provider.issuer());
    world.behave(|provider| claims(provider, &json!({ "iss": issuer })));
    let error = world.sign_in().await.unwrap_err();
    assert!(error.to_string().contains("from another issuer"), "{error}");
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_named() {
    let world = World::new().await;
    let clock = Arc::clone(&world.clock);
    let settings = OpenIdSettings {
        issuer: "http://127.0.0.1:1".to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: None,
        scopes: vec!["openid".to_owned()],
        groups_claim: "groups".to_owned(),
    };
    let client = OpenId::new(settings, clock, Arc::new(RandomSecrets)).unwrap();
    let error = client.begin(REDIRECT).await.unwrap_err();
    assert_eq!(kind(&error), Kind::Unavailable);
    assert!(error.to_string().contains("no connection"), "{error}");
}

#[tokio::test]
async fn a_slow_provider_is_given_up() {
    const PATH: &str = "/.well-known/openid-configuration";
    let slow = async |path: &'static str, canned: Canned| {
        let world = World::new().await;
        world.behave(|provider| drop(provider.canned.insert(path, canned)));
        let started = Instant::now();
        let error = world.sign_in().await.unwrap_err();
        assert_eq!(kind(&error), Kind::Unavailable, "{error}");
        let took = started.elapsed();
        assert!(took < Duration::from_secs(8), "{path}: {took:?}");
        error
    };
    let all = tokio::join!(
        slow(PATH, Canned::Silence),
        slow("/token", Canned::Silence),
        slow("/keys", Canned::Drip),
        // Each within its limit, and all together not.
        async {
            let world = World::new().await;
            let wait = Canned::After(Duration::from_millis(4_500));
            world.behave(|provider| {
                provider.claims = json!({});
                for path in [PATH, "/token", "/keys", "/userinfo"] {
                    provider.canned.insert(path, wait.clone());
                }
            });
            let started = Instant::now();
            let begun = world.client.begin(REDIRECT).await.unwrap();
            let answer = world.visit(&begun).await;
            let error = world.client.finish(REDIRECT, &begun.attempt, answer).await.unwrap_err();
            assert!(started.elapsed() < Duration::from_secs(16));
            error
        }
    );
    for error in [all.0, all.1, all.2] {
        assert!(error.to_string().contains("within 5 s"), "{error}");
    }
    assert!(all.3.to_string().contains("more than 10 s"), "{}", all.3);
}

#[tokio::test]
async fn waiting_callers_share_one_request_and_its_error() {
    const PATH: &str = "/.well-known/openid-configuration";
    let world = World::new().await;
    let wait = Canned::After(Duration::from_millis(200));
    world.behave(|provider| drop(provider.canned.insert(PATH, wait)));
    let begun = join_all((0..50).map(|_| world.client.begin(REDIRECT))).await;
    assert!(begun.iter().all(Result::is_ok));
    assert_eq!(world.provider.requests(PATH), 1);
    let world = World::new().await;
    world.behave(|provider| {
        provider.canned.insert(PATH, Canned::Body(500, "text/plain", String::new()));
    });
    let begun = join_all((0..50).map(|_| world.client.begin(REDIRECT))).await;
    assert!(begun.iter().all(Result::is_err));
    assert_eq!(world.provider.requests(PATH), 1);
    world.behave(|provider| provider.canned.clear());
    world.clock.advance(Duration::from_secs(2));
    world.sign_in().await.unwrap();
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute() {
    // Seconds by which the clock of the provider is ahead, and whether a token that is valid at
    // this second only is accepted.
    for (ahead, is_accepted) in [(0, true), (59, true), (61, false), (-59, true), (-61, false)] {
        let world = World::new().await;
        let there = NOW + ahead;
        let times = json!({ "iat": there, "nbf": there, "exp": there });
        world.behave(|provider| claims(provider, &times));
        let result = world.sign_in().await;
        assert_eq!(result.is_ok(), is_accepted, "{ahead}: {result:?}");
        if let Err(error) = result {
            assert!(error.to_string().contains("check the clocks"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_new_key_is_found_and_one_that_was_taken_back_is_not_accepted() {
    let world = World::new().await;
    world.sign_in().await.unwrap();
    let rotate = |id: &str| {
        world.behave(|provider| provider.key = SigningKey::new(id, Algorithm::Rs256));
    };
    rotate("b");
    for _ in 0..5 {
        let error = world.sign_in().await.unwrap_err();
        assert!(error.to_string().contains("does not have"), "{error}");
    }
    assert_eq!(world.provider.requests("/keys"), 1, "at most once a minute");
    world.clock.advance(Duration::from_secs(60));
    world.sign_in().await.unwrap();
    assert_eq!(world.provider.requests("/keys"), 2);
    // Another key under the same id is found in the same way.
    world.behave(|provider| {
        provider.key = SigningKey::new("a", Algorithm::Rs256);
        provider.key.id = "b".to_owned();
    });
    let error = world.sign_in().await.unwrap_err();
    assert!(error.to_string().contains("signature"), "{error}");
    world.clock.advance(Duration::from_secs(60));
    world.sign_in().await.unwrap();
    assert_eq!(world.provider.requests("/keys"), 3);
    // A key that the provider has taken back: it signs, and is not in the set.
    let other = SigningKey::new("c", Algorithm::Es256).public();
    world.behave(|provider| provider.key_set = Some(json!({ "keys": [other] })));
    world.sign_in().await.unwrap();
    world.clock.advance(Duration::from_secs(600));
    let error = world.sign_in().await.unwrap_err();
    assert!(error.to_string().contains("does not have"), "{error}");
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_again_are_not_asked_for_at_every_sign_in() {
    let world = World::new().await;
    world.sign_in().await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    world.behave(|provider| {
        provider.key = SigningKey::new("b", Algorithm::Rs256);
        provider.canned.insert("/keys", Canned::Body(500, "text/plain", String::new()));
    });
    for _ in 0..5 {
        let error = world.sign_in().await.unwrap_err();
        assert!(error.to_string().contains("status 500"), "{error}");
    }
    assert_eq!(world.provider.requests("/keys"), 2);
}

#[tokio::test]
async fn an_answer_is_accepted_once_and_in_its_browser_only() {
    let world = World::new().await;
    let begun = world.client.begin(REDIRECT).await.unwrap();
    let answer = world.visit(&begun).await;
    let other = world.client.begin(REDIRECT).await.unwrap();
    let finish = async |attempt, answer: &Callback, redirect_uri: &str| {
        world.client.finish(redirect_uri, attempt, answer.clone()).await
    };
    let error = finish(&other.attempt, &answer, REDIRECT).await.unwrap_err();
    assert_eq!(error, ProviderError::ForeignState);
    assert_eq!(world.provider.requests("/token"), 0, "the code was not used up");
    finish(&begun.attempt, &answer, REDIRECT).await.unwrap();
    let error = finish(&begun.attempt, &answer, REDIRECT).await.unwrap_err();
    assert_eq!(kind(&error), Kind::Denied, "{error}");
    // The code of another's sign-in, with the state of one's own.
    let mine = world.client.begin(REDIRECT).await.unwrap();
    let theirs = world.client.begin(REDIRECT).await.unwrap();
    let stolen = world.visit(&theirs).await.code;
    let injected = Callback { code: stolen, ..world.visit(&mine).await };
    let error = finish(&mine.attempt, &injected, REDIRECT).await.unwrap_err();
    assert_eq!(kind(&error), Kind::Denied, "the verifier does not belong to the code: {error}");
    let begun = world.client.begin(REDIRECT).await.unwrap();
    let answer = world.visit(&begun).await;
    let error = finish(&begun.attempt, &answer, "http://127.0.0.1:8080/other").await.unwrap_err();
    assert_eq!(kind(&error), Kind::Denied, "{error}");
}
