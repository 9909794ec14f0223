//! Validation of workflow definitions. Every error names the key that it concerns.

use std::collections::BTreeSet;

use super::definition::{Step, Workflow};
use crate::hitl::{GateSettings, Policy};
use crate::vocabulary::{ArtifactType, OnExpiry, Oversight};

/// Error in a workflow definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if key.is_empty() { String::new() } else { format!("{key}: ") })]
pub struct WorkflowError {
    /// Key, such as `step "Code Testing" depends_on`; empty if the text is not TOML of the expected
    /// structure, in which case the message gives the position.
    pub key: String,
    /// Constraint that the key violates.
    pub message: String,
}

impl WorkflowError {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

impl Workflow {
    /// Parses a definition from TOML and validates it.
    ///
    /// # Errors
    /// The first error found, with the key that it concerns.
    pub fn from_toml(text: &str) -> Result<Self, WorkflowError> {
        let workflow: Self = toml::from_str(text)
            .map_err(|error| WorkflowError::new("", error.to_string().trim().to_owned()))?;
        workflow.check()?;
        Ok(workflow)
    }

    /// Validates names, references and inputs, and that there is no cycle.
    ///
    /// # Errors
    /// The first error found.
    pub fn check(&self) -> Result<(), WorkflowError> {
        let well_named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(well_named) {
            return Err(WorkflowError::new(
                "name",
                "must be 1 to 64 lower-case letters, digits, `-` or `_`",
            ));
        }
        if self.steps.is_empty() {
            return Err(WorkflowError::new("step", "a workflow has at least one step"));
        }
        self.check_policies()?;
        self.check_steps()?;
        self.check_order()?;
        self.check_inputs()?;
        self.check_replacements()
    }

    fn check_policies(&self) -> Result<(), WorkflowError> {
        let mut names = BTreeSet::new();
        for policy in &self.policies {
            let key = |field: &str| format!("policy \"{}\" {field}", policy.name);
            policy.check().map_err(|(field, problem)| WorkflowError::new(key(field), problem))?;
            if !names.insert(policy.name.as_str()) {
                return Err(WorkflowError::new(key("name"), "must be unique"));
            }
        }
        Ok(())
    }

    /// Checks the workflow against the rules of the server: that expiry approves only where it may, and,
    /// where `groups` has all groups that there are, that each group is one of them.
    ///
    /// # Errors
    /// The first error found.
    pub fn check_rules(
        &self,
        settings: &GateSettings,
        groups: Option<&BTreeSet<String>>,
    ) -> Result<(), WorkflowError> {
        let approves = |on_expiry: Option<OnExpiry>| {
            on_expiry == Some(OnExpiry::Approve) && !settings.allow_expiry_approval
        };
        let forbidden = "`approve` needs the setting `gates.allow_expiry_approval = true`";
        if let Some(step) = self.steps.iter().find(|step| approves(step.on_expiry)) {
            return Err(WorkflowError::new(format!("step \"{}\" on_expiry", step.name), forbidden));
        }
        for policy in &self.policies {
            let key = |field: &str| format!("policy \"{}\" {field}", policy.name);
            if approves(policy.on_expiry) {
                return Err(WorkflowError::new(key("on_expiry"), forbidden));
            }
            let unknown = |groups: &BTreeSet<String>| {
                policy.group_names().find(|name| !groups.contains(*name)).map(str::to_owned)
            };
            if let Some(name) = groups.and_then(unknown) {
                let text = format!("there is no group \"{name}\" in the setting `gates.groups`");
                return Err(WorkflowError::new(key("groups"), text));
            }
        }
        Ok(())
    }

    /// Checks the policy that a step names.
    fn check_policy_of(&self, step: &Step) -> Result<(), WorkflowError> {
        let key = |field: &str| format!("step \"{}\" {field}", step.name);
        let Some(name) = &step.policy else { return Ok(()) };
        let Some(policy) = self.policy(name) else {
            return Err(WorkflowError::new(
                key("policy"),
                format!("there is no policy \"{name}\""),
            ));
        };
        if step.gate.is_none() {
            return Err(WorkflowError::new(
                key("policy"),
                "needs a `gate`: without a review nothing is decided by it",
            ));
        }
        let on_expiry = policy.on_expiry.or(step.on_expiry);
        if on_expiry == Some(OnExpiry::Approve) && policy.approvals() > 1 {
            return Err(WorkflowError::new(
                key("on_expiry"),
                format!("cannot be `approve` with \"{name}\", which needs several approvals"),
            ));
        }
        if let Some(ttl_s) = policy.ttl_s.or(step.gate_ttl_s) {
            let timed = Policy { ttl_s: Some(ttl_s), ..policy.clone() };
            timed.check().map_err(|(field, problem)| {
                WorkflowError::new(key("policy"), format!("{field} of \"{name}\" {problem}"))
            })?;
        }
        Ok(())
    }

