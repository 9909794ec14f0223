//! The bodies that providers send: signs of life, ends, errors, missing counts, and bodies without an
//! end.

use std::time::{Duration, Instant};

use botarmy_agents_llm::ProviderKind;
use botarmy_domain::ports::{AgentRunner, Clock};
use botarmy_domain::{Outcome, RunContext, Usage};
use botarmy_memory::ManualClock;
use botarmy_tests::providers::{Double, Last, Protocol, Reply, TOKENS, frames, says};
use serde_json::{Value, json};

use crate::llm::{KINDS, failed, listening, plan, planning, provider, run, runner, runner_for};

const NOW: Duration = Duration::ZERO;

fn at_once(pieces: &[String], last: Last) -> Reply {
    Reply::Pieces(pieces.iter().map(|piece| (NOW, piece.clone())).collect(), last)
}

/// Runs a check for all kinds of providers at the same time.
async fn for_all<F: Future<Output = ()>>(check: impl Fn(ProviderKind, Protocol) -> F) {
    futures_util::future::join_all(KINDS.map(|(kind, protocol)| check(kind, protocol))).await;
}

fn usage(outcome: Outcome) -> Usage {
    let Outcome::Completed { usage, .. } = outcome else { panic!("{outcome:?}") };
    usage
}

/// Returns the event of a JSON value, or its line.
fn frame(protocol: Protocol, value: &Value) -> String {
    match protocol {
        Protocol::Ollama => format!("{value}\n"),
        Protocol::Anthropic => {
            format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap())
        }
        Protocol::OpenAi | Protocol::Gemini => format!("data: {value}\n\n"),
    }
}

/// Returns a frame that says why the answer ends, without counting tokens.
fn ends_because(protocol: Protocol, reason: &str) -> String {
    let value = match protocol {
        Protocol::OpenAi => {
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        }
        Protocol::Anthropic => json!({"type": "message_delta", "delta": {"stop_reason": reason}}),
        Protocol::Gemini => json!({"candidates": [{"index": 0, "finishReason": reason}]}),
        Protocol::Ollama => json!({"done": true, "done_reason": reason}),
    };
    frame(protocol, &value)
}

#[tokio::test]
async fn any_byte_shows_that_a_provider_is_alive() {
    for_all(|kind, protocol| async move {
        let whole = frames(protocol, &plan().to_string());
        let wait = Duration::from_millis(150);
        let signs: &[&str] = match protocol {
            Protocol::Ollama => &["\n", " "],
            _ => &[": PROCESSING\n\n", ": ", "data: : keepalive\n\n", "\n"],
        };
        for sign in signs {
            let mut pieces = vec![(wait, (*sign).to_owned()); 5];
            if *sign == ": " {
                pieces.push((NOW, "\n\n".to_owned()));
            }
            pieces.extend(whole.iter().map(|one| (NOW, one.clone())));
            is_waited_for(kind, protocol, pieces).await;
        }
        // One long frame may arrive in pieces.
        let text = json!({"summary": "s".repeat(100), "goals": []}).to_string();
        let frame = says(protocol, &text);
        let pieces = frame.as_bytes().chunks(frame.len() / 5);
        let pieces = pieces.map(|piece| (wait, String::from_utf8(piece.to_vec()).unwrap()));
        is_waited_for(kind, protocol, pieces.collect()).await;
    })
    .await;
}

/// Checks that the document in this body is accepted by a runner that bears half a second of silence.
async fn is_waited_for(kind: ProviderKind, protocol: Protocol, pieces: Vec<(Duration, String)>) {
    let double = Double::saying("").await;
    let shown = format!("{kind:?} {:?}", pieces[0]);
    double.then(Reply::Pieces(pieces, Last::Finished));
    let mut impatient = provider(&double, kind, protocol);
    impatient.silence = Duration::from_millis(500);
    run(&runner_for(impatient), planning()).await.unwrap_or_else(|e| panic!("{shown}: {e}"));
    assert_eq!(double.asked().len(), 1, "{shown}");
}

#[tokio::test]
async fn signs_of_life_last_until_the_deadline_of_the_attempt() {
    let double = Double::saying("").await;
    let sign = (Duration::from_millis(50), ": PROCESSING\n\n".to_owned());
    double.then(Reply::Pieces(vec![sign; 200], Last::Finished));
    let runner = runner(&double, ProviderKind::OpenAi, Protocol::OpenAi);
    let deadline = ManualClock::default().now().after(Duration::from_millis(1_500));
    let context = RunContext { deadline, ..listening().0 };
    let started = Instant::now();
    let failed = failed(runner.run(planning(), context).await);
    assert_eq!((failed.code.as_str(), failed.again), ("timed_out", true));
    assert!(started.elapsed() < Duration::from_millis(1_500));
}

