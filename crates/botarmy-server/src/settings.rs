//! Settings: the compiled-in defaults, then a file, then `BOTARMY_…` variables. A key that does
//! not exist is refused by name.

mod access;
mod gates;
mod oidc;
mod ranges;
mod variable_lists;
mod webhooks;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
#[cfg(feature = "command")]
use botarmy_agents_command::{CommandSpec, SandboxMode};
use botarmy_domain::{AgentType, Amount, Limit, OnExpiry};
use botarmy_http::ServerIdentity;
use botarmy_orchestrator::Budgets;
use botarmy_web::{PublicUrl, TrustedProxies, UnknownFields, is_host};
use config::{Config, Environment, File, FileFormat};
use serde::Deserialize;

use crate::environment::VariableName;
use crate::features::{Features, missing};

pub use access::{Access, AccessMode, FirstKey, Limits};
pub use gates::Gates;
pub use oidc::Oidc;
pub use webhooks::Webhooks;

/// Without the feature `command` a command is only refused: see [`Features`].
#[cfg(not(feature = "command"))]
type CommandSpec = serde::de::IgnoredAny;
/// Without the feature `command` there is nothing to isolate.
#[cfg(not(feature = "command"))]
type SandboxMode = serde::de::IgnoredAny;

/// Every setting with its default and one line of why.
pub const DEFAULTS: &str = include_str!("../../../config/default.toml");

/// Settings of the server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Role of this process.
    pub server: Server,
    /// Addresses and limits of HTTP.
    pub http: Http,
    /// Access control.
    pub access: Access,
    /// OpenID provider with which people sign in.
    pub oidc: Oidc,
    /// Limits for callers.
    pub limits: Limits,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// Live frames.
    pub ws: Ws,
    /// Database and data directory.
    pub store: Store,
    /// Redis, for messages between servers.
    pub redis: Redis,
    /// Workflow definitions.
    pub workflows: WorkflowFolder,
    /// Defaults for whatever a workflow leaves open.
    pub orchestrator: Orchestration,
    /// Rules for requests to people.
    pub gates: Gates,
    /// Spending limits.
    pub budget: Budget,
    /// Worker of this server.
    pub worker: Work,
    /// Runners of the agent types.
    pub agents: Agents,
    /// Programs that may do the work, by the name an agent's `runner` uses.
    #[serde(default)]
    pub commands: BTreeMap<String, CommandSpec>,
    /// Settings for all model providers.
    pub models: Models,
    /// The model providers.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Prices of models, by `provider/model`.
    pub prices: BTreeMap<String, ModelPrice>,
    /// Log output.
    pub log: Log,
    /// Metrics.
    pub metrics: MetricsLimits,
    /// Traces.
    pub tracing: Tracing,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Server {
    pub role: Role,
}

/// Role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    All,
    /// Answers clients.
    Api,
    /// Runs agents.
    Worker,
}

impl Role {
    /// Returns whether the process answers clients.
    #[must_use]
    pub const fn answers(self) -> bool {
        !matches!(self, Self::Worker)
    }

    /// Returns whether the process runs agents.
    #[must_use]
    pub const fn works(self) -> bool {
        !matches!(self, Self::Api)
    }
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Http {
    #[serde(deserialize_with = "read_host")]
    pub host: IpAddr,
    pub port: u16,
    pub allow_remote: bool,
    pub hosts: Vec<String>,
    pub trusted_proxies: Vec<String>,
    pub tls_cert: PathBuf,
    pub tls_key: PathBuf,
    pub workers: usize,
    pub body_limit_bytes: usize,
    pub text_limit_bytes: usize,
    pub unknown_fields: UnknownFields,
    pub body_timeout_s: u64,
    pub waiting_per_address: usize,
    pub cors_origins: Vec<String>,
    pub public_url: String,
    pub shutdown_timeout_s: u64,
}

impl Http {
    /// Returns the address that clients use, if it is another than that of the listener.
    ///
    /// # Errors
    /// A text that is no such address.
    pub(crate) fn public_url(&self) -> anyhow::Result<Option<PublicUrl>> {
        if self.public_url.is_empty() {
            return Ok(None);
        }
        match self.public_url.parse() {
            Ok(url) => Ok(Some(url)),
            Err(error) => bail!("http.public_url: {error}"),
        }
    }

    /// Returns the proxies whose `X-Forwarded-For` is believed.
    ///
    /// # Errors
    /// An entry that is no network.
    pub(crate) fn trusted_proxies(&self) -> anyhow::Result<TrustedProxies> {
        match TrustedProxies::parse(&self.trusted_proxies) {
            Ok(proxies) => Ok(proxies),
            Err(error) => bail!("http.trusted_proxies: {error}"),
        }
    }

    /// Returns `true` if the server has TLS of its own.
    pub(crate) fn has_tls(&self) -> bool {
        !self.tls_cert.as_os_str().is_empty()
    }

