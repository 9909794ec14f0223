//! Reads server-sent events (WHATWG HTML, section 9.2.6) from the parts of a stream.

use serde_json::Value;

/// Largest event, in bytes. The largest documents of a server have 10 MiB.
const MAX_EVENT: usize = 32 << 20;

/// Event of the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Position from which a new connection continues, if the event has one.
    pub id: Option<String>,
    /// Type of the event, such as `task_completed` or `gap`.
    pub event_type: String,
    /// Frame as JSON.
    pub data: Value,
}

/// Event as it is on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RawEvent {
    pub(crate) id: Option<String>,
    pub(crate) event_type: String,
    pub(crate) data: String,
    /// Milliseconds to wait before connecting again.
    pub(crate) retry: Option<u64>,
}

impl RawEvent {
    /// Returns the event with its data read as JSON.
    pub(crate) fn parsed(self) -> Result<Event, serde_json::Error> {
        let data = serde_json::from_str(&self.data)?;
        Ok(Event { id: self.id, event_type: self.event_type, data })
    }
}

/// Stream that has an event without end, or text that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream of events is malformed")]
pub(crate) struct Malformed;

/// Parser that is given the parts of a stream as they arrive.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// Whether the last byte was a carriage return, whose line feed is still to come.
    after_return: bool,
    has_begun: bool,
    event: RawEvent,
    has_data: bool,
}

impl Parser {
    /// Reads a part, and returns the events that it completes.
    pub(crate) fn read(&mut self, part: &[u8]) -> Result<Vec<RawEvent>, Malformed> {
        let mut events = Vec::new();
        for byte in part {
            let follows_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    events.extend(self.end_line()?);
                }
                byte => {
                    if self.line.len() + self.event.data.len() >= MAX_EVENT {
                        return Err(Malformed);
                    }
                    self.line.push(*byte);
                }
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<RawEvent>, Malformed> {
        let bytes = std::mem::take(&mut self.line);
        let mut line = std::str::from_utf8(&bytes).map_err(|_| Malformed)?;
        if !std::mem::replace(&mut self.has_begun, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.event.event_type),
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "retry" => self.event.retry = value.parse().ok(),
            // Comments, which keep the connection alive, and fields of later versions.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\n\r\nid: 7\r\nevent: task_started\r\ndata: {\"a\":\r\ndata: 1}\r\n\
        \r\nretry: 500\ndata:é\n\n: ping\n\nevent: lost\n\nid: 8\ndata\n\ndata: unfinished\n";

    fn events(parts: &[&[u8]]) -> Vec<RawEvent> {
        let mut parser = Parser::default();
        parts.iter().flat_map(|part| parser.read(part).unwrap()).collect()
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_cut() {
        let whole = events(&[STREAM.as_bytes()]);
        let event = |id: Option<&str>, event_type: &str, data: &str, retry| RawEvent {
            id: id.map(str::to_owned),
            event_type: event_type.to_owned(),
            data: data.to_owned(),
            retry,
        };
        assert_eq!(
            whole,
            [
                event(Some("7"), "task_started", "{\"a\":\n1}", None),
                event(None, "", "é", Some(500)),
                event(Some("8"), "", "", None),
            ]
        );
        for at in 0..STREAM.len() {
            let (head, tail) = STREAM.as_bytes().split_at(at);
            assert_eq!(events(&[head, tail]), whole, "cut at {at}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        let part = vec![b'x'; 1 << 20];
        let read = (0..64).find_map(|_| parser.read(&part).err());
        assert_eq!(read, Some(Malformed));
        assert_eq!(Parser::default().read(b"data: \xff\n"), Err(Malformed));
    }
}
