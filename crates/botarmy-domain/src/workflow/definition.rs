//! Definitions of workflows and their steps.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::output_schema;
use crate::artifact::digest;
use crate::vocabulary::{AgentType, ArtifactType, OnExpiry, Oversight};

/// How often a loop goes round before a person is asked.
pub const DEFAULT_LOOP_MAX: u32 = 3;

/// A workflow: a name and its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// What clients call it: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// A sentence for people.
    #[serde(default)]
    pub description: String,
    /// The steps, in the order people read them.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// A step: one agent, what goes in, what comes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Unique in its workflow.
    pub name: String,
    /// The phase it belongs to.
    pub phase: String,
    /// Who does it.
    pub agent: AgentType,
    /// What it is shown: the newest artifact of each type.
    #[serde(default)]
    pub inputs: Vec<ArtifactType>,
    /// What it makes.
    pub output: ArtifactType,
    /// What is to be done, in words; the step's name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// The steps that must be done before; the step above where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<String>>,
    /// The least oversight at which its result is put before a person: `low` always, `standard`
    /// also at `high`, `high` only there. Never where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Oversight>,
    /// What it means when nobody answers its gate in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expiry: Option<OnExpiry>,
    /// How long its gate waits, in seconds; the server's setting where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate_ttl_s: Option<u32>,
    /// Makes it the repairing half of a loop.
    #[serde(default, rename = "loop", skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Loop>,
    /// The longest one attempt may take, in seconds; the server's setting where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
    /// How many attempts may fail before a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// What the document it makes must look like, as JSON Schema (draft 2020-12). In a file it is a
    /// table, or a text that holds the schema as JSON.
    #[serde(
        default,
        deserialize_with = "output_schema::from_table_or_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub output_schema: Option<Map<String, Value>>,
}

/// A step with a loop runs only while another step's result says that it is needed; after it has
/// run, that other step runs again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loop {
    /// The step whose result decides, and which runs again.
    pub with: String,
    /// The key of that result which must be `true` for the loop to end.
    pub until: String,
    /// How often at most, before a person is asked.
    #[serde(default = "default_loop_max")]
    pub max: u32,
}

const fn default_loop_max() -> u32 {
    DEFAULT_LOOP_MAX
}

impl Workflow {
    /// SHA-256 of its canonical JSON: what a project is pinned to.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(self)
    }

    /// The step with this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// The names of the steps that must be done before the `index`th: those it names, or the one
    /// above it.
    #[must_use]
    pub fn dependencies(&self, index: usize) -> Vec<&str> {
        match &self.steps[index].depends_on {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => index
                .checked_sub(1)
                .map(|above| self.steps[above].name.as_str())
                .into_iter()
                .collect(),
        }
    }

    /// Everything that must be over before the `index`th step: its dependencies, and where one of
    /// them is tested in a loop, the loop. Until then it may run again; only the step that repairs
    /// it starts sooner.
    #[must_use]
    pub fn waits_for(&self, index: usize) -> Vec<&str> {
        let dependencies = self.dependencies(index);
        let repairers = dependencies.iter().filter_map(|name| self.repairer_of(name));
        let others = repairers.map(|r| r.name.as_str()).filter(|r| *r != self.steps[index].name);
        let others: Vec<_> = others.collect();
        [dependencies, others].concat()
    }

    /// The repairing step of the loop that this step is tested in, if it is in one.
    #[must_use]
    pub fn repairer_of(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.repeat.as_ref().is_some_and(|l| l.with == name))
    }
}

impl Step {
    /// Whether its result is put before a person at this level of oversight.
    #[must_use]
    pub fn is_gated(&self, oversight: Oversight) -> bool {
        self.gate.is_some_and(|least| oversight >= least)
    }
}