    /// Reads the certificate and the key, if TLS is configured.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub(crate) fn identity(&self) -> anyhow::Result<Option<ServerIdentity>> {
        if !self.has_tls() {
            return Ok(None);
        }
        Ok(Some(ServerIdentity::load(&self.tls_cert, &self.tls_key)?))
    }

    fn check(&self) -> anyhow::Result<()> {
        if let Some(host) = self.hosts.iter().find(|host| !is_host(host)) {
            bail!(
                "http.hosts: {host:?} is no host; write a name or an address without scheme and \
                 port, such as army.example"
            );
        }
        match (self.has_tls(), self.tls_key.as_os_str().is_empty()) {
            (true, true) => bail!("http.tls_cert is set and http.tls_key is not; TLS needs both"),
            (false, false) => bail!("http.tls_key is set and http.tls_cert is not; TLS needs both"),
            _ => {}
        }
        self.trusted_proxies()?;
        self.public_url()?;
        Ok(())
    }

    /// Checks that a server may listen on its address: on loopback always, elsewhere only if the
    /// operator wants that, clients need keys, and it is set how they call the server and what
    /// encrypts the way.
    ///
    /// # Errors
    /// The settings that are missing.
    fn check_exposure(&self, access: &Access) -> anyhow::Result<()> {
        if self.host.is_loopback() {
            return Ok(());
        }
        let has_protection = self.has_tls() || !self.trusted_proxies.is_empty();
        let missing: Vec<_> = [
            (self.allow_remote, "http.allow_remote = true"),
            (access.needs_keys(), "access.mode = \"keys\""),
            (!self.hosts.is_empty(), "http.hosts (the names under which clients call the server)"),
            (
                has_protection,
                "http.tls_cert and http.tls_key, or http.trusted_proxies (the addresses of the \
                 proxies in front of the server)",
            ),
        ]
        .into_iter()
        .filter_map(|(is_there, name)| (!is_there).then_some(name))
        .collect();
        if missing.is_empty() {
            return Ok(());
        }
        bail!(
            "http.host = {} is not a loopback address, so that others reach the server. To listen \
             there, set also: {}. Or use 127.0.0.1. docs/security.md explains it.",
            self.host,
            missing.join("; ")
        )
    }
}

/// Returns the address of a host: an IP address, or `localhost` for that of the loopback.
pub(crate) fn host(text: &str) -> Option<IpAddr> {
    if text.eq_ignore_ascii_case("localhost") {
        return Some(IpAddr::from([127, 0, 0, 1]));
    }
    text.parse().ok()
}

fn read_host<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<IpAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    host(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("{text:?} is no IP address, and not localhost"))
    })
}

/// `[ws]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Ws {
    pub max_connections: usize,
    pub recent_frames: usize,
    pub ping_interval_s: u64,
    pub send_timeout_s: u64,
}

/// `[store]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Store {
    pub url: String,
    pub data_dir: PathBuf,
    pub synchronous: Synchronous,
    pub readers: usize,
    pub lanes: usize,
    pub max_batch: usize,
    pub queue: usize,
    pub timeout_s: u64,
}

/// Without the address, which may hold a password.
impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

/// `[redis]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Redis {
    pub url: String,
    pub prefix: String,
}

/// Without the address, which may hold a password.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// Durability of an acknowledged write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// It survives power loss.
    Full,
    /// It survives a crash of the server.
    Normal,
}

/// `[workflows]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct WorkflowFolder {
    pub dir: PathBuf,
}

/// `[orchestrator]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Orchestration {
    pub gate_ttl_s: u32,
    pub on_expiry: OnExpiry,
    pub confidence_threshold: f64,
    pub retry_backoff_ms: u64,
    pub timer_interval_ms: u64,
}

/// `[worker]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Work {
    pub lease_s: u64,
    pub first_call_s: u64,
    pub poll_ms: u64,
    pub attempt_timeout_s: u64,
    pub max_output_bytes: usize,
}

/// `[agents]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Agents {
    pub deploy_dir: PathBuf,
    pub prompts_dir: PathBuf,
    pub sandbox: SandboxMode,
    pub orchestrator: Agent,
    pub analyst: Agent,
    pub architect: Agent,
    pub coder: Agent,
    pub tester: Agent,
    pub deployer: Agent,
}

/// `[agents.…]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Agent {
    pub runner: RunnerChoice,
    pub slots: u32,
    pub day_tokens: u64,
    pub day_cost_usd: f64,
    pub reserve_tokens: u64,
    pub reserve_cost_usd: f64,
}

/// `[budget]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Budget {
    pub project_tokens: u64,
    pub project_cost_usd: f64,
}

impl Budget {
    /// Returns the limit of a project without a limit of its own.
    pub(crate) fn limit(&self) -> Limit {
        limit(self.project_tokens, self.project_cost_usd)
    }
}

