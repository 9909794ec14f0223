//! Workflows made by chance: whatever the definition, and whatever tests and people say, a
//! project comes to its end, starts nothing before what it depends on, and nothing twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::World;
use botarmy_domain::workflow::{Loop, Step, Workflow};
use botarmy_domain::{
    AgentType, ArtifactType, EventType, HitlAction, Oversight, ProjectStatus, Scope, StepStatus,
    TaskId, TaskStatus,
};
use proptest::prelude::*;
use serde_json::{Map, json};

/// Up to eight steps; each depends on some of those before it, some are gated, some repair.
fn workflows() -> impl Strategy<Value = Workflow> {
    let step = (any::<u8>(), 0..6_usize, 0..4_u8, any::<bool>(), 1..4_u32);
    proptest::collection::vec(step, 1..8).prop_map(|steps| {
        let mut tested = BTreeSet::new();
        let mut made: Vec<Step> = Vec::new();
        for (index, (before, agent, gate, repairs, max)) in steps.into_iter().enumerate() {
            let mut depends: Vec<String> = (0..index)
                .filter(|i| before & (1 << i) != 0)
                .map(|i| made[i].name.clone())
                .collect();
            let with = depends.iter().rfind(|name| {
                let candidate = made.iter().find(|step| step.name == **name);
                !tested.contains(*name) && candidate.is_some_and(|step| step.repeat.is_none())
            });
            let with = with.cloned().filter(|_| repairs);
            tested.extend(with.clone());
            depends.dedup();
            made.push(Step {
                policy: None,
                name: format!("Step {index}"),
                phase: "Phase".to_owned(),
                agent: AgentType::ALL[agent],
                inputs: vec![],
                output: ArtifactType::AgentOutput,
                instructions: None,
                depends_on: Some(depends),
                gate: match gate {
                    0 => Some(Oversight::Standard),
                    _ => None,
                },
                // Every step makes the same type, whether it is gated or not.
                replaces_approved: true,
                exclude: Vec::new(),
                on_expiry: None,
                gate_ttl_s: None,
                repeat: with.map(|with| Loop { with, until: "passed".to_owned(), max }),
                timeout_s: None,
                max_attempts: None,
                output_schema: None,
            });
        }
        Workflow {
            name: "chance".to_owned(),
            description: String::new(),
            policies: vec![],
            steps: made,
        }
    })
}

proptest! {
    // A part of the default, so that the number follows `PROPTEST_CASES`, as under `just prove`.
    #![proptest_config({
        let config = ProptestConfig::default();
        // One workflow in twenty is refused, so the limit of those follows the number too.
        let max_global_rejects = config.max_global_rejects.max(config.cases);
        ProptestConfig { cases: config.cases.div_ceil(2), max_global_rejects, ..config }
    })]

    #[test]
    fn every_workflow_comes_to_its_end(
        workflow in workflows(),
        luck in proptest::collection::vec(0..100_u8, 400),
    ) {
        prop_assume!(workflow.check().is_ok());
        let mut world = World::with(Some(&workflow));
        let mut luck = luck.into_iter().chain(std::iter::repeat(0));
        let mut runs: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..500 {
            let project = world.project;
            let seen = world.look(&Scope::project(project).everything_open());
            let now = seen.project.unwrap();
            if now.status() != ProjectStatus::Active {
                break;
            }
            let steps = &now.plan.as_ref().unwrap().progress.steps;
            let over: BTreeSet<String> = steps
                .iter()
                .filter(|(_, step)| matches!(step.status, StepStatus::Done | StepStatus::Skipped))
                .map(|(name, _)| name.clone())
                .collect();
            let ready: Option<(TaskId, String)> = seen
                .tasks
                .values()
                .find(|task| task.status() == TaskStatus::Pending)
                .map(|task| (task.id, task.step().unwrap().to_owned()));
            if let Some((id, name)) = ready {
                let index = workflow.steps.iter().position(|step| step.name == name).unwrap();
                for before in workflow.dependencies(index) {
                    prop_assert!(over.contains(before), "{name} started before {before} was over");
                }
                *runs.entry(name).or_default() += 1;
                world.claim(id).unwrap();
                let passed = luck.next().unwrap() < 60;
                let output: Map<_, _> = json!({"passed": passed}).as_object().cloned().unwrap();
                world.complete(id, 1, output).unwrap();
            } else {
                let request = world.pending_requests().first().copied();
                prop_assert!(request.is_some(), "nothing runs and nobody is asked: {steps:?}");
                let action = if luck.next().unwrap() < 10 { HitlAction::Amend } else { HitlAction::Approve };
                world.respond(request.unwrap(), action).unwrap();
            }
        }
        let project = world.project;
        let end = world.look(&Scope::project(project)).project.unwrap();
        prop_assert_eq!(end.status(), ProjectStatus::Completed);
        let ended = world.entries.iter().filter(|e| e.event_type == EventType::ProjectCompleted);
        prop_assert_eq!(ended.count(), 1);
        prop_assert_eq!(world.entries.iter().filter(|e| e.event_type == EventType::HandoffCreated).count(),
            runs.values().sum::<u32>() as usize, "every run has one hand-off");
        for (n, entry) in world.entries.iter().enumerate() {
            prop_assert_eq!(entry.seq, n as u64 + 1);
        }
    }
}
