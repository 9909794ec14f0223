//! Facts about a result that are part of the question to its reviewer.

use serde_json::{Map, Value};

/// Most warnings that are shown.
const MAX_WARNINGS: usize = 5;
/// Most characters of a warning.
const MAX_WARNING: usize = 300;

/// Facts about a result that its reviewer has to know.
#[derive(Debug)]
pub(super) struct Remarks {
    /// Confidence of the agent, where it is below the threshold.
    pub(super) low_confidence: Option<f64>,
    warnings: Vec<String>,
}

impl Remarks {
    /// Returns the remarks about a result: its confidence if that is below the threshold, and the texts
    /// in the list `warnings` of its output.
    pub(super) fn of(output: &Map<String, Value>, confidence: Option<f64>, threshold: f64) -> Self {
        let warnings = output.get("warnings").and_then(Value::as_array);
        let warnings = warnings.into_iter().flatten().filter_map(Value::as_str);
        let shortened = |text: &str| text.chars().take(MAX_WARNING).collect();
        Self {
            low_confidence: confidence.filter(|confidence| *confidence < threshold),
            warnings: warnings.take(MAX_WARNINGS).map(shortened).collect(),
        }
    }

    /// Returns the remarks as sentences to append to the question.
    pub(super) fn in_words(&self) -> String {
        let mut words = String::new();
        if let Some(confidence) = self.low_confidence {
            words.push_str(&format!(" Its agent is {:.0} % sure of it.", confidence * 100.0));
        }
        for warning in &self.warnings {
            words.push_str(" Warning: ");
            words.push_str(warning);
        }
        words
    }
}
