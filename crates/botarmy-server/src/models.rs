//! Runners for models: a provider from the settings and its key from the environment.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use botarmy_agents_llm::{Key, LlmRunner, Price, Prompts, Provider, ProviderKind};
use botarmy_domain::ports::Clock;

use crate::environment::Variables;
use crate::settings::{ProviderProtocol, ProviderSettings, Settings};

/// Builds the runner for a model.
///
/// # Errors
/// A provider that is not configured or not completely, a key that is missing, prompts that cannot
/// be used.
pub fn runner(
    provider: &str,
    model: &str,
    settings: &Settings,
    variables: Variables<'_>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<LlmRunner> {
    let Some(configured) = settings.providers.get(provider) else {
        let names: Vec<_> = settings.providers.keys().map(String::as_str).collect();
        bail!("there is no section [providers.{provider}]; there are: {}", names.join(", "));
    };
    let prompts = prompts(&settings.agents.prompts_dir)?;
    let price = settings.prices.get(&format!("{provider}/{model}"));
    let price = price.map(|price| Price {
        input_per_mtok: price.input_per_mtok,
        output_per_mtok: price.output_per_mtok,
    });
    let provider = provider_of(provider, configured, settings, variables)?;
    Ok(LlmRunner::new(provider, model, Arc::new(prompts), price, Arc::clone(clock))?)
}

fn prompts(dir: &Path) -> anyhow::Result<Prompts> {
    if dir.as_os_str().is_empty() { Ok(Prompts::built_in()) } else { Ok(Prompts::load(dir)?) }
}

fn provider_of(
    name: &str,
    configured: &ProviderSettings,
    settings: &Settings,
    variables: Variables<'_>,
) -> anyhow::Result<Provider> {
    let kind = match configured.kind {
        ProviderProtocol::OpenAi => ProviderKind::OpenAi,
        ProviderProtocol::Anthropic => ProviderKind::Anthropic,
        ProviderProtocol::Gemini => ProviderKind::Gemini,
        ProviderProtocol::Ollama => ProviderKind::Ollama,
        ProviderProtocol::Compatible => ProviderKind::Compatible,
    };
    let base_url = match (configured.base_url.as_str(), kind.default_base_url()) {
        ("", None) => bail!("providers.{name}.base_url is needed for kind = \"compatible\""),
        ("", Some(usual)) => usual.to_owned(),
        (url, _) => url.to_owned(),
    };
    let key_env = &configured.key_env;
    let key = if key_env.is_empty() {
        if kind.needs_key() && configured.base_url.is_empty() {
            bail!("providers.{name}.key_env must name the variable with the key")
        }
        None
    } else {
        let key = variables(key_env.as_str()).as_deref().and_then(Key::new);
        Some(key.with_context(|| match key_env.to_show() {
            Some(variable) => {
                format!("the variable {variable} with the key of the provider {name} is empty")
            }
            None => format!(
                "the variable that providers.{name}.key_env names is empty; key_env is the name of a \
                 variable, and the key belongs into that variable"
            ),
        })?)
    };
    let usual = &settings.models;
    Ok(Provider {
        name: name.to_owned(),
        kind,
        base_url,
        key,
        key_env: key_env.to_show().map(str::to_owned),
        max_tokens: configured.max_tokens.unwrap_or(usual.max_tokens),
        context_tokens: configured.context_tokens.unwrap_or(usual.context_tokens),
        silence: Duration::from_secs(configured.timeout_s.unwrap_or(usual.timeout_s)),
        schema: configured.schema.unwrap_or(kind.has_schema()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::RunnerChoice;
    use crate::system::SystemClock;

    fn with(variables: &[(&str, &str)]) -> anyhow::Result<Settings> {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::load(None, variables)
    }

    fn build(choice: &str, settings: &Settings, keys: Variables<'_>) -> anyhow::Result<LlmRunner> {
        let RunnerChoice::Llm { provider, model } = choice.parse().unwrap() else { panic!() };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        runner(&provider, &model, settings, keys, &clock)
    }

    #[test]
    fn a_missing_value_is_an_error_that_names_its_key() {
        let settings = with(&[
            ("BOTARMY_PROVIDERS__HUB__KIND", "compatible"),
            ("BOTARMY_PROVIDERS__ODD__KIND", "compatible"),
            ("BOTARMY_PROVIDERS__ODD__BASE_URL", "http://someone:s3cr3t@example.org/v1"),
        ]);
        let settings = settings.unwrap();
        for (choice, expected) in [
            ("llm:nobody/m", "[providers.nobody]"),
            ("llm:openai/m", "OPENAI_API_KEY"),
            ("llm:hub/m", "providers.hub.base_url"),
            ("llm:odd/m", "odd"),
        ] {
            let error = format!("{:#}", build(choice, &settings, &|_| None).unwrap_err());
            assert!(error.contains(expected) && !error.contains("s3cr3t"), "{choice}: {error}");
        }
    }

    #[test]
    fn a_key_in_the_place_of_its_variable_is_not_repeated() {
        for key in ["AIzaSyS3CR3T", "gsk_S3CR3T", "S3CR3T"] {
            let settings = with(&[("BOTARMY_PROVIDERS__OPENAI__KEY_ENV", key)]).unwrap();
            let error = format!("{:#}", build("llm:openai/m", &settings, &|_| None).unwrap_err());
            assert!(error.contains("providers.openai.key_env"), "{key}: {error}");
            assert!(!error.contains("S3CR3T"), "{key}: {error}");
        }
    }

    #[test]
    fn a_key_in_the_settings_is_refused() {
        let error =
            format!("{:#}", with(&[("BOTARMY_PROVIDERS__OPENAI__KEY", "s3cr3t")]).unwrap_err());
        assert!(error.contains("key") && !error.contains("s3cr3t"), "{error}");
    }

    #[test]
    fn a_price_is_found_by_provider_and_model_with_dots_and_slashes() {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        let text = "[prices.\"hub/org/model-1.5\"]\ninput_per_mtok = 1\noutput_per_mtok = 2.5\n";
        std::fs::write(&file, text).unwrap();
        let settings = Settings::load(Some(file.path()), []).unwrap();
        let price = &settings.prices["hub/org/model-1.5"];
        assert_eq!((price.input_per_mtok, price.output_per_mtok), (1.0, 2.5));
    }

    #[test]
    fn every_preferred_model_has_a_price() {
        let settings = Settings::defaults();
        for name in &settings.models.prefer {
            let label = format!("{name}/{}", settings.providers[name].model);
            assert!(settings.prices.contains_key(&label), "{label}");
        }
    }
}
