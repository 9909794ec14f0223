//! Google's generateContent (<https://ai.google.dev/api/generate-content>).

use serde_json::{Value, json};

use super::shared::{Ask, Call, Reading, number, sum, text};
use crate::wire::Stop;

pub(super) fn call(ask: &Ask<'_>) -> Call {
    let mut generation = json!({"maxOutputTokens": ask.max_tokens});
    if let Some(schema) = ask.schema {
        generation["responseMimeType"] = "application/json".into();
        generation["responseJsonSchema"] = schema.clone();
    }
    let body = json!({
        "systemInstruction": {"parts": [{"text": ask.system}]},
        "contents": [{"role": "user", "parts": [{"text": ask.text}]}],
        "generationConfig": generation,
    });
    let headers = ask.key.map(|key| ("x-goog-api-key", key.secret().to_owned()));
    Call {
        path: format!("models/{}:streamGenerateContent?alt=sse", ask.model),
        headers: headers.into_iter().collect(),
        body,
    }
}

pub(super) fn read(frame: &Value, reading: &mut Reading) {
    let parts = frame.pointer("/candidates/0/content/parts").and_then(Value::as_array);
    for part in parts.into_iter().flatten() {
        let content = text(part, "/text").unwrap_or_default();
        if part["thought"] == true {
            reading.think(content);
        } else {
            reading.say(content);
        }
        if let Some(call) = part.get("functionCall") {
            reading.call_tool(call);
        }
    }
    reading.end_with(text(frame, "/candidates/0/finishReason"));
    if text(frame, "/promptFeedback/blockReason").is_some() {
        reading.reason = Some(Stop::Refused);
    }
    let count = |key| number(frame, key);
    let prompt = "/usageMetadata/promptTokenCount";
    let input = sum([count(prompt), count("/usageMetadata/toolUsePromptTokenCount")]);
    let candidates = count("/usageMetadata/candidatesTokenCount");
    let output = sum([candidates, count("/usageMetadata/thoughtsTokenCount")]);
    let total = count("/usageMetadata/totalTokenCount");
    let rest = total.zip(input).map(|(total, input)| total.saturating_sub(input));
    reading.count_input(input);
    reading.count_output(output.max(rest));
}
