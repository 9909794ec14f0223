//! The steps of the built-in workflow.

/// A step of the `sdlc` workflow, or the coordination that it does not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Idea → project plan.
    ProjectPlanning,
    /// Project plan → software specification.
    RequirementsAnalysis,
    /// Specification → system architecture.
    ArchitecturalDesign,
    /// Architecture → implementation plan.
    ImplementationPlanning,
    /// Plans → the first build of the source code.
    CodeGeneration,
    /// Source code → tidier source code.
    CodeRefinement,
    /// Source code → test results.
    CodeTesting,
    /// Source code and test results → repaired source code.
    BugFix,
    /// Source code → files in a folder and a deployment log.
    Deployment,
    /// Deployed files → a deployment log with the result of the comparison.
    FinalCheck,
    /// Instructions of the orchestrator → a note on what there is and what comes next.
    Coordination,
}

impl Step {
    /// Every step, those of the workflow in its order.
    pub const ALL: &'static [Self] = &[
        Self::ProjectPlanning,
        Self::RequirementsAnalysis,
        Self::ArchitecturalDesign,
        Self::ImplementationPlanning,
        Self::CodeGeneration,
        Self::CodeRefinement,
        Self::CodeTesting,
        Self::BugFix,
        Self::Deployment,
        Self::FinalCheck,
        Self::Coordination,
    ];

    /// Returns the name of the step in the workflow.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProjectPlanning => "Project Planning",
            Self::RequirementsAnalysis => "Requirements Analysis",
            Self::ArchitecturalDesign => "Architectural Design",
            Self::ImplementationPlanning => "Implementation Planning",
            Self::CodeGeneration => "Code Generation",
            Self::CodeRefinement => "Code Refinement",
            Self::CodeTesting => "Code Testing",
            Self::BugFix => "Bug Fix",
            Self::Deployment => "Deployment",
            Self::FinalCheck => "Final Check",
            Self::Coordination => "Coordination",
        }
    }

    /// Returns the step with this name. Only letters and digits count: `Code Testing`,
    /// `code_testing` and `code-testing` are the same.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let letters = |text: &str| -> String {
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        let wanted = letters(name);
        Self::ALL.iter().copied().find(|step| letters(step.name()) == wanted)
    }

    /// Returns the artifact types of the documents before this step, nearest first.
    pub(crate) const fn documents_before(self) -> &'static [&'static str] {
        const ALL: &[&str] = &[
            "implementation_plan",
            "system_architecture",
            "software_specification",
            "project_plan",
        ];
        match self {
            Self::ProjectPlanning => &[],
            Self::RequirementsAnalysis => ALL.split_at(3).1,
            Self::ArchitecturalDesign => ALL.split_at(2).1,
            Self::ImplementationPlanning => ALL.split_at(1).1,
            _ => ALL,
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_by_its_name_in_any_spelling() {
        for step in Step::ALL {
            assert_eq!(Step::named(step.name()), Some(*step));
            assert_eq!(Step::named(&step.name().to_lowercase().replace(' ', "_")), Some(*step));
        }
        assert_eq!(Step::named("Dance"), None);
    }
}
