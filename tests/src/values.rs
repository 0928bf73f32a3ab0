//! Arbitrary JSON values: generated at random, written in one of many possible spellings, and read by a parser that shares no
//! code with Hub, Python or serde.

use std::fmt::Write as _;

use rand::{Rng, RngExt as _};

/// A lossless JSON value: texts as UTF-16 units, including lone surrogates, and integers as digits.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Whole(String),
    /// Any other number, by its bits: `-0.0` is not `0.0`.
    Broken(u64),
    /// A text.
    Text(Vec<u16>),
    /// An array.
    List(Vec<Value>),
    /// An object without duplicate keys.
    Object(Vec<(Vec<u16>, Value)>),
}

/// Texts that programs have misinterpreted.
const NASTY: [&str; 12] = [
    "\n",
    "\r\n",
    "\u{2028}",
    "\u{0}",
    "{\"key\":1}\n",
    "_add.data",
    "\\ud800",
    "\u{1b}[31m",
    "\u{202e}",
    "\u{1f600}",
    "\"",
    "\\",
];

impl Value {
    /// A value with arrays and objects at most `depth` levels deep.
    pub fn random(chance: &mut impl Rng, depth: usize) -> Self {
        if chance.random_ratio(1, 30) && depth > 0 {
            return Self::tower(chance, depth);
        }
        match chance.random_range(0..if depth == 0 { 6 } else { 9 }) {
            0 => Self::Null,
            1 => Self::Bool(chance.random()),
            2 | 3 => Self::number(chance),
            4 | 5 => Self::Text(text(chance)),
            6 | 7 => {
                Self::List((0..chance.random_range(0..5)).map(|_| Self::random(chance, depth.min(8) - 1)).collect())
            }
            _ => {
                let mut members: Vec<(Vec<u16>, Self)> = Vec::new();
                for _ in 0..chance.random_range(0..5) {
                    let key = text(chance);
                    if members.iter().all(|(known, _)| *known != key) {
                        members.push((key, Self::random(chance, depth.min(8) - 1)));
                    }
                }
                Self::Object(members)
            }
        }
    }

    /// A value of the maximum depth.
    fn tower(chance: &mut impl Rng, depth: usize) -> Self {
        let levels = if chance.random() { depth } else { chance.random_range(1..=depth) };
        let mut value = if chance.random() { Self::List(Vec::new()) } else { Self::Object(Vec::new()) };
        for _ in 1..levels {
            value = if chance.random() { Self::List(vec![value]) } else { Self::Object(vec![(text(chance), value)]) };
        }
        value
    }

    fn number(chance: &mut impl Rng) -> Self {
        match chance.random_range(0..5) {
            0 => Self::Whole(chance.random_range(-1000..1000).to_string()),
            1 => Self::Whole((i128::from(chance.random::<i64>()) * 3).to_string()),
            2 => {
                // The range of double precision ends with 309 digits.
                let digits = chance.random_range(1..309);
                let sign = if chance.random() { "-" } else { "" };
                let rest: String = (1..digits).map(|_| char::from(chance.random_range(b'0'..=b'9'))).collect();
                Self::Whole(format!("{sign}{}{rest}", chance.random_range(1..=9)))
            }
            3 => Self::Broken(chance.random_range(-1e6..1e6_f64).to_bits()),
            _ => {
                let bits = chance.random();
                // JSON cannot represent NaN and infinity.
                if f64::from_bits(bits).is_finite() { Self::Broken(bits) } else { Self::Broken((-0.0_f64).to_bits()) }
            }
        }
    }

    /// Writes it with random whitespace, escapes and exponents.
    #[must_use]
    pub fn write(&self, chance: &mut impl Rng) -> String {
        let mut text = String::new();
        self.write_to(&mut text, chance);
        text
    }

    fn write_to(&self, out: &mut String, chance: &mut impl Rng) {
        space(out, chance);
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Whole(digits) => out.push_str(digits),
            Self::Broken(bits) => {
                let number = f64::from_bits(*bits);
                // Both forms have a point or an exponent.
                let _ = if chance.random() { write!(out, "{number:e}") } else { write!(out, "{number:?}") };
            }
            Self::Text(units) => write_text(units, out, chance),
            Self::List(members) => {
                out.push('[');
                for (at, member) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    member.write_to(out, chance);
                }
                space(out, chance);
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (key, member)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    space(out, chance);
                    write_text(key, out, chance);
                    space(out, chance);
                    out.push(':');
                    member.write_to(out, chance);
                }
                space(out, chance);
                out.push('}');
            }
        }
        space(out, chance);
    }

    /// Reads a value.
    ///
    /// # Panics
    /// If the text contains no value.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut rest = text.as_bytes();
        let value = read(&mut rest);
        skip_space(&mut rest);
        assert!(rest.is_empty(), "more than one value");
        value
    }
}

