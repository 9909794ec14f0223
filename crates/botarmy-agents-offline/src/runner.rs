//! [`OfflineRunner`]: the engine behind the runner's port, with a folder for deployments.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use botarmy_domain::artifact::NewArtifact;
use botarmy_domain::ports::AgentRunner;
use botarmy_domain::source_code::SourceCode;
use botarmy_domain::vocabulary::{AgentType, ArtifactType, HitlAction};
use botarmy_domain::{Assignment, Outcome, Probe, RunContext, RunError, Usage};
use serde_json::{Map, Value};

use crate::brief::{self, Brief};
use crate::deploy::{self, DeployError, Place};
use crate::draft::draft;
use crate::error::DraftError;
use crate::statement::STATEMENT;
use crate::step::Step;

#[cfg(test)]
mod tests;

/// An [`AgentRunner`] that works from templates.
#[derive(Debug, Clone)]
pub struct OfflineRunner {
    deploy_dir: PathBuf,
    serves: BTreeSet<AgentType>,
}

impl OfflineRunner {
    /// Creates a runner that deploys to folders in `deploy_dir`, one for each project. The folder is
    /// created when it is first needed.
    #[must_use]
    pub fn new(deploy_dir: impl Into<PathBuf>) -> Self {
        Self { deploy_dir: deploy_dir.into(), serves: AgentType::ALL.iter().copied().collect() }
    }

    /// Sets the agent types that this runner works as; all of them by default. A first build has
    /// its deliberate defect only where this runner also tests and repairs it.
    #[must_use]
    pub fn serving(self, agents: impl IntoIterator<Item = AgentType>) -> Self {
        Self { serves: agents.into_iter().collect(), ..self }
    }

    /// Returns `true` if the workflow of an assignment has a step that tests source code and a step
    /// that repairs it by the results, and this runner does both.
    fn is_repaired(&self, job: &Assignment) -> bool {
        let Some(workflow) = &job.workflow else { return false };
        let tests = |name: &str| {
            workflow.step(name).is_some_and(|step| {
                step.output == ArtifactType::TestResults && self.serves.contains(&step.agent)
            })
        };
        workflow.steps.iter().any(|step| {
            step.output == ArtifactType::SourceCode
                && self.serves.contains(&step.agent)
                && step.repeat.as_ref().is_some_and(|repeat| tests(&repeat.with))
        })
    }
}

#[async_trait]
impl AgentRunner for OfflineRunner {
    fn kind(&self) -> &'static str {
        "offline"
    }

    async fn probe(&self) -> Probe {
        let dir = self.deploy_dir.clone();
        let blocked = tokio::task::spawn_blocking(move || dir.exists() && !dir.is_dir()).await;
        match blocked {
            Ok(false) => Probe {
                ready: true,
                message: "Ready: works from templates and needs no service.".to_owned(),
            },
            _ => Probe {
                ready: false,
                message: "The path for deployments is not a folder; change agents.deploy_dir."
                    .to_owned(),
            },
        }
    }

    async fn run(&self, job: Assignment, context: RunContext) -> Result<Outcome, RunError> {
        let step = step_of(&job);
        let is_repaired = self.is_repaired(&job);
        let output_type = job.output_type.unwrap_or_else(|| output_of(step));
        let dir = self.deploy_dir.clone();
        let wanted = Wanted::default();
        let still_wanted = wanted.flag();
        let work =
            move || work(&job, step, is_repaired, &dir, || still_wanted.load(Ordering::Acquire));
        let content = match tokio::task::spawn_blocking(work).await {
            Ok(result) => result?,
            Err(error) => {
                return Err(terminal(
                    "drafter_panicked",
                    format!("The offline runner panicked: {error}"),
                ));
            }
        };
        drop(wanted);
        let summary = content.get("summary").and_then(Value::as_str).unwrap_or_default().to_owned();
        (context.progress)(summary.clone(), Some(100));
        tracing::debug!(step = step.name(), "{step} drafted from templates");
        let mut output = Map::new();
        output.insert("summary".to_owned(), summary.into());
        output.insert("generated_by".to_owned(), STATEMENT.into());
        for key in ["passed", "ok", "unresolved", "not_built"] {
            if let Some(value) = content.get(key) {
                output.insert(key.to_owned(), value.clone());
            }
        }
        Ok(Outcome::Completed {
            output,
            artifacts: vec![NewArtifact::new(output_type, content)],
            confidence: None,
            usage: usage(),
        })
    }
}

