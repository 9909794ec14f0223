//! Models: which provider is asked, with which key, and what "auto" comes to.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use botarmy_agents::llm::{Key, LlmRunner, Price, Prompts, Provider, ProviderKind};
use botarmy_domain::ports::{AgentRunner, Clock};
use botarmy_domain::vocabulary::AgentType;

use crate::settings::{ProviderProtocol, ProviderSettings, RunnerChoice, Settings};

/// Reads a variable of the environment; tests bring their own.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process: the only place keys come from.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The settings with every "auto" replaced by what it means: the first provider of
/// `models.prefer` that has a key and a model, else the offline drafter.
#[must_use]
pub fn settle(settings: &Settings, variables: Variables<'_>) -> Settings {
    let ready = |name: &String| {
        let provider = settings.providers.get(name)?;
        let key = variables(&provider.key_env).as_deref().and_then(Key::new);
        let model = provider.model.clone();
        let choice = RunnerChoice::Llm { provider: name.clone(), model };
        (key.is_some() && !provider.model.is_empty()).then_some(choice)
    };
    let auto = settings.models.prefer.iter().find_map(ready).unwrap_or(RunnerChoice::Offline);
    let mut settled = settings.clone();
    for agent in AgentType::ALL {
        let runner = &mut settled.agent_mut(*agent).runner;
        if *runner == RunnerChoice::Auto {
            *runner = auto.clone();
        }
    }
    settled
}

/// A runner for a model. Deployments are left to whoever can do them.
///
/// # Errors
/// A provider that is not configured, or not completely; a key that is missing; prompts that cannot
/// be used.
pub fn runner(
    provider: &str,
    model: &str,
    settings: &Settings,
    variables: Variables<'_>,
    clock: &Arc<dyn Clock>,
    deployments: Arc<dyn AgentRunner>,
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
    let described = describe(provider, configured, settings, variables)?;
    let runner = LlmRunner::new(described, model, Arc::new(prompts), price, Arc::clone(clock))?;
    Ok(runner.with_deployments(deployments))
}

fn prompts(dir: &Path) -> anyhow::Result<Prompts> {
    if dir.as_os_str().is_empty() { Ok(Prompts::built_in()) } else { Ok(Prompts::load(dir)?) }
}

fn describe(
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
    let key_env = (!configured.key_env.is_empty()).then(|| configured.key_env.clone());
    let key = match &key_env {
        None if kind.needs_key() && configured.base_url.is_empty() => {
            bail!("providers.{name}.key_env must name the variable with the key")
        }
        None => None,
        Some(variable) => {
            let key = variables(variable).as_deref().and_then(Key::new);
            Some(key.with_context(|| {
                format!("the variable {variable} with the key of the provider {name} is empty")
            })?)
        }
    };
    let usual = &settings.models;
    Ok(Provider {
        name: name.to_owned(),
        kind,
        base_url,
        key,
        key_env,
        max_tokens: configured.max_tokens.unwrap_or(usual.max_tokens),
        context_tokens: configured.context_tokens.unwrap_or(usual.context_tokens),
        silence: Duration::from_secs(configured.timeout_s.unwrap_or(usual.timeout_s)),
        schema: configured.schema.unwrap_or(kind.has_schema()),
    })
}

#[cfg(test)]
mod tests {
    use botarmy_agents::OfflineDrafter;

    use super::*;
    use crate::system::SystemClock;

    fn with(variables: &[(&str, &str)]) -> anyhow::Result<Settings> {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::load(None, variables)
    }

    fn build_runners(
        choice: &str,
        settings: &Settings,
        keys: Variables<'_>,
    ) -> anyhow::Result<LlmRunner> {
        let RunnerChoice::Llm { provider, model } = choice.parse().unwrap() else { panic!() };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let offline = Arc::new(OfflineDrafter::new("deployments"));
        runner(&provider, &model, settings, keys, &clock, offline)
    }

    #[test]
    fn without_a_key_everybody_is_offline_and_with_one_everybody_asks() {
        let settings = Settings::defaults();
        let none = settle(&settings, &|_| None);
        let some = settle(&settings, &|name| (name == "OPENAI_API_KEY").then(|| "k".to_owned()));
        let empty = settle(&settings, &|_| Some(" ".to_owned()));
        for agent in AgentType::ALL {
            assert_eq!(none.agent(*agent).runner, RunnerChoice::Offline);
            assert_eq!(empty.agent(*agent).runner, RunnerChoice::Offline);
            let chosen = some.agent(*agent).runner.to_string();
            assert!(chosen.starts_with("llm:openai/"), "{chosen}");
            build_runners(&chosen, &some, &|_| Some("k".to_owned())).unwrap();
        }
    }

    #[test]
    fn whoever_was_chosen_by_name_stays() {
        let settings = with(&[("BOTARMY_AGENTS__TESTER__RUNNER", "offline")]).unwrap();
        let settled = settle(&settings, &|_| Some("k".to_owned()));
        assert_eq!(settled.agents.tester.runner, RunnerChoice::Offline);
        assert_ne!(settled.agents.coder.runner, RunnerChoice::Offline);
    }

    #[test]
    fn what_is_missing_is_said_by_its_key() {
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
            let error = format!("{:#}", build_runners(choice, &settings, &|_| None).unwrap_err());
            assert!(error.contains(expected) && !error.contains("s3cr3t"), "{choice}: {error}");
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
    fn every_usual_model_has_a_price() {
        let settings = Settings::defaults();
        for name in &settings.models.prefer {
            let label = format!("{name}/{}", settings.providers[name].model);
            assert!(settings.prices.contains_key(&label), "{label}");
        }
    }
}
