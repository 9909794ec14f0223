//! The format of a message in a channel: a line with the sender, then one line per item.
//!
//! ```text
//! 000000000000000000000000000000a7
//! E{"id":…            an entry, as in the log
//! P{"project_id":…    progress
//! G                   a gap: items were lost
//! ```
//!
//! The JSON has no line breaks. A sender recognises its own messages by the first line, without
//! parsing the rest.

use std::collections::BTreeSet;
use std::sync::Arc;

use botarmy_domain::{AgentType, BusMessage, json};

/// Version of all formats in Redis, part of every channel and key: replicas of different versions do
/// not receive each other's messages.
pub(crate) const VERSION: &str = "v1";

/// Size in bytes at which the next message is begun.
const MESSAGE_BYTES: usize = 128 * 1024;

/// Largest size in bytes of one batch; the rest is a gap.
const TOTAL_BYTES: usize = 8 * 1024 * 1024;

fn header(instance: u128) -> Vec<u8> {
    format!("{instance:032x}\n").into_bytes()
}

/// Returns whether this replica sent the message itself.
pub(crate) fn is_from(message: &[u8], instance: u128) -> bool {
    message.starts_with(&header(instance))
}

/// Packs items into as few messages as possible. Items that are too large or were lost before are a
/// gap, after which receivers read the log.
pub(crate) fn pack(
    instance: u128,
    news: &[BusMessage],
    lost: bool,
    max_bytes: usize,
) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut message = header(instance);
    let empty = message.len();
    let mut gap = lost;
    let mut full = 0;
    for one in news {
        if full > TOTAL_BYTES {
            gap = true;
            break;
        }
        let begin = message.len();
        let written = match one {
            BusMessage::Entry(entry) => {
                message.push(b'E');
                serde_json::to_writer(&mut message, entry).is_ok()
            }
            BusMessage::Progress(progress) => {
                message.push(b'P');
                serde_json::to_writer(&mut message, progress).is_ok()
            }
            BusMessage::Lagged => false,
        };
        if !written || message.len() - begin > max_bytes {
            message.truncate(begin);
            gap = true;
            continue;
        }
        message.push(b'\n');
        if message.len() >= MESSAGE_BYTES {
            full += message.len();
            messages.push(std::mem::replace(&mut message, header(instance)));
        }
    }
    if gap {
        message.extend(b"G\n");
    }
    if message.len() > empty {
        messages.push(message);
    }
    messages
}

/// Unpacks a message. An item that cannot be parsed becomes a gap; the reason is returned too.
pub(crate) fn unpack(message: &[u8]) -> (Vec<BusMessage>, Option<String>) {
    let mut error_text = None;
    let lines = message.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty());
    let news = lines
        .map(|line| {
            let read = match line.split_first() {
                Some((b'E', line)) => {
                    text(line).and_then(json::read).map(|entry| BusMessage::Entry(Arc::new(entry)))
                }
                Some((b'P', line)) => text(line)
                    .and_then(json::read)
                    .map(|progress| BusMessage::Progress(Arc::new(progress))),
                Some((b'G', [])) => Ok(BusMessage::Lagged),
                _ => {
                    error_text = Some("a line of an unknown kind".to_owned());
                    Ok(BusMessage::Lagged)
                }
            };
            read.unwrap_or_else(|error| {
                error_text = Some(error);
                BusMessage::Lagged
            })
        })
        .collect();
    (news, error_text)
}

fn text(json: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(json).map_err(|error| error.to_string())
}

/// Packs a wake-up of these agent types.
pub(crate) fn pack_wake_up(instance: u128, agents: &BTreeSet<AgentType>) -> Vec<u8> {
    let mut message = header(instance);
    let names: Vec<_> = agents.iter().map(|agent| agent.as_str()).collect();
    message.extend(names.join(" ").into_bytes());
    message
}

