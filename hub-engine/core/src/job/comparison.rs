//! Compares JSON values as they are written: numbers by value and exactly, however long they are.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::value::{Kind, Value};

/// Whether two values mean the same: numbers by value, objects whatever the order of their keys.
pub(super) fn equal(one: &str, other: &str) -> bool {
    equal_values(Value::of_job(one), Value::of_job(other))
}

/// The order of two numbers, or of two strings by their characters' code points. `None` where they are neither.
pub(super) fn order(one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (Value::of_job(one), Value::of_job(other));
    match (one.kind(), other.kind()) {
        (Kind::Number, Kind::Number) => Some(Decimal::read(one.text).cmp(&Decimal::read(other.text))),
        // UTF-8 has the order of code points.
        (Kind::String, Kind::String) => Some(one.decoded().as_bytes().cmp(other.decoded().as_bytes())),
        _ => None,
    }
}

/// Values are nested at most [`crate::Json::MAX_DEPTH`] levels deep, so this may recurse.
fn equal_values(one: Value<'_>, other: Value<'_>) -> bool {
    if one.text == other.text {
        return true;
    }
    let kind = one.kind();
    if kind != other.kind() {
        return false;
    }
    match kind {
        Kind::Number => Decimal::read(one.text) == Decimal::read(other.text),
        Kind::String => one.decoded() == other.decoded(),
        Kind::List => {
            let (mut ones, mut others) = (one.elements(), other.elements());
            loop {
                match (ones.next(), others.next()) {
                    (None, None) => return true,
                    (Some(one), Some(other)) if equal_values(one, other) => {}
                    _ => return false,
                }
            }
        }
        Kind::Object => {
            let (ones, others) = (by_key(one), by_key(other));
            ones.len() == others.len()
                && ones
                    .iter()
                    .zip(&others)
                    .all(|((key, one), (other_key, other))| key == other_key && equal_values(*one, *other))
        }
        Kind::Boolean | Kind::Null => false,
    }
}

/// The properties of an object. Of a key that stands twice the last value counts, as for every other reader of JSON.
fn by_key(object: Value<'_>) -> BTreeMap<Cow<'_, str>, Value<'_>> {
    object.properties().map(|(key, value)| (key.decoded(), value)).collect()
}

/// A number as it is written, made comparable: `0.d₁d₂d₃… × 10^exponent`, with no zero at either end of the digits.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    exponent: i64,
    digits: Vec<u8>,
}

impl Decimal {
    fn read(text: &str) -> Self {
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole.as_bytes(), fraction.as_bytes()].concat();
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        let end = digits.iter().rposition(|digit| *digit != b'0').map_or(zeros, |last| last + 1);
        let digits = digits[zeros..end.max(zeros)].to_vec();
        if digits.is_empty() {
            return Self { is_negative: false, exponent: 0, digits };
        }
        // A power that does not fit is beyond every other: numbers with such powers are compared by their digits.
        let largest = if power.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
        let power =
            power.strip_prefix('+').unwrap_or(power).parse().unwrap_or(largest).clamp(i64::MIN / 2, i64::MAX / 2);
        Self { is_negative, exponent: power + whole.len() as i64 - zeros as i64, digits }
    }

    const fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let size = || self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then_with(|| match (self.is_zero(), self.is_negative) {
            (true, _) => Ordering::Equal,
            (false, true) => size().reverse(),
            (false, false) => size(),
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value_and_exactly() {
        for (one, other) in [
            ("1", "1.0"),
            ("10", "1e1"),
            ("0", "-0.0e5"),
            ("100", "1E+2"),
            ("0.001", "1e-3"),
            ("123456789012345678901234567890", "1.2345678901234567890123456789e29"),
        ] {
            assert!(equal(one, other), "{one} {other}");
            assert_eq!(order(one, other), Some(Ordering::Equal), "{one} {other}");
        }
        let ascending = [
            "-1e999999999999999999999",
            "-2",
            "-1.5",
            "-0.5",
            "0",
            "1e-400",
            "0.5",
            "1",
            "9007199254740992",
            "9007199254740993",
            "1e400",
            "2e400",
            "1e999999999999999999999",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (other_at, other) in ascending.iter().enumerate() {
                assert_eq!(order(one, other), Some(at.cmp(&other_at)), "{one} {other}");
                assert_eq!(equal(one, other), at == other_at, "{one} {other}");
            }
        }
    }

    #[test]
    fn nothing_is_coerced() {
        let different = ["1", "\"1\"", "true", "null", "[]", "{}", "[1]", "{\"a\":1}", "\"\"", "false", "0", "[[]]"];
        for (at, one) in different.iter().enumerate() {
            for (other_at, other) in different.iter().enumerate() {
                assert_eq!(equal(one, other), at == other_at, "{one} {other}");
            }
        }
        assert_eq!(order("1", "\"1\""), None);
        assert_eq!(order("true", "false"), None);
        assert_eq!(order("[1]", "[2]"), None);
    }

    #[test]
    fn how_a_value_is_written_does_not_matter() {
        for (one, other) in [
            (r#"{"a": 1, "b": [2, {"c": null}]}"#, r#"{ "b":[2.0,{"c":null}],"a":1e0 }"#),
            (r#""\u00e4\n""#, "\"ä\\n\""),
            (r#"{"a": 1, "a": 2}"#, r#"{"a": 2}"#),
            ("[ ]", "[]"),
        ] {
            assert!(equal(one, other), "{one} {other}");
        }
        assert!(!equal("[1,2]", "[2,1]") && !equal("[1]", "[1,1]") && !equal(r#"{"a":1}"#, r#"{"a":1,"b":2}"#));
        assert_eq!(order(r#""\ud83d\ude00""#, "\"\u{ffff}\""), Some(Ordering::Greater), "by code point, not by UTF-16");
    }
}