#[tokio::test]
async fn a_complete_document_is_accepted_however_its_stream_ends() {
    for_all(|kind, protocol| async move {
        let text = plan().to_string();
        let all = frames(protocol, &text);
        let (end, begun) = all.split_last().unwrap();
        let with = |reason: &str| [begun, &[ends_because(protocol, reason)]].concat();
        let regular = match protocol {
            Protocol::OpenAi | Protocol::Ollama => "stop",
            Protocol::Anthropic => "end_turn",
            Protocol::Gemini => "STOP",
        };
        let without_mark = end.replace("data: [DONE]\n\n", "");
        let mut cases = vec![
            ("no mark at the end", [begun, &[without_mark]].concat()),
            ("a reason and nothing else", with(regular)),
            ("an unknown reason", with("eos_token")),
            ("no reason", begun.to_vec()),
        ];
        if protocol == Protocol::OpenAi {
            cases.push(("an empty reason", with("")));
        }
        for (case, frames) in cases {
            for last in [Last::Finished, Last::Dropped, Last::Held] {
                let double = Double::saying("").await;
                double.then(at_once(&frames, last));
                let outcome = run(&runner(&double, kind, protocol), planning()).await;
                let used =
                    usage(outcome.unwrap_or_else(|e| panic!("{kind:?} {case} {last:?}: {e}")));
                assert!(
                    used.input_tokens > 0 && used.output_tokens > 0,
                    "{kind:?} {case} {used:?}"
                );
                assert_eq!(double.asked().len(), 1, "{kind:?} {case} {last:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn comments_after_the_end_of_an_answer_are_not_waited_for() {
    let double = Double::saying("").await;
    let mut begun = frames(Protocol::OpenAi, &plan().to_string());
    begun.pop();
    begun.push(ends_because(Protocol::OpenAi, "stop"));
    let mut pieces: Vec<_> = begun.into_iter().map(|piece| (NOW, piece)).collect();
    pieces.extend(vec![(Duration::from_millis(50), ": PROCESSING\n\n".to_owned()); 400]);
    double.then(Reply::Pieces(pieces, Last::Finished));
    let started = Instant::now();
    let runner = runner(&double, ProviderKind::OpenAi, Protocol::OpenAi);
    usage(run(&runner, planning()).await.unwrap());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn an_incomplete_or_invalid_document_is_not_accepted_without_a_regular_end() {
    let whole = plan().to_string();
    let half = &whole[..whole.len() / 2];
    let invalid = json!({"summary": "No goals."}).to_string();
    let draft = format!("First a draft: {whole} And now the");
    for (kind, protocol) in KINDS {
        for text in [half, &invalid, &draft] {
            for (reason, code) in [(None, "answer_cut_off"), (Some("odd"), "answer_unfinished")] {
                let double = Double::saying("").await;
                let mut pieces = frames(protocol, text);
                pieces.pop();
                pieces.extend(reason.map(|reason| ends_because(protocol, reason)));
                double.then(at_once(&pieces, Last::Finished));
                let failed = failed(run(&runner(&double, kind, protocol), planning()).await);
                assert_eq!((failed.code.as_str(), failed.again), (code, true), "{kind:?} {text}");
            }
        }
    }
}

#[tokio::test]
async fn tokens_that_a_provider_does_not_count_are_estimated() {
    let mut long = plan();
    long["summary"] = "words and words ".repeat(2_500).into();
    let text = long.to_string();
    for (kind, protocol) in KINDS {
        let regular = match protocol {
            Protocol::OpenAi | Protocol::Ollama => "stop",
            Protocol::Anthropic => "end_turn",
            Protocol::Gemini => "STOP",
        };
        let double = Double::saying("").await;
        let mut pieces = frames(protocol, &text);
        pieces.pop();
        pieces.push(ends_because(protocol, regular));
        double.then(at_once(&pieces, Last::Finished));
        let used = usage(run(&runner(&double, kind, protocol), planning()).await.unwrap());
        assert_eq!(used.output_tokens, text.len().div_ceil(4) as u64, "{kind:?}");
        // Anthropic counts the input before the answer.
        let is_counted = protocol == Protocol::Anthropic;
        assert_eq!(used.input_tokens == TOKENS.0, is_counted, "{kind:?}: {used:?}");
        assert!(used.input_tokens > 50, "{kind:?}: {used:?}");
        assert!(used.cost_micro_usd > Some(100_000), "{kind:?}: {used:?}");
    }
}

#[tokio::test]
async fn the_thoughts_of_a_model_are_paid_for() {
    let double = Double::saying("").await;
    let last = json!({"candidates": [{"index": 0, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 40, "thoughtsTokenCount": 900}});
    let pieces = [says(Protocol::Gemini, &plan().to_string()), frame(Protocol::Gemini, &last)];
    double.then(at_once(&pieces, Last::Finished));
    let runner = runner(&double, ProviderKind::Gemini, Protocol::Gemini);
    let used = usage(run(&runner, planning()).await.unwrap());
    assert_eq!((used.input_tokens, used.output_tokens), (40, 900));
}

#[tokio::test]
async fn an_error_in_the_place_of_an_answer_is_shown_with_its_message() {
    let quota = json!({"error": {"code": 429, "message": "The quota is used up", "status": "X"}});
    let coded = json!({"error": {"code": "404", "message": "The quota is used up"}});
    let plain = json!({"error": "The quota is used up"});
    let typed = json!({"type": "error",
        "error": {"type": "overloaded_error", "message": "The quota is used up"}});
    for (kind, protocol) in KINDS {
        for (error, code, again) in [
            (&quota, "rate_limited", true),
            (&json!([quota]), "rate_limited", true),
            (&coded, "model_not_found", false),
            (&plain, "provider_broke_off", true),
            (&typed, "provider_overloaded", true),
        ] {
            let pretty = serde_json::to_string_pretty(error).unwrap();
            for body in [error.to_string(), pretty] {
                let double = Double::saying("").await;
                double.then(Reply::Body("application/json", body));
                let failed = failed(run(&runner(&double, kind, protocol), planning()).await);
                let seen = (failed.code.as_str(), failed.again);
                assert_eq!(seen, (code, again), "{kind:?} {error}: {failed:?}");
                assert!(failed.detail.contains("The quota is used up"), "{kind:?}: {failed:?}");
                assert_eq!((double.asked().len(), failed.usage.input_tokens), (1, 0));
            }
        }
    }
}

#[tokio::test]
async fn a_requested_delay_may_be_a_date() {
    for (kind, protocol) in KINDS {
        let double = Double::saying("").await;
        let headers = vec![
            ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT".to_owned()),
            ("date", "Wed, 21 Oct 2026 06:28:00 GMT".to_owned()),
        ];
        double.then(Reply::Status(503, headers, "Slow down".to_owned()));
        let failed = failed(run(&runner(&double, kind, protocol), planning()).await);
        assert_eq!(failed.after, Some(Duration::from_secs(3600)), "{kind:?}");
    }
}

#[tokio::test]
async fn no_body_is_read_without_a_limit() {
    // Both ends of a connection hold a few MB in buffers.
    const BUFFERS: usize = 24 << 20;
    let junk = "x".repeat(64 << 10);
    for (kind, protocol) in KINDS {
        let text = says(protocol, &"x".repeat(1 << 10));
        for (status, content_type, piece, codes, most) in [
            (500, "application/json", &junk, &["provider_unavailable"][..], BUFFERS),
            (429, "text/html", &junk, &["rate_limited"], BUFFERS),
            (200, "text/html", &format!("<p>{junk}"), &["unreadable_answer"], BUFFERS),
            (200, "application/json", &format!("[{junk}"), &["unreadable_answer"], BUFFERS),
            (200, "text/event-stream", &junk, &["answer_too_large"], BUFFERS + (16 << 20)),
            (200, "text/event-stream", &text, &["answer_too_large"], BUFFERS + (32 << 20)),
        ] {
            let double = Double::saying("").await;
            double.then(Reply::Endless(status, content_type, piece.clone()));
            let mut patient = provider(&double, kind, protocol);
            patient.silence = Duration::from_secs(15);
            let started = Instant::now();
            let failed = failed(run(&runner_for(patient), planning()).await);
            let shown: String = format!("{kind:?} {status} {piece}").chars().take(60).collect();
            assert!(codes.contains(&failed.code.as_str()), "{shown}: {failed:?}");
            assert!(double.sent() < most, "{shown}: {} bytes", double.sent());
            assert!(started.elapsed() < Duration::from_secs(20), "{shown}");
        }
    }
}
