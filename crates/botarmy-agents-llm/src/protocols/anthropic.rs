//! Anthropic's messages (<https://platform.claude.com/docs/en/build-with-claude/streaming>).

use serde_json::{Value, json};

use super::shared::{Ask, Call, Reading, number, sum, text};

pub(super) fn call(ask: &Ask<'_>) -> Call {
    let mut body = json!({
        "model": ask.model, "stream": true, "max_tokens": ask.max_tokens, "system": ask.system,
        "messages": [{"role": "user", "content": ask.text}],
    });
    if let Some(schema) = ask.schema {
        body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
    }
    let mut headers = vec![("anthropic-version", "2023-06-01".to_owned())];
    headers.extend(ask.key.map(|key| ("x-api-key", key.secret().to_owned())));
    Call { path: "messages".to_owned(), headers, body }
}

pub(super) fn read(frame: &Value, reading: &mut Reading) {
    match text(frame, "/type").unwrap_or_default() {
        // The output tokens of this event are those of an empty answer.
        "message_start" => reading.count_input(input(frame, "/message/usage")),
        "content_block_start" => {
            let block = &frame["content_block"];
            match text(block, "/type") {
                Some("tool_use") => reading.call_tool(block),
                _ => content(block, reading),
            }
        }
        "content_block_delta" => content(&frame["delta"], reading),
        "message_delta" => {
            reading.end_with(text(frame, "/delta/stop_reason"));
            // Some gateways count the input here only.
            reading.count_input(input(frame, "/usage"));
            reading.count_output(number(frame, "/usage/output_tokens"));
        }
        "message_stop" => reading.is_ended = true,
        _ => {}
    }
}

fn content(part: &Value, reading: &mut Reading) {
    if let Some(content) = text(part, "/text") {
        reading.say(content);
    }
    for key in ["/thinking", "/partial_json"] {
        reading.think(text(part, key).unwrap_or_default());
    }
}

/// Returns the input tokens, including those that were written to a cache or read from one.
fn input(frame: &Value, usage: &str) -> Option<u64> {
    let usage = frame.pointer(usage)?;
    let keys = ["/input_tokens", "/cache_creation_input_tokens", "/cache_read_input_tokens"];
    sum(keys.map(|key| number(usage, key)))
}
