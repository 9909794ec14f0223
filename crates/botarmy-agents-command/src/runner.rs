//! [`CommandRunner`]: prepares the folder, starts the program and reads its answer.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::artifact::{Artifact, NewArtifact};
use botarmy_domain::budget::Amount;
use botarmy_domain::ports::{AgentRunner, Clock};
use botarmy_domain::source_code::SourceFile;
use botarmy_domain::vocabulary::ArtifactType;
use botarmy_domain::{Assignment, Outcome, Probe, Question, RunContext, RunError, Usage, json};
use serde_json::{Map, Value, json};

use crate::contract::{self, Answer, Report, ReportedArtifact};
use crate::exact::{self, NotExact};
use crate::folder::{self, Folder};
use crate::presets;
use crate::process::{self, ExitReason, Launch, ProcessOutput};
use crate::sandbox::{self, Sandbox};
use crate::session::SavedSession;
use crate::spec::{CommandSpec, Preset};
use crate::text::{end, longest_backtick_run, printable};

#[cfg(test)]
mod tests;

/// Most bytes of each output stream that the results of a test run include.
const MAX_EVIDENCE_BYTES: usize = 16 << 10;

/// An [`AgentRunner`] that starts a program for each assignment.
pub struct CommandRunner {
    name: String,
    spec: CommandSpec,
    work_dir: PathBuf,
    clock: Arc<dyn Clock>,
    sandbox: Option<Sandbox>,
}

impl CommandRunner {
    /// Creates a runner for the command with this name. Each attempt gets a folder in `work_dir`,
    /// which is created when it is first needed.
    #[must_use]
    pub fn new(
        name: &str,
        spec: CommandSpec,
        work_dir: impl Into<PathBuf>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { name: name.to_owned(), spec, work_dir: work_dir.into(), clock, sandbox: None }
    }

    /// Lets the command run in this sandbox; without one, it can do what the server's user can do.
    #[must_use]
    pub fn with_sandbox(mut self, sandbox: Option<Sandbox>) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// Returns the folder to work in: the one that was kept for the answer to a question together
    /// with the saved session, or else a new one with `files` in it.
    async fn folder(
        &self,
        job: &Assignment,
        files: &[SourceFile],
    ) -> Result<(Arc<Folder>, Option<SavedSession>), RunError> {
        let session = job.resume.as_ref().and_then(|resume| resume.session.as_deref());
        let saved = session.and_then(|session| serde_json::from_str::<SavedSession>(session).ok());
        let (base, task, attempt) = (self.work_dir.clone(), job.task_id, job.attempt);
        let (files, now) = (files.to_vec(), self.clock.now());
        let unshown = self.sandbox.is_none().then(|| self.spec.clone());
        let opened = blocking(move || {
            let kept = saved.and_then(|saved| {
                let folder = Folder::reopen(&base, task, &saved.folder)?;
                Some((folder, Some(saved)))
            });
            let (folder, saved) = match kept {
                Some(kept) => kept,
                None => {
                    let folder = Folder::open(&base, task, attempt, now)?;
                    folder.fill(&files)?;
                    (folder, None)
                }
            };
            if let Some(spec) = unshown {
                sandbox::link_home_files(&spec, &folder.home())?;
            }
            Ok((Arc::new(folder), saved))
        });
        opened.await.map_err(|error: std::io::Error| {
            RunError::retryable(
                "no_folder",
                format!("The folder for the attempt cannot be created: {error}."),
            )
        })
    }
}

