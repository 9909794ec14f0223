//! Stops messages that are too long while they arrive.
//!
//! The WebSocket library checks a frame's length only when all of the frame has arrived, so that a
//! client which announces a gigabyte gets memory for it. The guard reads the frame headers (RFC
//! 6455, section 5.2) as they pass, and also adds up the fragments of one message.

/// Size of the longest header: two bytes, eight of length, four of mask.
const MAX_HEADER: usize = 14;

/// Error of a message that is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Position in the stream of frames.
#[derive(Debug)]
pub(crate) struct Guard {
    limit: u64,
    header: [u8; MAX_HEADER],
    header_len: usize,
    /// Bytes of the current frame's payload that are still to come.
    payload: u64,
    /// Bytes of the current message, over all its fragments.
    message: u64,
}

impl Guard {
    /// Creates a guard for messages of up to `limit` bytes.
    pub(crate) const fn new(limit: u64) -> Self {
        Self { limit, header: [0; MAX_HEADER], header_len: 0, payload: 0, message: 0 }
    }

    /// Checks the next bytes of the stream.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skip = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                self.payload -= skip as u64;
                bytes = &bytes[skip..];
                continue;
            }
            self.header[self.header_len] = bytes[0];
            self.header_len += 1;
            bytes = &bytes[1..];
            if self.header_len == self.header_size() {
                self.begin_payload()?;
            }
        }
        Ok(())
    }

    /// Returns the length of the current header, as far as its bytes tell.
    fn header_size(&self) -> usize {
        if self.header_len < 2 {
            return 2;
        }
        let length = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    fn begin_payload(&mut self) -> Result<(), TooLong> {
        let [first, second, ..] = self.header;
        let extended = |bytes: &[u8]| bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
        let length = match second & 0x7f {
            126 => extended(&self.header[2..4]),
            127 => extended(&self.header[2..10]),
            short => u64::from(short),
        };
        self.header_len = 0;
        self.payload = length;
        let (is_last, opcode) = (first & 0x80 != 0, first & 0x0f);
        let is_control = opcode >= 8;
        if is_control {
            // The library refuses more than 125 bytes itself, once it has them all.
            return if length > self.limit { Err(TooLong) } else { Ok(()) };
        }
        self.message = self.message.saturating_add(length);
        if self.message > self.limit {
            return Err(TooLong);
        }
        if is_last {
            self.message = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: u64, sent: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
            126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(std::iter::repeat_n(0xff, sent));
        bytes
    }

    /// Passes frames in pieces of every size; the verdict must not depend on it.
    fn verdict(frames: &[Vec<u8>]) -> Result<(), TooLong> {
        let bytes = frames.concat();
        let verdict = |size: usize| {
            let mut guard = Guard::new(1000);
            bytes.chunks(size).try_for_each(|piece| guard.pass(piece))
        };
        let whole = verdict(bytes.len());
        for size in [1, 2, 3, 7, 100] {
            assert_eq!(verdict(size), whole, "in pieces of {size}");
        }
        whole
    }

    #[test]
    fn messages_up_to_the_limit_pass_one_after_the_other() {
        let frames = [0, 125, 126, 1000, 1, 1000].map(|len| frame(0x81, len as u64, len));
        assert_eq!(verdict(&frames), Ok(()));
    }

    #[test]
    fn a_longer_one_is_seen_when_it_is_announced() {
        assert_eq!(verdict(&[frame(0x82, 1001, 0)]), Err(TooLong));
        assert_eq!(verdict(&[frame(0x81, 3, 3), frame(0x81, 1 << 40, 0)]), Err(TooLong));
    }

    #[test]
    fn fragments_add_up_and_control_frames_in_between_do_not() {
        let fits = [frame(0x01, 500, 500), frame(0x89, 100, 100), frame(0x80, 500, 500)];
        assert_eq!(verdict(&fits), Ok(()));
        let fits_twice = [fits.concat(), fits.concat()];
        assert_eq!(verdict(&fits_twice), Ok(()));
        let grows = [frame(0x01, 600, 600), frame(0x00, 300, 300), frame(0x00, 300, 0)];
        assert_eq!(verdict(&grows), Err(TooLong));
    }
}
