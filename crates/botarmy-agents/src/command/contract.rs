//! `botarmy.command/1`: what a command is told on its standard input, and how what it prints is
//! read.

use botarmy_domain::artifact::Artifact;
use botarmy_domain::ports::{Assignment, Usage};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The name of the contract.
pub(super) const CONTRACT: &str = "botarmy.command/1";

/// The document a command reads.
pub(super) fn input(job: &Assignment, session: Option<&str>) -> Vec<u8> {
    let context: Vec<_> = job
        .context
        .iter()
        .map(|artifact| {
            json!({
                "id": artifact.meta.id, "type": artifact.meta.artifact_type,
                "name": name(artifact), "content": artifact.content,
            })
        })
        .collect();
    let resume = job.resume.as_ref().map(|resume| {
        let answers: Vec<_> = resume
            .answers
            .iter()
            .map(|answer| {
                json!({
                    "question_id": answer.question_id, "action": answer.action,
                    "comment": answer.comment, "content": answer.content,
                })
            })
            .collect();
        json!({"session": session, "answers": answers})
    });
    let document = json!({
        "contract": CONTRACT,
        "task": {
            "id": job.task_id, "project_id": job.project_id, "agent": job.agent,
            "attempt": job.attempt, "instructions": job.instructions,
        },
        "context": context,
        "output_schema": job.output_schema,
        "resume": resume,
    });
    document.to_string().into_bytes()
}

fn name(artifact: &Artifact) -> &str {
    let title = artifact.content.get("title").and_then(Value::as_str);
    title.unwrap_or(artifact.meta.artifact_type.as_str())
}

/// What a program said, in whichever way it says it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) answer: Option<Answer>,
    /// What is wrong, in its own words.
    pub(super) error: Option<String>,
    pub(super) artifacts: Vec<Made>,
    pub(super) usage: Usage,
    pub(super) session: Option<String>,
    /// Lines that should have been JSON.
    pub(super) unreadable: usize,
}

/// How a program wants its work to be taken.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// It is done: an object of its own.
    Object(Map<String, Value>, Option<f64>),
    /// It is done: a text.
    Text(String),
    /// A person has to say something; with the tools that are to be allowed then.
    Ask { question: String, options: Vec<String>, allow: Vec<String> },
}

/// An artifact as it is announced.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Made {
    pub(super) name: String,
    #[serde(default)]
    pub(super) media_type: Option<String>,
    #[serde(default)]
    pub(super) content: Option<Value>,
    #[serde(default)]
    pub(super) path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Event {
        #[serde(default)]
        level: Option<String>,
        message: String,
        #[serde(default)]
        percent: Option<u8>,
    },
    Artifact(Made),
    Ask {
        question: String,
        #[serde(default)]
        options: Vec<String>,
        #[serde(default)]
        session: Option<String>,
    },
    Result {
        #[serde(default)]
        output: Map<String, Value>,
        #[serde(default)]
        confidence: Option<f64>,
        #[serde(default)]
        usage: Option<Usage>,
        #[serde(default)]
        session: Option<String>,
    },
}

/// The line of progress in a line of output, if it is one.
pub(super) fn progress(line: &str) -> Option<(String, Option<u8>)> {
    // Most lines are something else, and some of them are long.
    if !line.contains("\"event\"") {
        return None;
    }
    match serde_json::from_str(line).ok()? {
        Line::Event { level, message, percent } => {
            let level = level.filter(|level| level == "warn" || level == "error");
            let level = level.map(|level| format!("{level}: ")).unwrap_or_default();
            let message: String = message.chars().take(1000).collect();
            Some((format!("{level}{message}"), percent.map(|percent| percent.min(100))))
        }
        _ => None,
    }
}

/// Everything a program that keeps the contract printed.
pub(super) fn read(stdout: &str) -> Said {
    let mut said = Said::default();
    for line in stdout.lines().filter(|line| !line.trim().is_empty()) {
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            said.unreadable += 1;
            continue;
        };
        let known = ["event", "artifact", "ask", "result"];
        if !value["type"].as_str().is_some_and(|kind| known.contains(&kind)) {
            continue;
        }
        match serde_json::from_value(value) {
            Err(error) => said.error = Some(format!("A line is not as agreed: {error}.")),
            Ok(Line::Event { .. }) => {}
            Ok(Line::Artifact(made)) => said.artifacts.push(made),
            Ok(Line::Ask { question, options, session }) => {
                said.session = session;
                said.answer = Some(Answer::Ask { question, options, allow: Vec::new() });
            }
            Ok(Line::Result { output, confidence, usage, session }) => {
                said.session = session;
                said.usage = usage.unwrap_or(said.usage);
                let confidence = confidence.filter(|value| (0.0..=1.0).contains(value));
                said.answer = Some(Answer::Object(output, confidence));
            }
        }
    }
    said
}
