//! Tasks that run once for each item of a list.

use std::ops::Range;

use super::condition::Condition;
use super::template::Template;
use super::value::{Kind, Value};
use crate::Json;

/// The items of a task, and how they are run. `docs/jobs.md` describes the keys.
#[derive(Clone, Debug, PartialEq)]
pub struct ForEach {
    /// What is iterated over: a list, an object, or the number of items.
    pub(super) source: Template,
    /// The condition under which an item runs.
    pub(super) when: Option<Condition>,
    /// How many items run at the same time. `None`: as many as there are slots.
    pub parallel: Option<u32>,
    /// How many items may fail.
    pub tolerated: Tolerance,
    /// Whether the other items are given up once more items have failed than are tolerated.
    pub fail_fast: bool,
    /// How many elements are one item.
    pub batch: u32,
}

/// How many items may fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// This number of items.
    Count(u32),
    /// This part of all items, in percent.
    Percent(f64),
}

/// The elements of a value, grouped into items. A value of an element is a part of the text, which is not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items {
    elements: Elements,
    batch: u32,
    count: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Elements {
    /// The numbers from 0 on.
    Numbers(u32),
    /// The elements of a list.
    List(Json, Box<[Place]>),
    /// The members of an object.
    Object(Json, Box<[Place]>),
}

/// Where an element begins and ends in the text.
type Place = (u32, u32);

/// Why there are no items.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemsError {
    /// The value is nothing that can be iterated over.
    #[error("it can be a list, an object, or a whole number that is not negative, not {0}")]
    NotIterable(String),
    /// There are too many items.
    #[error("it has more than {} items", ForEach::MAXIMUM_ITEMS)]
    TooMany,
}

impl ForEach {
    /// Maximum number of items of a task.
    pub const MAXIMUM_ITEMS: u32 = 100_000;
    /// Maximum number of elements of an item.
    pub const MAXIMUM_BATCH: u32 = Self::MAXIMUM_ITEMS;

    /// What is iterated over.
    #[must_use]
    pub const fn source(&self) -> &Template {
        &self.source
    }

    /// The condition under which an item runs.
    #[must_use]
    pub const fn when(&self) -> Option<&Condition> {
        self.when.as_ref()
    }
}

impl Tolerance {
    /// How many of `count` items may fail.
    #[must_use]
    pub fn of(self, count: u32) -> u32 {
        match self {
            Self::Count(most) => most,
            // A percentage is rounded down; the small addition is for products such as 0.29 · 100.
            Self::Percent(part) => (f64::from(count) * part / 100.0 + 1e-9).floor() as u32,
        }
    }
}

impl Items {
    /// The items of a value.
    ///
    /// # Errors
    /// If it cannot be iterated over, or has too many items.
    pub fn of(value: &Json, batch: u32) -> Result<Self, ItemsError> {
        let outer = Value::of_job(value.get());
        let end = |value: Value<'_>| (value.at + value.text.len()) as u32;
        let elements = match outer.kind() {
            Kind::List => {
                let places = outer.elements().map(|element| (element.at as u32, end(element)));
                Elements::List(value.clone(), places.take(most_elements(batch)).collect())
            }
            Kind::Object => {
                let places = outer.properties().map(|(key, value)| (key.at as u32, end(value)));
                Elements::Object(value.clone(), places.take(most_elements(batch)).collect())
            }
            Kind::Number => {
                let not_iterable = || ItemsError::NotIterable(outer.text.to_owned());
                let digits =
                    outer.text.strip_prefix('-').map_or(outer.text, |zero| if zero == "0" { zero } else { "-" });
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(not_iterable());
                }
                Elements::Numbers(digits.parse().unwrap_or(u32::MAX))
            }
            kind => return Err(ItemsError::NotIterable(kind.name().to_owned())),
        };
        let count = elements.len().div_ceil(batch as usize);
        let count =
            u32::try_from(count).ok().filter(|count| *count <= ForEach::MAXIMUM_ITEMS).ok_or(ItemsError::TooMany)?;
        Ok(Self { elements, batch, count })
    }

    /// The number of items.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The value of an item.
    ///
    /// # Panics
    /// If there is no such item.
    #[must_use]
    pub fn get(&self, item: u32) -> Json {
        assert!(item < self.count, "there is no item {item} of {}", self.count);
        if self.batch == 1 {
            return Json::from_checked(self.elements.get(item as usize));
        }
        let first = item as usize * self.batch as usize;
        let last = (first + self.batch as usize).min(self.elements.len());
        let parts: Vec<String> = (first..last).map(|element| self.elements.get(element)).collect();
        Json::from_checked(format!("[{}]", parts.join(", ")))
    }
}

