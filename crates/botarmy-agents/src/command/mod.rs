//! Work done by a program on this machine: a coding agent, a test run, anything. It is started
//! with a list of arguments and never through a shell, in a folder of its own with the project's
//! files, and whatever it changed there is taken in.
//!
//! `spec.rs` is what an operator says about it, `contract.rs` the language it is expected to
//! speak, `presets.rs` those of programs that do not; `folder.rs` and `process.rs` are what it
//! finds itself in.

mod contract;
mod folder;
mod presets;
mod process;
mod spec;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use botarmy_domain::artifact::{Artifact, NewArtifact};
use botarmy_domain::budget::Amount;
use botarmy_domain::ports::{
    AgentRunner, Assignment, Clock, Outcome, Probe, Question, RunContext, RunError, Usage,
};
use botarmy_domain::vocabulary::ArtifactType;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use contract::{Answer, Made, Said};
use folder::Folder;
use process::{End, Ended, Launch};
pub use spec::{CommandSpec, Preset};

use crate::offline::files::File;

/// How much of what a test run printed goes into its results.
const EVIDENCE_BYTES: usize = 16 << 10;

/// Runs assignments with a program.
pub struct CommandRunner {
    name: String,
    spec: CommandSpec,
    work_dir: PathBuf,
    clock: Arc<dyn Clock>,
}

/// What is remembered while a person is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// The folder the program was in.
    folder: String,
    /// What the program wants to be reminded of.
    session: String,
    /// The tools it may use when the answer is yes.
    #[serde(default)]
    allow: Vec<String>,
    /// What the session cost until then, in millionths of a US dollar.
    #[serde(default)]
    spent: u64,
}

impl CommandRunner {
    /// A runner for the command of this name. Its attempts have folders in `work_dir`, which is
    /// made when it is first needed.
    #[must_use]
    pub fn new(
        name: &str,
        spec: CommandSpec,
        work_dir: impl Into<PathBuf>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { name: name.to_owned(), spec, work_dir: work_dir.into(), clock }
    }

