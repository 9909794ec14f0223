//! Programs that speak a language of their own: how they are asked once without a terminal, and
//! how what they print is read. Learned from Claude Code 2.1, Codex CLI 0.169 and Gemini CLI 0.61.

use std::fmt::Write as _;

use botarmy_domain::ports::{Assignment, Usage};
use botarmy_domain::vocabulary::{ArtifactType, HitlAction};
use serde_json::Value;

use super::Kept;
use super::contract::{Answer, Said, input};
use super::spec::Preset;

/// The longest prompt: one argument may have 128 KiB.
const PROMPT_BYTES: usize = 100 << 10;

/// What is said to a program.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    /// Behind the operator's own arguments.
    pub(super) arguments: Vec<String>,
    /// Its standard input; `None` for none at all.
    pub(super) input: Option<Vec<u8>>,
    pub(super) variables: &'static [(&'static str, &'static str)],
}

/// How a program is asked. `kept` is what it goes on from, where that is still there.
pub(super) fn call(preset: Preset, job: &Assignment, kept: Option<&Kept>) -> Call {
    let own = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let session = kept.map(|kept| kept.session.as_str());
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
            if let Some(kept) = kept {
                arguments.extend(["--resume".to_owned(), kept.session.clone()]);
                if approved(job) && !kept.allow.is_empty() {
                    arguments.extend(["--allowedTools".to_owned(), kept.allow.join(",")]);
                }
                prompt = answers(job);
            }
            // Through the standard input, where it may be long. It would otherwise look for updates
            // and report on itself, which nobody is there to see.
            let variables = &[("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")];
            Call { arguments, input: Some(prompt.into_bytes()), variables }
        }
        Preset::Codex => {
            let sandbox = if writes { "workspace-write" } else { "read-only" };
            let mut arguments =
                own(&["exec", "--json", "--skip-git-repo-check", "-s", sandbox, "--"]);
            arguments.push(prompt(job));
            // It adds what it finds on a pipe to its prompt, and waits for the end of it.
            Call { arguments, input: None, variables: &[] }
        }
        Preset::Gemini => {
            let mut arguments = own(&["--output-format", "json"]);
            if writes {
                arguments.extend(own(&["--approval-mode", "auto_edit"]));
            }
            arguments.push(format!("--prompt={}", prompt(job)));
            // It asks whether it may trust a folder it does not know.
            Call { arguments, input: None, variables: &[("GEMINI_CLI_TRUST_WORKSPACE", "true")] }
        }
    }
}

/// Whether files are what is expected.
pub(super) fn writes(job: &Assignment) -> bool {
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

/// The assignment in words.
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
    if text.len() > PROMPT_BYTES {
        text.truncate(super::beginning(&text, PROMPT_BYTES).len());
        text.push_str("\n\n(The rest was too long.)");
    }
    text.replace('\0', "\u{fffd}")
}

/// What Claude Code says: one object at the end. Its `subtype` says "success" also when it failed;
/// `is_error` and the exit code say the truth. Its tokens are those of this run, and its cost is
/// that of the whole session.
pub(super) fn read_claude(stdout: &str, kept: Option<&Kept>) -> Said {
    let mut said = Said::default();
    let lines = stdout.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let whole = serde_json::from_str::<Value>(stdout).ok();
    // Told to be verbose, it prints a list of everything.
    let found = whole.into_iter().chain(lines).find_map(|value| match value {
        Value::Array(list) => list.into_iter().rev().find(|one| one["type"] == "result"),
        one => (one["type"] == "result").then_some(one),
    });
    let Some(result) = found else { return said };
    let usage = &result["usage"];
    let tokens = |key: &str| usage[key].as_u64().unwrap_or(0);
    said.usage = Usage {
        provider: Some("anthropic".to_owned()),
        model: result["modelUsage"].as_object().and_then(|models| models.keys().next().cloned()),
        input_tokens: tokens("input_tokens")
            .saturating_add(tokens("cache_creation_input_tokens"))
            .saturating_add(tokens("cache_read_input_tokens")),
        output_tokens: tokens("output_tokens"),
        cost_micro_usd: result["total_cost_usd"]
            .as_f64()
            .map(|dollars| micros(dollars).saturating_sub(kept.map_or(0, |kept| kept.spent))),
    };
    said.session = text(&result["session_id"]);
    let words = text(&result["result"]);
    if result["is_error"] == true {
        said.error = Some(words.unwrap_or_else(|| "It says that it failed.".to_owned()));
        return said;
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
        said.answer = Some(Answer::Ask { question, options, allow });
        return said;
    }
    said.answer = match &result["structured_output"] {
        Value::Object(object) => Some(Answer::Object(object.clone(), None)),
        _ => words.map(Answer::Text),
    };
    said
}

/// What Codex says: a line for everything. An item of the type `error` inside of a turn is a
/// warning; a turn that failed says so.
pub(super) fn read_codex(stdout: &str) -> Said {
    let mut said = Said::default();
    for line in stdout.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        match event["type"].as_str().unwrap_or_default() {
            "thread.started" => said.session = text(&event["thread_id"]),
            "item.completed" if event["item"]["type"] == "agent_message" => {
                said.answer = text(&event["item"]["text"]).map(Answer::Text);
            }
            "turn.completed" => {
                let tokens = |key: &str| event["usage"][key].as_u64().unwrap_or(0);
                said.error = None;
                said.usage.add(&Usage {
                    provider: Some("openai".to_owned()),
                    input_tokens: tokens("input_tokens"),
                    output_tokens: tokens("output_tokens"),
                    ..Usage::default()
                });
            }
            "turn.failed" => {
                let words = text(&event["error"]["message"]);
                said.error = Some(words.unwrap_or_else(|| "The turn failed.".to_owned()));
            }
            // It says this also of a connection it then tries again; a good turn takes it back.
            "error" => said.error = text(&event["message"]).or(said.error),
            _ => {}
        }
    }
    said
}

/// What Gemini CLI says: one object, with complaints before it at times.
pub(super) fn read_gemini(stdout: &str) -> Said {
    let mut said = Said::default();
    let begin = stdout.find("{\n").or_else(|| stdout.find('{')).unwrap_or(0);
    let Ok(result) = serde_json::from_str::<Value>(stdout[begin..].trim()) else { return said };
    said.session = text(&result["session_id"]);
    for (model, stats) in result["stats"]["models"].as_object().into_iter().flatten() {
        let tokens = |key: &str| stats["tokens"][key].as_u64().unwrap_or(0);
        said.usage.add(&Usage {
            provider: Some("gemini".to_owned()),
            model: Some(model.clone()),
            input_tokens: tokens("prompt"),
            output_tokens: tokens("candidates").saturating_add(tokens("thoughts")),
            cost_micro_usd: None,
        });
    }
    if !result["error"].is_null() {
        let words = text(&result["error"]["message"]);
        said.error = Some(words.unwrap_or_else(|| result["error"].to_string()));
        return said;
    }
    said.answer = text(&result["response"]).map(Answer::Text);
    said
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float is clamped when it is cast, and nobody spends less than nothing"
)]
fn micros(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}
