//! The protocols of the providers: the request for an answer, and the meaning of each frame of it.

mod anthropic;
mod gemini;
mod ollama;
mod openai;
mod shared;

use serde_json::Value;

use crate::frames::Framing;
use crate::provider::ProviderKind;

pub(crate) use shared::{Ask, Call, Reading};

/// Returns the request in the form of a protocol.
pub(crate) fn call(kind: ProviderKind, ask: &Ask<'_>) -> Call {
    match kind {
        ProviderKind::OpenAi | ProviderKind::Compatible => openai::call(ask),
        ProviderKind::Anthropic => anthropic::call(ask),
        ProviderKind::Gemini => gemini::call(ask),
        ProviderKind::Ollama => ollama::call(ask),
    }
}

/// Returns how a protocol divides the body of an answer.
pub(crate) const fn framing(kind: ProviderKind) -> Framing {
    match kind {
        ProviderKind::Ollama => Framing::Lines,
        _ => Framing::Events,
    }
}

/// Takes a frame of the answer into account.
pub(crate) fn read(kind: ProviderKind, frame: &Value, reading: &mut Reading) {
    match kind {
        ProviderKind::OpenAi | ProviderKind::Compatible => openai::read(frame, reading),
        ProviderKind::Anthropic => anthropic::read(frame, reading),
        ProviderKind::Gemini => gemini::read(frame, reading),
        ProviderKind::Ollama => ollama::read(frame, reading),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::Key;
    use crate::usage::Counted;
    use crate::wire::Stop;

    fn reading(kind: ProviderKind, frames: &[Value]) -> Reading {
        let mut reading = Reading::default();
        frames.iter().for_each(|frame| read(kind, frame, &mut reading));
        reading
    }

    fn counted(kind: ProviderKind, frames: &[Value]) -> (Option<u64>, Option<u64>) {
        let Counted { input, output } = reading(kind, frames).counted;
        (input, output)
    }

    #[test]
    fn thoughts_and_cached_tokens_are_counted() {
        let gemini = |usage: Value| json!({"usageMetadata": usage});
        let openai = |usage: Value| json!({"choices": [], "usage": usage});
        for (kind, frame, expected) in [
            (
                ProviderKind::Gemini,
                gemini(json!({"promptTokenCount": 10, "thoughtsTokenCount": 900})),
                (Some(10), Some(900)),
            ),
            (
                ProviderKind::Gemini,
                gemini(json!({"promptTokenCount": 10, "toolUsePromptTokenCount": 2,
                    "candidatesTokenCount": 5, "thoughtsTokenCount": 900})),
                (Some(12), Some(905)),
            ),
            (
                ProviderKind::Gemini,
                gemini(json!({"promptTokenCount": 10, "totalTokenCount": 400})),
                (Some(10), Some(390)),
            ),
            (ProviderKind::Gemini, gemini(json!({"promptTokenCount": 10})), (Some(10), None)),
            (
                ProviderKind::OpenAi,
                openai(json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 110})),
                (Some(7), Some(103)),
            ),
            (
                ProviderKind::OpenAi,
                openai(json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})),
                (None, None),
            ),
            (ProviderKind::OpenAi, openai(Value::Null), (None, None)),
            (
                ProviderKind::Ollama,
                json!({"done": true, "prompt_eval_count": 4, "eval_count": 6}),
                (Some(4), Some(6)),
            ),
        ] {
            assert_eq!(counted(kind, std::slice::from_ref(&frame)), expected, "{kind:?} {frame}");
        }
        let begun = json!({"type": "message_start", "message": {"usage": {"input_tokens": 1,
            "cache_read_input_tokens": 90, "cache_creation_input_tokens": 9, "output_tokens": 1}}});
        let ended = json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 50}});
        let kind = ProviderKind::Anthropic;
        assert_eq!(counted(kind, std::slice::from_ref(&begun)), (Some(100), None));
        assert_eq!(counted(kind, &[begun, ended]), (Some(100), Some(50)));
    }

    #[test]
    fn an_empty_reason_is_none_and_an_unknown_one_is_kept() {
        let frame = |reason: Value| json!({"choices": [{"delta": {}, "finish_reason": reason}]});
        let stop = |reasons: &[Value]| {
            let frames: Vec<_> = reasons.iter().cloned().map(frame).collect();
            reading(ProviderKind::Compatible, &frames).stop()
        };
        assert!(stop(&[json!(""), Value::Null]).is_none());
        assert!(matches!(stop(&[json!("stop"), json!("")]), Some(Stop::Done)));
        assert!(
            matches!(stop(&[json!("eos_token")]), Some(Stop::Other(word)) if word == "eos_token")
        );
    }

    #[test]
    fn a_request_without_a_key_holds_no_header_for_it() {
        for kind in [
            ProviderKind::OpenAi,
            ProviderKind::Anthropic,
            ProviderKind::Gemini,
            ProviderKind::Ollama,
            ProviderKind::Compatible,
        ] {
            let ask =
                |key| Ask { model: "m", key, max_tokens: 1, schema: None, system: "", text: "" };
            let key = Key::new("s3cr3t").unwrap();
            let headers = call(kind, &ask(Some(&key))).headers;
            assert!(headers.iter().any(|(_, value)| value.contains("s3cr3t")), "{kind:?}");
            let headers = call(kind, &ask(None)).headers;
            assert!(headers.iter().all(|(name, _)| *name == "anthropic-version"), "{kind:?}");
        }
    }
}
