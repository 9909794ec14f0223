//! The OpenID provider with which people sign in, from the settings.

use std::sync::Arc;

use botarmy_domain::ports::{Clock, IdentityProvider, Secrets};

use crate::environment::Variables;
use crate::settings::Settings;

/// Returns the provider, if the settings name one. It is not called before the first sign-in.
///
/// # Errors
/// A secret that is missing, or certificates that cannot be read.
#[cfg(feature = "openid")]
pub(crate) fn provider(
    settings: &Settings,
    variables: Variables<'_>,
    clock: &Arc<dyn Clock>,
    secrets: &Arc<dyn Secrets>,
) -> anyhow::Result<Option<Arc<dyn IdentityProvider>>> {
    use anyhow::{Context, bail};
    use botarmy_openid::{ClientSecret, OpenId, OpenIdSettings};

    let oidc = &settings.oidc;
    if !oidc.is_used() {
        return Ok(None);
    }
    let client_secret = if oidc.client_secret_env.is_empty() {
        None
    } else {
        let secret = variables(oidc.client_secret_env.as_str()).filter(|text| !text.is_empty());
        let Some(secret) = secret else {
            bail!(
                "oidc.client_secret_env names the variable {}, and it is not set or empty",
                oidc.client_secret_env.to_show().unwrap_or("(not shown)")
            );
        };
        Some(ClientSecret::new(secret))
    };
    let client = OpenIdSettings {
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        client_secret,
        scopes: oidc.scopes.clone(),
        groups_claim: oidc.groups_claim.clone(),
    };
    let provider = OpenId::new(client, Arc::clone(clock), Arc::clone(secrets));
    Ok(Some(Arc::new(provider.context("[oidc] cannot be used")?)))
}

/// Returns no provider: settings that name one are refused before.
#[cfg(not(feature = "openid"))]
#[expect(clippy::unnecessary_wraps, reason = "as with the feature `openid`")]
pub(crate) fn provider(
    _settings: &Settings,
    _variables: Variables<'_>,
    _clock: &Arc<dyn Clock>,
    _secrets: &Arc<dyn Secrets>,
) -> anyhow::Result<Option<Arc<dyn IdentityProvider>>> {
    Ok(None)
}

#[cfg(all(test, feature = "openid"))]
mod tests {
    use super::*;
    use crate::system::{RandomSecrets, SystemClock};

    fn built(
        variable: &str,
        secret: Option<&str>,
    ) -> anyhow::Result<Option<Arc<dyn IdentityProvider>>> {
        let file = tempfile::NamedTempFile::with_suffix(".toml")?;
        let text = format!(
            "[oidc]\nissuer = \"http://localhost:9400\"\nclient_id = \"army\"\n\
             client_secret_env = \"{variable}\"\n[oidc.grants]\na = [\"viewer\"]\n"
        );
        std::fs::write(&file, text)?;
        let settings = Settings::load(Some(file.path()), [])?;
        let (clock, secrets): (Arc<dyn Clock>, Arc<dyn Secrets>) =
            (Arc::new(SystemClock), Arc::new(RandomSecrets));
        provider(&settings, &|_| secret.map(str::to_owned), &clock, &secrets)
    }

    #[test]
    fn a_secret_comes_from_its_variable() {
        let provider = built("ARMY_SECRET", Some("s3cr3t")).unwrap().unwrap();
        assert_eq!(provider.issuer(), "http://localhost:9400");
        assert!(built("", None).unwrap().is_some(), "a public client has none");
        for secret in [None, Some("")] {
            let error = built("ARMY_SECRET", secret).err().unwrap().to_string();
            assert!(error.contains("ARMY_SECRET"), "{error}");
        }
        let error = built("s3cr3tKey", None).err().unwrap().to_string();
        assert!(!error.contains("s3cr3t"), "{error}");
    }

    #[test]
    fn without_an_issuer_there_is_no_provider() {
        let (clock, secrets): (Arc<dyn Clock>, Arc<dyn Secrets>) =
            (Arc::new(SystemClock), Arc::new(RandomSecrets));
        let settings = Settings::defaults();
        assert!(provider(&settings, &|_| None, &clock, &secrets).unwrap().is_none());
    }
}
