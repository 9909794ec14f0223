//! Workflow definitions by name: the one that is compiled in, and those from a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use botarmy_domain::DomainError;
use botarmy_domain::hitl::GateSettings;
use botarmy_domain::workflow::{Workflow, WorkflowError};

use crate::output_validation::check_schemas;

/// The compiled-in workflow.
const SDLC: &str = include_str!("../../../config/workflows/sdlc.toml");

/// Error of a folder of workflows.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowsError {
    /// A file or the folder cannot be read.
    #[error("workflows: {path} cannot be read")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// A file is not a valid definition.
    #[error("workflow file {path} cannot be used")]
    Unsound {
        /// The file.
        path: PathBuf,
        /// The key that is wrong, and the reason.
        #[source]
        source: WorkflowError,
    },
    /// The rules of the server do not allow a workflow.
    #[error("workflow {place} cannot be used with these settings")]
    Forbidden {
        /// The file, or the name of a workflow that is in none.
        place: String,
        /// The key that is wrong, and the reason.
        #[source]
        source: WorkflowError,
    },
    /// Two files define the same name.
    #[error("workflow file {path}: name: another file already defines `{name}`")]
    Twice {
        /// The second file.
        path: PathBuf,
        /// The name.
        name: String,
    },
}

/// The workflow definitions of a server.
#[derive(Debug, Clone)]
pub struct Workflows(BTreeMap<String, Loaded>);

/// A definition, and the file that it is from.
#[derive(Debug, Clone)]
struct Loaded {
    workflow: Arc<Workflow>,
    file: Option<PathBuf>,
}

impl Loaded {
    fn of(workflow: Workflow, file: Option<PathBuf>) -> (String, Self) {
        (workflow.name.clone(), Self { workflow: Arc::new(workflow), file })
    }
}

impl Default for Workflows {
    fn default() -> Self {
        let sdlc = Workflow::from_toml(SDLC).expect("the compiled-in workflow is sound, by test");
        Self([Loaded::of(sdlc, None)].into())
    }
}

impl Workflows {
    /// Loads the compiled-in workflow and every `*.toml` in this folder. A file that defines `sdlc`
    /// replaces the compiled-in workflow. A folder that does not exist has no files.
    ///
    /// # Errors
    /// Returns the first file that cannot be used, with the key that is wrong.
    pub fn load(folder: &Path) -> Result<Self, WorkflowsError> {
        let mut workflows = Self::default();
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| WorkflowsError::Unreadable { path, source }
        };
        if !folder.exists() {
            return Ok(workflows);
        }
        let mut files = Vec::new();
        for file in std::fs::read_dir(folder).map_err(unreadable(folder))? {
            let path = file.map_err(unreadable(folder))?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                files.push(path);
            }
        }
        files.sort();
        let mut seen = std::collections::BTreeSet::new();
        for path in files {
            let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
            let workflow = Workflow::from_toml(&text)
                .and_then(|workflow| check_schemas(&workflow).map(|()| workflow))
                .map_err(|source| WorkflowsError::Unsound { path: path.clone(), source })?;
            if !seen.insert(workflow.name.clone()) {
                return Err(WorkflowsError::Twice { path, name: workflow.name });
            }
            workflows.0.extend([Loaded::of(workflow, Some(path))]);
        }
        Ok(workflows)
    }

    /// Checks the workflows against the rules of the server. `groups` has all groups that there are, where
    /// they are known.
    ///
    /// # Errors
    /// Returns the first workflow that they do not allow, with the key that is wrong.
    pub fn check_rules(
        &self,
        settings: &GateSettings,
        groups: Option<&BTreeSet<String>>,
    ) -> Result<(), WorkflowsError> {
        self.0.iter().try_for_each(|(name, Loaded { workflow, file })| {
            workflow.check_rules(settings, groups).map_err(|source| {
                let file = file.as_ref().map(|file| format!("file {}", file.display()));
                let place = file.unwrap_or_else(|| format!("`{name}`"));
                WorkflowsError::Forbidden { place, source }
            })
        })
    }

    /// Adds a workflow, and replaces one of the same name.
    #[must_use]
    pub fn with(mut self, workflow: Workflow) -> Self {
        self.0.extend([Loaded::of(workflow, None)]);
        self
    }

    /// Returns the workflow with this name.
    ///
    /// # Errors
    /// [`DomainError::Invalid`] with the names that exist.
    pub fn named(&self, name: &str) -> Result<Arc<Workflow>, DomainError> {
        self.0.get(name).map(|loaded| Arc::clone(&loaded.workflow)).ok_or_else(|| {
            let known: Vec<_> = self.names().collect();
            let shown: String = name.chars().take(64).collect();
            DomainError::invalid(
                "workflow",
                format!("there is no workflow `{shown}`; there are: {}", known.join(", ")),
            )
        })
    }

    /// Returns the workflows in the alphabetical order of their names.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Workflow>> {
        self.0.values().map(|loaded| &loaded.workflow)
    }

    /// Returns the names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_workflow_is_sound() {
        let workflows = Workflows::default();
        assert_eq!(workflows.names().collect::<Vec<_>>(), ["sdlc"]);
        let all: Vec<_> = workflows.all().map(|workflow| workflow.name.as_str()).collect();
        assert_eq!(all, ["sdlc"]);
        let sdlc = workflows.named("sdlc").unwrap();
        check_schemas(&sdlc).unwrap();
        assert!(sdlc.steps.iter().all(|step| step.output_schema.is_some()));
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_there_are() {
        let refusal = Workflows::default().named("waterfall").unwrap_err();
        assert!(refusal.to_string().contains("there are: sdlc"), "{refusal}");
    }
}
