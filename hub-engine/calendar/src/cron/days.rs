//! The days that an expression selects.

use crate::date::{Month, weekday};

/// The rule for the days of a month.
#[derive(Clone, Debug)]
pub(super) struct Days {
    /// Bits of the days of the month, from bit 1.
    pub(super) of_month: u64,
    /// Whether the last day of each month is selected.
    pub(super) last: bool,
    /// Bits of the weekdays, from bit 0 for Sunday.
    pub(super) of_week: u64,
    /// Bits of the weekdays that are selected in the first to fifth week of a month.
    pub(super) nth: [u8; 5],
    /// Bits of the weekdays that are selected at their last occurrence in a month.
    pub(super) last_of: u8,
    /// Whether a day must match both fields. Otherwise one is enough.
    pub(super) needs_both: bool,
}

impl Days {
    /// Bits of the selected days of a month, from bit 1.
    pub(super) fn in_month(&self, month: Month) -> u64 {
        let length = month.length();
        let all = ((1_u64 << length) - 1) << 1;
        let by_month = self.of_month | if self.last { 1 << length } else { 0 };
        let first = weekday(month.first_day());
        let by_week = (1..=length).filter(|&day| self.matches_week(day, length, first));
        let by_week = by_week.fold(0, |bits, day| bits | 1_u64 << day);
        all & if self.needs_both { by_month & by_week } else { by_month | by_week }
    }

    fn matches_week(&self, day: u32, length: u32, weekday_of_first: u32) -> bool {
        let weekday = (weekday_of_first + day - 1) % 7;
        let nth = self.nth.get((day as usize - 1) / 7).copied().unwrap_or(0);
        let last_of = if day + 7 > length { self.last_of } else { 0 };
        (self.of_week | u64::from(nth | last_of)) >> weekday & 1 == 1
    }
}
