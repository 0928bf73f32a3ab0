//! Durations as job authors write them: `"1h30m"`, `"250ms"`, or a number of seconds.

use std::time::Duration;

/// The longest duration of the format.
pub(super) const LONGEST: Duration = Duration::from_secs(366 * DAY);
/// The shortest one that is not zero.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);

/// A day in seconds.
const DAY: u64 = 24 * 60 * 60;
/// The units, the longer one first where one begins like another.
const UNITS: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", DAY as f64)];

/// Reads a duration from the text of a string, such as `1h30m`. Each unit stands at most once, in any order.
pub(crate) fn from_text(text: &str) -> Result<Duration, String> {
    let (mut rest, mut seconds, mut seen) = (text, 0.0, Vec::new());
    while !rest.is_empty() {
        let end = rest.find(|byte: char| !byte.is_ascii_digit() && byte != '.').unwrap_or(rest.len());
        let (digits, behind) = rest.split_at(end);
        let is_plain = digits.starts_with(|first: char| first.is_ascii_digit()) && !digits.ends_with('.');
        let number = digits.parse::<f64>().ok().filter(|_| is_plain);
        let unit = UNITS.iter().find(|(unit, _)| behind.starts_with(unit));
        let (Some(number), Some((unit, factor))) = (number, unit) else { return Err(no_duration(text)) };
        if seen.contains(unit) {
            return Err(no_duration(text));
        }
        seen.push(*unit);
        seconds += number * factor;
        rest = &behind[unit.len()..];
    }
    if seen.is_empty() { Err(no_duration(text)) } else { from_seconds(seconds) }
}

/// The duration of this number of seconds.
pub(super) fn from_seconds(seconds: f64) -> Result<Duration, String> {
    if seconds < 0.0 {
        return Err("a duration must not be negative".to_owned());
    }
    // What is read of a decimal fraction may be a little less than what was written.
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| *duration <= LONGEST);
    let rounded = duration.map(|duration| Duration::from_millis((duration.as_secs_f64() * 1000.0).round() as u64));
    match rounded {
        None => Err("a duration is at most 366 days".to_owned()),
        Some(duration) if seconds > 0.0 && duration < SHORTEST => Err("a duration is at least 1 ms".to_owned()),
        Some(duration) => Ok(duration),
    }
}

fn no_duration(text: &str) -> String {
    let shown = super::quoted::quoted(text);
    format!("{shown} is no duration: write it like \"90s\", \"1h30m\" or \"250ms\", or as a number of seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        let millis = |text| from_text(text).map(|duration| duration.as_millis());
        for (text, expected) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            ("1.5s", 1_500),
            ("0s", 0),
            ("1s500ms", 1_500),
            ("366d", 31_622_400_000),
            ("0.1s", 100),
        ] {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        for text in
            ["", "1", "s", "1 s", "1S", "-1s", "1h1h", "1.s", ".5s", "1e3s", "5min", "367d", "0.1ms", "1٣s", "P1D"]
        {
            assert!(from_text(text).is_err(), "{text}");
        }
        assert!(from_text(&"9".repeat(400)).is_err() && from_text(&format!("{}s", "9".repeat(400))).is_err());
    }

    #[test]
    fn seconds_have_the_same_limits() {
        assert_eq!(from_seconds(0.25), Ok(Duration::from_millis(250)));
        assert_eq!(from_seconds(0.0), Ok(Duration::ZERO));
        for seconds in [-1.0, 1e9, f64::INFINITY, 1e-9] {
            assert!(from_seconds(seconds).is_err(), "{seconds}");
        }
    }
}
