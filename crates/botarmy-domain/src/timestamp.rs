//! Points in time as the stores keep them: microseconds since 1970 in UTC, written as RFC 3339 with
//! `Z`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, in microseconds since the Unix epoch. Every store can hold microseconds; a
/// finer time would be read back with a different value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Text that is not an RFC 3339 date and time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a date and time in RFC 3339 form, like 2026-01-31T12:00:00Z")]
pub struct MalformedTimestamp;

impl Timestamp {
    /// Creates a time from microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Returns the milliseconds since the epoch, rounded down.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Last time that can be written.
    const LAST: i64 = 253_402_300_799_999_999;

    /// Returns the time that is `duration` later, but none after the year 9999: it could be stored and
    /// never be read again.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(Self::LAST.max(self.0)))
    }

    /// Returns the time that is `duration` earlier.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns the duration since `earlier`; zero if that is later than this time.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Parses RFC 3339 with any offset. A date alone, such as `2026-01-31`, is its midnight in UTC.
    ///
    /// # Errors
    /// [`MalformedTimestamp`] for anything else.
    pub fn parse(text: &str) -> Result<Self, MalformedTimestamp> {
        let midnight;
        let text = if text.len() == 10 {
            midnight = format!("{text}T00:00:00Z");
            &midnight
        } else {
            text
        };
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| MalformedTimestamp)?;
        i64::try_from(time.unix_timestamp_nanos().div_euclid(1000))
            .map(Self)
            .map_err(|_| MalformedTimestamp)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = MalformedTimestamp;

    fn from_str(text: &str) -> Result<Self, MalformedTimestamp> {
        Self::parse(text)
    }
}

/// Length of `2026-01-31T12:00:00.000000Z` in bytes.
const TEXT_LEN: usize = 27;

impl Timestamp {
    /// Formats the time as RFC 3339 with microseconds and `Z`; `None` outside the years 0 to 9999,
    /// which the format cannot express. Written by hand because timestamps are a large part of
    /// every answer.
    fn text(self) -> Option<[u8; TEXT_LEN]> {
        const DAY: i64 = 86_400_000_000;
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY));
        if !(0..=9999).contains(&year) {
            return None;
        }
        let micros = self.0.rem_euclid(DAY);
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        write_digits(&mut text[0..4], year);
        write_digits(&mut text[5..7], month);
        write_digits(&mut text[8..10], day);
        write_digits(&mut text[11..13], seconds / 3600);
        write_digits(&mut text[14..16], seconds / 60 % 60);
        write_digits(&mut text[17..19], seconds % 60);
        write_digits(&mut text[20..26], micros);
        Some(text)
    }
}

/// Returns the date in the proleptic Gregorian calendar that is `days` after 1970-01-01. Years
/// begin in March here, so that the leap day comes last: `civil_from_days` of Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", 2013,
/// <https://howardhinnant.github.io/date_algorithms.html>.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month =
        if months_since_march < 10 { months_since_march + 3 } else { months_since_march - 9 };
    (year_of_era + era * 400 + (month <= 2) as i64, month, day)
}

/// Fills `place` with the last digits of a number.
fn write_digits(place: &mut [u8], mut number: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn as_str(text: &[u8; TEXT_LEN]) -> &str {
    std::str::from_utf8(text).expect("digits and punctuation are ASCII")
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.text() {
            Some(text) => f.write_str(as_str(&text)),
            None => write!(f, "{}us", self.0),
        }
    }
}

impl std::fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text() {
            Some(text) => serializer.serialize_str(as_str(&text)),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    /// The first microsecond of year 0 and the last of year 9999.
    fn bounds() -> (i64, i64) {
        let micros = |time: OffsetDateTime| time.unix_timestamp() * 1_000_000;
        (
            micros(datetime!(0000-01-01 0:00 UTC)),
            micros(datetime!(9999-12-31 23:59:59 UTC)) + 999_999,
        )
    }

    /// As the `time` crate writes it.
    fn expected(micros: i64) -> String {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000).unwrap();
        let (date, clock) = (time.date(), time.time());
        let (hour, minute, second, micro) = clock.as_hms_micro();
        format!(
            "{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
        )
    }

    proptest! {
        #[test]
        fn it_is_written_as_the_time_crate_writes_it(micros in bounds().0..=bounds().1) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(time.to_string(), expected(micros));
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
            prop_assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{time}\""));
        }

        #[test]
        fn any_number_is_written(micros: i64) {
            prop_assert!(!Timestamp::from_micros(micros).to_string().is_empty());
        }
    }

    #[test]
    fn every_day_from_year_0_to_9999_is_the_right_one() {
        let (first, last) = bounds();
        let mut date = datetime!(0000-01-01 0:00 UTC).date();
        for day in first / 86_400_000_000..=last.div_euclid(86_400_000_000) {
            let expected = (date.year().into(), u8::from(date.month()).into(), date.day().into());
            assert_eq!(civil_from_days(day), expected);
            date = date.next_day().unwrap_or(date);
        }
    }

    #[test]
    fn what_rfc_3339_cannot_write_is_a_number() {
        let (first, last) = bounds();
        for (micros, text) in [
            (-1, "1969-12-31T23:59:59.999999Z".to_owned()),
            (first, "0000-01-01T00:00:00.000000Z".to_owned()),
            (last, "9999-12-31T23:59:59.999999Z".to_owned()),
            (first - 1, format!("{}us", first - 1)),
            (last + 1, format!("{}us", last + 1)),
            (i64::MIN, format!("{}us", i64::MIN)),
            (i64::MAX, format!("{}us", i64::MAX)),
        ] {
            let time = Timestamp::from_micros(micros);
            assert_eq!(time.to_string(), text);
            assert_eq!(serde_json::to_value(time).unwrap(), text);
        }
    }

    #[test]
    fn a_later_time_is_never_one_that_cannot_be_written() {
        let (now, last) = (Timestamp::from_micros(1_800_000_000_000_000), bounds().1);
        assert_eq!(now.after(Duration::from_secs(1)).micros(), now.micros() + 1_000_000);
        for long in [Duration::from_secs(i64::MAX.unsigned_abs()), Duration::MAX] {
            assert_eq!(now.after(long).micros(), last);
            assert_eq!(Timestamp::parse(&now.after(long).to_string()), Ok(now.after(long)));
        }
    }

    #[test]
    fn it_is_written_with_six_digits_and_z() {
        let time = Timestamp::parse("2026-01-31T12:00:00.5+02:00").unwrap();
        assert_eq!(time.to_string(), "2026-01-31T10:00:00.500000Z");
        assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
    }

    #[test]
    fn a_date_alone_is_its_midnight() {
        assert_eq!(
            Timestamp::parse("2026-01-31").unwrap().to_string(),
            "2026-01-31T00:00:00.000000Z"
        );
        assert_eq!(Timestamp::parse("yesterday"), Err(MalformedTimestamp));
    }
}
