//! A cron expression and the local times that it matches.

use super::days::Days;
use super::times::TimesOfDay;
use crate::date::{Month, SECONDS_PER_DAY};

/// A cron expression that was read. It matches at least one date of each 400 years.
///
/// Local times are seconds since 1970-01-01T00:00:00 on the local clock.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    pub(super) times: TimesOfDay,
    pub(super) days: Days,
    /// Bits of the months, from bit 1.
    pub(super) months: u64,
    pub(super) has_wildcard_hours: bool,
    pub(super) notes: Vec<String>,
}

impl Cron {
    /// Whether the expression fires by elapsed time where the local clock is changed.
    pub(crate) const fn has_wildcard_hours(&self) -> bool {
        self.has_wildcard_hours
    }

    /// What the author may not expect.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// The first matching local time from `from` up to, but without, `until`.
    pub(crate) fn first_match(&self, from: i64, until: i64) -> Option<i64> {
        let (mut month, mut earliest_day) = Month::of_day(from.div_euclid(SECONDS_PER_DAY));
        while month.first_day() * SECONDS_PER_DAY < until {
            if self.months >> month.number() & 1 == 1 {
                let mut days = self.days.in_month(month) >> earliest_day << earliest_day;
                while days != 0 {
                    let midnight = (month.first_day() + i64::from(days.trailing_zeros()) - 1) * SECONDS_PER_DAY;
                    if let Some(time) = self.times.first_from((from - midnight).max(0)) {
                        let found = midnight + time;
                        return (found < until).then_some(found);
                    }
                    days &= days - 1;
                }
            }
            month = month.next();
            earliest_day = 1;
        }
        None
    }
}