    fn check_steps(&self) -> Result<(), WorkflowError> {
        let mut names = BTreeSet::new();
        for (index, step) in self.steps.iter().enumerate() {
            let key = |field: &str| format!("step \"{}\" {field}", step.name);
            if step.name.trim().is_empty() || step.name.len() > 255 {
                return Err(WorkflowError::new(
                    format!("step {} name", index + 1),
                    "must be 1 to 255 characters, not blank",
                ));
            }
            if !names.insert(step.name.as_str()) {
                return Err(WorkflowError::new(key("name"), "must be unique"));
            }
            for name in self.dependencies(index) {
                if self.step(name).is_none() {
                    return Err(WorkflowError::new(
                        key("depends_on"),
                        format!("there is no step \"{name}\""),
                    ));
                }
            }
            if step.max_attempts == Some(0)
                || step.timeout_s == Some(0)
                || step.gate_ttl_s == Some(0)
            {
                return Err(WorkflowError::new(
                    key("max_attempts, timeout_s, gate_ttl_s"),
                    "must be at least 1",
                ));
            }
            self.check_policy_of(step)?;
            if !step.exclude.is_empty() && step.gate.is_none() {
                return Err(WorkflowError::new(
                    key("four_eyes"),
                    "needs a `gate`: without a review there is no second pair of eyes",
                ));
            }
            if let Some(repeat) = &step.repeat {
                if repeat.max == 0 || repeat.max > 100 {
                    return Err(WorkflowError::new(key("loop.max"), "must be 1 to 100"));
                }
                if !self.dependencies(index).contains(&repeat.with.as_str()) {
                    return Err(WorkflowError::new(
                        key("loop.with"),
                        format!(
                            "the step must depend on \"{}\", the step it loops with",
                            repeat.with
                        ),
                    ));
                }
                let rivals = self
                    .steps
                    .iter()
                    .filter(|s| s.repeat.as_ref().is_some_and(|other| other.with == repeat.with));
                if rivals.count() > 1 {
                    return Err(WorkflowError::new(
                        key("loop.with"),
                        format!("another step already loops with \"{}\"", repeat.with),
                    ));
                }
                if self.step(&repeat.with).is_some_and(|s| s.repeat.is_some()) {
                    return Err(WorkflowError::new(
                        key("loop.with"),
                        "a step that repairs cannot be the one that is tested",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Checks that dependencies have no cycle: removes steps without open dependencies until none
    /// is left to remove; the rest forms a cycle.
    fn check_order(&self) -> Result<(), WorkflowError> {
        let mut left: BTreeSet<usize> = (0..self.steps.len()).collect();
        loop {
            let free: Vec<usize> = left
                .iter()
                .copied()
                .filter(|index| {
                    let is_left = |name: &&str| left.iter().any(|i| self.steps[*i].name == *name);
                    !self.waits_for(*index).iter().any(is_left)
                })
                .collect();
            if left.is_empty() {
                return Ok(());
            }
            if free.is_empty() {
                let names: Vec<_> =
                    left.iter().map(|i| format!("\"{}\"", self.steps[*i].name)).collect();
                return Err(WorkflowError::new(
                    format!("step {} depends_on", names[0]),
                    format!("these steps wait for each other in a cycle: {}", names.join(", ")),
                ));
            }
            left.retain(|index| !free.contains(index));
        }
    }

    fn check_inputs(&self) -> Result<(), WorkflowError> {
        for (index, step) in self.steps.iter().enumerate() {
            let before = self.all_before(index);
            for input in &step.inputs {
                let made = *input == ArtifactType::UserInput
                    || before.iter().any(|i| self.steps[*i].output == *input);
                if !made {
                    return Err(WorkflowError::new(
                        format!("step \"{}\" inputs", step.name),
                        format!("no earlier step produces `{input}`"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Checks that no step replaces what a person approved without a review of its own, unless it
    /// says so.
    fn check_replacements(&self) -> Result<(), WorkflowError> {
        for (index, step) in self.steps.iter().enumerate() {
            let levels = Oversight::ALL.iter();
            let mut reviewed =
                levels.filter_map(|level| Some((self.replaces_reviewed(index, *level)?, level)));
            if let Some((reviewed, level)) = reviewed.next_back() {
                return Err(WorkflowError::new(
                    format!("step \"{}\" gate", step.name),
                    format!(
                        "the step replaces the `{}` that a person approves at the gate of \"{}\", \
                         and is not reviewed itself at the oversight level `{level}`; give it the \
                         same gate, or set `replaces_approved = true`",
                        step.output, reviewed.name
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Exclusion;

    const GOOD: &str = r#"
        name = "two"
        [[step]]
        name = "A"
        phase = "1"
        agent = "analyst"
        inputs = ["user_input"]
        output = "project_plan"
        [[step]]
        name = "B"
        phase = "2"
        agent = "coder"
        inputs = ["project_plan"]
        output = "source_code"
    "#;

    #[test]
    fn a_good_definition_is_accepted_and_pinned_by_what_it_says() {
        let workflow = Workflow::from_toml(GOOD).unwrap();
        assert_eq!(workflow.dependencies(1), ["A"]);
        let again = Workflow::from_toml(&format!("# a comment\n{GOOD}")).unwrap();
        assert_eq!(workflow.digest(), again.digest());
    }

    #[test]
    fn a_repair_cannot_wait_for_what_waits_for_the_repair() {
        let step = |name: &str, rest: &str| {
            format!(
                "[[step]]\nname = \"{name}\"\nphase = \"1\"\nagent = \"coder\"\noutput = \"source_code\"\n{rest}\n"
            )
        };
        let text = [
            "name = \"x\"\n".to_owned(),
            step("Test", ""),
            step("Report", "depends_on = [\"Test\"]"),
            step(
                "Fix",
                "depends_on = [\"Test\", \"Report\"]\nloop = { with = \"Test\", until = \"passed\" }",
            ),
        ];
        let error = Workflow::from_toml(&text.concat()).unwrap_err().to_string();
        assert!(error.contains("in a cycle: \"Report\", \"Fix\""), "{error}");
    }

    #[test]
    fn a_step_that_replaces_what_is_approved_is_reviewed_too_or_says_so() {
        let step = |name: &str, rest: &str| {
            format!(
                "[[step]]\nname = \"{name}\"\nphase = \"1\"\nagent = \"coder\"\noutput = \"source_code\"\n{rest}\n"
            )
        };
        let check = |first: &str, second: &str| {
            let text = ["name = \"x\"\n".to_owned(), step("Write", first), step("Fix", second)];
            Workflow::from_toml(&text.concat()).map_err(|error| error.to_string())
        };
        let (standard, high) = ("gate = \"standard\"", "gate = \"high\"");
        for second in ["", high, "depends_on = []"] {
            let error = check(standard, second).unwrap_err();
            assert!(error.contains("step \"Fix\" gate") && error.contains("\"Write\""), "{error}");
        }
        for (first, second) in [
            (standard, standard),
            (high, standard),
            (high, "gate = \"low\""),
            ("", standard),
            ("", ""),
            (standard, "replaces_approved = true"),
        ] {
            assert!(check(first, second).is_ok(), "{first:?}, {second:?}");
        }
        // A tested step runs again after the step that repairs it.
        let repair = "gate = \"high\"\nloop = { with = \"Write\", until = \"passed\" }";
        let error = check("", repair).unwrap_err();
        assert!(error.contains("step \"Write\" gate") && error.contains("\"Fix\""), "{error}");
    }

    #[test]
    fn a_definition_without_the_key_keeps_its_digest() {
        let workflow = Workflow::from_toml(GOOD).unwrap();
        let stored = serde_json::to_string(&workflow).unwrap();
        assert!(!stored.contains("replaces_approved") && !stored.contains("exclude"));
    }

    #[test]
    fn four_eyes_are_stored_as_the_principals_that_they_exclude() {
        let with = |line: &str| {
            Workflow::from_toml(&GOOD.replacen(
                "phase = \"1\"",
                &format!("phase = \"1\"\n{line}"),
                1,
            ))
        };
        let gate = "gate = \"standard\"\n";
        let workflow = with(&format!("{gate}four_eyes = true")).unwrap();
        assert_eq!(workflow.steps[0].exclude, Exclusion::ALL);
        let stored = serde_json::to_value(&workflow).unwrap();
        let excluded = serde_json::json!(["author", "starter", "amender"]);
        assert_eq!(stored["step"][0]["exclude"], excluded);
        assert_eq!(serde_json::from_value::<Workflow>(stored).unwrap(), workflow);
        assert_eq!(with(&format!("{gate}four_eyes = false")).unwrap().steps[0].exclude, []);
        let error = with("four_eyes = true").unwrap_err().to_string();
        assert!(error.contains("four_eyes: needs a `gate`"), "{error}");
        let error = with("four_eyes = 2").unwrap_err().to_string();
        assert!(error.contains("must be true or false"), "{error}");
    }

    #[test]
    fn every_mistake_is_named() {
        let mistakes = [
            ("name = \"two\"", "name = \"Two!\"", "name: must be"),
            ("agent = \"coder\"", "agent = \"typist\"", "typist"),
            ("phase = \"2\"", "phase = \"2\"\ncolour = 1", "colour"),
            ("name = \"B\"", "name = \"A\"", "\"A\" name: must be unique"),
            ("phase = \"2\"", "phase = \"2\"\ndepends_on = [\"C\"]", "there is no step \"C\""),
            ("phase = \"1\"", "phase = \"1\"\ndepends_on = [\"B\"]", "in a cycle: \"A\", \"B\""),
            (
                "inputs = [\"project_plan\"]",
                "inputs = [\"test_results\"]",
                "produces `test_results`",
            ),
            ("phase = \"2\"", "phase = \"2\"\ndepends_on = []", "no earlier step produces"),
            ("phase = \"2\"", "phase = \"2\"\nmax_attempts = 0", "at least 1"),
            (
                "output = \"source_code\"",
                "output = \"source_code\"\nloop = { with = \"X\", until = \"passed\" }",
                "loop.with",
            ),
        ];
        for (from, to, expected) in mistakes {
            let error = Workflow::from_toml(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
