//! Finds time zones by name and suggests names.

use jiff::tz::TimeZoneDatabase;

use super::abbreviations::{offset_minutes, zones};
use super::time_zone::Zone;
use crate::error::{CalendarError, CalendarField};

/// Maximum length of a name that is compared with others.
const MAXIMUM_COMPARED: usize = 64;
/// Names of the database that do not stand for a known time.
const PLACEHOLDERS: [&str; 2] = ["Factory", "Etc/Unknown"];

impl Zone {
    /// Finds the zone with a name of the IANA database.
    ///
    /// # Errors
    ///
    /// The name is unknown, or it is an abbreviation or an offset.
    pub(crate) fn parse(name: &str) -> Result<Self, CalendarError> {
        let database = TimeZoneDatabase::bundled();
        let names: Vec<String> = database.available().map(|name| name.as_str().to_owned()).collect();
        let is_accepted = zones(name).is_none() && !PLACEHOLDERS.contains(&name);
        if is_accepted
            && names.iter().any(|own| own == name)
            && let Ok(zone) = database.get(name)
        {
            return Ok(Self::new(name, zone));
        }
        let (message, suggestion) = refusal(name, &names);
        Err(CalendarError { suggestion, ..CalendarError::of_value(CalendarField::Timezone, message) })
    }
}

/// Why a name is refused, and a name to write instead.
fn refusal(name: &str, names: &[String]) -> (String, Option<String>) {
    if name.trim().is_empty() {
        return (
            "is empty: write UTC, or a name of the IANA database such as Europe/Berlin".to_owned(),
            Some("UTC".into()),
        );
    }
    if let Some(zones) = zones(name) {
        let message = match zones {
            ["UTC"] => format!("{name:?} is an abbreviation: write UTC"),
            _ => format!(
                "{name:?} is an abbreviation, which does not say where and whether daylight saving applies: write the \
                 name of a place, such as {}",
                zones.join(" or ")
            ),
        };
        return (message, zones.first().map(|zone| (*zone).to_owned()));
    }
    if let Some(minutes) = offset_minutes(name) {
        let message = format!(
            "{name:?} is an offset, which does not follow daylight saving: write the name of a place, such as \
             Europe/Berlin, or a fixed offset of whole hours such as Etc/GMT-2, which is two hours ahead of UTC"
        );
        return (message, fixed_offset(minutes));
    }
    let message = format!("{name:?} is not a name of the IANA time-zone database, such as Europe/Berlin");
    (message, nearest(name, names).map(ToOwned::to_owned))
}

/// The name of a zone with a fixed offset. The sign in the name is the opposite of the usual one.
fn fixed_offset(minutes: i32) -> Option<String> {
    match minutes / 60 {
        _ if minutes % 60 != 0 => None,
        0 => Some("UTC".to_owned()),
        hours @ 1..=14 => Some(format!("Etc/GMT-{hours}")),
        hours @ -12..0 => Some(format!("Etc/GMT+{}", -hours)),
        _ => None,
    }
}

/// The most similar name. Case and the kind of blanks do not matter, and the place alone is enough.
fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let wanted = name.trim().replace(' ', "_").to_ascii_lowercase();
    let length = wanted.chars().count();
    if length > MAXIMUM_COMPARED {
        return None;
    }
    let mut allowed = (length / 3).clamp(1, 3).min(length.saturating_sub(1));
    let mut best = None;
    let candidates = names.iter().map(String::as_str);
    for candidate in candidates.filter(|name| zones(name).is_none() && !PLACEHOLDERS.contains(name)) {
        let lower = candidate.to_ascii_lowercase();
        let place = lower.rsplit('/').next().unwrap_or(&lower);
        // A place alone is a worse match than a complete name.
        let distance = strsim::osa_distance(&wanted, &lower).min(strsim::osa_distance(&wanted, place) + 1);
        if distance == 0 {
            return Some(candidate);
        }
        if distance <= allowed {
            best = Some(candidate);
            allowed = distance - 1;
        }
    }
    best
}
