//! Reads a field: a list of items.

use super::item::{self, Item};
use super::kind::FieldKind;
use super::problem::Problem;

/// The values that a field selects.
#[derive(Clone, Debug, Default)]
pub(super) struct Field {
    /// The bits of the selected values. 7 in the day of week is bit 0.
    pub(super) values: u64,
    /// Whether the text begins with `*`.
    pub(super) begins_with_star: bool,
    /// Whether the last day of the month is selected with `L`.
    pub(super) has_last_day: bool,
    /// The weekdays of the first to fifth week that are selected with `#`. Bit 0 is Sunday.
    pub(super) nth: [u8; 5],
    /// The weekdays that are selected with `L`. Bit 0 is Sunday.
    pub(super) last_of: u8,
    /// The steps of `*` and of ranges that reach the greatest value.
    pub(super) steps: Vec<u32>,
}

impl Field {
    /// A field with one value.
    pub(super) fn of(value: u32) -> Self {
        Self { values: 1 << value, ..Self::default() }
    }

    /// Reads a field that stands at `at` in the expression.
    pub(super) fn parse(kind: FieldKind, text: &str, at: usize) -> Result<Self, Problem> {
        let mut field = Self { begins_with_star: text.starts_with('*'), ..Self::default() };
        let mut place = at;
        for part in text.split(',') {
            field.add(kind, item::parse(kind, part, place)?);
            place += part.len() + 1;
        }
        Ok(field)
    }

    fn add(&mut self, kind: FieldKind, item: Item) {
        let bit = |weekday: u32| 1_u8 << weekday;
        match item {
            Item::LastDay => self.has_last_day = true,
            Item::LastOf { weekday } => self.last_of |= bit(weekday),
            Item::Nth { weekday, number } => {
                if let Some(week) = self.nth.get_mut(number as usize - 1) {
                    *week |= bit(weekday);
                }
            }
            Item::Values { first, last, step } => {
                let (minimum, count) = (kind.minimum(), kind.number_of_values());
                let mut value = first;
                while value <= last {
                    self.values |= 1 << ((value - minimum) % count + minimum);
                    value += step;
                }
                if first == minimum && last == minimum + count - 1 && step > 1 {
                    self.steps.push(step);
                }
            }
        }
    }

    /// Whether each value is selected.
    pub(super) fn is_full(&self, kind: FieldKind) -> bool {
        self.values & kind.all() == kind.all()
    }
}
