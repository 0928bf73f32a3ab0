//! The fields of a cron expression: names and ranges.

/// Abbreviations of the months, from January.
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// Abbreviations of the days of the week, from Sunday.
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A field of a cron expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldKind {
    Second,
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
}

impl FieldKind {
    /// All fields in the order of an expression.
    pub(super) const ALL: [Self; 6] =
        [Self::Second, Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        }
    }

    /// The least value.
    pub(super) const fn minimum(self) -> u32 {
        match self {
            Self::DayOfMonth | Self::Month => 1,
            _ => 0,
        }
    }

    /// The greatest value that may be written.
    pub(super) const fn maximum(self) -> u32 {
        match self {
            Self::Second | Self::Minute => 59,
            Self::Hour => 23,
            Self::DayOfMonth => 31,
            Self::Month => 12,
            Self::DayOfWeek => 7,
        }
    }

    /// Number of different values. 7 in the day of week is the same as 0.
    pub(super) const fn number_of_values(self) -> u32 {
        match self {
            Self::DayOfWeek => 7,
            _ => self.maximum() - self.minimum() + 1,
        }
    }

    /// The bits of all values.
    pub(super) const fn all(self) -> u64 {
        ((1 << self.number_of_values()) - 1) << self.minimum()
    }

    /// The names of the values, from the least.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            _ => &[],
        }
    }

    /// The value with a name, in upper or lower case.
    pub(super) fn named(self, name: &str) -> Option<u32> {
        let index = self.names().iter().position(|own| own.eq_ignore_ascii_case(name))?;
        Some(u32::try_from(index).ok()? + self.minimum())
    }

    /// What may be written in the field.
    pub(super) const fn allowed(self) -> &'static str {
        match self {
            Self::Second => "seconds are 0 to 59",
            Self::Minute => "minutes are 0 to 59",
            Self::Hour => "hours are 0 to 23",
            Self::DayOfMonth => "days of the month are 1 to 31, or L for the last one",
            Self::Month => "months are 1 to 12 or jan to dec",
            Self::DayOfWeek => "days of the week are 0 to 7 (0 and 7 are Sunday) or sun to sat",
        }
    }
}