/// Flag that tells the blocking part when the run was cancelled.
struct Wanted(Arc<AtomicBool>);

impl Default for Wanted {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Wanted {
    fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Does the step on the current thread.
fn work(
    job: &Assignment,
    step: Step,
    is_repaired: bool,
    dir: &Path,
    wanted: impl Fn() -> bool,
) -> Result<Map<String, Value>, RunError> {
    let brief = brief_of(job, step, is_repaired);
    let content = match step {
        Step::Deployment => {
            let (place, source) = deployable(job, &brief, dir)?;
            let log = deploy::deploy(&place, &source, wanted).map_err(|e| deploy_failed(&e))?;
            must_be_ok(&log, true)?;
            log
        }
        Step::FinalCheck => {
            let (place, source) = deployable(job, &brief, dir)?;
            let deployment = brief.needed("deployment_log").map_err(|e| draft_failed(&e))?;
            let log = deploy::verify(&place, &source, deployment).map_err(|e| deploy_failed(&e))?;
            must_be_ok(&log, false)?;
            log
        }
        _ => draft(&brief).map_err(|error| draft_failed(&error))?,
    };
    match content {
        Value::Object(content) => Ok(content),
        other => Err(terminal("drafter_broken", format!("The draft is not an object: {other}"))),
    }
}

fn deployable(
    job: &Assignment,
    brief: &Brief,
    dir: &Path,
) -> Result<(Place, SourceCode), RunError> {
    let read = || {
        let place = Place::new(dir, &job.project_id.to_string())?;
        Ok((place, SourceCode::read(brief.needed("source_code")?)?))
    };
    read().map_err(|error| draft_failed(&error))
}

/// Returns an error unless the deployment was verified: an unverified one must not count as done.
fn must_be_ok(log: &Value, retryable: bool) -> Result<(), RunError> {
    if log["ok"] == true {
        return Ok(());
    }
    let differences = log["differences"].as_array().into_iter().flatten();
    let list: Vec<&str> = differences.filter_map(Value::as_str).take(5).collect();
    let detail = format!(
        "The deployed files differ from the build. {} {}",
        log["summary"].as_str().unwrap_or_default(),
        list.join(" ")
    );
    let code = "deployment_differs";
    Err(if retryable { retry(code, detail) } else { terminal(code, detail) })
}

fn draft_failed(error: &DraftError) -> RunError {
    terminal(error.code(), format!("{error}."))
}

fn deploy_failed(error: &DeployError) -> RunError {
    match error {
        DeployError::Draft(error) => draft_failed(error),
        DeployError::Io { source, .. } => {
            retry("deployment_io", format!("{error}: {}.", source.kind()))
        }
        DeployError::Cancelled => retry("called_off", format!("{error}.")),
    }
}

fn terminal(code: &str, detail: String) -> RunError {
    RunError::Terminal { code: code.to_owned(), detail, usage: Box::new(usage()) }
}

fn retry(code: &str, detail: String) -> RunError {
    RunError::Retryable { code: code.to_owned(), detail, after: None, usage: Box::new(usage()) }
}

fn usage() -> Usage {
    Usage { provider: Some("offline".to_owned()), ..Usage::default() }
}

/// Returns the step of an assignment: by its name in the workflow, or else by the expected output, the
/// agent type and the artifacts that exist.
fn step_of(job: &Assignment) -> Step {
    if let Some(named) = job.handoff.as_ref().and_then(|handoff| Step::named(&handoff.step)) {
        return named;
    }
    let has = |kind| job.context.iter().any(|artifact| artifact.meta.artifact_type == kind);
    let code = || match (has(ArtifactType::SourceCode), has(ArtifactType::TestResults)) {
        (true, true) => Step::BugFix,
        (true, false) => Step::CodeRefinement,
        (false, _) => Step::CodeGeneration,
    };
    let launch =
        || if has(ArtifactType::DeploymentLog) { Step::FinalCheck } else { Step::Deployment };
    match (job.output_type, job.agent) {
        (Some(ArtifactType::ProjectPlan), _) => Step::ProjectPlanning,
        (Some(ArtifactType::SoftwareSpecification), _) => Step::RequirementsAnalysis,
        (Some(ArtifactType::SystemArchitecture), _) => Step::ArchitecturalDesign,
        (Some(ArtifactType::ImplementationPlan), _) => Step::ImplementationPlanning,
        (Some(ArtifactType::SourceCode), _) | (_, AgentType::Coder) => code(),
        (Some(ArtifactType::TestResults), _) | (_, AgentType::Tester) => Step::CodeTesting,
        (Some(ArtifactType::DeploymentLog), _) | (_, AgentType::Deployer) => launch(),
        (_, AgentType::Analyst) if has(ArtifactType::ProjectPlan) => Step::RequirementsAnalysis,
        (_, AgentType::Analyst) => Step::ProjectPlanning,
        (_, AgentType::Architect) if has(ArtifactType::SystemArchitecture) => {
            Step::ImplementationPlanning
        }
        (_, AgentType::Architect) => Step::ArchitecturalDesign,
        (_, AgentType::Orchestrator) => Step::Coordination,
    }
}

const fn output_of(step: Step) -> ArtifactType {
    match step {
        Step::ProjectPlanning => ArtifactType::ProjectPlan,
        Step::RequirementsAnalysis => ArtifactType::SoftwareSpecification,
        Step::ArchitecturalDesign => ArtifactType::SystemArchitecture,
        Step::ImplementationPlanning => ArtifactType::ImplementationPlan,
        Step::CodeGeneration | Step::CodeRefinement | Step::BugFix => ArtifactType::SourceCode,
        Step::CodeTesting => ArtifactType::TestResults,
        Step::Deployment | Step::FinalCheck => ArtifactType::DeploymentLog,
        Step::Coordination => ArtifactType::AgentOutput,
    }
}

/// Returns the brief for an assignment.
fn brief_of(job: &Assignment, step: Step, is_repaired: bool) -> Brief {
    let mut brief = Brief {
        step,
        idea: String::new(),
        feedback: Vec::new(),
        inputs: Default::default(),
        is_repaired,
    };
    for artifact in &job.context {
        let kind = artifact.meta.artifact_type;
        if kind == ArtifactType::HitlResponse {
            let text = |key: &str| artifact.content.get(key).and_then(Value::as_str);
            let said = text("user_content").or_else(|| text("comment"));
            brief.feedback.extend(said.map(str::to_owned));
        } else {
            // Later artifacts of a type are newer.
            brief.inputs.insert(kind.to_string(), Value::Object(artifact.content.clone()));
        }
    }
    let answers = job.resume.iter().flat_map(|resume| &resume.answers);
    for answer in answers.filter(|answer| answer.action == HitlAction::Amend) {
        let said = answer.content.as_ref().and_then(brief::free_text);
        brief.feedback.extend(said.or_else(|| answer.comment.clone()));
    }
    // A task outside a workflow has the idea in its instructions.
    let is_idea = job.handoff.is_none() && !brief.inputs.contains_key("user_input");
    if is_idea || step == Step::Coordination {
        brief.idea.clone_from(&job.instructions);
    }
    brief
}
