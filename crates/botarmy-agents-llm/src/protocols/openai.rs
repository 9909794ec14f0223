//! OpenAI's chat completions (<https://platform.openai.com/docs/api-reference/chat-streaming>), also
//! spoken by other servers.

use serde_json::{Value, json};

use super::shared::{Ask, Call, Reading, bearer, messages, number, text};
use crate::wire::Stop;

pub(super) fn call(ask: &Ask<'_>) -> Call {
    let mut body = json!({
        "model": ask.model, "stream": true, "stream_options": {"include_usage": true},
        "messages": messages(ask),
    });
    body[max_tokens_key(ask.model)] = ask.max_tokens.into();
    if let Some(schema) = ask.schema {
        body["response_format"] = json!({
            "type": "json_schema",
            "json_schema": {"name": "document", "strict": true, "schema": schema},
        });
    }
    Call { path: "chat/completions".to_owned(), headers: bearer(ask.key), body }
}

/// Returns the key of the maximum length. OpenAI's reasoning models refuse the older one, and other
/// servers do not know the newer one.
fn max_tokens_key(model: &str) -> &'static str {
    let newer = ["gpt-5", "gpt-6", "o1", "o3", "o4"];
    if newer.iter().any(|start| model.starts_with(start)) {
        "max_completion_tokens"
    } else {
        "max_tokens"
    }
}

pub(super) fn read(frame: &Value, reading: &mut Reading) {
    if let Some(choice) = frame.pointer("/choices/0") {
        say(&choice["delta"]["content"], reading);
        for key in ["/delta/reasoning_content", "/delta/reasoning"] {
            reading.think(text(choice, key).unwrap_or_default());
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            reading.call_tool(call);
        }
        reading.end_with(text(choice, "/finish_reason"));
        // With a schema, a refusal is a text of its own, and the reason is "stop".
        if let Some(refusal) = text(choice, "/delta/refusal").filter(|text| !text.is_empty()) {
            reading.think(refusal);
            reading.reason = Some(Stop::Refused);
        }
    }
    let count = |key| number(frame, key);
    let (input, output) = (count("/usage/prompt_tokens"), count("/usage/completion_tokens"));
    reading.count_input(input);
    // Some servers do not count reasoning in the completion, but all count it in the total.
    let rest =
        count("/usage/total_tokens").zip(input).map(|(total, input)| total.saturating_sub(input));
    reading.count_output(output.max(rest));
}

/// Takes the content of a delta: a text, or a list of parts (Mistral's reasoning models).
fn say(content: &Value, reading: &mut Reading) {
    match content {
        Value::String(content) => reading.say(content),
        Value::Array(parts) => {
            for part in parts {
                match text(part, "/text") {
                    Some(content) => reading.say(content),
                    None => reading.think(&part.to_string()),
                }
            }
        }
        _ => {}
    }
}