/// 0 limits nothing.
fn limit(tokens: u64, dollars: f64) -> Limit {
    let some = |n: u64| (n > 0).then_some(n);
    Limit { tokens: some(tokens), cost_micro_usd: some(micro_dollars(dollars)) }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float is clamped when it is cast, and settings are checked to be positive"
)]
fn micro_dollars(dollars: f64) -> u64 {
    (dollars * 1e6).ceil() as u64
}

/// Runner of an agent type, the value of `runner`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub enum RunnerChoice {
    /// A model where there is a key for one, else the built-in drafter.
    Auto,
    /// The built-in drafter.
    Offline,
    /// Completes everything at once.
    Noop,
    /// No runner; tasks wait for an external worker.
    None,
    /// A program on this machine, as `[commands.NAME]` describes it.
    Command(String),
    /// A model.
    Llm {
        /// Section with the address of the provider.
        provider: String,
        /// Name of the model at the provider; may contain slashes and colons.
        model: String,
    },
}

impl FromStr for RunnerChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let choice = match text.split_once(':') {
            None => match text {
                "auto" => Some(Self::Auto),
                "offline" => Some(Self::Offline),
                "noop" => Some(Self::Noop),
                "none" => Some(Self::None),
                _ => None,
            },
            Some(("command", name)) => is_name(name).then(|| Self::Command(name.to_owned())),
            Some(("llm", rest)) => rest.split_once('/').and_then(|(provider, model)| {
                let sound = is_name(provider)
                    && !model.is_empty()
                    && !model.contains(|c: char| c.is_whitespace() || c.is_control());
                let (provider, model) = (provider.to_owned(), model.to_owned());
                sound.then_some(Self::Llm { provider, model })
            }),
            Some(_) => None,
        };
        choice.ok_or_else(|| {
            format!(
                "{text:?} is no runner; there are \"auto\", \"offline\", \"noop\", \"none\", \
                 \"command:NAME\" and \"llm:PROVIDER/MODEL\" (names are of a-z, 0-9, - and _)"
            )
        })
    }
}

impl TryFrom<String> for RunnerChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// As it is written in settings.
impl fmt::Display for RunnerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Offline => f.write_str("offline"),
            Self::Noop => f.write_str("noop"),
            Self::None => f.write_str("none"),
            Self::Command(name) => write!(f, "command:{name}"),
            Self::Llm { provider, model } => write!(f, "llm:{provider}/{model}"),
        }
    }
}

/// Returns whether a name can be used in settings and in variables.
fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 64 && name.chars().all(letter)
}

/// `[models]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Models {
    pub prefer: Vec<String>,
    pub max_tokens: u32,
    pub context_tokens: usize,
    pub timeout_s: u64,
}

/// `[providers.…]`. A key is not among what can be set: it comes from the environment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct ProviderSettings {
    pub kind: ProviderProtocol,
    #[serde(default)]
    pub base_url: String,
    #[serde(default)]
    pub key_env: VariableName,
    #[serde(default)]
    pub model: String,
    pub max_tokens: Option<u32>,
    pub context_tokens: Option<usize>,
    pub timeout_s: Option<u64>,
    pub schema: Option<bool>,
}

/// Whose protocol a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are names")]
pub enum ProviderProtocol {
    OpenAi,
    Anthropic,
    Gemini,
    Ollama,
    Compatible,
}

/// `[prices.…]`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct ModelPrice {
    pub input_per_mtok: f64,
    pub output_per_mtok: f64,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

/// `[metrics]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct MetricsLimits {
    pub refresh_s: u64,
    pub timeout_ms: u64,
    pub max_models: usize,
}

/// `[tracing]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each key is described in config/default.toml")]
pub struct Tracing {
    pub otlp_endpoint: String,
    pub sample_ratio: f64,
    pub service_name: String,
    pub timeout_ms: u64,
    pub queue: usize,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Variables of clients, which name a server and the key for it.
const CLIENT_VARIABLES: [&str; 5] =
    ["BOTARMY_KEY", "BOTARMY_KEY_FILE", "BOTARMY_SERVER", "BOTARMY_PROFILE", "BOTARMY_PROFILES"];

impl Settings {
    /// Reads the layers: defaults, `file` (else the one `BOTARMY_CONFIG` names), `variables`.
    ///
    /// # Errors
    /// A file that cannot be read, a key that does not exist, a value of the wrong kind or out of
    /// range.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut variables: std::collections::HashMap<String, String> =
            variables.into_iter().filter(|(name, _)| name.starts_with("BOTARMY_")).collect();
        let named = variables.remove("BOTARMY_CONFIG").map(PathBuf::from);
        // Clients of a server read them; they are no settings.
        for name in CLIENT_VARIABLES {
            variables.remove(name);
        }
        let mut layers = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(file) = file.or(named.as_deref()) {
            if !file.is_file() {
                bail!("the settings file {} does not exist", file.display());
            }
            let source = File::from_str(&read_toml(file)?, FileFormat::Toml);
            refuse_passwords(file, Config::builder().add_source(source.clone()).build())?;
            layers = layers.add_source(source);
        }
        let lists = variable_lists::take(&mut variables)?;
        let variables = Environment::with_prefix("BOTARMY")
            .prefix_separator("_")
            .separator("__")
            .try_parsing(true)
            .source(Some(variables));
        layers = layers.add_source(variables);
        for (key, list) in lists {
            layers = layers.set_override(key, list).context("the settings cannot be read")?;
        }
        let merged = layers.build().context("the settings cannot be read")?;
        // Before they are converted, which rounds a fraction and takes a word for a number.
        let numbers = merged.clone().try_deserialize().context("the settings cannot be read")?;
        ranges::check(&numbers).context("the settings are not acceptable")?;
        let settings: Self = merged.try_deserialize().context("the settings are not acceptable")?;
        settings.check()?;
        Ok(settings)
    }

