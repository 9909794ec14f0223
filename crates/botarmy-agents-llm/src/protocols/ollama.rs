//! Ollama's chat (<https://docs.ollama.com/api/chat>).

use serde_json::{Value, json};

use super::shared::{Ask, Call, Reading, bearer, messages, number, text};

pub(super) fn call(ask: &Ask<'_>) -> Call {
    let mut body = json!({
        "model": ask.model, "stream": true, "options": {"num_predict": ask.max_tokens},
        "messages": messages(ask),
    });
    // Versions before 0.5 know the JSON mode only.
    if ask.schema.is_some() {
        body["format"] = "json".into();
    }
    Call { path: "api/chat".to_owned(), headers: bearer(ask.key), body }
}

pub(super) fn read(frame: &Value, reading: &mut Reading) {
    reading.say(text(frame, "/message/content").unwrap_or_default());
    reading.think(text(frame, "/message/thinking").unwrap_or_default());
    for call in frame["message"]["tool_calls"].as_array().into_iter().flatten() {
        reading.call_tool(call);
    }
    if frame["done"] == true {
        reading.is_ended = true;
        reading.end_with(text(frame, "/done_reason"));
        reading.count_input(number(frame, "/prompt_eval_count"));
        reading.count_output(number(frame, "/eval_count"));
    }
}
