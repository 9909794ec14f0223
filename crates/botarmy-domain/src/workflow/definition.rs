//! Definitions of workflows and their steps.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{exclusion, output_schema};
use crate::artifact::digest;
use crate::hitl::Policy;
use crate::vocabulary::{AgentType, ArtifactType, Exclusion, OnExpiry, Oversight, ReviewTime};

/// Number of rounds of a loop before a person is asked, unless the step sets another.
pub const DEFAULT_LOOP_MAX: u32 = 3;

/// A workflow: a name and its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// Name for clients: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Description for people.
    #[serde(default)]
    pub description: String,
    /// Policies by which reviews of its steps are decided.
    #[serde(default, rename = "policy", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// Steps, in reading order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// A step: one agent with its inputs and its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Name, unique in the workflow.
    pub name: String,
    /// Phase that the step belongs to.
    pub phase: String,
    /// Agent type that executes it.
    pub agent: AgentType,
    /// Types of its inputs: the agent is shown the released artifact of each.
    #[serde(default)]
    pub inputs: Vec<ArtifactType>,
    /// Type of its output.
    pub output: ArtifactType,
    /// Work to be done, in plain text; the step's name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Steps that must be done before; the preceding step when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends_on: Option<Vec<String>>,
    /// Lowest level of oversight at which a person reviews the result: with `low` always, with
    /// `standard` also at `high`, with `high` only there. Never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Oversight>,
    /// Name of the policy by which the review is decided; one approval of anyone who may answer when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Whether its result replaces an approved artifact of the same type without a review of its
    /// own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces_approved: bool,
    /// Consequence of a gate that expires without an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expiry: Option<OnExpiry>,
    /// Time to live of the gate, in seconds; the server's setting when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate_ttl_s: Option<u32>,
    /// Principals that may reject the result, but not approve or amend it. In a file,
    /// `four_eyes = true` stands for all of them.
    #[serde(
        default,
        alias = "four_eyes",
        deserialize_with = "exclusion::from_list_or_flag",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub exclude: Vec<Exclusion>,
    /// Loop in which this step repairs another one.
    #[serde(default, rename = "loop", skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Loop>,
    /// Maximum duration of one attempt, in seconds; the server's setting when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<u32>,
    /// Number of failed attempts after which a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// JSON Schema (draft 2020-12) of the output. In a file it is a table, or a string that holds
    /// the schema as JSON.
    #[serde(
        default,
        deserialize_with = "output_schema::from_table_or_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub output_schema: Option<Map<String, Value>>,
}

/// Loop of a repairing step: it runs only while the result of another step requires it, and that
/// other step runs again after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loop {
    /// Step whose result decides, and which runs again.
    pub with: String,
    /// Key in that result which must be `true` for the loop to end.
    pub until: String,
    /// Maximum number of rounds before a person is asked.
    #[serde(default = "default_loop_max")]
    pub max: u32,
}

const fn default_loop_max() -> u32 {
    DEFAULT_LOOP_MAX
}

impl Workflow {
    /// Returns the SHA-256 of its canonical JSON, to which a project is pinned.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(self)
    }

    /// Returns the step with this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// Returns the policy with this name.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.name == name)
    }

    /// Returns the policy that a step names.
    #[must_use]
    pub fn policy_of(&self, step: &Step) -> Option<&Policy> {
        self.policy(step.policy.as_deref()?)
    }

    /// Returns whether a person reviews the result of a step at this level of oversight.
    #[must_use]
    pub fn reviews_result(&self, step: &Step, oversight: Oversight) -> bool {
        step.is_gated(oversight) && !self.is_reviewed_before(step)
    }

    /// Returns whether a person reviews what a step is about to do, at this level of oversight.
    #[must_use]
    pub fn reviews_action(&self, step: &Step, oversight: Oversight) -> bool {
        step.is_gated(oversight) && self.is_reviewed_before(step)
    }

    fn is_reviewed_before(&self, step: &Step) -> bool {
        self.policy_of(step).is_some_and(|policy| policy.when == ReviewTime::Before)
    }

    /// Returns the names of the steps that must be done before the `index`th: those in its
    /// `depends_on`, or the preceding one.
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

    /// Returns every step that must be finished before the `index`th: its dependencies and, if one
    /// of them is tested in a loop, the repairing step of that loop. A tested step may run again
    /// until then; only the repairing step starts sooner.
    #[must_use]
    pub fn waits_for(&self, index: usize) -> Vec<&str> {
        let dependencies = self.dependencies(index);
        let repairers = dependencies.iter().filter_map(|name| self.repairer_of(name));
        let others = repairers.map(|r| r.name.as_str()).filter(|r| *r != self.steps[index].name);
        let others: Vec<_> = others.collect();
        [dependencies, others].concat()
    }

    /// Returns the repairing step of the loop that tests this step, if there is one.
    #[must_use]
    pub fn repairer_of(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.repeat.as_ref().is_some_and(|l| l.with == name))
    }

    /// Returns the value of the loop's `until` key in a result of this step, or `None` if the step is
    /// not tested in a loop.
    #[must_use]
    pub fn verdict(&self, step: &str, content: &Map<String, Value>) -> Option<bool> {
        let repeat = self.repairer_of(step)?.repeat.as_ref()?;
        Some(content.get(&repeat.until) == Some(&Value::Bool(true)))
    }

    /// Returns the steps that must be done before the `index`th, directly or not.
    pub(super) fn all_before(&self, index: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open = vec![index];
        while let Some(index) = open.pop() {
            for name in self.dependencies(index) {
                let before = self.steps.iter().position(|step| step.name == name);
                open.extend(before.filter(|before| found.insert(*before)));
            }
        }
        found
    }

    /// Returns a step that is reviewed at this level of oversight, and whose approved result the
    /// `index`th step would replace without a review.
    #[must_use]
    pub fn replaces_reviewed(&self, index: usize, oversight: Oversight) -> Option<&Step> {
        let step = &self.steps[index];
        if self.reviews_result(step, oversight) || step.replaces_approved {
            return None;
        }
        let before = self.all_before(index);
        // A tested step runs again after the step that repairs.
        let repairer = self.repairer_of(&step.name).map(|step| step.name.as_str());
        self.steps.iter().enumerate().find_map(|(other, reviewed)| {
            let comes_before = before.contains(&other)
                || repairer == Some(reviewed.name.as_str())
                || other != index && !self.all_before(other).contains(&index);
            let is_reviewed = self.reviews_result(reviewed, oversight);
            (comes_before && reviewed.output == step.output && is_reviewed).then_some(reviewed)
        })
    }
}

impl Step {
    /// Returns whether there is a review at this level of oversight.
    #[must_use]
    pub fn is_gated(&self, oversight: Oversight) -> bool {
        self.gate.is_some_and(|least| oversight >= least)
    }
}
