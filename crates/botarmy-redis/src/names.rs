//! Names of channels and keys in Redis.

use crate::envelope::VERSION;
use crate::settings::RedisSettings;

/// Names of channels and keys.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) news: String,
    pub(crate) rings: String,
    pub(crate) agents: String,
}

impl Names {
    pub(crate) fn new(settings: &RedisSettings) -> Self {
        // Channels are the same in every numbered database, keys are not.
        let prefix = format!("{}:{VERSION}:{}", settings.prefix, settings.url.database());
        Self {
            news: format!("{prefix}:news"),
            rings: format!("{prefix}:rings"),
            agents: format!("{prefix}:agents"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_installations_databases_and_versions_apart() {
        let names = |url: &str, prefix: &str| {
            Names::new(&RedisSettings::new(url.parse().unwrap(), prefix, 1)).news
        };
        assert_eq!(names("redis://cache/3", "botarmy"), "botarmy:v1:3:news");
        assert_ne!(names("redis://cache/3", "botarmy"), names("redis://cache/4", "botarmy"));
    }
}
