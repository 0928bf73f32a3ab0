//! Time as the core knows it: handed in by whoever drives it, never asked for.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point `millis` milliseconds after the start of 1970, UTC.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start of 1970, UTC.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The point `duration` later (whole milliseconds; stops at the end of time).
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The point `duration` earlier (whole milliseconds; stops at the start of time).
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// RFC 3339, UTC, with milliseconds: `2026-11-23T22:15:03.120Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, in_day) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = date(days);
        let (seconds, millis) = (in_day / 1000, in_day % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        if year > 9999 {
            return write!(f, "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z");
        }
        // Digit by digit: a record has three of these for each task, and formatting them takes longer than all the rest.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let fields = [(0..4, year), (5..7, month), (8..10, day), (11..13, hour), (14..16, minute), (17..19, second)];
        for (place, value) in fields.into_iter().chain([(20..23, millis)]) {
            write_digits(&mut text[place], value);
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time has the form 2026-11-23T22:15:03Z or 2026-11-23")]
pub struct NoTime;

/// RFC 3339, such as [`Timestamp`] writes it, with any offset; or a date, which stands for its beginning in UTC.
impl FromStr for Timestamp {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        let (date, time) = match text.split_once(['T', 't', ' ']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let parts: Vec<&str> = date.split('-').collect();
        let [year, month, day] = parts.as_slice() else { return Err(NoTime) };
        let (year, month, day) = (digits(year, 4)?, digits(month, 2)?, digits(day, 2)?);
        let days =
            if (1..=12).contains(&month) { day_number(year, month, day).ok_or(NoTime)? } else { return Err(NoTime) };
        // Every day that there is comes back as it went in.
        if self::date(days) != (year, month, day) {
            return Err(NoTime);
        }
        let millis = days * 86_400_000;
        match time {
            None => Ok(Self(millis)),
            Some(time) => {
                let (in_day, offset) = time_of_day(time)?;
                millis.checked_add(in_day).and_then(|millis| millis.checked_add_signed(-offset)).map(Self).ok_or(NoTime)
            }
        }
    }
}

/// Milliseconds since midnight, and how many of them the place is ahead of UTC.
fn time_of_day(text: &str) -> Result<(u64, i64), NoTime> {
    let zone = text.find(['Z', 'z', '+', '-']).ok_or(NoTime)?;
    let (clock, zone) = text.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else { return Err(NoTime) };
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    if hour > 23
        || minute > 59
        || second > 59
        || fraction.is_empty()
        || !fraction.bytes().all(|digit| digit.is_ascii_digit())
    {
        return Err(NoTime);
    }
    let millis: u64 = format!("{fraction:0<3}")[..3].parse().map_err(|_| NoTime)?;
    let in_day = ((hour * 60 + minute) * 60 + second) * 1000 + millis;
    if zone.eq_ignore_ascii_case("z") {
        return Ok((in_day, 0));
    }
    let (hours, minutes) = zone[1..].split_once(':').ok_or(NoTime)?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return Err(NoTime);
    }
    let ahead = (hours * 60 + minutes).cast_signed() * 60_000;
    Ok((in_day, if zone.starts_with('-') { -ahead } else { ahead }))
}

/// A number that is written with exactly so many digits.
fn digits(text: &str, count: usize) -> Result<u64, NoTime> {
    if text.len() != count || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(NoTime);
    }
    text.parse().map_err(|_| NoTime)
}

/// The number of a day, counted from 1970-01-01: the inverse of [`date`]. `None` where it is before that.
fn day_number(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, from_march) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

/// Fills `place` with the last digits of `value`.
fn write_digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, by counting in eras of 400 years that begin on
/// the first of March, so that the leap day is the last of its year.
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
    fn is_written_as_rfc_3339() {
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
        }
    }

    #[test]
    fn is_read_as_it_is_written_and_as_people_write_it() {
        for millis in [0, 951_782_400_000, 951_868_799_999, 1_795_471_303_120, 253_402_300_799_999] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        let cases = [
            ("2026-11-23T22:01:43.120Z", 1_795_471_303_120),
            ("2026-11-23t22:01:43z", 1_795_471_303_000),
            ("2026-11-23 23:31:43.1209+01:30", 1_795_471_303_120),
            ("2026-11-23T20:01:43-02:00", 1_795_471_303_000),
            ("2000-02-29", 951_782_400_000),
        ];
        for (text, millis) in cases {
            assert_eq!(text.parse(), Ok(Timestamp::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2026",
            "2026-13-01",
            "2026-02-30",
            "2026-00-10",
            "2026-01-00",
            "1969-12-31",
            "2026-1-1",
            "+026-01-01",
            "2026-01-01T",
            "2026-01-01T10:00Z",
            "2026-01-01T10:00:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T10:00:00.Z",
            "2026-01-01T10:00:00+1",
            "2026-01-01T10:00:00+24:00",
            "1970-01-01T00:00:00+01:00",
            "2026-01-01T10:00:00.\u{661}Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NoTime), "{text}");
        }
    }
}
