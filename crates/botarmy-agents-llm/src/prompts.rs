//! The prompts: one about the work in general and one for each role, either those compiled in or
//! those of an operator's folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use botarmy_domain::vocabulary::AgentType;

/// Name of the prompt about the work in general.
const COMMON: &str = "common";

/// Prompts that are compiled in, by file name without the extension.
const BUILT_IN: [(&str, &str); 7] = [
    (COMMON, include_str!("prompts/common.md")),
    ("orchestrator", include_str!("prompts/orchestrator.md")),
    ("analyst", include_str!("prompts/analyst.md")),
    ("architect", include_str!("prompts/architect.md")),
    ("coder", include_str!("prompts/coder.md")),
    ("tester", include_str!("prompts/tester.md")),
    ("deployer", include_str!("prompts/deployer.md")),
];

/// Prompts for all roles.
#[derive(Debug, Clone)]
pub struct Prompts(BTreeMap<String, String>);

/// The prompts of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// A prompt cannot be read.
    #[error("the prompt {} cannot be read; agents.prompts_dir needs: {needed}", path.display())]
    Unreadable {
        /// Path of the prompt.
        path: PathBuf,
        /// Names of all files that the folder needs.
        needed: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// A prompt is empty.
    #[error("the prompt {} is empty", .0.display())]
    Empty(PathBuf),
}

impl Prompts {
    /// Returns the prompts that are compiled in.
    #[must_use]
    pub fn built_in() -> Self {
        let texts = BUILT_IN.map(|(name, text)| (name.to_owned(), text.trim().to_owned()));
        Self(texts.into())
    }

    /// Loads the prompts of a folder, which must have all of them, so that an upgrade does not change
    /// an operator's prompts.
    ///
    /// # Errors
    /// [`PromptError`] for a file that is missing, unreadable or empty.
    pub fn load(dir: &Path) -> Result<Self, PromptError> {
        let mut texts = BTreeMap::new();
        for (name, _) in BUILT_IN {
            let path = dir.join(format!("{name}.md"));
            let text = std::fs::read_to_string(&path).map_err(|source| {
                let needed = BUILT_IN.map(|(name, _)| format!("{name}.md")).join(", ");
                PromptError::Unreadable { path: path.clone(), needed, source }
            })?;
            if text.trim().is_empty() {
                return Err(PromptError::Empty(path));
            }
            texts.insert(name.to_owned(), text.trim().to_owned());
        }
        Ok(Self(texts))
    }

    /// Returns the prompt for an agent type.
    pub(crate) fn for_agent(&self, agent: AgentType) -> String {
        let text = |name: &str| self.0.get(name).map_or("", String::as_str);
        format!("{}\n\n{}", text(agent.as_str()), text(COMMON))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_type_has_a_prompt() {
        let prompts = Prompts::built_in();
        for agent in AgentType::ALL {
            let (role, common) = (&prompts.0[agent.as_str()], &prompts.0[COMMON]);
            assert!(!role.is_empty() && !common.is_empty());
            assert!(prompts.for_agent(*agent).starts_with(role.as_str()));
        }
    }

    #[test]
    fn a_folder_needs_every_prompt_and_an_empty_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = Prompts::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("common.md") && error.contains("prompts_dir"), "{error}");
        for (name, _) in BUILT_IN {
            std::fs::write(dir.path().join(format!("{name}.md")), format!("I am {name}.")).unwrap();
        }
        let prompts = Prompts::load(dir.path()).unwrap();
        assert_eq!(prompts.for_agent(AgentType::Coder), "I am coder.\n\nI am common.");
        std::fs::write(dir.path().join("coder.md"), " \n").unwrap();
        let error = Prompts::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("coder.md is empty"), "{error}");
    }
}
