//! The exchange of a code for tokens (RFC 6749, section 4.1.3; RFC 7636, section 4.5).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use botarmy_domain::Secret;
use botarmy_domain::ports::ProviderError;
use reqwest::header::HeaderValue;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Map, Value};
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::callback::error_name;
use crate::http::{Http, bad_status, send, unavailable, untrusted};
use crate::metadata::Metadata;
use crate::settings::{ClientSecret, OpenIdSettings};

const ANSWER: &str = "the answer of the token endpoint";

/// Tokens of a person.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) id_token: Secret<String>,
    /// Token for the userinfo endpoint.
    pub(crate) access_token: Option<Secret<String>>,
}

/// Exchanges a code.
pub(crate) async fn exchange(
    http: &Http,
    settings: &OpenIdSettings,
    metadata: &Metadata,
    code: &str,
    verifier: &str,
    redirect_uri: &str,
) -> Result<Tokens, ProviderError> {
    let request = request(http, settings, metadata, code, verifier, redirect_uri)?;
    let answer = send(ANSWER, request).await?;
    if answer.status.is_success() {
        return read(&answer.body);
    }
    let error = answer.body.get("error").and_then(Value::as_str).and_then(error_name);
    Err(match error {
        // The code was used already, or has expired.
        Some("invalid_grant") => ProviderError::Denied(
            "it does not accept the code any more; start again from the sign-in page".to_owned(),
        ),
        Some("invalid_client" | "unauthorized_client") => not_a_client(),
        _ if answer.status == StatusCode::UNAUTHORIZED => not_a_client(),
        error => bad_status(ANSWER, answer.status, error),
    })
}

fn not_a_client() -> ProviderError {
    unavailable(
        "it does not accept this server as a client; check oidc.client_id and the variable in \
         oidc.client_secret_env",
    )
}

fn request(
    http: &Http,
    settings: &OpenIdSettings,
    metadata: &Metadata,
    code: &str,
    verifier: &str,
    redirect_uri: &str,
) -> Result<RequestBuilder, ProviderError> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("code_verifier", verifier);
    let offers =
        |method: &str| metadata.client_authentication.iter().any(|offered| offered == method);
    let url = &metadata.token_endpoint;
    match &settings.client_secret {
        None => {
            form.append_pair("client_id", &settings.client_id);
            Ok(http.post(url, form.finish()))
        }
        Some(secret) if offers("client_secret_basic") => {
            let header = basic(&settings.client_id, secret);
            Ok(http.post(url, form.finish()).header("authorization", header))
        }
        Some(secret) if offers("client_secret_post") => {
            form.append_pair("client_id", &settings.client_id)
                .append_pair("client_secret", secret.expose());
            Ok(http.post(url, form.finish()))
        }
        Some(_) => Err(untrusted(
            "the provider takes the secret of a client neither in a header nor in a form",
        )),
    }
}

/// Returns the header with id and secret, which are encoded like parts of a form first (RFC 6749,
/// section 2.3.1).
fn basic(id: &str, secret: &ClientSecret) -> HeaderValue {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
    let mut header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
        .expect("base64 has visible characters only");
    header.set_sensitive(true);
    header
}

fn read(body: &Map<String, Value>) -> Result<Tokens, ProviderError> {
    let Some(Value::String(id_token)) = body.get("id_token") else {
        return Err(untrusted(format!("{ANSWER} has no ID token; oidc.scopes must have openid")));
    };
    let is_bearer = body
        .get("token_type")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    let access_token = body.get("access_token").and_then(Value::as_str).filter(|_| is_bearer);
    let secret = |text: &str| Secret::new(text.to_owned());
    Ok(Tokens { id_token: secret(id_token), access_token: access_token.map(secret) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_and_secret_are_encoded_before_they_are_joined() {
        let header = basic("army:one", &ClientSecret::new("p@ss word%".to_owned()));
        assert!(header.is_sensitive());
        let pair = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(STANDARD.decode(pair).unwrap()).unwrap();
        assert_eq!(pair, "army%3Aone:p%40ss+word%25");
    }

    #[test]
    fn tokens_are_not_shown() {
        let body = serde_json::json!({ "id_token": "s3cr3t", "access_token": "s3cr3t" });
        let tokens = read(body.as_object().unwrap()).unwrap();
        assert!(tokens.access_token.is_none(), "a token of an unknown type is not used");
        assert_eq!(format!("{tokens:?}"), "Tokens { id_token: …, access_token: None }");
    }
}
