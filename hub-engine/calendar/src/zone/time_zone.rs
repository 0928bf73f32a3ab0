//! A time zone, and instants as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::range::MAXIMUM_MS;

/// A time zone of the bundled database.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    name: String,
    pub(super) zone: TimeZone,
}

impl Zone {
    pub(super) fn new(name: &str, zone: TimeZone) -> Self {
        Self { name: name.to_owned(), zone }
    }

    /// The name in the database.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the author of a schedule may not expect of the zone.
    pub(crate) fn note(&self) -> Option<String> {
        let signed = self.name.strip_prefix("Etc/GMT")?;
        let (direction, hours) = match signed.split_at_checked(1)? {
            ("+", hours) => ("behind", hours),
            ("-", hours) => ("ahead of", hours),
            _ => return None,
        };
        (hours != "0")
            .then(|| format!("{} is {hours} hours {direction} UTC: the sign in the name is inverted.", self.name))
    }

    /// The local time with its offset. `at` is in milliseconds since 1970.
    pub(crate) fn local(&self, at: i64) -> Option<String> {
        let instant = instant(at)?;
        let seconds = self.zone.to_offset(instant).seconds();
        let (sign, size) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
        let time = self.zone.to_datetime(instant);
        let (year, month, day) = (time.year(), time.month(), time.day());
        let (hour, minute, second) = (time.hour(), time.minute(), time.second());
        let (offset_hours, offset_minutes, rest) = (size / 3600, size / 60 % 60, size % 60);
        let rest = if rest == 0 { String::new() } else { format!(":{rest:02}") };
        Some(format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{offset_hours:02}:{offset_minutes:02}{rest}"
        ))
    }

    /// The abbreviation that is in use at `at`, in milliseconds since 1970.
    pub(crate) fn abbreviation(&self, at: i64) -> Option<String> {
        Some(self.zone.to_offset_info(instant(at)?).abbreviation().to_owned())
    }
}

fn instant(at: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(at).ok().filter(|_| (0..=MAXIMUM_MS).contains(&at))
}