/// Unpacks the agent types of a wake-up. Unknown names are ignored.
pub(crate) fn unpack_wake_up(message: &[u8]) -> BTreeSet<AgentType> {
    let text = String::from_utf8_lossy(message);
    let (_, names) = text.split_once('\n').unwrap_or_default();
    names.split(' ').filter_map(|name| name.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use botarmy_domain::log::Event;
    use botarmy_domain::{
        Caller, Entry, EventType, Head, IdGenerator, LogId, TaskProgress, Timestamp,
    };
    use serde_json::json;

    use super::*;

    const LIMIT: usize = 1024 * 1024;

    fn entry(data: &serde_json::Value) -> Arc<Entry> {
        let mut id_generator = IdGenerator::new(Timestamp::from_micros(1_000_001), 7);
        let mut head = Head::empty(LogId::Project(id_generator.project()));
        let event = Event {
            id: id_generator.event(),
            event_type: EventType::TaskCreated,
            origin: Caller::person("some\none").origin(),
            task_id: Some(id_generator.task()),
            hitl_request_id: None,
            data: data.as_object().cloned().unwrap(),
            at: id_generator.now(),
        };
        Arc::new(Entry::append(&mut head, event))
    }

    fn entries(news: &[BusMessage]) -> Vec<Arc<Entry>> {
        let entries = news.iter().filter_map(|one| match one {
            BusMessage::Entry(entry) => Some(Arc::clone(entry)),
            _ => None,
        });
        entries.collect()
    }

    #[test]
    fn an_entry_with_the_deepest_document_arrives() {
        let depth = botarmy_domain::json::MAX_DEPTH;
        let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let nested: serde_json::Value = botarmy_domain::json::read(&nested).unwrap();
        let entry = entry(&json!({ "output": nested }));
        let messages = pack(1, &[BusMessage::Entry(Arc::clone(&entry))], false, LIMIT);
        let (news, error) = unpack(&messages[0]);
        assert_eq!(error, None);
        assert_eq!(entries(&news), [entry]);
    }

    #[test]
    fn an_entry_comes_back_to_the_last_bit() {
        let entry = entry(&json!({
            "floats": [0.1 + 0.2, 5e-324, f64::MAX, 1.234_567_890_123_456_7e-7],
            "integers": [u64::MAX, i64::MIN],
            "text": "line\nbreak \u{2028} \u{1f600} \"quoted\"",
        }));
        let messages = pack(1, &[BusMessage::Entry(Arc::clone(&entry))], false, LIMIT);
        assert_eq!(messages.len(), 1);
        let (news, error_text) = unpack(&messages[0]);
        assert_eq!((entries(&news), error_text), (vec![Arc::clone(&entry)], None));
        assert_eq!(entries(&news)[0].seal(botarmy_domain::log::GENESIS), entry.hash);
    }

    #[test]
    fn progress_comes_back() {
        let mut id_generator = IdGenerator::new(Timestamp::from_micros(5), 1);
        let progress = Arc::new(TaskProgress {
            project_id: id_generator.project(),
            task_id: id_generator.task(),
            agent_type: AgentType::Coder,
            message: "Half\nway".to_owned(),
            percent: Some(50),
            at: Timestamp::from_micros(5),
        });
        let message =
            pack(1, &[BusMessage::Progress(Arc::clone(&progress))], false, LIMIT).remove(0);
        let (news, _) = unpack(&message);
        assert!(matches!(&news[..], [BusMessage::Progress(read)] if *read == progress));
    }

    #[test]
    fn many_news_share_few_messages_and_keep_their_order() {
        let sent: Vec<_> =
            (0..2000).map(|n| BusMessage::Entry(entry(&json!({ "n": n })))).collect();
        let messages = pack(1, &sent, true, LIMIT);
        assert!((2..20).contains(&messages.len()), "{}", messages.len());
        let read: Vec<_> = messages.iter().flat_map(|message| unpack(message).0).collect();
        assert_eq!(entries(&read), entries(&sent));
        assert!(matches!(read.last(), Some(BusMessage::Lagged)), "what was lost is told last");
    }

    #[test]
    fn what_is_too_large_is_a_gap() {
        let large = entry(&json!({ "text": "x".repeat(5000) }));
        let news = [BusMessage::Entry(large), BusMessage::Entry(entry(&json!({})))];
        let messages = pack(1, &news, false, 2000);
        let (read, error_text) = unpack(&messages[0]);
        assert!(
            matches!(&read[..], [BusMessage::Entry(_), BusMessage::Lagged]) && error_text.is_none()
        );
    }

    #[test]
    fn what_is_too_much_at_once_is_a_gap() {
        let large = BusMessage::Entry(entry(&json!({ "text": "x".repeat(900_000) })));
        let news = vec![large; 50];
        let messages = pack(1, &news, false, LIMIT);
        let bytes: usize = messages.iter().map(Vec::len).sum();
        assert!(bytes < TOTAL_BYTES + 2 * LIMIT, "{bytes}");
        let (last, _) = unpack(messages.last().unwrap());
        assert!(matches!(last.last(), Some(BusMessage::Lagged)));
    }

    #[test]
    fn what_cannot_be_read_is_a_gap_and_the_rest_is_read() {
        let good = pack(1, &[BusMessage::Entry(entry(&json!({})))], false, LIMIT).remove(0);
        for bad in ["E{\"id\":1}", "Enonsense", "X{}", "\u{fffd}"] {
            let message = [&good[..], bad.as_bytes(), b"\n"].concat();
            let (news, error_text) = unpack(&message);
            assert!(matches!(&news[..], [BusMessage::Entry(_), BusMessage::Lagged]), "{bad}");
            assert!(error_text.is_some(), "{bad}");
        }
    }

    #[test]
    fn nothing_to_say_is_no_message() {
        assert!(pack(1, &[], false, LIMIT).is_empty());
        assert_eq!(pack(1, &[], true, LIMIT).len(), 1);
    }

    #[test]
    fn one_knows_ones_own_messages() {
        let message = pack(7, &[BusMessage::Lagged], false, LIMIT).remove(0);
        assert!(is_from(&message, 7) && !is_from(&message, 8));
    }

    #[test]
    fn a_ring_says_for_whom() {
        let agents = [AgentType::Coder, AgentType::Tester].into();
        let message = pack_wake_up(7, &agents);
        assert_eq!(unpack_wake_up(&message), agents);
        let newer = [&message[..], b" translator"].concat();
        assert_eq!(unpack_wake_up(&newer), agents, "an agent type of another version");
        assert!(is_from(&message, 7));
    }
}
