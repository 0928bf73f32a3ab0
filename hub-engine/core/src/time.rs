//! Types for time. The core never reads a clock: the driver passes the time as an argument.
//!
//! There are two clocks. [`Timestamp`] is a reading of the wall clock, for records, listings and logs, and for the ends of waits that
//! have to survive a restart. The wall clock can be set forward or back at any time. [`Steady`] is a reading of a monotonic clock.
//! Leases and timers use it. [`Now`] is a reading of both clocks.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A reading of the wall clock, in milliseconds since 1970-01-01T00:00:00Z: see the documentation of the module.
///
/// It holds one more than the milliseconds, so that an optional time takes no more memory: a task has several.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct Timestamp(NonZeroU64);

impl Timestamp {
    /// The time `millis` milliseconds after the start of 1970, UTC.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(millis))
    }

    /// Milliseconds since the start of 1970, UTC.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0.get() - 1
    }

    /// The time `duration` earlier, in whole milliseconds, at least zero. Computes when something began that took this
    /// long and has just ended.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self::from_millis(self.as_millis().saturating_sub(millis(duration)))
    }

    /// The point `duration` later (whole milliseconds), for deadlines that must outlive the process.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self::from_millis(self.as_millis().saturating_add(millis(duration)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.as_millis().saturating_sub(earlier.as_millis()))
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::from_millis(0)
    }
}

impl From<u64> for Timestamp {
    fn from(millis: u64) -> Self {
        Self::from_millis(millis)
    }
}

impl From<Timestamp> for u64 {
    fn from(time: Timestamp) -> Self {
        time.as_millis()
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.as_millis()).finish()
    }
}

/// A reading of a monotonic clock, in milliseconds since an arbitrary moment.
///
/// Readings of two processes cannot be compared, so this type is never serialised. The clock may stop while the machine
/// is suspended. This is intended: it measures how long this process was able to receive messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Steady(u64);

impl Steady {
    /// The reading `millis` milliseconds after the arbitrary start of the clock.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The reading `duration` later, in whole milliseconds, saturating.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The reading `duration` earlier, in whole milliseconds, saturating.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// The duration since `earlier`; zero if this reading is not later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The wall clock, for records.
    pub wall: Timestamp,
    /// The monotonic clock, for durations.
    pub steady: Steady,
}

impl Now {
    /// The reading `duration` later, if the wall clock is not set in between.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self { wall: self.wall.after(duration), steady: self.steady.after(duration) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// RFC 3339, UTC, with milliseconds: `2026-11-23T22:15:03.120Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, in_day) = (self.as_millis() / 86_400_000, self.as_millis() % 86_400_000);
        let (year, month, day) = date(days);
        // A time of the day fits into 32 bits, and division takes half as long with them.
        let (seconds, millis) = (in_day as u32 / 1000, in_day as u32 % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if year > 9999 {
            return write!(f, "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z");
        }
        // Written digit by digit: a record has three times for each task, and `write!` takes longer than everything
        // else.
        let [[y1, y2], [y3, y4]] = [digits(year as u32 / 100), digits(year as u32 % 100)];
        let [[o1, o2], [d1, d2]] = [digits(month as u32), digits(day as u32)];
        let [[h1, h2], [m1, m2], [s1, s2]] = [digits(hour), digits(minute), digits(second)];
        let [[t1, t2], [_, t3]] = [digits(millis / 10), digits(millis % 10)];
        let text = [
            y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2, b'.', t1, t2, t3,
            b'Z',
        ];
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Parses RFC 3339: `2026-11-23T22:15:03.120Z`, or with an offset such as `+01:00`. Digits beyond milliseconds are
/// dropped. A date alone means its start in UTC.
impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        parse(text).map(Self::from_millis).ok_or_else(|| NotATime(text.to_owned()))
    }
}

/// A text that is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time: write it as 2026-11-23T22:15:03Z (RFC 3339) or 2026-11-23")]
pub struct NotATime(String);

fn parse(text: &str) -> Option<u64> {
    let date = text.get(..10)?;
    if text.len() == 10 {
        let [year, month, day] = numbers(date, b'-', [4, 2, 2])?;
        return Some(days_before(year, month, day)? * 86_400_000);
    }
    let rest = text.get(11..)?;
    if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
        return None;
    }
    let [year, month, day] = numbers(date, b'-', [4, 2, 2])?;
    let clock = rest.get(..8)?;
    let [hour, minute, second] = numbers(clock, b':', [2, 2, 2])?;
    let mut zone = &rest[8..];
    let mut millis = 0;
    if let Some(fraction) = zone.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let shown = fraction.get(..digits.min(3)).filter(|shown| !shown.is_empty())?;
        millis = shown.parse::<u64>().ok()? * 10_u64.pow(3 - u32::try_from(shown.len()).ok()?);
        zone = &fraction[digits..];
    }
    let ahead_minutes: i64 = match zone {
        "Z" | "z" => 0,
        _ => {
            let (sign, offset) = (if zone.starts_with('-') { -1 } else { 1 }, zone.strip_prefix(['+', '-'])?);
            let [hours, minutes] = numbers(offset, b':', [2, 2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * i64::try_from(hours * 60 + minutes).ok()?
        }
    };
    let days = days_before(year, month, day)?;
    // A leap second is read as the second after it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let utc = i64::try_from(days * 86_400 + hour * 3600 + minute * 60 + second).ok()? - ahead_minutes * 60;
    Some(u64::try_from(utc).ok()? * 1000 + millis)
}

/// The numbers of a text such as `2026-11-23`. `widths` contains the number of digits of each.
fn numbers<const N: usize>(text: &str, separator: u8, widths: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(char::from(separator));
    let mut found = [0; N];
    for (place, width) in found.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|one| one.is_ascii_digit()))?;
        *place = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// The number of days from 1970-01-01 to this day. `None` if the day does not exist or is earlier. The inverse of
