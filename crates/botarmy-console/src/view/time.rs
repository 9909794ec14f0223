//! Times, as pages show them: in UTC; the script of the page turns them into local ones.

use botarmy_domain::Timestamp;

/// Time on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeView {
    /// For programs, as in RFC 3339.
    pub(crate) machine: String,
    /// For people, to the minute.
    pub(crate) text: String,
}

impl From<Timestamp> for TimeView {
    fn from(time: Timestamp) -> Self {
        let machine = time.to_string();
        let minutes = machine.get(..16).unwrap_or(&machine).replace('T', " ");
        Self { text: format!("{minutes} UTC"), machine }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_to_the_minute() {
        let time = TimeView::from(Timestamp::from_micros(1_800_000_000_000_000));
        assert_eq!(time.text, "2027-01-15 08:00 UTC");
        assert!(time.machine.starts_with("2027-01-15T08:00:00"), "{}", time.machine);
    }
}
