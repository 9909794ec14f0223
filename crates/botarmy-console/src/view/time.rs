//! Times, as pages show them: in UTC, or as a distance from now; the script of the page turns them into
//! local ones.

use botarmy_domain::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Time on a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TimeView {
    /// For programs, as in RFC 3339.
    pub(crate) machine: String,
    /// For people: to the minute, or the distance from now.
    pub(crate) text: String,
    /// For people, to the second, where the text is a distance from now.
    pub(crate) exact: Option<String>,
}

impl From<Timestamp> for TimeView {
    fn from(time: Timestamp) -> Self {
        let machine = time.to_string();
        let minutes = machine.get(..16).unwrap_or(&machine).replace('T', " ");
        Self { text: format!("{minutes} UTC"), machine, exact: None }
    }
}

impl TimeView {
    /// Returns the time as a distance from now: `14 min ago`, `in 21 min`.
    pub(crate) fn relative(time: Timestamp, now: Timestamp) -> Self {
        let text = if time.micros() > now.micros() {
            format!("in {}", duration(seconds(now, time)))
        } else {
            match duration(seconds(time, now)) {
                text if text == "0 s" => "just now".to_owned(),
                text => format!("{text} ago"),
            }
        };
        Self::with_text(time, text)
    }

    /// Returns the time with a text of one's own.
    pub(crate) fn with_text(time: Timestamp, text: String) -> Self {
        let machine = time.to_string();
        let seconds = machine.get(..19).unwrap_or(&machine).replace('T', " ");
        Self { exact: Some(format!("{seconds} UTC")), text, machine }
    }
}

/// Returns the seconds from one time to a later one; zero if it is earlier.
pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    to.since(from).as_secs()
}

/// Returns a duration in the unit that a person would use: `45 s`, `14 min`, `3 h`, `2 days`.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => format!("{} h", seconds / HOUR),
        _ if seconds / DAY == 1 => "1 day".to_owned(),
        _ => format!("{} days", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    #[test]
    fn a_time_is_shown_to_the_minute() {
        let time = TimeView::from(NOW);
        assert_eq!(time.text, "2027-01-15 08:00 UTC");
        assert!(time.machine.starts_with("2027-01-15T08:00:00"), "{}", time.machine);
    }

    #[test]
    fn a_distance_has_the_unit_that_a_person_would_use() {
        for (seconds, text) in [
            (-1, "1 s ago"),
            (0, "just now"),
            (59, "in 59 s"),
            (61, "in 1 min"),
            (-14 * 60, "14 min ago"),
            (3 * 3600 + 59, "in 3 h"),
            (-86_400, "1 day ago"),
            (5 * 86_400, "in 5 days"),
        ] {
            let time = Timestamp::from_micros(NOW.micros() + seconds * 1_000_000);
            assert_eq!(TimeView::relative(time, NOW).text, text);
        }
        let exact = TimeView::relative(NOW, NOW).exact;
        assert_eq!(exact.as_deref(), Some("2027-01-15 08:00:00 UTC"));
    }
}
