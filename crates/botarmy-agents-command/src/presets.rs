//! Programs with a protocol of their own: the arguments that make them run once without a
//! terminal, and the reading of their output. Observed on Claude Code 2.1, Codex CLI 0.169 and
//! Gemini CLI 0.61.

use std::fmt::Write as _;
use std::iter;

use botarmy_domain::vocabulary::{ArtifactType, HitlAction};
use botarmy_domain::{Assignment, Usage, json};
use serde_json::Value;

use crate::contract::{Answer, Report, input};
use crate::exact::{self, NotExact};
use crate::session::SavedSession;
use crate::spec::Preset;
use crate::text::beginning;

/// Most bytes of a prompt: Linux limits one argument to 128 KiB.
const MAX_PROMPT_BYTES: usize = 100 << 10;

/// Arguments, input and variables for one run of a program.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    /// Arguments after the operator's own.
    pub(crate) arguments: Vec<String>,
    /// Bytes for the standard input; `/dev/null` when `None`.
    pub(crate) input: Option<Vec<u8>>,
    pub(crate) variables: &'static [(&'static str, &'static str)],
}

/// Returns the call for an assignment. `saved` is the session to resume, if it still exists.
pub(crate) fn call(
    preset: Preset,
    job: &Assignment,
    saved: Option<&SavedSession>,
    in_sandbox: bool,
) -> Call {
    let own = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let session = saved.map(|saved| saved.session.as_str());
    let writes = writes(job);
    match preset {
        Preset::Contract => {
            Call { arguments: Vec::new(), input: Some(input(job, session)), variables: &[] }
        }
        Preset::Plain => Call { arguments: Vec::new(), input: None, variables: &[] },
        Preset::Claude => {
            let mut arguments = own(&["-p", "--output-format", "json"]);
            if writes {
                arguments.extend(own(&["--permission-mode", "acceptEdits"]));
            }
            let mut prompt = prompt(job);
            if let Some(saved) = saved {
                arguments.extend(["--resume".to_owned(), saved.session.clone()]);
                if approved(job) && !saved.allow.is_empty() {
                    arguments.extend(["--allowedTools".to_owned(), saved.allow.join(",")]);
                }
                prompt = answers(job);
            }
            // The standard input has no length limit. The variable stops update checks and
            // telemetry, which have no reader here.
            let variables = &[("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")];
            Call { arguments, input: Some(prompt.into_bytes()), variables }
        }
        Preset::Codex => {
            // Its own sandbox needs user namespaces, which a process in one of ours may not make
            // (as root without CAP_SETFCAP, and under the AppArmor profile of bwrap).
            let sandbox = match (in_sandbox, writes) {
                (true, _) => "danger-full-access",
                (false, true) => "workspace-write",
                (false, false) => "read-only",
            };
            let mut arguments =
                own(&["exec", "--json", "--skip-git-repo-check", "-s", sandbox, "--"]);
            arguments.push(prompt(job));
            // It appends a piped standard input to its prompt and waits for the end of it.
            Call { arguments, input: None, variables: &[] }
        }
        Preset::Gemini => {
            let mut arguments = own(&["--output-format", "json"]);
            if writes {
                arguments.extend(own(&["--approval-mode", "auto_edit"]));
            }
            arguments.push(format!("--prompt={}", prompt(job)));
            // Without the variable it asks whether to trust an unknown folder.
            Call { arguments, input: None, variables: &[("GEMINI_CLI_TRUST_WORKSPACE", "true")] }
        }
    }
}

/// Returns `true` if the assignment expects files.
pub(crate) fn writes(job: &Assignment) -> bool {
    job.output_type.is_none_or(|kind| kind == ArtifactType::SourceCode)
}

fn approved(job: &Assignment) -> bool {
    let last = job.resume.as_ref().and_then(|resume| resume.answers.last());
    last.is_some_and(|answer| answer.action != HitlAction::Reject)
}

