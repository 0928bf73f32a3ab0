//! Durations of jobs and tasks, in human-readable form.

use std::time::Duration;

use hub_core::Timestamp;

/// The duration between two times of a record. It may be wrong if the wall clock was set in between.
pub(super) fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::from_millis(later.as_millis().saturating_sub(earlier.as_millis()))
}

/// Formats a duration with at most two units.
pub(super) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=9 => format!("{:.2} s", duration.as_secs_f64()),
        10..=59 => format!("{:.1} s", duration.as_secs_f64()),
        60..=3599 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_234, "1.23 s"),
            (12_340, "12.3 s"),
            (60_000, "1 m 00 s"),
            (3_599_999, "59 m 59 s"),
            (3_660_000, "1 h 01 m"),
            (180_000_000, "2 d 02 h"),
        ];
        for (millis, text) in cases {
            assert_eq!(elapsed(Duration::from_millis(millis)), text);
        }
    }
}
