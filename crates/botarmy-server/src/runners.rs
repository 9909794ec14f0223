//! The runners that do the work of the agent types, as the settings choose them.

use std::collections::BTreeMap;
#[cfg(feature = "offline")]
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use botarmy_domain::ports::{AgentRunner, Clock, HealthCheck, Tracer};
use botarmy_domain::text::non_blank;
use botarmy_domain::{AgentType, Health};
use botarmy_memory::NoopRunner;
use botarmy_orchestrator::Runners;

use crate::environment::Variables;
use crate::features::Features;
use crate::settings::{RunnerChoice, Settings};

/// The runners that were built, one for each choice in the settings. Agent types with the same
/// choice share a runner.
#[derive(Clone)]
pub(crate) struct BuiltRunners(BTreeMap<RunnerChoice, Arc<dyn AgentRunner>>);

impl BuiltRunners {
    /// Builds the runners of all agent types. The settings must not contain "auto": see
    /// [`resolve_auto`].
    ///
    /// # Errors
    /// A runner that cannot be built, with the key of its setting.
    pub(crate) fn build(
        settings: &Settings,
        variables: Variables<'_>,
        clock: &Arc<dyn Clock>,
        tracer: &Arc<dyn Tracer>,
    ) -> anyhow::Result<Self> {
        let mut built = BTreeMap::new();
        for agent in AgentType::ALL {
            let choice = &settings.agent(*agent).runner;
            if *choice != RunnerChoice::None && !built.contains_key(choice) {
                let runner = build(choice, settings, variables, clock, tracer);
                let runner = runner.with_context(|| format!("agents.{agent}.runner"))?;
                built.insert(choice.clone(), runner);
            }
        }
        Ok(Self(built))
    }

    /// Returns the runner of each agent type that has one.
    pub(crate) fn assign(&self, settings: &Settings) -> Runners {
        let runner = |agent: &AgentType| {
            Some((*agent, Arc::clone(self.0.get(&settings.agent(*agent).runner)?)))
        };
        AgentType::ALL.iter().filter_map(runner).collect()
    }

    /// Returns a sentence about who does the work of each agent type. `configured` are the settings
    /// before "auto" was resolved, `resolved` those after.
    pub(crate) fn describe(configured: &Settings, resolved: &Settings) -> String {
        let mut agents: BTreeMap<&RunnerChoice, Vec<&str>> = BTreeMap::new();
        for agent in AgentType::ALL {
            agents.entry(&resolved.agent(*agent).runner).or_default().push(agent.as_str());
        }
        let is_one = agents.len() == 1;
        let parts: Vec<String> = agents
            .iter()
            .map(|(choice, agents)| {
                let work = work_of(choice);
                if is_one { work } else { format!("{}: {work}", agents.join(", ")) }
            })
            .collect();
        let is_auto = AgentType::ALL.iter().any(|agent| {
            configured.agent(*agent).runner == RunnerChoice::Auto
                && resolved.agent(*agent).runner == RunnerChoice::Offline
        });
        let keys: Vec<&str> = configured
            .models
            .prefer
            .iter()
            .filter_map(|name| configured.providers.get(name))
            .filter(|provider| !provider.model.is_empty() && !provider.key_env.is_empty())
            .map(|provider| provider.key_env.as_str())
            .collect();
        let hint = match keys.split_last() {
            Some((last, before)) if is_auto && Features::COMPILED.llm => {
                let before = before.join(", ");
                let keys = if before.is_empty() {
                    (*last).to_owned()
                } else {
                    format!("{before} or {last}")
                };
                format!(" Set {keys} to use a model.")
            }
            _ => String::new(),
        };
        format!("Agents: {}.{hint}", parts.join("; "))
    }

    /// Returns `true` if no agent type has a runner.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the choices as the settings spell them.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().map(RunnerChoice::to_string).collect()
    }
}

/// Returns who does the work of each agent type that has a runner, for people. The settings must not
/// contain "auto".
pub(crate) fn work_by_agent(settings: &Settings) -> BTreeMap<AgentType, String> {
    let runner = |agent: &AgentType| {
        let choice = &settings.agent(*agent).runner;
        (*choice != RunnerChoice::None).then(|| (*agent, work_of(choice)))
    };
    AgentType::ALL.iter().filter_map(runner).collect()
}

/// Returns who works where a runner is chosen, for people.
fn work_of(choice: &RunnerChoice) -> String {
    match choice {
        RunnerChoice::Auto => "chosen at the start".to_owned(),
        RunnerChoice::Offline => "built-in template engine (no language model)".to_owned(),
        RunnerChoice::Noop => {
            "nothing: completes every task at once (no language model)".to_owned()
        }
        RunnerChoice::None => "external workers".to_owned(),
        RunnerChoice::Command(name) => format!("the program [commands.{name}]"),
        RunnerChoice::Llm { provider, model } => format!("the model {provider}/{model}"),
    }
}

