//! A client of the event stream: reads server-sent events as they arrive.

use reqwest::{Client, Response, StatusCode};

/// An event of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Type of the event.
    pub event_type: String,
    /// The frame as JSON.
    pub data: String,
}

/// An open stream.
#[derive(Debug)]
pub struct EventStream {
    response: Response,
    buffer: Vec<u8>,
    /// Id with which a client goes on after the events that were returned.
    pub last_id: String,
    /// Number of comments so far.
    pub comments: usize,
}

impl EventStream {
    /// Opens a stream with this query, after the event with this id.
    ///
    /// # Errors
    /// The status of a response that is no stream; 503 if there was none.
    ///
    /// # Panics
    /// If the response is a stream of another type.
    pub async fn open(
        client: &Client,
        base: &str,
        query: &str,
        last_id: Option<&str>,
    ) -> Result<Self, StatusCode> {
        let mut request = client.get(format!("{base}/api/v1/events/stream{query}"));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        if response.status() != StatusCode::OK {
            return Err(response.status());
        }
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let last_id = last_id.unwrap_or_default().to_owned();
        Ok(Self { response, buffer: Vec::new(), last_id, comments: 0 })
    }

    /// Waits for the next event; `None` at the end of the stream.
    ///
    /// # Panics
    /// If a line is none that the server writes.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = self.read(std::str::from_utf8(&block).unwrap()) {
                    return Some(event);
                }
            }
            self.buffer.extend(self.response.chunk().await.ok()??);
        }
    }

    /// Reads a block of lines. Returns its event if it has data.
    fn read(&mut self, block: &str) -> Option<Event> {
        let (mut event_type, mut data) = (String::new(), None);
        for line in block.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ").unwrap() {
                ("id", id) => id.clone_into(&mut self.last_id),
                ("event", name) => name.clone_into(&mut event_type),
                ("data", text) => data = Some(text.to_owned()),
                ("retry", _) => {}
                ("", _) => self.comments += 1,
                _ => panic!("an unknown line: {line}"),
            }
        }
        Some(Event { event_type, data: data? })
    }
}