    /// The defaults alone.
    ///
    /// # Panics
    /// Never: the compiled-in file is checked by a test.
    #[must_use]
    pub fn defaults() -> Self {
        Self::load(None, []).expect("the compiled-in settings are sound, by test")
    }

    /// The settings of an agent type.
    #[must_use]
    pub const fn agent(&self, agent: AgentType) -> &Agent {
        match agent {
            AgentType::Orchestrator => &self.agents.orchestrator,
            AgentType::Analyst => &self.agents.analyst,
            AgentType::Architect => &self.agents.architect,
            AgentType::Coder => &self.agents.coder,
            AgentType::Tester => &self.agents.tester,
            AgentType::Deployer => &self.agents.deployer,
        }
    }

    /// Returns the spending limits, and the assumed costs of attempts.
    pub(crate) fn budgets(&self) -> Budgets {
        let agents = || AgentType::ALL.iter().map(|agent| (*agent, self.agent(*agent)));
        let limits = agents().map(|(agent, of)| (agent, limit(of.day_tokens, of.day_cost_usd)));
        let worst = agents().map(|(agent, of)| {
            let cost_micro_usd = micro_dollars(of.reserve_cost_usd);
            (agent, Amount { tokens: of.reserve_tokens, cost_micro_usd })
        });
        Budgets {
            per_project: self.budget.limit(),
            per_day: limits.filter(|(_, limit)| !limit.is_none()).collect(),
            worst_case: worst.filter(|(_, amount)| *amount != Amount::default()).collect(),
        }
    }

    /// The settings of an agent type, to change them.
    pub const fn agent_mut(&mut self, agent: AgentType) -> &mut Agent {
        match agent {
            AgentType::Orchestrator => &mut self.agents.orchestrator,
            AgentType::Analyst => &mut self.agents.analyst,
            AgentType::Architect => &mut self.agents.architect,
            AgentType::Coder => &mut self.agents.coder,
            AgentType::Tester => &mut self.agents.tester,
            AgentType::Deployer => &mut self.agents.deployer,
        }
    }

    fn check_models(&self) -> anyhow::Result<()> {
        for (name, provider) in &self.providers {
            if !is_name(name) {
                bail!("providers.{name:?}: a name is of a-z, 0-9, - and _");
            }
            if !provider.key_env.is_possible() {
                bail!(
                    "providers.{name}.key_env must be the name of an environment variable, of \
                     letters, digits and _; the key itself belongs into that variable"
                );
            }
        }
        Ok(())
    }

    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.server.role != Role::All && self.store.url.is_empty() {
            bail!(
                "server.role = {:?} needs store.url: SQLite serves one process, which has to do \
                 everything. Name a PostgreSQL database, or leave the role at \"all\".",
                format!("{:?}", self.server.role).to_lowercase()
            );
        }
        if self.redis.prefix.is_empty() {
            bail!("redis.prefix must not be empty: it keeps installations on one Redis apart");
        }
        Features::COMPILED.check(self)?;
        self.check_commands()?;
        self.check_models()?;
        self.access.check()?;
        self.oidc.check()?;
        self.webhooks.check()?;
        self.gates.check(self.orchestrator.on_expiry)?;
        self.http.check()
    }

    /// Checks that a server may listen on its address.
    ///
    /// # Errors
    /// The settings that are missing.
    pub fn check_exposure(&self) -> anyhow::Result<()> {
        self.http.check_exposure(&self.access)?;
        self.oidc.check_exposure(&self.http)
    }
}

impl Settings {
    fn check_commands(&self) -> anyhow::Result<()> {
        #[cfg(feature = "command")]
        for (name, spec) in &self.commands {
            if !is_name(name) {
                bail!("commands.{name}: a name is of a-z, 0-9, - and _");
            }
            if let Err(what) = spec.check() {
                bail!("commands.{name}.{what}");
            }
        }
        for agent in AgentType::ALL {
            if let RunnerChoice::Command(name) = &self.agent(*agent).runner
                && !self.commands.contains_key(name)
            {
                bail!(
                    "agents.{agent}.runner = \"command:{name}\", and there is no [commands.{name}]"
                );
            }
        }
        Ok(())
    }
}

