//! Generated expressions with the values that they select, written without the crate under test.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use proptest::prelude::*;

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A field: its text and the selected values.
#[derive(Clone, Debug)]
struct Field {
    text: String,
    values: BTreeSet<i64>,
}

/// A generated expression.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) text: String,
    pub(crate) has_wildcard_hours: bool,
    second: BTreeSet<i64>,
    minute: Field,
    hour: Field,
    day_of_month: Field,
    month: Field,
    day_of_week: Field,
    special: Special,
}

/// A selection of days that depends on the month, which is appended to a day field.
#[derive(Clone, Copy, Debug)]
enum Special {
    None,
    LastDay,
    Nth(i64, i64),
    LastOf(i64),
}

impl Expression {
    pub(crate) fn matches(&self, time: DateTime) -> bool {
        self.second.contains(&i64::from(time.second()))
            && self.minute.values.contains(&i64::from(time.minute()))
            && self.hour.values.contains(&i64::from(time.hour()))
            && self.matches_date(time.date())
    }

    pub(crate) fn matches_date(&self, date: Date) -> bool {
        let weekday = i64::from(date.weekday().to_sunday_zero_offset());
        let is_nth = |weekday: i64, number: i8| {
            let weekday = jiff::civil::Weekday::from_sunday_zero_offset(weekday.try_into().unwrap()).unwrap();
            date.nth_weekday_of_month(number, weekday).is_ok_and(|found| found == date)
        };
        let special_week = match self.special {
            Special::Nth(weekday, number) => is_nth(weekday, number.try_into().unwrap()),
            Special::LastOf(weekday) => is_nth(weekday, -1),
            Special::None | Special::LastDay => false,
        };
        let special_month = matches!(self.special, Special::LastDay) && date == date.last_of_month();
        let by_month = self.day_of_month.values.contains(&i64::from(date.day())) || special_month;
        let by_week = self.day_of_week.values.contains(&weekday) || special_week;
        let begins_with_star = |field: &Field| field.text.starts_with('*');
        let days = if begins_with_star(&self.day_of_month) || begins_with_star(&self.day_of_week) {
            by_month && by_week
        } else {
            by_month || by_week
        };
        days && self.month.values.contains(&i64::from(date.month()))
    }
}

/// One item of a field whose values go from `minimum` to `maximum`.
fn item(minimum: i64, maximum: i64) -> impl Strategy<Value = Field> {
    let count = maximum - minimum + 1;
    let ring = move |first: i64, last: i64, step: i64| {
        // The range, continued after the maximum where the last value is less than the first.
        let mut all = vec![first];
        while all.last() != Some(&last) {
            let next = all[all.len() - 1] + 1;
            all.push(if next > maximum { minimum } else { next });
        }
        let values: BTreeSet<i64> = all.iter().step_by(usize::try_from(step).unwrap()).copied().collect();
        (all.len(), values)
    };
    let value = minimum..=maximum;
    prop_oneof![
        4 => Just(Field { text: "*".to_owned(), values: (minimum..=maximum).collect() }),
        4 => value.clone().prop_map(|value| Field { text: value.to_string(), values: BTreeSet::from([value]) }),
        2 => (1..count).prop_map(move |step| {
            Field { text: format!("*/{step}"), values: ring(minimum, maximum, step).1 }
        }),
        2 => (value.clone(), value.clone()).prop_map(move |(first, last)| {
            Field { text: format!("{first}-{last}"), values: ring(first, last, 1).1 }
        }),
        2 => (value.clone(), value, 1..6_i64).prop_map(move |(first, last, step)| {
            let step = if usize::try_from(step).unwrap() < ring(first, last, 1).0 { step } else { 1 };
            Field { text: format!("{first}-{last}/{step}"), values: ring(first, last, step).1 }
        }),
    ]
}

fn field(minimum: i64, maximum: i64) -> impl Strategy<Value = Field> {
    let join = |items: Vec<Field>| Field {
        text: items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>().join(","),
        values: items.into_iter().flat_map(|item| item.values).collect(),
    };
    prop::collection::vec(item(minimum, maximum), 1..3).prop_map(join)
}

fn special() -> impl Strategy<Value = Special> {
    prop_oneof![
        3 => Just(Special::None),
        1 => Just(Special::LastDay),
        1 => (0..7_i64, 1..6_i64).prop_map(|(weekday, number)| Special::Nth(weekday, number)),
        1 => (0..7_i64).prop_map(Special::LastOf),
    ]
}

/// An expression with five or six fields. Many of its hours are in the night, when clocks are changed.
pub(crate) fn expression(has_seconds: bool) -> impl Strategy<Value = Expression> {
    let hours = prop_oneof![
        field(0, 23),
        (0..4_i64).prop_map(|hour| Field { text: hour.to_string(), values: BTreeSet::from([hour]) })
    ];
    let month = prop_oneof![3 => Just(Field { text: "*".to_owned(), values: (1..=12).collect() }), 1 => field(1, 12)];
    let days = |minimum, maximum| prop_oneof![1 => Just(Field { text: "*".to_owned(), values: (minimum..=maximum).collect() }), 1 => field(minimum, maximum)];
    let fields = (field(0, 59), field(0, 59), hours, days(1, 31), month, days(0, 6), special());
    fields.prop_map(move |(second, minute, hour, mut day_of_month, month, mut day_of_week, special)| {
        let names = |weekday: i64| WEEKDAYS[usize::try_from(weekday).unwrap()];
        match special {
            Special::None => {}
            Special::LastDay => day_of_month.text += ",L",
            Special::Nth(weekday, number) => day_of_week.text += &format!(",{}#{number}", names(weekday)),
            Special::LastOf(weekday) => day_of_week.text += &format!(",{weekday}L"),
        }
        let fields = [&minute, &hour, &day_of_month, &month, &day_of_week].map(|field| field.text.as_str()).join(" ");
        Expression {
            text: if has_seconds { format!("{} {fields}", second.text) } else { fields },
            has_wildcard_hours: hour.text.starts_with('*') || hour.values.len() == 24,
            second: if has_seconds { second.values } else { BTreeSet::from([0]) },
            minute,
            hour,
            day_of_month,
            month,
            day_of_week,
            special,
        }
    })
}
