//! The check of an export, line by line.

use super::{HeadMark, Line, Verification, Verifier};

/// An export that is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The last line is missing.
    #[error("the export is cut off: its last line, which states the head of the log, is missing")]
    CutOff,
    /// There is something after the last line.
    #[error("line {line}: there is something after the last line of the export")]
    GoesOn {
        /// Number of the line, from 1.
        line: u64,
    },
}

/// Checks an export line by line.
#[derive(Debug)]
pub struct ExportVerifier {
    verifier: Verifier,
    line: u64,
    end: Option<HeadMark>,
}

impl ExportVerifier {
    /// Creates a verifier. An export without the expected head is not valid.
    #[must_use]
    pub fn expecting(expected: Option<HeadMark>) -> Self {
        Self { verifier: Verifier::expecting(expected), line: 0, end: None }
    }

    /// Checks the next line. A byte order mark before the first line and blank lines have no
    /// meaning.
    ///
    /// # Errors
    /// A line after the last one.
    pub fn line(&mut self, text: &str) -> Result<(), ExportError> {
        self.line += 1;
        let text = if self.line == 1 { text.trim_start_matches('\u{feff}') } else { text };
        if text.trim().is_empty() {
            return Ok(());
        }
        if self.end.is_some() {
            return Err(ExportError::GoesOn { line: self.line });
        }
        match Line::read(text) {
            Ok(Line::End(head)) => self.end = Some(head),
            Ok(line) => self.verifier.line(&line),
            Err(reason) => self.verifier.unreadable(format!("line {}: {reason}", self.line)),
        }
        Ok(())
    }

    /// Returns the result.
    ///
    /// # Errors
    /// An export without its last line.
    pub fn finish(self) -> Result<Verification, ExportError> {
        let end = self.end.ok_or(ExportError::CutOff)?;
        Ok(self.verifier.finish(&end))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::json;
    use crate::log::tests::{event_after, log_of};
    use crate::log::{Entry, Unreadable};

    /// Returns the lines of an export whose last entry has a large number and nested data.
    fn lines() -> Vec<String> {
        let (mut head, mut entries) = log_of(2);
        let mut event = event_after(&entries);
        let data = json!({"output": {"n": u64::MAX, "x": 0.5, "deep": [[{"k": "v"}]]}});
        event.data = data.as_object().cloned().unwrap();
        entries.push(Entry::append(&mut head, event));
        let lines = entries.into_iter().map(|entry| Line::Entry(Arc::new(entry)));
        let end = Line::End(HeadMark { seq: head.seq, hash: head.hash });
        lines
            .chain([end])
            .map(|line| {
                let mut text = Vec::new();
                line.write(&mut text);
                String::from_utf8(text).unwrap().trim_end().to_owned()
            })
            .collect()
    }

    fn verify(lines: &[String]) -> Result<Verification, ExportError> {
        let mut verifier = ExportVerifier::expecting(None);
        for line in lines {
            verifier.line(line)?;
        }
        verifier.finish()
    }

    #[test]
    fn an_export_is_valid_and_its_lines_read_back() {
        let lines = lines();
        let found = verify(&lines).unwrap();
        assert!(found.valid && found.entries == 3, "{found:?}");
        for line in &lines {
            let mut text = Vec::new();
            Line::read(line).unwrap().write(&mut text);
            assert_eq!(String::from_utf8(text).unwrap().trim_end(), line);
        }
    }

    #[test]
    fn a_line_that_two_readers_may_read_differently_is_refused_with_its_reason() {
        let whole = lines();
        for (from, to, reason) in [
            ("\"output\":", "\"output\":1,\"output\":", "occurs twice"),
            ("\"k\":\"v\"", "\"k\":\"v\",\"\\u006b\":\"w\"", "deep[0][0].k: occurs twice"),
            ("\"actor\":", "\"actor\":\"x\",\"actor\":", "occurs twice"),
            ("\"seq\":", "\"seq\":3,\"seq\":", "duplicate field"),
            ("\"seq\":", "\"note\":\"checked\",\"seq\":", "unknown field `note`"),
            ("\"project_id\":\"", "\"project_id\":\"{", "cannot be read"),
            ("\"hitl_request_id\":null,", "", "missing field `hitl_request_id`"),
            ("18446744073709551615", "18446744073709551614", "hash"),
            ("18446744073709551615", "18446744073709551616", "cannot be stored exactly"),
            ("0.5", "0.50000000000000000001", "cannot be stored exactly"),
            ("01.000000Z\"", "01.0000000Z\"", "is not written"),
            ("01.000000Z\"", "01.000000+00:00\"", "is not written"),
            ("task_created", "task_invented", "unknown variant"),
        ] {
            let mut lines = whole.clone();
            assert!(lines[2].contains(from), "{from}: {}", lines[2]);
            lines[2] = lines[2].replacen(from, to, 1);
            let found = verify(&lines).unwrap();
            assert_eq!((found.valid, found.first_bad_seq), (false, Some(3)), "{to}");
            assert!(found.reason.as_ref().unwrap().contains(reason), "{to}: {found:?}");
        }
        let mut lines = whole;
        lines[3] = lines[3].replacen("\"seq\"", "\"by\":\"me\",\"seq\"", 1);
        assert_eq!(verify(&lines), Err(ExportError::CutOff));
    }

    #[test]
    fn a_byte_order_mark_line_ends_of_windows_and_upper_case_hashes_mean_the_same() {
        let lines: Vec<String> = lines()
            .into_iter()
            .enumerate()
            .map(|(n, line)| {
                let (begin, hash) = line.rsplit_once("\"hash\":").unwrap();
                let mark = if n == 0 { "\u{feff}" } else { "" };
                format!("{mark}{begin}\"hash\":{}\r", hash.to_ascii_uppercase())
            })
            .collect();
        let found = verify(&lines).unwrap();
        assert!(found.valid, "{found:?}");
    }

    #[test]
    fn an_export_without_its_last_line_or_with_more_is_not_an_export() {
        let lines = lines();
        assert_eq!(verify(&lines[..3]), Err(ExportError::CutOff));
        let more = [&lines[..], &lines[..1]].concat();
        assert_eq!(verify(&more), Err(ExportError::GoesOn { line: 5 }));
    }

    #[test]
    fn an_entry_that_could_not_be_read_is_named() {
        let mut lines = lines();
        let mut text = Vec::new();
        let reason = "event_type: `x` is unknown".to_owned();
        Line::Unreadable(Unreadable { seq: 2, reason }).write(&mut text);
        lines[1] = String::from_utf8(text).unwrap();
        let found = verify(&lines).unwrap();
        assert_eq!((found.valid, found.first_bad_seq, found.entries), (false, Some(2), 3));
        assert!(found.reason.unwrap().contains("`x` is unknown"));
    }

    #[test]
    fn a_document_at_the_limit_of_depth_is_valid_in_an_export() {
        let (mut head, mut entries) = log_of(1);
        let nested = format!("{}1{}", "[".repeat(json::MAX_DEPTH), "]".repeat(json::MAX_DEPTH));
        let mut event = event_after(&entries);
        event.data.insert("output".to_owned(), json::read(&nested).unwrap());
        entries.push(Entry::append(&mut head, event));
        let mut text = Vec::new();
        for entry in entries {
            Line::Entry(Arc::new(entry)).write(&mut text);
        }
        Line::End(HeadMark { seq: head.seq, hash: head.hash }).write(&mut text);
        let lines: Vec<String> =
            String::from_utf8(text).unwrap().lines().map(str::to_owned).collect();
        assert!(verify(&lines).unwrap().valid);
    }
}
