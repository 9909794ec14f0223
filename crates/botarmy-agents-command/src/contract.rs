//! `botarmy.command/1`: the document on a program's standard input, and the JSON Lines that it
//! prints.

use botarmy_domain::{Assignment, Usage, WorkerDocument, json};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Returns the document for the standard input. `session` is the text that the program gave with
/// its question; the session of the assignment is the runner's own.
pub(crate) fn input(job: &Assignment, session: Option<&str>) -> Vec<u8> {
    let mut document = WorkerDocument::of(job);
    if let Some(resume) = &mut document.resume {
        resume.session = session;
    }
    serde_json::to_vec(&document).expect("its keys are strings, and JSON has every value")
}

/// Answer of a program, read from its output by its protocol.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Report {
    pub(crate) answer: Option<Answer>,
    /// Error in the program's own words.
    pub(crate) error: Option<String>,
    pub(crate) artifacts: Vec<ReportedArtifact>,
    pub(crate) usage: Usage,
    pub(crate) session: Option<String>,
    /// Number of lines that are not JSON.
    pub(crate) unreadable: usize,
}

/// Result of a program's work.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    /// The work is done; the output is an object, with the confidence from 0 to 1 if given.
    Object(Map<String, Value>, Option<f64>),
    /// The work is done; the output is a text.
    Text(String),
    /// The work is done; a key or a digit of the output would get lost.
    Lossy(json::JsonError),
    /// A person has to answer; `allow` names the tools that an approval allows.
    Ask { question: String, options: Vec<String>, allow: Vec<String> },
}

/// An artifact that a program reports, with its content or the path of a file that holds it.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct ReportedArtifact {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) media_type: Option<String>,
    #[serde(default)]
    pub(crate) content: Option<Value>,
    #[serde(default)]
    pub(crate) path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Event {
        #[serde(default)]
        level: Option<String>,
        message: String,
        /// A number of any kind: programs divide.
        #[serde(default)]
        percent: Option<f64>,
    },
    Artifact(ReportedArtifact),
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

/// Returns the message and the percentage of an output line that reports progress.
pub(crate) fn progress(line: &str) -> Option<(String, Option<u8>)> {
    // A cheap test first: most lines are not events, and some are long.
    if !line.contains("\"event\"") {
        return None;
    }
    match serde_json::from_str(line).ok()? {
        Line::Event { level, message, percent } => {
            let level = level.filter(|level| level == "warn" || level == "error");
            let level = level.map(|level| format!("{level}: ")).unwrap_or_default();
            let message: String = message.chars().take(1000).collect();
            Some((format!("{level}{message}"), percent.map(whole)))
        }
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number was brought between 0 and 100"
)]
fn whole(percent: f64) -> u8 {
    percent.clamp(0.0, 100.0).round() as u8
}

/// Reads the whole output of a program that keeps the contract.
pub(crate) fn read(stdout: &str) -> Report {
    let mut report = Report::default();
    for line in stdout.lines().filter(|line| !line.trim().is_empty()) {
        let Ok(value) = json::read::<Value>(line) else {
            report.unreadable += 1;
            continue;
        };
        let known = ["event", "artifact", "ask", "result"];
        if !value["type"].as_str().is_some_and(|kind| known.contains(&kind)) {
            continue;
        }
        if let Err(error) = json::check(line, json::MAX_DEPTH) {
            report.error = Some(format!("A line cannot be taken as it is: {error}."));
            continue;
        }
        match serde_json::from_value(value) {
            Err(error) => {
                report.error = Some(format!("A line does not match botarmy.command/1: {error}."));
            }
            Ok(Line::Event { .. }) => {}
            Ok(Line::Artifact(artifact)) => report.artifacts.push(artifact),
            Ok(Line::Ask { question, options, session }) => {
                report.session = session;
                report.answer = Some(Answer::Ask { question, options, allow: Vec::new() });
            }
            Ok(Line::Result { output, confidence, usage, session }) => {
                report.session = session;
                report.usage = usage.unwrap_or(report.usage);
                if confidence.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
                    let error = "A line does not match botarmy.command/1: confidence is 0 to 1.";
                    report.error = Some(error.to_owned());
                }
                report.answer = Some(Answer::Object(output, confidence));
            }
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_would_lose_a_key_or_a_digit_is_an_error() {
        for (output, reason) in [
            (r#"{"a":1,"a":2}"#, "output.a: occurs twice"),
            (r#"{"a":[0.12345678901234567890]}"#, "output.a[0]: the number"),
        ] {
            let report = read(&format!("{{\"type\":\"result\",\"output\":{output}}}\n"));
            assert!(report.answer.is_none(), "{report:?}");
            assert!(report.error.as_ref().unwrap().contains(reason), "{report:?}");
        }
        let report = read("{\"type\":\"result\",\"output\":{\"a\":18446744073709551615}}");
        assert!(report.error.is_none() && report.answer.is_some(), "{report:?}");
    }
}
