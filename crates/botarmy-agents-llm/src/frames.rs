//! Splitting the body of a streamed answer into frames while it arrives: server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), or one JSON value per line.

use std::collections::VecDeque;

/// Most bytes of one frame: a frame may hold a whole answer, and JSON escapes characters.
pub(crate) const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// The way in which a body is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Events,
    /// One frame per line.
    Lines,
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Name of the event; empty if it has none.
    pub(crate) event: String,
    /// Content of the frame.
    pub(crate) data: String,
}

/// A body that cannot be divided into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// A frame is not UTF-8.
    NotUtf8,
    /// A frame exceeds [`MAX_FRAME_BYTES`].
    TooLarge,
}

/// Divides a body into frames.
#[derive(Debug)]
pub(crate) struct Frames {
    framing: Framing,
    line: Vec<u8>,
    /// `true` after a carriage return, which may be the first half of a line end.
    after_return: bool,
    is_first_line: bool,
    event: String,
    data: Option<String>,
    ready: VecDeque<Frame>,
}

impl Frames {
    pub(crate) const fn new(framing: Framing) -> Self {
        Self {
            framing,
            line: Vec::new(),
            after_return: false,
            is_first_line: true,
            event: String::new(),
            data: None,
            ready: VecDeque::new(),
        }
    }

    /// Takes the next bytes of the body.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<(), FrameError> {
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let is_second_half = self.after_return && end == 0 && bytes[0] == b'\n';
            self.extend(&bytes[..end])?;
            if !is_second_half {
                self.end_line()?;
            }
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
        }
        if !bytes.is_empty() {
            self.after_return = false;
        }
        self.extend(bytes)
    }

    /// Ends the body. The last frame counts although its line end is missing.
    pub(crate) fn finish(&mut self) -> Result<(), FrameError> {
        self.end_line()?;
        self.dispatch();
        Ok(())
    }

    /// Returns the next complete frame.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
        if held + bytes.len() > MAX_FRAME_BYTES {
            return Err(FrameError::TooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), FrameError> {
        let line = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&line).map_err(|_| FrameError::NotUtf8)?;
        let is_first = std::mem::replace(&mut self.is_first_line, false);
        let line = if is_first { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        match self.framing {
            Framing::Lines if line.trim().is_empty() => {}
            Framing::Lines => {
                let data = line.trim().to_owned();
                self.ready.push_back(Frame { event: String::new(), data });
            }
            Framing::Events if line.is_empty() => self.dispatch(),
            Framing::Events => self.field(line),
        }
        Ok(())
    }

    /// Takes a line of an event. A comment begins with a colon, so its field has no name.
    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let event = std::mem::take(&mut self.event);
        if let Some(data) = self.data.take() {
            self.ready.push_back(Frame { event, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divide(framing: Framing, pieces: &[&[u8]]) -> Result<Vec<(String, String)>, FrameError> {
        let mut frames = Frames::new(framing);
        let mut divided = Vec::new();
        for piece in pieces {
            frames.push(piece)?;
            divided.extend(std::iter::from_fn(|| frames.next()));
        }
        frames.finish()?;
        divided.extend(std::iter::from_fn(|| frames.next()));
        Ok(divided.into_iter().map(|frame| (frame.event, frame.data)).collect())
    }

    fn pair(event: &str, data: &str) -> (String, String) {
        (event.to_owned(), data.to_owned())
    }

    #[test]
    fn events_are_the_same_with_every_line_end_and_wherever_the_bytes_are_split() {
        let text =
            "\u{feff}event: a\ndata: 1\ndata:2\nid: x\n\n: comment\n\ndata: é\n\n\ndata: end";
        let expected = [pair("a", "1\n2"), pair("", "é"), pair("", "end")];
        for end in ["\n", "\r\n", "\r"] {
            let text = text.replace('\n', end).into_bytes();
            for size in 1..text.len() {
                let pieces: Vec<_> = text.chunks(size).collect();
                assert_eq!(divide(Framing::Events, &pieces).unwrap(), expected, "{end:?} {size}");
            }
        }
    }

    #[test]
    fn lines_are_frames_and_blank_ones_are_not() {
        let divided = divide(Framing::Lines, &[b"{\"a\":", b"1}\r\n\r\n {} \n{}"]).unwrap();
        assert_eq!(divided, [pair("", "{\"a\":1}"), pair("", "{}"), pair("", "{}")]);
    }

    #[test]
    fn invalid_utf_8_and_a_frame_without_end_are_errors() {
        assert_eq!(divide(Framing::Events, &[b"data: \xff\n\n"]), Err(FrameError::NotUtf8));
        let piece = vec![b'x'; 1 << 20];
        let endless: Vec<&[u8]> = (0..17).map(|_| piece.as_slice()).collect();
        assert_eq!(divide(Framing::Lines, &endless), Err(FrameError::TooLarge));
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        let endless: Vec<&[u8]> = (0..17).map(|_| line.as_slice()).collect();
        assert_eq!(divide(Framing::Events, &endless), Err(FrameError::TooLarge));
    }
}