#[async_trait]
impl AgentRunner for CommandRunner {
    fn kind(&self) -> &'static str {
        "command"
    }

    async fn probe(&self) -> Probe {
        match self.spec.program() {
            Ok(program) => {
                let place = if self.sandbox.is_some() { " in a sandbox" } else { "" };
                Probe { ready: true, message: format!("Runs {}{place}.", program.display()) }
            }
            Err(error) => Probe { ready: false, message: error.to_string() },
        }
    }

    /// Returns zero: a program reports its usage only when it has ended.
    fn worst_case(&self, _job: &Assignment) -> Option<Amount> {
        Some(Amount::default())
    }

    async fn run(&self, job: Assignment, context: RunContext) -> Result<Outcome, RunError> {
        let program = self.spec.program()?;
        // The newest artifact of a type comes last.
        let is_source =
            |artifact: &&Arc<Artifact>| artifact.meta.artifact_type == ArtifactType::SourceCode;
        let source = job.context.iter().rfind(is_source).map(|artifact| artifact.content.clone());
        let given = folder::given(source.as_ref())?;
        let (folder, saved) = self.folder(&job, &given).await?;

        let call = presets::call(self.spec.preset, &job, saved.as_ref(), self.sandbox.is_some());
        let named = call.variables.iter();
        let mut variables: Vec<(String, OsString)> =
            named.map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        // Later entries win, so the operator's variables override those of the preset.
        variables.extend(self.spec.variables());
        variables.extend(folder.variables(self.spec.home.as_deref()));
        variables.extend([
            ("BOTARMY_TASK_ID".to_owned(), job.task_id.to_string().into()),
            ("BOTARMY_ATTEMPT".to_owned(), job.attempt.to_string().into()),
            ("BOTARMY_DEADLINE".to_owned(), context.deadline.to_string().into()),
        ]);
        let mut arguments = self.spec.arguments(&folder.project(), job.task_id);
        arguments.extend(call.arguments);
        let listens = self.spec.preset == Preset::Contract;
        let (program, arguments, sandbox) = match &self.sandbox {
            None => (program, arguments.into_iter().map(OsString::from).collect(), None),
            Some(sandbox) => {
                let wrapped = sandbox.wrap(&self.spec, &folder, &program, arguments);
                (wrapped.program, wrapped.arguments, Some(wrapped.status))
            }
        };
        let launch = Launch {
            program,
            arguments,
            variables,
            sandbox,
            input: call.input,
            output_bytes: self.spec.output_bytes,
            line_bytes: self.spec.line_bytes,
            remaining: context.deadline.since(self.clock.now()),
            on_line: &|line| {
                if let (true, Some((message, percent))) = (listens, contract::progress(line)) {
                    (context.progress)(message, percent);
                }
            },
        };
        let output = process::run(launch, &folder).await?;
        if self.spec.preset == Preset::Plain {
            return self.verdict(&job, &output, source, given, folder).await;
        }
        let mut report = match self.spec.preset {
            Preset::Claude => presets::read_claude(&output.stdout, saved.as_ref()),
            Preset::Codex => presets::read_codex(&output.stdout),
            Preset::Gemini => presets::read_gemini(&output.stdout),
            Preset::Contract | Preset::Plain => contract::read(&output.stdout),
        };
        if let Some(error) = self.failure(&output, &report) {
            return Err(error);
        }
        let usage = std::mem::take(&mut report.usage);
        match report.answer.take() {
            Some(Answer::Ask { question, options, allow }) => {
                Ok(ask(&folder, saved, report.session, question, options, allow, usage))
            }
            Some(Answer::Object(output, confidence)) => {
                let work = Completion { output, confidence, usage, artifacts: report.artifacts };
                self.completed(&job, work, source, given, folder).await
            }
            Some(Answer::Text(text)) => {
                let output = document(&job, &text).map_err(|error| self.lossy(&error, &usage))?;
                let artifacts = report.artifacts;
                let work = Completion { output, confidence: None, usage, artifacts };
                self.completed(&job, work, source, given, folder).await
            }
            Some(Answer::Lossy(error)) => Err(self.lossy(&error, &usage)),
            None => {
                let network = self.network_hint();
                let mut detail = format!("{} ended without a result.{network}", self.name);
                if report.unreadable > 0 {
                    detail.push_str(&format!(" {} lines were not JSON.", report.unreadable));
                }
                Err(failed(false, "protocol_error", detail, &output, usage))
            }
        }
    }
}

/// Work that a program has completed.
struct Completion {
    output: Map<String, Value>,
    confidence: Option<f64>,
    usage: Usage,
    artifacts: Vec<ReportedArtifact>,
}