/// [`date`].
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || day < 1 {
        return None;
    }
    let (from_march, counted) = if month > 2 { (month - 3, year) } else { (month + 9, year - 1) };
    let (era, in_era) = (counted / 400, counted % 400);
    let day_of_era = in_era * 365 + in_era / 4 - in_era / 100 + (153 * from_march + 2) / 5 + day - 1;
    let days = (era * 146_097 + day_of_era).checked_sub(719_468)?;
    (date(days) == (year, month, day)).then_some(days)
}

/// Serialises times as RFC 3339. Also reads milliseconds since 1970, which earlier versions of Hub wrote. For
/// `#[serde(with = "…")]`.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Millis(u64),
    }

    impl TryFrom<Written> for Timestamp {
        type Error = super::NotATime;

        fn try_from(written: Written) -> Result<Self, super::NotATime> {
            match written {
                Written::Text(text) => text.parse(),
                Written::Millis(millis) => Ok(Self::from_millis(millis)),
            }
        }
    }

    /// Writes a time.
    ///
    /// # Errors
    /// The errors of the serializer.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    /// Reads a time.
    ///
    /// # Errors
    /// If the value is not a time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Written::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }

    /// Like [`super::rfc3339`], for an optional time.
    pub mod option {
        use super::{Deserialize, Deserializer, Serializer, Timestamp, Written};

        /// Writes a time, or `null`.
        ///
        /// # Errors
        /// The errors of the serializer.
        #[allow(clippy::ref_option, reason = "serde requires this signature")]
        pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => serializer.collect_str(time),
                None => serializer.serialize_none(),
            }
        }

        /// Reads a time, or `null`.
        ///
        /// # Errors
        /// If the value is neither a time nor `null`.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
            let written = Option::<Written>::deserialize(deserializer)?;
            written.map(TryInto::try_into).transpose().map_err(serde::de::Error::custom)
        }
    }
}

/// The digits of a number below 100.
const fn digits(number: u32) -> [u8; 2] {
    [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]
}

/// The year, month and day of a day counted from 1970-01-01. Computed in eras of 400 years that begin on the first of
/// March, so that the leap day is the last day of its year.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    // 719,468 days lie between the first of March of the year 0 and 1970-01-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / ERA, days % ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_795_471_303_120, "2026-11-23T22:01:43.120Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "10000-01-01T00:00:00.000Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
            assert_eq!(text.parse().ok(), (millis < 253_402_300_800_000).then(|| Timestamp::from_millis(millis)));
        }
    }

    #[test]
    fn parses_variants_of_rfc_3339() {
        let same = Timestamp::from_millis(1_795_471_303_120);
        for text in [
            "2026-11-23T22:01:43.12Z",
            "2026-11-23t22:01:43.120999z",
            "2026-11-23 23:01:43.120+01:00",
            "2026-11-23T16:31:43.120-05:30",
        ] {
            assert_eq!(text.parse(), Ok(same), "{text}");
        }
        assert_eq!("2000-02-29".parse(), Ok(Timestamp::from_millis(951_782_400_000)));
        for text in [
            "",
            "now",
            "2026-11",
            "2026-02-30",
            "2026-11-23T22:01:43",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T22:01:43.Z",
            "2026-11-23T22:01:43+1:00",
            "1969-12-31T23:59:59Z",
            "2026-11-23\u{2028}22:01:43Z",
            "+026-11-23T22:01:43Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn serialises_text_and_also_reads_numbers() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Line {
            #[serde(with = "rfc3339")]
            begun: Timestamp,
            #[serde(with = "rfc3339::option")]
            ended: Option<Timestamp>,
        }
        let line = Line { begun: Timestamp::from_millis(0), ended: None };
        let text = r#"{"begun":"1970-01-01T00:00:00.000Z","ended":null}"#;
        assert_eq!(serde_json::to_string(&line).unwrap(), text);
        assert_eq!(serde_json::from_str::<Line>(text).unwrap(), line);
        assert_eq!(serde_json::from_str::<Line>(r#"{"begun":0,"ended":null}"#).unwrap(), line);
        assert!(serde_json::from_str::<Line>(r#"{"begun":"soon","ended":null}"#).is_err());
    }
}