impl Elements {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(count) => *count as usize,
            Self::List(_, places) | Self::Object(_, places) => places.len(),
        }
    }

    /// The text of an element.
    fn get(&self, element: usize) -> String {
        let range = |places: &[Place]| -> Range<usize> { places[element].0 as usize..places[element].1 as usize };
        match self {
            Self::Numbers(_) => element.to_string(),
            Self::List(text, places) => text.get()[range(places)].to_owned(),
            Self::Object(text, places) => {
                let mut cursor = Value { at: 0, text: &text.get()[range(places)] }.cursor();
                let (key, value) = (cursor.key(), cursor.value());
                format!("{{\"key\": {}, \"value\": {}}}", key.text, value.text)
            }
        }
    }
}

/// One more element than there may be is enough to know that there are too many.
fn most_elements(batch: u32) -> usize {
    ForEach::MAXIMUM_ITEMS as usize * batch as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str, batch: u32) -> Result<Vec<String>, ItemsError> {
        let items = Items::of(&Json::parse(text).unwrap(), batch)?;
        Ok((0..items.count()).map(|item| items.get(item).get().to_owned()).collect())
    }

    #[test]
    fn lists_objects_and_numbers_have_items() {
        for (text, batch, expected) in [
            ("[]", 1, &[][..]),
            (" [ 1 , \"a,]\" , [2, 3] , {\"b\": null} ] ", 1, &["1", "\"a,]\"", "[2, 3]", "{\"b\": null}"]),
            ("[1, 2, 3]", 2, &["[1, 2]", "[3]"]),
            ("{}", 1, &[]),
            (
                "{\"a\" : 1, \"\\u00e4\": [2]}",
                1,
                &["{\"key\": \"a\", \"value\": 1}", "{\"key\": \"\\u00e4\", \"value\": [2]}"],
            ),
            ("3", 1, &["0", "1", "2"]),
            ("3", 2, &["[0, 1]", "[2]"]),
            ("0", 1, &[]),
            ("-0", 1, &[]),
        ] {
            assert_eq!(items(text, batch).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn other_values_have_none() {
        for text in ["null", "true", "\"abc\"", "1.0", "-1", "1e3", "2.5"] {
            assert!(matches!(items(text, 1), Err(ItemsError::NotIterable(_))), "{text}");
        }
        for (text, batch) in [("100001", 1), ("99999999999999999999", 1), ("200001", 2)] {
            assert_eq!(items(text, batch), Err(ItemsError::TooMany), "{text}");
        }
        let long = format!("[{}1]", "1,".repeat(100_000));
        assert_eq!(items(&long, 1), Err(ItemsError::TooMany));
        assert_eq!(Items::of(&Json::parse("100000").unwrap(), 1).unwrap().count(), ForEach::MAXIMUM_ITEMS);
        assert_eq!(Items::of(&Json::parse(&long).unwrap(), 100_001).unwrap().count(), 1);
    }

    #[test]
    fn tolerated_percentages_are_rounded_down() {
        for (part, count, expected) in
            [(5.0, 100, 5), (5.0, 99, 4), (29.0, 100, 29), (0.0, 7, 0), (100.0, 7, 7), (0.1, 999, 0)]
        {
            assert_eq!(Tolerance::Percent(part).of(count), expected, "{part} % of {count}");
        }
        assert_eq!(Tolerance::Count(3).of(1), 3);
    }
}
