//! The provider's description of itself (OpenID Connect Discovery 1.0, section 3; RFC 8414).

use botarmy_domain::ports::ProviderError;
use serde_json::{Map, Value};
use url::Url;

use crate::http::{Http, fetch, untrusted};
use crate::settings::{has_user, is_local};

/// Parts of the description that a sign-in needs.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) userinfo_endpoint: Option<Url>,
    pub(crate) jwks_uri: Url,
    /// Whether every answer names its issuer (RFC 9207, section 3).
    pub(crate) names_issuer: bool,
    /// Ways in which a client proves its identity at the token endpoint.
    pub(crate) client_authentication: Vec<String>,
}

/// Fetches the description of an issuer.
pub(crate) async fn discover(http: &Http, issuer: &str) -> Result<Metadata, ProviderError> {
    // OpenID Connect Discovery 1.0, section 4.1: a slash at the end is removed.
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let url = Url::parse(&address).map_err(|_| untrusted("the issuer is not an address"))?;
    read(&fetch("the description of the provider", http.get(&url)).await?, issuer)
}

/// Checks a description.
fn read(body: &Map<String, Value>, issuer: &str) -> Result<Metadata, ProviderError> {
    if body.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(untrusted(
            "the description of the provider is that of another issuer; oidc.issuer must be written \
             exactly as there, with or without a slash at its end",
        ));
    }
    let needed = |name: &str| {
        endpoint(body, name, issuer)?
            .ok_or_else(|| untrusted(format!("the description of the provider has no {name}")))
    };
    let methods = names(body, "code_challenge_methods_supported")?;
    if methods.is_some_and(|methods| !methods.iter().any(|method| method == "S256")) {
        return Err(untrusted("the provider does not support PKCE with S256"));
    }
    let names_issuer = match body.get("authorization_response_iss_parameter_supported") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(names_issuer)) => *names_issuer,
        Some(_) => {
            return Err(malformed("authorization_response_iss_parameter_supported"));
        }
    };
    Ok(Metadata {
        authorization_endpoint: needed("authorization_endpoint")?,
        token_endpoint: needed("token_endpoint")?,
        userinfo_endpoint: endpoint(body, "userinfo_endpoint", issuer)?,
        jwks_uri: needed("jwks_uri")?,
        names_issuer,
        // OpenID Connect Discovery 1.0, section 3: the default.
        client_authentication: names(body, "token_endpoint_auth_methods_supported")?
            .unwrap_or_else(|| vec!["client_secret_basic".to_owned()]),
    })
}

/// Returns an address of the provider: encrypted, or on this machine if the issuer is there, too.
fn endpoint(
    body: &Map<String, Value>,
    name: &str,
    issuer: &str,
) -> Result<Option<Url>, ProviderError> {
    let text = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(malformed(name)),
    };
    let url = Url::parse(text).map_err(|_| malformed(name))?;
    if url.scheme() != "https" && !(issuer.starts_with("http://") && is_local(&url)) {
        return Err(untrusted(format!("the {name} of the provider is not encrypted")));
    }
    if has_user(&url) || url.fragment().is_some() {
        return Err(malformed(name));
    }
    Ok(Some(url))
}

/// Returns a list of names, if there is one.
fn names(body: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, ProviderError> {
    let list = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(malformed(name)),
    };
    let names = list.iter().map(|one| one.as_str().map(str::to_owned));
    names.collect::<Option<_>>().map(Some).ok_or_else(|| malformed(name))
}

fn malformed(name: &str) -> ProviderError {
    untrusted(format!("{name} in the description of the provider is malformed"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://id.example/army";

    fn description() -> Map<String, Value> {
        let description = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://login.example/authorize?tenant=army",
            "token_endpoint": "https://id.example/token",
            "jwks_uri": "https://id.example/keys",
        });
        description.as_object().unwrap().clone()
    }

    fn with(name: &str, value: Value) -> Result<Metadata, String> {
        let mut description = description();
        description.insert(name.to_owned(), value);
        read(&description, ISSUER).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let metadata = read(&description(), ISSUER).unwrap();
        assert!(!metadata.names_issuer && metadata.userinfo_endpoint.is_none());
        assert_eq!(metadata.client_authentication, ["client_secret_basic"]);
    }

    #[test]
    fn a_description_that_is_not_sound_is_refused_by_member() {
        for (name, value, reason) in [
            ("issuer", json!("https://id.example/army/"), "another issuer"),
            ("issuer", json!("https://ID.example/army"), "another issuer"),
            ("issuer", json!([ISSUER]), "another issuer"),
            ("token_endpoint", json!("http://id.example/token"), "not encrypted"),
            ("token_endpoint", json!("http://localhost/token"), "not encrypted"),
            ("token_endpoint", json!("/token"), "malformed"),
            ("token_endpoint", json!(1), "malformed"),
            ("token_endpoint", Value::Null, "no token_endpoint"),
            ("jwks_uri", json!("https://ada:s3cr3t@id.example/keys"), "malformed"),
            ("jwks_uri", json!("file:///etc/passwd"), "not encrypted"),
            ("authorization_endpoint", json!("javascript:alert(1)"), "not encrypted"),
            ("authorization_endpoint", json!("https://id.example/#x"), "malformed"),
            ("userinfo_endpoint", json!("http://id.example/userinfo"), "not encrypted"),
            ("code_challenge_methods_supported", json!(["plain"]), "PKCE"),
            ("code_challenge_methods_supported", json!("S256"), "malformed"),
            ("authorization_response_iss_parameter_supported", json!("true"), "malformed"),
            ("token_endpoint_auth_methods_supported", json!([1]), "malformed"),
        ] {
            let error = with(name, value).unwrap_err();
            assert!(error.contains(reason) && !error.contains("s3cr3t"), "{name}: {error}");
        }
        with("code_challenge_methods_supported", json!(["plain", "S256"])).unwrap();
    }
}