impl CommandRunner {
    /// Returns the error for an answer in which a key or a digit would get lost. The program can be
    /// asked for another.
    fn lossy(&self, error: &json::JsonError, usage: &Usage) -> RunError {
        let detail = format!("The answer of {} cannot be taken as it is: {error}.", self.name);
        RunError::InvalidOutput { detail, usage: Box::new(usage.clone()) }
    }

    /// Returns the error for a program that ended badly or that reports an error.
    fn failure(&self, output: &ProcessOutput, report: &Report) -> Option<RunError> {
        let name = &self.name;
        let reported = report.error.as_deref().map(printable);
        let network = self.network_hint();
        let with_reported = |sentence: String| match &reported {
            Some(reported) => format!("{sentence}{network} {reported}"),
            None => sentence + &network,
        };
        let fail =
            |retry, code, detail| Some(failed(retry, code, detail, output, report.usage.clone()));
        match output.reason {
            ExitReason::TimedOut => {
                let detail = with_reported(format!("{name} exceeded its time limit."));
                fail(true, "timed_out", detail)
            }
            ExitReason::TooMuchOutput(scope) => {
                let detail = format!("{name} printed more than it may {scope}.");
                fail(false, "output_too_large", detail)
            }
            ExitReason::Signal(signal) => {
                let detail = with_reported(format!("{name} was ended by signal {signal}."));
                fail(true, "command_killed", detail)
            }
            ExitReason::Code(75) => {
                let detail = with_reported(format!("{name} asked for another attempt."));
                fail(true, "temporary_failure", detail)
            }
            ExitReason::Code(0) => {
                let reported = reported?;
                match self.spec.preset {
                    Preset::Contract => fail(false, "protocol_error", reported),
                    _ => fail(true, "agent_failed", format!("{reported}{network}")),
                }
            }
            ExitReason::Code(code) => {
                let hint = self.hint(code);
                let detail = with_reported(format!("{name} ended with exit code {code}.{hint}"));
                fail(true, "command_failed", detail)
            }
        }
    }

