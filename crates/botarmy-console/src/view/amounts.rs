//! Durations and sizes, as people read them.

use std::time::Duration;

use super::texts::grouped;

/// Returns a number of things with its noun; the plural adds an `s`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Returns a size in bytes.
pub(crate) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let bytes_f = bytes as f64;
    match bytes {
        0..10_240 => counted(bytes, "byte"),
        10_240..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{:.1} MiB", bytes_f / 1_048_576.0),
    }
}

/// Returns a duration with at most two units.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |first: u64, unit: &str, second: u64, sub: &str| {
        if second == 0 {
            format!("{first} {unit}")
        } else {
            format!("{first} {unit} {second} {sub}")
        }
    };
    match seconds {
        0 => "under 1 s".to_owned(),
        1..60 => format!("{seconds} s"),
        60..600 => two(seconds / 60, "min", seconds % 60, "s"),
        600..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        86_400..864_000 => {
            let days = seconds / 86_400;
            two(days, if days == 1 { "day" } else { "days" }, seconds % 86_400 / 3_600, "h")
        }
        _ => format!("{} days", grouped(seconds / 86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_have_their_plural_and_sizes_their_unit() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "task")), ["0 tasks", "1 task", "2 tasks"]);
        assert_eq!(
            [462, 10_240, 1_048_576 + 524_288].map(size),
            ["462 bytes", "10 KiB", "1.5 MiB"]
        );
    }

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, text) in [
            (0, "under 1 s"),
            (45, "45 s"),
            (60, "1 min"),
            (108, "1 min 48 s"),
            (599, "9 min 59 s"),
            (1_020, "17 min"),
            (3_600, "1 h"),
            (5_760, "1 h 36 min"),
            (90_000, "1 day 1 h"),
            (172_800, "2 days"),
            (864_000, "10 days"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