fn answers(job: &Assignment) -> String {
    let mut text = String::new();
    for answer in job.resume.iter().flat_map(|resume| &resume.answers) {
        let _ = writeln!(text, "Your question was answered: {}.", answer.action.as_str());
        if let Some(comment) = &answer.comment {
            let _ = writeln!(text, "{comment}");
        }
        match &answer.content {
            None => {}
            Some(Value::String(said)) => text.push_str(said),
            Some(said) => {
                let _ = writeln!(text, "{said}");
            }
        }
    }
    text.push_str("\nGo on with your work.");
    text
}

/// Returns the assignment as a prompt.
fn prompt(job: &Assignment) -> String {
    let mut text = format!("{}\n\n", job.instructions);
    let form = job.output_schema.as_ref().filter(|_| !writes(job));
    text.push_str(match job.output_type {
        _ if form.is_some() => match job.output_type {
            Some(ArtifactType::TestResults) => "The project is in the current folder.\n",
            _ => "",
        },
        None => "Work in the current folder and say at the end what you did.\n",
        Some(ArtifactType::SourceCode) => {
            "The project is in the current folder. Change its files there, and say at the end in a \
             few sentences what you did. Write text files only.\n"
        }
        Some(ArtifactType::TestResults) => {
            "The project is in the current folder. Answer with one JSON object and nothing else: \
             {\"passed\": true or false, \"summary\": a sentence, \"failures\": [{\"file\", \
             \"detail\"}]}.\n"
        }
        Some(_) => "Answer with the document itself, in Markdown.\n",
    });
    if let Some(schema) = form {
        let _ = writeln!(
            text,
            "Answer with one JSON object and nothing else. It must have this form (JSON Schema):\n{}",
            Value::Object(schema.clone())
        );
    }
    if job.resume.is_some() {
        let _ = writeln!(text, "\n{}", answers(job));
    }
    for artifact in &job.context {
        if artifact.meta.artifact_type == ArtifactType::SourceCode {
            continue;
        }
        let document = artifact.content.get("markdown").and_then(Value::as_str);
        let document = document.map_or_else(
            || serde_json::to_string_pretty(&artifact.content).unwrap_or_default(),
            str::to_owned,
        );
        let _ = write!(text, "\n## {}\n\n{document}\n", artifact.meta.artifact_type);
    }
    if text.len() > MAX_PROMPT_BYTES {
        text.truncate(beginning(&text, MAX_PROMPT_BYTES).len());
        text.push_str("\n\n(The rest was too long.)");
    }
    text.replace('\0', "\u{fffd}")
}

/// Reads the output of Claude Code: one object at the end. Its `subtype` is "success" even when it
/// failed; only `is_error` and the exit code are reliable. Its tokens are those of this run, its
/// cost is that of the whole session.
pub(crate) fn read_claude(stdout: &str, saved: Option<&SavedSession>) -> Report {
    let mut report = Report::default();
    let is_result = |text: &str| {
        let value = json::read::<Value>(text).ok()?;
        (value["type"] == "result").then_some(value)
    };
    // With --verbose it prints a list of all events.
    let found = iter::once(stdout).chain(stdout.lines().rev()).find_map(|text| {
        let events = exact::elements(text);
        let texts = events.into_iter().rev().chain(iter::once(text));
        texts.map(|text| (text, is_result(text))).find_map(|(text, value)| Some((text, value?)))
    });
    let Some((printed, result)) = found else { return report };
    let usage = &result["usage"];
    let tokens = |key: &str| usage[key].as_u64().unwrap_or(0);
    report.usage = Usage {
        provider: Some("anthropic".to_owned()),
        model: result["modelUsage"].as_object().and_then(|models| models.keys().next().cloned()),
        input_tokens: tokens("input_tokens")
            .saturating_add(tokens("cache_creation_input_tokens"))
            .saturating_add(tokens("cache_read_input_tokens")),
        output_tokens: tokens("output_tokens"),
        cost_micro_usd: result["total_cost_usd"]
            .as_f64()
            .map(|dollars| micros(dollars).saturating_sub(saved.map_or(0, |saved| saved.spent))),
    };
    report.session = text(&result["session_id"]);
    let words = text(&result["result"]);
    if result["is_error"] == true {
        report.error = Some(
            words.unwrap_or_else(|| "The program reports a failure without a reason.".to_owned()),
        );
        return report;
    }
    if let Some(lossy) = lossy(printed) {
        report.answer = Some(lossy);
        return report;
    }
    let denied = result["permission_denials"].as_array().map_or(&[][..], Vec::as_slice);
    if !denied.is_empty() {
        let mut allow: Vec<String> =
            denied.iter().filter_map(|one| text(&one["tool_name"])).collect();
        allow.sort_unstable();
        allow.dedup();
        let details = denied.iter().take(5).map(|one| {
            let input: String = one["tool_input"].to_string().chars().take(300).collect();
            format!("{} {input}", one["tool_name"].as_str().unwrap_or("a tool"))
        });
        let question = format!(
            "The agent was not permitted to use: {}. Allow {} and go on?",
            details.collect::<Vec<_>>().join("; "),
            allow.join(", ")
        );
        let options = ["Allow", "Refuse"].map(str::to_owned).to_vec();
        report.answer = Some(Answer::Ask { question, options, allow });
        return report;
    }
    report.answer = match &result["structured_output"] {
        Value::Object(object) => Some(Answer::Object(object.clone(), None)),
        _ => words.map(Answer::Text),
    };
    report
}