/// Returns the settings with every runner "auto" replaced: by the first provider of
/// `models.prefer` that has a key and a model, or else by the offline runner. A runner that was not
/// compiled in is skipped; without any, "auto" is "none" and the tasks wait for external workers.
#[must_use]
pub(crate) fn resolve_auto(
    settings: &Settings,
    features: Features,
    variables: Variables<'_>,
) -> Settings {
    let ready = |name: &String| {
        let provider = settings.providers.get(name)?;
        let key = variables(provider.key_env.as_str())?;
        let model = provider.model.clone();
        let is_ready = non_blank(&key).is_some() && !model.is_empty();
        is_ready.then(|| RunnerChoice::Llm { provider: name.clone(), model })
    };
    let model = features.llm.then(|| settings.models.prefer.iter().find_map(ready)).flatten();
    let otherwise = if features.offline { RunnerChoice::Offline } else { RunnerChoice::None };
    let auto = model.unwrap_or(otherwise);
    let mut resolved = settings.clone();
    for agent in AgentType::ALL {
        let runner = &mut resolved.agent_mut(*agent).runner;
        if *runner == RunnerChoice::Auto {
            *runner = auto.clone();
        }
    }
    resolved
}

#[cfg_attr(
    not(all(feature = "offline", feature = "command", feature = "llm")),
    allow(unused_variables, reason = "each runner needs only some of them")
)]
fn build(
    choice: &RunnerChoice,
    settings: &Settings,
    variables: Variables<'_>,
    clock: &Arc<dyn Clock>,
    tracer: &Arc<dyn Tracer>,
) -> anyhow::Result<Arc<dyn AgentRunner>> {
    Ok(match choice {
        #[cfg(feature = "offline")]
        RunnerChoice::Offline => {
            let served = AgentType::ALL.iter().copied();
            let served = served.filter(|agent| settings.agent(*agent).runner == *choice);
            Arc::new(offline(settings).serving(served))
        }
        RunnerChoice::Noop => Arc::new(NoopRunner),
        #[cfg(feature = "command")]
        RunnerChoice::Command(name) => {
            let spec = settings.commands.get(name);
            let spec = spec.with_context(|| format!("there is no [commands.{name}]"))?.clone();
            Arc::new(command(name, spec, settings, clock)?)
        }
        #[cfg(feature = "llm")]
        RunnerChoice::Llm { provider, model } => {
            let runner = crate::models::runner(provider, model, settings, variables, clock)?;
            let runner = runner.with_tracer(Arc::clone(tracer));
            #[cfg(feature = "offline")]
            let runner = runner.with_deployments(Arc::new(offline(settings)));
            Arc::new(runner)
        }
        RunnerChoice::Auto => bail!("\"auto\" must be resolved before runners are built"),
        RunnerChoice::None => bail!("\"none\" has no runner"),
        #[cfg(not(all(feature = "offline", feature = "command", feature = "llm")))]
        _ => bail!("this binary was built without this runner"),
    })
}