    /// Returns a sentence about a program that may only be missing in the sandbox.
    fn hint(&self, code: i32) -> &'static str {
        if self.sandbox.is_some() && sandbox::is_not_started(code) {
            " In its sandbox, a command sees the folders of the system and those in `read_only`."
        } else {
            ""
        }
    }

    /// Returns a sentence about a coding agent that cannot reach its model from the sandbox.
    fn network_hint(&self) -> String {
        if self.sandbox.is_none() || self.spec.has_network() || !self.spec.preset.calls_a_model() {
            return String::new();
        }
        format!(
            " It has no network in its sandbox, over which a coding agent calls its model: set \
             network = true in [commands.{}], or leave it out.",
            self.name
        )
    }

    /// Completes an assignment by the exit code of the program, which is the verdict of a test
    /// run.
    async fn verdict(
        &self,
        job: &Assignment,
        output: &ProcessOutput,
        source: Option<Map<String, Value>>,
        given: Vec<SourceFile>,
        folder: Arc<Folder>,
    ) -> Result<Outcome, RunError> {
        let tests = job.output_type == Some(ArtifactType::TestResults);
        let code = match output.reason {
            ExitReason::Code(code) if sandbox::is_not_started(code) => {
                let hint = self.hint(code);
                let detail = format!("{} could not be run: exit code {code}.{hint}", self.name);
                return Err(failed(true, "command_failed", detail, output, Usage::default()));
            }
            ExitReason::Code(code) if tests || code == 0 => code,
            _ => {
                let error = self.failure(output, &Report::default());
                return Err(error.unwrap_or_else(|| RunError::retryable("command_failed", "")));
            }
        };
        let output = if tests {
            self.test_results(code, output)
        } else {
            let usage = Usage::default();
            document(job, &evidence(output)).map_err(|error| self.lossy(&error, &usage))?
        };
        let work =
            Completion { output, confidence: None, usage: Usage::default(), artifacts: Vec::new() };
        self.completed(job, work, source, given, folder).await
    }

    /// Returns test results with the fields that the built-in tester writes, so that the same
    /// readers can read both.
    fn test_results(&self, code: i32, output: &ProcessOutput) -> Map<String, Value> {
        let (name, evidence, passed) = (&self.name, evidence(output), code == 0);
        let summary = if passed {
            format!("{name} passed.")
        } else {
            format!("{name} failed with exit code {code}.")
        };
        let failures: Vec<_> = (!passed)
            .then(|| {
                json!({
                    "check": name, "code": "command_failed", "file": null, "line": null,
                    "subject": null, "detail": format!("{summary}\n{evidence}"),
                })
            })
            .into_iter()
            .collect();
        let fence = "`".repeat(longest_backtick_run(&evidence).max(2) + 1);
        object(json!({
            "title": "Test results",
            "summary": summary,
            "passed": passed,
            "checks": [{"name": name, "passed": passed, "detail": summary}],
            "failures": failures,
            "exit_code": code,
            "markdown": format!("# Test results\n\n{summary}\n\n{fence}\n{evidence}\n{fence}\n"),
        }))
    }

    /// Collects the artifacts of a completed assignment: those that were reported, and the files
    /// in the folder where source code is expected.
    async fn completed(
        &self,
        job: &Assignment,
        work: Completion,
        source: Option<Map<String, Value>>,
        given: Vec<SourceFile>,
        folder: Arc<Folder>,
    ) -> Result<Outcome, RunError> {
        let Completion { mut output, confidence, usage, artifacts: reported } = work;
        let with_usage = |error: RunError| error.having_used(usage.clone());
        let expected = job.output_type;
        let (ignore, writes) = (self.spec.ignore.clone(), presets::writes(job));
        let summary = output.get("summary").and_then(Value::as_str).map(str::to_owned);
        let taken = blocking(move || {
            let mut artifacts = Vec::new();
            for artifact in reported {
                artifacts.push(collect(&folder, artifact, expected)?);
            }
            let announced = artifacts
                .iter()
                .any(|artifact: &NewArtifact| artifact.artifact_type == ArtifactType::SourceCode);
            if writes && !announced {
                let found = folder.collect(&given, &ignore)?;
                let changed = found.files != sorted(&given);
                // A step that makes source code has a result even when it changed no file.
                let wanted = expected == Some(ArtifactType::SourceCode) && !found.files.is_empty();
                if changed && !found.files.is_empty() || wanted {
                    let summary = summary.unwrap_or_else(|| {
                        let n = found.files.len();
                        format!("{n} {}.", if n == 1 { "file" } else { "files" })
                    });
                    let (content, metadata) =
                        folder::source_code(source.as_ref(), &given, &found, &summary);
                    let artifact_type = ArtifactType::SourceCode;
                    artifacts.push(NewArtifact { artifact_type, content, metadata });
                }
            }
            Ok(artifacts)
        });
        let artifacts = taken.await.map_err(with_usage)?;
        let has = |kind| artifacts.iter().any(|artifact| artifact.artifact_type == kind);
        if let Some(kind) = expected
            && !has(kind)
        {
            let missing = |what: &str| {
                let detail = format!("{} {what}.{}", self.name, self.network_hint());
                with_usage(RunError::InvalidOutput { detail, usage: Box::default() })
            };
            match kind {
                ArtifactType::SourceCode if !output.contains_key("files") => {
                    return Err(missing("left no files"));
                }
                ArtifactType::TestResults
                    if !output.get("passed").is_some_and(Value::is_boolean) =>
                {
                    return Err(missing("gave no verdict"));
                }
                _ => {}
            }
        }
        if expected.is_some_and(has) {
            // The artifact holds this text already.
            output.remove("markdown");
        }
        Ok(Outcome::Completed { output, artifacts, confidence, usage })
    }
}