/// A random text.
fn text(chance: &mut impl Rng) -> Vec<u16> {
    let mut units = Vec::new();
    for _ in 0..chance.random_range(0..6) {
        match chance.random_range(0..5) {
            0 => units.extend(chance.random::<char>().encode_utf16(&mut [0; 2]).iter()),
            1 => units.extend(NASTY[chance.random_range(0..NASTY.len())].encode_utf16()),
            2 => units.push(chance.random_range(0..0x20)),
            // A lone surrogate is not a character and is refused.
            3 => units.extend([chance.random_range(0xd800..0xdc00), chance.random_range(0xdc00..0xe000)]),
            _ => units.push(chance.random_range(0x20..0x7f)),
        }
    }
    units
}

fn space(out: &mut String, chance: &mut impl Rng) {
    while chance.random_ratio(1, 6) {
        out.push([' ', '\n', '\r', '\t'][chance.random_range(0..4)]);
    }
}

fn write_text(units: &[u16], out: &mut String, chance: &mut impl Rng) {
    out.push('"');
    for found in char::decode_utf16(units.iter().copied()) {
        match found {
            // A character that needs no escape is escaped at random.
            Ok(symbol) if symbol >= ' ' && !matches!(symbol, '"' | '\\') && chance.random_ratio(2, 3) => {
                out.push(symbol);
            }
            Ok('\n') if chance.random() => out.push_str("\\n"),
            Ok('/') => out.push_str("\\/"),
            Ok(symbol) => {
                for unit in symbol.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            Err(lone) => {
                let _ = write!(out, "\\u{:04X}", lone.unpaired_surrogate());
            }
        }
    }
    out.push('"');
}

fn skip_space(rest: &mut &[u8]) {
    while let [b' ' | b'\n' | b'\r' | b'\t', after @ ..] = *rest {
        *rest = after;
    }
}

fn take(rest: &mut &[u8]) -> u8 {
    let (first, after) = rest.split_first().expect("it goes on");
    *rest = after;
    *first
}

/// Consumes the next token if it is `word`, and returns whether it was.
fn next_is(rest: &mut &[u8], word: &str) -> bool {
    skip_space(rest);
    rest.strip_prefix(word.as_bytes()).is_some_and(|after| {
        *rest = after;
        true
    })
}

fn read(rest: &mut &[u8]) -> Value {
    for (word, value) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
        if next_is(rest, word) {
            return value;
        }
    }
    if next_is(rest, "[") {
        let mut members = Vec::new();
        while !next_is(rest, "]") {
            assert!(members.is_empty() || next_is(rest, ","), "a comma");
            members.push(read(rest));
        }
        return Value::List(members);
    }
    if next_is(rest, "{") {
        let mut members = Vec::new();
        while !next_is(rest, "}") {
            assert!(members.is_empty() || next_is(rest, ","), "a comma");
            assert!(next_is(rest, "\""), "a key");
            let key = read_text(rest);
            assert!(next_is(rest, ":"), "a colon");
            members.push((key, read(rest)));
        }
        return Value::Object(members);
    }
    if next_is(rest, "\"") {
        return Value::Text(read_text(rest));
    }
    let end = rest.iter().position(|byte| !b"+-.eE0123456789".contains(byte)).unwrap_or(rest.len());
    let (number, after) = rest.split_at(end);
    *rest = after;
    let number = std::str::from_utf8(number).expect("it is ASCII");
    if number.contains(['.', 'e', 'E']) {
        Value::Broken(number.parse::<f64>().expect("a number").to_bits())
    } else {
        assert!(!number.is_empty(), "a value");
        Value::Whole(number.to_owned())
    }
}

fn read_text(rest: &mut &[u8]) -> Vec<u16> {
    let mut units = Vec::new();
    loop {
        match take(rest) {
            b'"' => return units,
            b'\\' => match take(rest) {
                b'u' => {
                    let (digits, after) = rest.split_at(4);
                    *rest = after;
                    let digits = std::str::from_utf8(digits).expect("digits");
                    units.push(u16::from_str_radix(digits, 16).expect("digits"));
                }
                b'n' => units.push(10),
                b'r' => units.push(13),
                b't' => units.push(9),
                b'b' => units.push(8),
                b'f' => units.push(12),
                other => units.push(u16::from(other)),
            },
            byte @ 0..0x20 => panic!("a raw control character: {byte}"),
            byte @ 0x20..0x80 => units.push(u16::from(byte)),
            byte => {
                let length = byte.leading_ones() as usize;
                let mut symbol = vec![byte];
                symbol.extend((1..length).map(|_| take(rest)));
                units.extend(std::str::from_utf8(&symbol).expect("UTF-8").encode_utf16());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_is_json() {
        let mut chance = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..2000 {
            let value = Value::random(&mut chance, 500);
            let text = value.write(&mut chance);
            assert_eq!(Value::read(&text), value, "{text}");
            hub_core::Json::parse(text.trim()).unwrap();
        }
    }

    #[test]
    fn the_reader_loses_nothing() {
        let text = Value::Text(vec![10, 0xd800, 0x41]);
        assert_eq!(Value::read("[1, -0, 1.0, \"\\n\\ud800A\"]"), {
            let numbers = [Value::Whole("1".into()), Value::Whole("-0".into()), Value::Broken(1.0_f64.to_bits())];
            Value::List(numbers.into_iter().chain([text]).collect())
        });
    }
}
