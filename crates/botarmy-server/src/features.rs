//! Optional parts of the server. Each is a Cargo feature of this crate, and all are on by default;
//! `--no-default-features` builds a server on SQLite for external workers.

use anyhow::anyhow;

/// The optional parts of a binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// `postgres`: a PostgreSQL database in `store.url`.
    pub postgres: bool,
    /// `redis`: a Redis in `redis.url`.
    pub redis: bool,
    /// `llm`: runners for models.
    pub llm: bool,
    /// `command`: runners for local commands.
    pub command: bool,
    /// `offline`: the runner that works from templates.
    pub offline: bool,
    /// `openid`: sign-in with an OpenID provider.
    pub openid: bool,
    /// `otel`: traces for an OpenTelemetry collector.
    pub otel: bool,
    /// `webhooks`: sending log entries to addresses.
    pub webhooks: bool,
    /// `docs`: the page with the API documentation at `/docs`.
    pub docs: bool,
    /// `mcp`: the command `mcp` for assistants.
    pub mcp: bool,
}

impl Features {
    /// The parts of this binary.
    pub const COMPILED: Self = Self {
        postgres: cfg!(feature = "postgres"),
        redis: cfg!(feature = "redis"),
        llm: cfg!(feature = "llm"),
        command: cfg!(feature = "command"),
        offline: cfg!(feature = "offline"),
        openid: cfg!(feature = "openid"),
        otel: cfg!(feature = "otel"),
        webhooks: cfg!(feature = "webhooks"),
        docs: cfg!(feature = "docs"),
        mcp: cfg!(feature = "mcp"),
    };
}

/// Returns the error for a setting that needs a feature. It shows `setting`, which must not contain
/// a password.
pub(crate) fn missing(setting: &str, feature: &str) -> anyhow::Error {
    anyhow!(
        "{setting} needs the feature `{feature}`, which this binary was built without. Build it \
         with `--features {feature}`, or change the setting"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{RunnerChoice, Settings};

    const NONE: Features = Features {
        postgres: false,
        redis: false,
        llm: false,
        command: false,
        offline: false,
        openid: false,
        otel: false,
        webhooks: false,
        docs: false,
        mcp: false,
    };
    const ALL: Features = Features {
        postgres: true,
        redis: true,
        llm: true,
        command: true,
        offline: true,
        openid: true,
        otel: true,
        webhooks: true,
        docs: true,
        mcp: true,
    };

    #[test]
    fn the_defaults_need_no_feature() {
        NONE.check(&Settings::defaults()).unwrap();
    }

    #[test]
    fn a_setting_that_needs_a_missing_feature_is_refused_by_key_and_feature() {
        type Change = fn(&mut Settings);
        let cases: [(Change, Features, &str, &str); 6] = [
            (
                |settings| settings.store.url = "postgres://army:s3cr3t@db/botarmy".to_owned(),
                Features { postgres: false, ..ALL },
                "store.url",
                "postgres",
            ),
            (
                |settings| settings.redis.url = "redis://:s3cr3t@cache".to_owned(),
                Features { redis: false, ..ALL },
                "redis.url",
                "redis",
            ),
            (
                |settings| settings.agents.coder.runner = "llm:openai/m".parse().unwrap(),
                Features { llm: false, ..ALL },
                "agents.coder.runner",
                "llm",
            ),
            (
                |settings| settings.agents.tester.runner = "command:tests".parse().unwrap(),
                Features { command: false, ..ALL },
                "agents.tester.runner",
                "command",
            ),
            (
                |settings| settings.agents.analyst.runner = RunnerChoice::Offline,
                Features { offline: false, ..ALL },
                "agents.analyst.runner",
                "offline",
            ),
            (
                |settings| settings.oidc.issuer = "https://id.example".to_owned(),
                Features { openid: false, ..ALL },
                "oidc.issuer",
                "openid",
            ),
        ];
        for (change, without, key, feature) in cases {
            let mut settings = Settings::defaults();
            change(&mut settings);
            ALL.check(&settings).unwrap();
            for features in [without, NONE] {
                let error = features.check(&settings).unwrap_err().to_string();
                assert!(error.starts_with(key), "{error}");
                assert!(error.contains(&format!("--features {feature}`")), "{error}");
                assert!(!error.contains("s3cr3t"), "{error}");
            }
        }
    }

    #[test]
    fn a_binary_refuses_what_it_was_built_without() {
        let load = |name: &str, value: &str| {
            let variables = [(name.to_owned(), value.to_owned())];
            Settings::load(None, variables).map_err(|error| format!("{error:#}"))
        };
        for (name, value, is_compiled, feature) in [
            ("BOTARMY_STORE__URL", "postgres://db/x", Features::COMPILED.postgres, "postgres"),
            ("BOTARMY_REDIS__URL", "redis://cache", Features::COMPILED.redis, "redis"),
            ("BOTARMY_AGENTS__CODER__RUNNER", "offline", Features::COMPILED.offline, "offline"),
            ("BOTARMY_AGENTS__CODER__RUNNER", "llm:openai/m", Features::COMPILED.llm, "llm"),
        ] {
            match load(name, value) {
                Ok(_) => assert!(is_compiled, "{name}"),
                Err(error) => {
                    assert!(!is_compiled && error.contains(&format!("`{feature}`")), "{error}");
                }
            }
        }
    }
}