/// Returns the question as the outcome, and keeps the folder if the program gave a session.
fn ask(
    folder: &Folder,
    saved: Option<SavedSession>,
    session: Option<String>,
    question: String,
    options: Vec<String>,
    mut allow: Vec<String>,
    usage: Usage,
) -> Outcome {
    let mut spent = usage.cost_micro_usd.unwrap_or(0);
    if let Some(saved) = saved {
        allow.extend(saved.allow);
        spent = spent.saturating_add(saved.spent);
    }
    allow.sort_unstable();
    allow.dedup();
    let session =
        session.map(|session| SavedSession { folder: folder.keep(), session, allow, spent });
    let session = session.and_then(|saved| serde_json::to_string(&saved).ok());
    Outcome::Ask {
        question: Question {
            question,
            options,
            artifacts: Vec::new(),
            policy: None,
            assignees: Vec::new(),
            response_schema: None,
        },
        usage,
        session,
    }
}

fn sorted(files: &[SourceFile]) -> Vec<SourceFile> {
    let mut files = files.to_vec();
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Returns the artifact that a program reported, read from the folder where the report names a
/// path.
fn collect(
    folder: &Folder,
    reported: ReportedArtifact,
    expected: Option<ArtifactType>,
) -> Result<NewArtifact, RunError> {
    let ReportedArtifact { name, media_type, content, path } = reported;
    let invalid = |detail: String| RunError::terminal("protocol_error", detail);
    let content = match (content, path) {
        (Some(content), _) => content,
        (None, Some(path)) => {
            let text = folder.text(&path);
            let text = text.map_err(|why| invalid(format!("The artifact {path:?}: {why}.")))?;
            let json = media_type.as_deref().is_some_and(|kind| kind.ends_with("json"));
            let parsed = json.then(|| exact::read(&text)).transpose();
            let parsed = parsed.map_err(|why| invalid(format!("The artifact {path:?}: {why}.")))?;
            parsed.unwrap_or(Value::String(text))
        }
        (None, None) => return Err(invalid(format!("The artifact {name:?} has no content."))),
    };
    let known = name.parse().ok().or(expected).unwrap_or(ArtifactType::AgentOutput);
    let content = match content {
        Value::Object(content) => content,
        Value::String(text) => object(json!({"title": name, "markdown": text})),
        other => object(json!({"title": name, "value": other})),
    };
    Ok(NewArtifact::new(known, content))
}

/// Returns a text answer as a document: the JSON object that it is, or the text under `summary`
/// or `markdown`.
///
/// # Errors
/// A JSON object in which a key or a digit would get lost.
fn document(job: &Assignment, text: &str) -> Result<Map<String, Value>, json::JsonError> {
    let inner = text.trim();
    let fenced = inner.strip_prefix("```json").and_then(|rest| rest.strip_suffix("```"));
    match exact::read(fenced.unwrap_or(inner)) {
        Ok(Value::Object(object)) => return Ok(object),
        Err(NotExact::Lossy(error)) if fenced.unwrap_or(inner).trim_start().starts_with('{') => {
            return Err(error);
        }
        _ => {}
    }
    if presets::writes(job) {
        return Ok(object(json!({"summary": text})));
    }
    let title = job.output_type.map_or("agent_output", ArtifactType::as_str).replace('_', " ");
    Ok(object(json!({"title": title, "markdown": text})))
}

/// Returns the ends of both output streams.
fn evidence(output: &ProcessOutput) -> String {
    let both = [printable(&output.stdout), output.stderr.clone()];
    let parts = both.iter().filter(|part| !part.is_empty());
    parts.map(|part| end(part, MAX_EVIDENCE_BYTES)).collect::<Vec<_>>().join("\n")
}

/// Returns an error whose detail ends with the program's standard error.
fn failed(
    retry: bool,
    code: &str,
    sentence: String,
    output: &ProcessOutput,
    usage: Usage,
) -> RunError {
    let detail = match output.stderr.as_str() {
        "" => sentence,
        stderr => format!("{sentence}\n{stderr}"),
    };
    let (code, usage) = (code.to_owned(), Box::new(usage));
    if retry {
        RunError::Retryable { code, detail, after: None, usage }
    } else {
        RunError::Terminal { code, detail, usage }
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// Runs a blocking closure on a thread where it delays no other task.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and drops this future.
            Err(_) => std::future::pending().await,
        },
    }
}
