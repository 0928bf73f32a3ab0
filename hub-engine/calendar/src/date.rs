//! Days and months of the Gregorian calendar.

/// Number of seconds of a day of local time.
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;

/// A month of a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Month {
    year: i64,
    /// From 1.
    number: u32,
}

impl Month {
    /// The month that contains a day, and the number of the day in the month, from 1. `day` counts from 1970-01-01.
    pub(crate) fn of_day(day: i64) -> (Self, u32) {
        // Years begin in March here, so that the leap day is the last day of a year.
        let shifted = day + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let number = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = era * 400 + year_of_era + i64::from(number <= 2);
        (Self { year, number: small(number) }, small(day_of_month))
    }

    /// From 1 for January.
    pub(crate) const fn number(self) -> u32 {
        self.number
    }

    /// The following month.
    pub(crate) const fn next(self) -> Self {
        if self.number == 12 {
            Self { year: self.year + 1, number: 1 }
        } else {
            Self { year: self.year, number: self.number + 1 }
        }
    }

    /// The first day of the month, in days since 1970-01-01.
    pub(crate) fn first_day(self) -> i64 {
        let year = self.year - i64::from(self.number <= 2);
        let month_from_march = i64::from((self.number + 9) % 12);
        let day_of_year = (153 * month_from_march + 2) / 5;
        let year_of_era = year.rem_euclid(400);
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        year.div_euclid(400) * 146_097 + day_of_era - 719_468
    }

    /// Number of days of the month.
    pub(crate) const fn length(self) -> u32 {
        match self.number {
            2 if self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

/// The day of the week of a day since 1970-01-01, from 0 for Sunday.
pub(crate) fn weekday(day: i64) -> u32 {
    small((day + 4).rem_euclid(7))
}

/// A number that is known to be small.
fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn agrees_with_jiff_on_each_day_of_a_cycle() {
        let mut expected = date(1968, 12, 1);
        let epoch = date(1970, 1, 1);
        let first = i64::from(epoch.until(expected).unwrap().get_days());
        for day in first..first + 146_500 {
            let (month, day_of_month) = Month::of_day(day);
            assert_eq!((month.year, month.number), (i64::from(expected.year()), expected.month().try_into().unwrap()));
            assert_eq!(day_of_month, u32::try_from(expected.day()).unwrap());
            assert_eq!(month.first_day(), day - i64::from(day_of_month) + 1);
            assert_eq!(month.length(), u32::try_from(expected.days_in_month()).unwrap());
            assert_eq!(weekday(day), u32::try_from(expected.weekday().to_sunday_zero_offset()).unwrap());
            expected = expected.tomorrow().unwrap();
        }
    }

    #[test]
    fn months_follow_each_other() {
        let (december, _) = Month::of_day(-1);
        assert_eq!(december.next(), Month::of_day(0).0);
        assert_eq!(december.next().next(), Month::of_day(31).0);
    }
}