    /// The folder to work in, with the files in it; and what was kept in it, when it is not new.
    async fn folder(
        &self,
        job: &Assignment,
        files: &[File],
    ) -> Result<(Arc<Folder>, Option<Kept>), RunError> {
        let session = job.resume.as_ref().and_then(|resume| resume.session.as_deref());
        let kept = session.and_then(|session| serde_json::from_str::<Kept>(session).ok());
        let (base, task, attempt) = (self.work_dir.clone(), job.task_id, job.attempt);
        let (files, now) = (files.to_vec(), self.clock.now());
        let opened = blocking(move || {
            if let Some(kept) = kept
                && let Some(folder) = Folder::reopen(&base, task, &kept.folder)
            {
                return Ok((Arc::new(folder), Some(kept)));
            }
            let folder = Folder::open(&base, task, attempt, now)?;
            folder.fill(&files)?;
            Ok((Arc::new(folder), None))
        });
        opened.await.map_err(|error: std::io::Error| {
            RunError::retryable("no_folder", format!("No folder could be made: {error}."))
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
            Ok(program) => Probe { ready: true, message: format!("Runs {}.", program.display()) },
            Err(error) => Probe { ready: false, message: error.to_string() },
        }
    }

    /// What a program spends, nobody knows before it says so.
    fn worst_case(&self, _job: &Assignment) -> Option<Amount> {
        Some(Amount::default())
    }

    async fn run(&self, job: Assignment, context: RunContext) -> Result<Outcome, RunError> {
        let program = self.spec.program()?;
        // The newest comes last.
        let is_source =
            |artifact: &&Arc<Artifact>| artifact.meta.artifact_type == ArtifactType::SourceCode;
        let source = job.context.iter().rfind(is_source).map(|artifact| artifact.content.clone());
        let given = folder::given(source.as_ref())?;
        let (folder, kept) = self.folder(&job, &given).await?;

        let call = presets::call(self.spec.preset, &job, kept.as_ref());
        let named = call.variables.iter();
        let mut variables: Vec<(String, OsString)> =
            named.map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        // What the operator passes on comes later, and so it counts.
        variables.extend(self.spec.variables());
        variables.extend(process::surroundings(&folder, self.spec.home.as_deref()));
        variables.extend([
            ("BOTARMY_TASK_ID".to_owned(), job.task_id.to_string().into()),
            ("BOTARMY_ATTEMPT".to_owned(), job.attempt.to_string().into()),
            ("BOTARMY_DEADLINE".to_owned(), context.deadline.to_string().into()),
        ]);
        let mut arguments = self.spec.arguments(&folder.project(), job.task_id);
        arguments.extend(call.arguments);
        let listens = self.spec.preset == Preset::Contract;
        let launch = Launch {
            program,
            arguments,
            variables,
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
        let ended = process::run(launch, &folder).await?;
        if self.spec.preset == Preset::Plain {
            return self.verdict(&job, &ended, source, given, folder).await;
        }
        let mut said = match self.spec.preset {
            Preset::Claude => presets::read_claude(&ended.stdout, kept.as_ref()),
            Preset::Codex => presets::read_codex(&ended.stdout),
            Preset::Gemini => presets::read_gemini(&ended.stdout),
            Preset::Contract | Preset::Plain => contract::read(&ended.stdout),
        };
        if let Some(error) = self.failure(&ended, &said) {
            return Err(error);
        }
        let usage = std::mem::take(&mut said.usage);
        match said.answer.take() {
            Some(Answer::Ask { question, options, allow }) => {
                Ok(ask(&folder, kept, said.session, question, options, allow, usage))
            }
            Some(Answer::Object(output, confidence)) => {
                let work = Work { output, confidence, usage, made: said.artifacts };
                self.completed(&job, work, source, given, folder).await
            }
            Some(Answer::Text(text)) => {
                let output = document(&job, &text);
                let work = Work { output, confidence: None, usage, made: said.artifacts };
                self.completed(&job, work, source, given, folder).await
            }
            None => {
                let mut detail = format!("{} ended without a result.", self.name);
                if said.unreadable > 0 {
                    detail.push_str(&format!(" {} lines were no JSON.", said.unreadable));
                }
                Err(failed(false, "protocol_error", detail, &ended, usage))
            }
        }
    }
}

/// What a program made.
struct Work {
    output: Map<String, Value>,
    confidence: Option<f64>,
    usage: Usage,
    made: Vec<Made>,
}

impl CommandRunner {
    /// What is wrong with how a program ended, if anything is.
    fn failure(&self, ended: &Ended, said: &Said) -> Option<RunError> {
        let name = &self.name;
        let words = said.error.as_deref().map(process::printable);
        let with = |sentence: String| match &words {
            Some(words) => format!("{sentence} {words}"),
            None => sentence,
        };
        let fail =
            |retry, code, detail| Some(failed(retry, code, detail, ended, said.usage.clone()));
        match ended.end {
            End::TimedOut => fail(true, "timed_out", with(format!("{name} took too long."))),
            End::Flooded(how) => {
                fail(false, "output_too_large", format!("{name} printed too much {how}."))
            }
            End::Signal(signal) => {
                fail(true, "command_killed", with(format!("{name} was ended by signal {signal}.")))
            }
            End::Exit(75) => {
                fail(true, "temporary_failure", with(format!("{name} asks for another try.")))
            }
            End::Exit(0) => {
                let words = words?;
                match self.spec.preset {
                    Preset::Contract => fail(false, "protocol_error", words),
                    _ => fail(true, "agent_failed", words),
                }
            }
            End::Exit(code) => {
                fail(true, "command_failed", with(format!("{name} ended with exit code {code}.")))
            }
        }
    }

    /// A program whose exit code is its answer: of a test run it is the verdict.
    async fn verdict(
        &self,
        job: &Assignment,
        ended: &Ended,
        source: Option<Map<String, Value>>,
        given: Vec<File>,
        folder: Arc<Folder>,
    ) -> Result<Outcome, RunError> {
        let tests = job.output_type == Some(ArtifactType::TestResults);
        let code = match ended.end {
            // What a shell says of a program it did not find or could not start.
            End::Exit(code @ (126 | 127)) => {
                let detail = format!("{} could not be run: exit code {code}.", self.name);
                return Err(failed(true, "command_failed", detail, ended, Usage::default()));
            }
            End::Exit(code) if tests || code == 0 => code,
            _ => {
                let error = self.failure(ended, &Said::default());
                return Err(error.unwrap_or_else(|| RunError::retryable("command_failed", "")));
            }
        };
        let output =
            if tests { self.test_results(code, ended) } else { document(job, &evidence(ended)) };
        let work = Work { output, confidence: None, usage: Usage::default(), made: Vec::new() };
        self.completed(job, work, source, given, folder).await
    }

    /// In the form of the built-in tester's, so that the same readers read it.
    fn test_results(&self, code: i32, ended: &Ended) -> Map<String, Value> {
        let (name, evidence, passed) = (&self.name, evidence(ended), code == 0);
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
        let fence = "`".repeat(longest_run(&evidence).max(2) + 1);
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

    /// Takes in what was made.
    async fn completed(
        &self,
        job: &Assignment,
        work: Work,
        source: Option<Map<String, Value>>,
        given: Vec<File>,
        folder: Arc<Folder>,
    ) -> Result<Outcome, RunError> {
        let Work { mut output, confidence, usage, made } = work;
        let with_usage = |error: RunError| error.having_used(usage.clone());
        let expected = job.output_type;
        let (ignore, writes) = (self.spec.ignore.clone(), presets::writes(job));
        let summary = output.get("summary").and_then(Value::as_str).map(str::to_owned);
        let taken = blocking(move || {
            let mut artifacts = Vec::new();
            for made in made {
                artifacts.push(artifact(&folder, made, expected)?);
            }
            let announced = artifacts
                .iter()
                .any(|artifact: &NewArtifact| artifact.artifact_type == ArtifactType::SourceCode);
            if writes && !announced {
                let found = folder.collect(&given, &ignore)?;
                let changed = found.files != sorted(&given);
                // A step that is to make source code has it also when it left everything as it was.
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
                let detail = format!("{} {what}.", self.name);
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
            // What there is to say about it is in the artifact already.
            output.remove("markdown");
        }
        Ok(Outcome::Completed { output, artifacts, confidence, usage })
    }
}

fn ask(
    folder: &Folder,
    kept: Option<Kept>,
    session: Option<String>,
    question: String,
    options: Vec<String>,
    mut allow: Vec<String>,
    usage: Usage,
) -> Outcome {
    let mut spent = usage.cost_micro_usd.unwrap_or(0);
    if let Some(kept) = kept {
        allow.extend(kept.allow);
        spent = spent.saturating_add(kept.spent);
    }
    allow.sort_unstable();
    allow.dedup();
    let session = session.map(|session| Kept { folder: folder.keep(), session, allow, spent });
    let session = session.and_then(|kept| serde_json::to_string(&kept).ok());
    Outcome::Ask { question: Question { question, options, artifacts: Vec::new() }, usage, session }
}

fn sorted(files: &[File]) -> Vec<File> {
    let mut files = files.to_vec();
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    files
}

/// An artifact that was announced.
fn artifact(
    folder: &Folder,
    made: Made,
    expected: Option<ArtifactType>,
) -> Result<NewArtifact, RunError> {
    let Made { name, media_type, content, path } = made;
    let unsound = |detail: String| RunError::terminal("protocol_error", detail);
    let content = match (content, path) {
        (Some(content), _) => content,
        (None, Some(path)) => {
            let text = folder.text(&path);
            let text = text.map_err(|why| unsound(format!("The artifact {path:?}: {why}.")))?;
            let json = media_type.as_deref().is_some_and(|kind| kind.ends_with("json"));
            let parsed = json.then(|| serde_json::from_str(&text)).transpose();
            let parsed = parsed.map_err(|why| unsound(format!("The artifact {path:?}: {why}.")))?;
            parsed.unwrap_or(Value::String(text))
        }
        (None, None) => return Err(unsound(format!("The artifact {name:?} has no content."))),
    };
    let known = name.parse().ok().or(expected).unwrap_or(ArtifactType::AgentOutput);
    let content = match content {
        Value::Object(content) => content,
        Value::String(text) => object(json!({"title": name, "markdown": text})),
        other => object(json!({"title": name, "value": other})),
    };
    Ok(NewArtifact::new(known, content))
}

/// An answer in words as a document.
fn document(job: &Assignment, text: &str) -> Map<String, Value> {
    let inner = text.trim();
    let fenced = inner.strip_prefix("```json").and_then(|rest| rest.strip_suffix("```"));
    let parsed = serde_json::from_str(fenced.unwrap_or(inner)).ok();
    if let Some(Value::Object(object)) = parsed {
        return object;
    }
    if presets::writes(job) {
        return object(json!({"summary": text}));
    }
    let title = job.output_type.map_or("agent_output", ArtifactType::as_str).replace('_', " ");
    object(json!({"title": title, "markdown": text}))
}

/// The end of everything that was printed.
fn evidence(ended: &Ended) -> String {
    let both = [process::printable(&ended.stdout), ended.stderr.clone()];
    let parts = both.iter().filter(|part| !part.is_empty()).map(|part| {
        let from = part.len().saturating_sub(EVIDENCE_BYTES);
        let from = (from..part.len()).find(|at| part.is_char_boundary(*at));
        &part[from.unwrap_or(part.len())..]
    });
    parts.collect::<Vec<_>>().join("\n")
}

/// No more than so many bytes of a text, and whole characters.
fn beginning(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn failed(retry: bool, code: &str, sentence: String, ended: &Ended, usage: Usage) -> RunError {
    let detail = match ended.stderr.as_str() {
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

/// Does something slow where it holds nobody up.
async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is on its way out, and we with it.
            Err(_) => std::future::pending().await,
        },
    }
}