/// Returns the text of a settings file that is TOML. The error names the place and does not repeat the
/// line, which may hold a key or a password.
fn read_toml(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the settings file {} cannot be read", file.display()))?;
    if let Err(error) = text.parse::<toml::Table>() {
        let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        bail!("line {line}, column {column} of the settings file {} is not TOML", file.display());
    }
    Ok(text)
}

/// A password in a file ends up in back-ups, images and repositories.
fn refuse_passwords(file: &Path, read: Result<Config, config::ConfigError>) -> anyhow::Result<()> {
    // What is wrong with the file otherwise is said when all layers are read.
    let Ok(read) = read else { return Ok(()) };
    if !read.get_string("access.first_key").unwrap_or_default().is_empty() {
        bail!(
            "{} holds a key in access.first_key; put it into the variable BOTARMY_ACCESS__FIRST_KEY \
             instead",
            file.display()
        );
    }
    for (key, variable) in
        [("store.url", "BOTARMY_STORE__URL"), ("redis.url", "BOTARMY_REDIS__URL")]
    {
        let url = read.get_string(key).unwrap_or_default();
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        let user = authority.split(['/', '?']).next().and_then(|host| host.rsplit_once('@'));
        if user.is_some_and(|(user, _)| user.contains(':')) {
            bail!(
                "{} holds a password in {key}; put the address into the variable {variable} instead",
                file.display()
            );
        }
    }
    Ok(())
}

impl Features {
    /// Checks that the settings need no part that the binary does not have.
    ///
    /// # Errors
    /// The first setting that needs a missing part, with the name of the feature.
    pub fn check(self, settings: &Settings) -> anyhow::Result<()> {
        if !settings.store.url.is_empty() {
            require(self.postgres, "store.url", "postgres")?;
        }
        if !settings.redis.url.is_empty() {
            require(self.redis, "redis.url", "redis")?;
        }
        if settings.oidc.is_used() {
            require(self.openid, "oidc.issuer", "openid")?;
        }
        if !settings.tracing.otlp_endpoint.is_empty() {
            require(self.otel, "tracing.otlp_endpoint", "otel")?;
        }
        if let Some(name) = settings.commands.keys().next() {
            require(self.command, &format!("[commands.{name}]"), "command")?;
        }
        for agent in AgentType::ALL {
            let choice = &settings.agent(*agent).runner;
            let setting = format!("agents.{agent}.runner = \"{choice}\"");
            match choice {
                RunnerChoice::Command(_) => require(self.command, &setting, "command")?,
                RunnerChoice::Llm { .. } => require(self.llm, &setting, "llm")?,
                RunnerChoice::Offline => require(self.offline, &setting, "offline")?,
                RunnerChoice::Auto | RunnerChoice::Noop | RunnerChoice::None => {}
            }
        }
        Ok(())
    }
}

