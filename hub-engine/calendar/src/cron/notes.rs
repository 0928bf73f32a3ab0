//! What the author of an expression may not expect.

use super::field::Field;
use super::kind::FieldKind;

/// Bits of the months with 31 days, from bit 1.
const MONTHS_WITH_31: u64 = 0b1_0101_1010_1010;
/// Bits of the months with at least 30 days.
const MONTHS_WITH_30: u64 = MONTHS_WITH_31 | 0b0_1010_0101_0000;

/// What the author of an expression may not expect, in complete sentences.
pub(super) fn notes(fields: &[Field; 6], has_seconds: bool) -> Vec<String> {
    let [_, minute, hour, day_of_month, month, day_of_week] = fields;
    let mut notes = Vec::new();
    if has_seconds {
        notes.push("The first of the six fields is the second.".to_owned());
    }
    let is_fixed_hour = !hour.begins_with_star && !hour.is_full(FieldKind::Hour);
    if is_fixed_hour && minute.is_full(FieldKind::Minute) {
        notes.push(
            "It fires at each minute of the selected hours. For one firing an hour, write 0 as the minute.".to_owned(),
        );
    }
    for (kind, field) in FieldKind::ALL.into_iter().zip(fields) {
        notes.extend(field.steps.iter().filter_map(|step| uneven(kind, *step)));
    }
    notes.extend(days(day_of_month, day_of_week));
    let is_by_day_of_month = day_of_week.is_full(FieldKind::DayOfWeek) && day_of_week.begins_with_star;
    if is_by_day_of_month && !day_of_month.has_last_day {
        notes.extend(missing_days(day_of_month.values.trailing_zeros(), month.values));
    }
    notes
}

fn uneven(kind: FieldKind, step: u32) -> Option<String> {
    let (unit, number) = match kind {
        FieldKind::DayOfMonth => {
            return Some(format!("A step of {step} in the day of month begins again on the first day of each month."));
        }
        FieldKind::DayOfWeek => {
            return Some(format!("A step of {step} in the day of week begins again on each Sunday."));
        }
        FieldKind::Second => ("minute", 60),
        FieldKind::Minute => ("hour", 60),
        FieldKind::Hour => ("day", 24),
        FieldKind::Month => ("year", 12),
    };
    let name = kind.as_str();
    (number % step != 0).then(|| {
        format!(
            "A step of {step} begins again at the first {name} of each {unit}: {step} does not divide {number}. For equal \
             intervals, use every."
        )
    })
}

fn days(day_of_month: &Field, day_of_week: &Field) -> Option<String> {
    match (day_of_month.begins_with_star, day_of_week.begins_with_star) {
        (false, false) => Some(
            "Day of month and day of week are both restricted: it fires on days that match either of them.".to_owned(),
        ),
        (true, false) if !day_of_month.is_full(FieldKind::DayOfMonth) => Some(
            "The day of month begins with *: it fires on days that match both day of month and day of week.".to_owned(),
        ),
        (false, true) if !day_of_week.is_full(FieldKind::DayOfWeek) => Some(
            "The day of week begins with *: it fires on days that match both day of month and day of week.".to_owned(),
        ),
        (true, true) if !day_of_month.is_full(FieldKind::DayOfMonth) && !day_of_week.is_full(FieldKind::DayOfWeek) => {
            Some("It fires on days that match both day of month and day of week.".to_owned())
        }
        _ => None,
    }
}

/// A note if one of the months may be too short for the first selected day.
fn missing_days(first_day: u32, months: u64) -> Option<String> {
    let long_enough = match first_day {
        ..=28 => return None,
        29 if months == 1 << 2 => return Some("It fires in leap years only.".to_owned()),
        29 => return (months >> 2 & 1 == 1).then(|| "It does not fire in February, except in leap years.".to_owned()),
        30 => MONTHS_WITH_30,
        _ => MONTHS_WITH_31,
    };
    (months & !long_enough != 0).then(|| {
        format!("It does not fire in months without day {first_day}. For the last day of each month, write L.")
    })
}