/// Builds the runner of a command. No command sees the data folder, which holds all projects.
#[cfg(feature = "command")]
fn command(
    name: &str,
    spec: botarmy_agents_command::CommandSpec,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<botarmy_agents_command::CommandRunner> {
    use botarmy_agents_command::{CommandRunner, Sandbox};
    let data_dir = std::path::absolute(&settings.store.data_dir)?;
    let sandbox =
        Sandbox::find(settings.agents.sandbox, name, &spec, std::slice::from_ref(&data_dir));
    let sandbox = sandbox.map_err(|reason| anyhow::anyhow!("commands.{name}: {reason}"))?;
    let is_isolated = sandbox.is_some();
    tracing::info!(command.name = name, sandbox = is_isolated, "The command is ready to run");
    let runner = CommandRunner::new(name, spec, data_dir.join("work"), Arc::clone(clock));
    Ok(runner.with_sandbox(sandbox))
}

#[cfg(feature = "offline")]
fn offline(settings: &Settings) -> botarmy_agents_offline::OfflineRunner {
    botarmy_agents_offline::OfflineRunner::new(deploy_dir(settings))
}

#[cfg(feature = "offline")]
fn deploy_dir(settings: &Settings) -> PathBuf {
    if settings.agents.deploy_dir.as_os_str().is_empty() {
        settings.store.data_dir.join("deployments")
    } else {
        settings.agents.deploy_dir.clone()
    }
}

/// Reports whether every runner can work.
#[async_trait::async_trait]
impl HealthCheck for BuiltRunners {
    fn component(&self) -> &'static str {
        "llm"
    }

    fn needed(&self) -> bool {
        false
    }

    async fn check(&self) -> Health {
        for (choice, runner) in &self.0 {
            let probe = runner.probe().await;
            if !probe.ready {
                return Health::Unhealthy(format!("{choice}: {}", probe.message));
            }
        }
        if self.0.is_empty() {
            return Health::NotConfigured;
        }
        let has_model = self.0.keys().any(|choice| matches!(choice, RunnerChoice::Llm { .. }));
        let prefix = if has_model { "" } else { "no model provider; " };
        Health::Healthy(format!("{prefix}work is done by: {}", self.names().join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A binary with all runners.
    fn all() -> Features {
        Features { llm: true, command: true, offline: true, ..Features::COMPILED }
    }

    #[test]
    fn auto_is_offline_without_a_key_and_a_model_with_one() {
        let settings = Settings::defaults();
        let none = resolve_auto(&settings, all(), &|_| None);
        let some = resolve_auto(&settings, all(), &|name| {
            (name == "OPENAI_API_KEY").then(|| "k".to_owned())
        });
        let empty = resolve_auto(&settings, all(), &|_| Some(" ".to_owned()));
        for agent in AgentType::ALL {
            assert_eq!(none.agent(*agent).runner, RunnerChoice::Offline);
            assert_eq!(empty.agent(*agent).runner, RunnerChoice::Offline);
            let chosen = some.agent(*agent).runner.to_string();
            assert!(chosen.starts_with("llm:openai/"), "{chosen}");
        }
    }

    #[test]
    fn auto_skips_a_runner_that_is_not_compiled_in() {
        let settings = Settings::defaults();
        let key = |_: &str| Some("k".to_owned());
        let auto = |features| resolve_auto(&settings, features, &key).agents.coder.runner;
        assert!(matches!(auto(all()), RunnerChoice::Llm { .. }));
        assert_eq!(auto(Features { llm: false, ..all() }), RunnerChoice::Offline);
        assert_eq!(auto(Features { llm: false, offline: false, ..all() }), RunnerChoice::None);
        assert!(matches!(auto(Features { offline: false, ..all() }), RunnerChoice::Llm { .. }));
    }

    #[cfg(feature = "llm")]
    #[test]
    fn agent_types_with_the_same_choice_share_a_runner() {
        let key = |_: &str| Some("k".to_owned());
        let settings = resolve_auto(&Settings::defaults(), Features::COMPILED, &key);
        let clock: Arc<dyn Clock> = Arc::new(crate::system::SystemClock);
        let built = {
            let tracer: Arc<dyn Tracer> = Arc::new(botarmy_domain::ports::NoTracer);
            BuiltRunners::build(&settings, &key, &clock, &tracer).unwrap()
        };
        assert_eq!(built.names(), [settings.agents.coder.runner.to_string()]);
        assert_eq!(built.assign(&settings).len(), AgentType::ALL.len());
    }

    #[test]
    fn the_line_about_the_agents_says_who_works_and_how_to_get_a_model() {
        let settings = Settings::defaults();
        let line = |settings: &Settings, variables: Variables<'_>| {
            BuiltRunners::describe(settings, &resolve_auto(settings, all(), variables))
        };
        let offline = line(&settings, &|_| None);
        let start = "Agents: built-in template engine (no language model).";
        assert!(offline.starts_with(start), "{offline}");
        if Features::COMPILED.llm {
            let hint = "Set ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY to use a model.";
            assert!(offline.ends_with(hint), "{offline}");
        }
        let model = line(&settings, &|name| (name == "OPENAI_API_KEY").then(|| "k".to_owned()));
        assert!(model.starts_with("Agents: the model openai/"), "{model}");
        assert!(!model.contains("Set "), "{model}");
        let mut mixed = Settings::defaults();
        mixed.agents.coder.runner = RunnerChoice::None;
        let mixed = line(&mixed, &|_| None);
        assert!(mixed.contains("coder: external workers"), "{mixed}");
    }

    #[test]
    fn a_runner_that_is_chosen_by_name_stays() {
        let mut settings = Settings::defaults();
        settings.agents.tester.runner = RunnerChoice::Offline;
        let resolved = resolve_auto(&settings, all(), &|_| Some("k".to_owned()));
        assert_eq!(resolved.agents.tester.runner, RunnerChoice::Offline);
        assert_ne!(resolved.agents.coder.runner, RunnerChoice::Offline);
    }
}