fn require(is_compiled: bool, setting: &str, feature: &str) -> anyhow::Result<()> {
    if is_compiled { Ok(()) } else { Err(missing(setting, feature)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: &str) -> anyhow::Result<Settings> {
        Settings::load(None, [(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn the_defaults_are_sound() {
        let settings = Settings::defaults();
        assert_eq!(settings.http.port, 8080);
        assert_eq!(settings.store.synchronous, Synchronous::Full);
    }

    #[test]
    fn a_variable_beats_the_file_and_the_file_beats_the_defaults() {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(&file, "[http]\nport = 1\nworkers = 7\n").unwrap();
        let variables = [("BOTARMY_HTTP__PORT".to_owned(), "2".to_owned())];
        let settings = Settings::load(Some(file.path()), variables).unwrap();
        assert_eq!((settings.http.port, settings.http.workers), (2, 7));
    }

    #[test]
    fn a_list_comes_from_a_variable_with_commas() {
        let settings = with("BOTARMY_HTTP__CORS_ORIGINS", "http://a,http://b").unwrap();
        assert_eq!(settings.http.cors_origins, ["http://a", "http://b"]);
        let settings = with("BOTARMY_HTTP__HOSTS", "army.example,10.0.0.7").unwrap();
        assert_eq!(settings.http.hosts, ["army.example", "10.0.0.7"]);
        let settings = with("BOTARMY_HTTP__TRUSTED_PROXIES", "10.0.0.7").unwrap();
        assert_eq!(settings.http.trusted_proxies, ["10.0.0.7"]);
    }

    #[test]
    fn every_list_of_the_settings_is_read_from_a_variable_or_refused_with_its_form() {
        use botarmy_domain::vocabulary::Exclusion;

        let settings = with("BOTARMY_GATES__EXCLUDE", "author, starter").unwrap();
        assert_eq!(settings.gates.exclude, [Exclusion::Author, Exclusion::Starter]);
        assert!(with("BOTARMY_GATES__EXCLUDE", "").unwrap().gates.exclude.is_empty());
        assert!(with("BOTARMY_HTTP__CORS_ORIGINS", " ").unwrap().http.cors_origins.is_empty());
        let settings = with("BOTARMY_GATES__GROUPS__LEADS", "ada,7").unwrap();
        assert_eq!(settings.gates.groups["leads"], ["7".to_owned(), "ada".to_owned()].into());
        let settings = with("BOTARMY_OIDC__GRANTS__LEADS", "reviewer,admin");
        let error = format!("{:#}", settings.unwrap_err());
        assert!(error.contains("oidc.issuer is not"), "the roles are read: {error}");
        for (name, value, expected) in [
            ("BOTARMY_GATES__EXCLUDE", "author,anyone", "author, starter, amender"),
            ("BOTARMY_GATES__EXCLUDE", "author,,starter", "gates.exclude"),
            ("BOTARMY_GATES__DIGEST", "never", "required, optional"),
            ("BOTARMY_GATES__DIGEST", "1", "required, optional"),
            ("BOTARMY_COMMANDS__MINE__ARGV", "cat,-n", "[\"one\", \"two\"]"),
            ("BOTARMY_COMMANDS__MINE__READ_ONLY", "/usr", "[\"one\", \"two\"]"),
        ] {
            let error = format!("{:#}", with(name, value).unwrap_err());
            let key = name.trim_start_matches("BOTARMY_").replace("__", ".").to_lowercase();
            assert!(error.contains(expected) && error.contains(&key), "{name}={value}: {error}");
        }
        // Every key with a list in the defaults is read as one.
        let defaults: toml::Table = DEFAULTS.parse().unwrap();
        let mut found = 0;
        for (section, keys) in defaults {
            let keys = keys.as_table().cloned().unwrap_or_default();
            for (key, _) in keys.into_iter().filter(|(_, value)| value.is_array()) {
                let key = format!("{section}.{key}");
                assert!(variable_lists::has(&key), "{key} is a list");
                found += 1;
            }
        }
        assert_eq!(found, 7);
    }

    #[test]
    fn a_misspelt_key_is_refused_by_name() {
        for name in ["BOTARMY_HTTP__PROT", "BOTARMY_HTPP__PORT", "BOTARMY_AGENTS__CODER__RUNER"] {
            let error = format!("{:#}", with(name, "1").unwrap_err()).to_uppercase();
            let key = name.rsplit("__").next().unwrap();
            assert!(error.contains(key) || error.contains("HTPP"), "{name}: {error}");
        }
    }

    #[test]
    fn a_password_in_a_file_is_refused_and_not_repeated() {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(&file, "[store]\nurl = \"postgres://army:s3cr3t@db/botarmy\"\n").unwrap();
        let error = format!("{:#}", Settings::load(Some(file.path()), []).unwrap_err());
        assert!(error.contains("BOTARMY_STORE__URL") && !error.contains("s3cr3t"), "{error}");
    }

    #[test]
    fn a_first_key_is_accepted_in_a_variable_only_and_is_not_shown() {
        let key = botarmy_domain::KeySecret::new([7; 32]).text();
        let settings = with("BOTARMY_ACCESS__FIRST_KEY", key.expose()).unwrap();
        assert_eq!(settings.access.first_key.key(), Some(key.clone()));
        assert!(!format!("{settings:?}").contains("botarmy_k_"));
        let wrong = &key.expose()[..50];
        let error = format!("{:#}", with("BOTARMY_ACCESS__FIRST_KEY", wrong).unwrap_err());
        assert!(error.contains("access.first_key") && !error.contains(wrong), "{error}");
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        let text = format!("[access]\nfirst_key = \"{}\"\n", key.expose());
        std::fs::write(&file, text).unwrap();
        let error = format!("{:#}", Settings::load(Some(file.path()), []).unwrap_err());
        assert!(error.contains("BOTARMY_ACCESS__FIRST_KEY"), "{error}");
        assert!(!error.contains(key.expose()), "{error}");
    }

    #[test]
    fn the_variable_with_the_key_of_a_client_is_no_setting() {
        with("BOTARMY_KEY", "botarmy_k_x").unwrap();
    }

    #[test]
    fn a_broken_line_of_a_file_is_named_and_not_repeated() {
        for (text, place) in [
            ("[providers.hub]\nkey = sk-s3cr3t\n", "line 2, column"),
            ("[providers.hub]\nsk-s3cr3t\n", "line 2, column"),
            ("[providers.hub]\nkey_env = \"s3cr3t\n", "line 2, column"),
            ("[providers.hub]\n\n  kind = \"openai\" s3cr3t\n", "line 3, column"),
            ("[store]\nurl = \"a\"\nurl = \"postgres://a:s3cr3t@b\"\n", "line 3, column"),
            ("s3cr3t", "line 1, column"),
        ] {
            let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
            std::fs::write(&file, text).unwrap();
            let error = format!("{:#}", Settings::load(Some(file.path()), []).unwrap_err());
            assert!(error.contains(place) && !error.contains("s3cr3t"), "{text}: {error}");
            assert!(error.contains(&file.path().display().to_string()), "{error}");
        }
    }

    #[test]
    fn a_key_in_the_place_of_its_variable_is_refused_and_not_repeated() {
        for key in ["sk-ant-s3cr3t", "s3cr3t==", "1s3cr3t", " s3cr3t"] {
            let error = with("BOTARMY_PROVIDERS__OPENAI__KEY_ENV", key).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains("providers.openai.key_env"), "{key}: {error}");
            assert!(!error.contains("s3cr3t"), "{key}: {error}");
        }
        let settings = with("BOTARMY_PROVIDERS__OPENAI__KEY_ENV", "AIzaSys3cr3t").unwrap();
        assert!(!format!("{settings:?}").contains("s3cr3t"));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_password_in_a_variable_is_accepted_and_not_shown() {
        let url = "postgres://army:s3cr3t@db/botarmy";
        let settings = with("BOTARMY_STORE__URL", url).unwrap();
        assert_eq!(settings.store.url, url);
        assert!(!format!("{settings:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_runner_is_read_and_written_the_same_way() {
        for text in [
            "auto",
            "offline",
            "noop",
            "none",
            "command:claude",
            "llm:ollama/qwen2.5:7b",
            "llm:hub/org/m",
        ] {
            assert_eq!(text.parse::<RunnerChoice>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "Offline",
            "command",
            "command:",
            "command:a b",
            "llm:x",
            "llm:x/",
            "llm:/m",
            "x:y",
        ] {
            assert!(text.parse::<RunnerChoice>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_runner_that_does_not_exist_is_refused_by_key() {
        let error = format!("{:#}", with("BOTARMY_AGENTS__CODER__RUNNER", "gpt").unwrap_err());
        assert!(error.contains("agents.coder.runner") && error.contains("\"gpt\""), "{error}");
    }

    #[cfg(feature = "command")]
    #[test]
    fn a_command_is_read_and_checked() {
        let load = |text: &str| {
            let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
            std::fs::write(&file, text).unwrap();
            Settings::load(Some(file.path()), [])
        };
        let coder = "[agents.coder]\nrunner = \"command:mine\"\n";
        let command = "[commands.mine]\nargv = [\"cat\"]\npreset = \"plain\"\nenv = [\"KEY\"]\n";
        let settings = load(&format!("{coder}{command}")).unwrap();
        assert_eq!(settings.commands["mine"].env, ["KEY"]);
        for (text, words) in [
            (coder, "agents.coder.runner"),
            ("[commands.mine]\nargv = []\n", "commands.mine.argv"),
            ("[commands.mine]\nargv = [\"a\", \"{idea}\"]\n", "{idea}"),
            ("[commands.mine]\nargv = \"rm -rf\"\n", "argv"),
            ("[commands.mine]\nargv = [\"a\"]\nshell = true\n", "shell"),
            ("[commands.mine]\nargv = [\"a\"]\npreset = \"cursor\"\n", "cursor"),
            ("[commands.mine]\nargv = [\"a\"]\nsandbox = \"docker\"\n", "docker"),
            ("[commands.mine]\nargv = [\"a\"]\nread_only = [\"x\"]\n", "commands.mine.read_only"),
            ("[agents]\nsandbox = \"docker\"\n", "docker"),
            ("[commands.\"A b\"]\nargv = [\"a\"]\n", "A b"),
        ] {
            let error = format!("{:#}", load(text).unwrap_err());
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    /// Settings of a provider that can be used.
    #[cfg(feature = "openid")]
    const PROVIDER: &str = "[oidc]\nissuer = \"https://id.example\"\nclient_id = \"army\"\n\
         client_secret_env = \"ARMY_SECRET\"\n[oidc.grants]\n\"Army Admins\" = [\"admin\"]\n\
         \"/eu/ops.team\" = [\"operator\", \"reviewer\"]\n";

    #[cfg(feature = "openid")]
    fn load_text(text: &str) -> anyhow::Result<Settings> {
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(&file, text).unwrap();
        Settings::load(Some(file.path()), [])
    }

    #[cfg(feature = "openid")]
    #[test]
    fn groups_of_a_provider_have_roles() {
        use botarmy_domain::Role;

        let roles = load_text(PROVIDER).unwrap().oidc.group_roles();
        assert_eq!(roles.keys().collect::<Vec<_>>(), ["/eu/ops.team", "Army Admins"]);
        assert_eq!(roles["Army Admins"], [Role::Admin].into());
        assert_eq!(roles["/eu/ops.team"], [Role::Operator, Role::Reviewer].into());
    }

    #[cfg(feature = "openid")]
    #[test]
    fn a_provider_that_cannot_be_used_is_refused_by_key() {
        for (part, by, key) in [
            ("https://id.example", "http://id.example", "oidc.issuer"),
            ("https://id.example", "id.example", "oidc.issuer"),
            ("https://id.example", "", "oidc.client_id is set and oidc.issuer is not"),
            ("\"army\"", "\"\"", "oidc.client_id"),
            ("ARMY_SECRET", "s3cr3t==", "oidc.client_secret_env"),
            ("ARMY_SECRET", "BOTARMY_SECRET", "must not begin with BOTARMY_"),
            ("[\"admin\"]", "[\"root\"]", "\"Army Admins\" has an unknown role"),
            ("[\"admin\"]", "[\"Admin\"]", "unknown role"),
            ("[\"admin\"]", "[]", "has no role"),
            ("[\"admin\"]", "\"admin\"", "grants"),
            ("Army Admins", " ", "no name of a group"),
            ("client_id", "scopes = [\"profile\"]\nclient_id", "oidc.scopes must have"),
            ("client_id", "scopes = [\"openid profile\"]\nclient_id", "oidc.scopes"),
            ("client_id", "groups_claim = \"\"\nclient_id", "oidc.groups_claim"),
            ("client_id", "client_secret = \"s3cr3t\"\nclient_id", "client_secret"),
        ] {
            assert!(PROVIDER.contains(part), "{part}");
            let error = format!("{:#}", load_text(&PROVIDER.replace(part, by)).unwrap_err());
            assert!(error.contains(key) && !error.contains("s3cr3t"), "{by}: {error}");
        }
        let (without_grants, _) = PROVIDER.split_once("[oidc.grants]").unwrap();
        let error = format!("{:#}", load_text(without_grants).unwrap_err());
        assert!(error.contains("oidc.grants is empty"), "{error}");
    }

    #[cfg(feature = "openid")]
    #[test]
    fn a_provider_needs_a_public_address_unless_the_server_is_on_loopback() {
        load_text(PROVIDER).unwrap().check_exposure().unwrap();
        let exposed = "[http]\nhost = \"0.0.0.0\"\nallow_remote = true\nhosts = [\"army.example\"]\n\
             trusted_proxies = [\"10.0.0.7\"]\n";
        for (url, expected) in [
            ("", "http.public_url"),
            ("http://army.example", "https://"),
            ("https://army.example/bots", ""),
        ] {
            let text = format!("{exposed}public_url = \"{url}\"\n{PROVIDER}");
            let checked = load_text(&text).unwrap().check_exposure();
            let error = checked.map_or_else(|error| format!("{error:#}"), |()| String::new());
            assert!(error.contains(expected) && error.is_empty() == expected.is_empty(), "{error}");
        }
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_by_key() {
        for (name, value, expected) in [
            ("BOTARMY_HTTP__PORT", "eighty", "port"),
            ("BOTARMY_STORE__SYNCHRONOUS", "sometimes", "sometimes"),
            ("BOTARMY_WORKER__LEASE_S", "0", "worker.lease_s"),
            ("BOTARMY_HTTP__HOSTS", "army.example,https://army.example", "http.hosts"),
            ("BOTARMY_HTTP__HOSTS", "army.example:8443", "http.hosts"),
            ("BOTARMY_HTTP__TRUSTED_PROXIES", "10.0.0.1,proxy", "http.trusted_proxies"),
            ("BOTARMY_HTTP__TRUSTED_PROXIES", "0.0.0.0/0", "http.trusted_proxies"),
            ("BOTARMY_HTTP__TLS_CERT", "cert.pem", "http.tls_key"),
            ("BOTARMY_HTTP__TLS_KEY", "key.pem", "http.tls_cert"),
            ("BOTARMY_SERVER__ROLE", "worker", "store.url"),
            ("BOTARMY_HTTP__UNKNOWN_FIELDS", "drop", "drop"),
            ("BOTARMY_HTTP__PUBLIC_URL", "army.example", "http.public_url"),
            ("BOTARMY_HTTP__BODY_TIMEOUT_S", "3601", "body_timeout_s"),
            ("BOTARMY_HTTP__TEXT_LIMIT_BYTES", "0", "http.text_limit_bytes"),
            (
                "BOTARMY_ACCESS__MODE",
                "password",
                "must be \"keys\" or \"open\" for key `access.mode`",
            ),
            ("BOTARMY_ACCESS__KEY_DAYS", "0", "access.key_days"),
        ] {
            let error = format!("{:#}", with(name, value).unwrap_err());
            assert!(error.contains(expected), "{name}: {error}");
        }
    }
}