/// Reads the output of Codex: one line for each event. An item of the type `error` within a turn
/// is a warning; a failed turn has an event of its own.
pub(crate) fn read_codex(stdout: &str) -> Report {
    let mut report = Report::default();
    for line in stdout.lines() {
        let Ok(event) = json::read::<Value>(line) else { continue };
        match event["type"].as_str().unwrap_or_default() {
            "thread.started" => report.session = text(&event["thread_id"]),
            "item.completed" if event["item"]["type"] == "agent_message" => {
                report.answer =
                    lossy(line).or_else(|| text(&event["item"]["text"]).map(Answer::Text));
            }
            "turn.completed" => {
                report.answer = lossy(line).or(report.answer);
                let tokens = |key: &str| event["usage"][key].as_u64().unwrap_or(0);
                report.error = None;
                report.usage.add(&Usage {
                    provider: Some("openai".to_owned()),
                    input_tokens: tokens("input_tokens"),
                    output_tokens: tokens("output_tokens"),
                    ..Usage::default()
                });
            }
            "turn.failed" => {
                let words = text(&event["error"]["message"]);
                report.error = Some(words.unwrap_or_else(|| "The turn failed.".to_owned()));
            }
            // Also printed for a connection that is retried; a completed turn clears it.
            "error" => report.error = text(&event["message"]).or(report.error),
            _ => {}
        }
    }
    report
}

/// Reads the output of Gemini CLI: one object, sometimes after lines of warnings.
pub(crate) fn read_gemini(stdout: &str) -> Report {
    let mut report = Report::default();
    let begin = stdout.find("{\n").or_else(|| stdout.find('{')).unwrap_or(0);
    let printed = stdout[begin..].trim();
    let Ok(result) = json::read::<Value>(printed) else { return report };
    report.session = text(&result["session_id"]);
    for (model, stats) in result["stats"]["models"].as_object().into_iter().flatten() {
        let tokens = |key: &str| stats["tokens"][key].as_u64().unwrap_or(0);
        report.usage.add(&Usage {
            provider: Some("gemini".to_owned()),
            model: Some(model.clone()),
            input_tokens: tokens("prompt"),
            output_tokens: tokens("candidates").saturating_add(tokens("thoughts")),
            cost_micro_usd: None,
        });
    }
    if !result["error"].is_null() {
        let words = text(&result["error"]["message"]);
        report.error = Some(words.unwrap_or_else(|| result["error"].to_string()));
        return report;
    }
    report.answer = lossy(printed).or_else(|| text(&result["response"]).map(Answer::Text));
    report
}

/// Returns the answer for JSON in which a key or a digit would get lost.
fn lossy(printed: &str) -> Option<Answer> {
    match exact::read(printed) {
        Err(NotExact::Lossy(error)) => Some(Answer::Lossy(error)),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast clamps a float, and a cost is not negative"
)]
fn micros(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}
