//! The times of day that an expression selects.

/// The times of day that an expression selects: each combination of a selected hour, minute and second.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimesOfDay {
    /// Bits of the selected values.
    pub(super) hours: u64,
    pub(super) minutes: u64,
    pub(super) seconds: u64,
}

impl TimesOfDay {
    /// The first selected time at or after `second`, both in seconds since midnight. `None` if the day has no more.
    pub(super) fn first_from(&self, second: i64) -> Option<i64> {
        let split = |number: i64| u32::try_from(number).ok();
        let (hour, minute, second) = (split(second / 3600)?, split(second / 60 % 60)?, split(second % 60)?);
        let join = |hour: u32, minute: u32, second: u32| i64::from(hour * 3600 + minute * 60 + second);
        let (first_minute, first_second) = (first(self.minutes, 0)?, first(self.seconds, 0)?);
        if first(self.hours, hour)? == hour {
            if first(self.minutes, minute) == Some(minute)
                && let Some(second) = first(self.seconds, second)
            {
                return Some(join(hour, minute, second));
            }
            if let Some(minute) = first(self.minutes, minute + 1) {
                return Some(join(hour, minute, first_second));
            }
            let hour = first(self.hours, hour + 1)?;
            return Some(join(hour, first_minute, first_second));
        }
        Some(join(first(self.hours, hour)?, first_minute, first_second))
    }
}

/// The first bit that is set, from bit `from`.
fn first(bits: u64, from: u32) -> Option<u32> {
    let rest = bits.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}
