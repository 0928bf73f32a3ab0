//! Reads one item of a field, such as `*`, `mon`, `9-17/2` or `fri#1`.

use super::kind::FieldKind;
use super::problem::Problem;

/// Maximum number of digits of a value or step. More digits are out of range in any case.
const MAXIMUM_DIGITS: usize = 6;

/// One item of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The values `first`, `first + step` and so on, up to `last`. `last` may exceed the greatest value of the field.
    /// Values then continue from the least.
    Values { first: u32, last: u32, step: u32 },
    /// The last day of the month.
    LastDay,
    /// The `number`-th (1 to 5) of a weekday in the month.
    Nth { weekday: u32, number: u32 },
    /// The last of a weekday in the month.
    LastOf { weekday: u32 },
}

/// Reads an item that stands at `at` in the expression.
pub(super) fn parse(kind: FieldKind, text: &str, at: usize) -> Result<Item, Problem> {
    let reader = Reader { kind, text, at };
    let (main, step) = match text.split_once('/') {
        Some((main, step)) => (main, Some((step, at + main.len() + 1))),
        None => (text, None),
    };
    if main == "*" {
        let last = kind.minimum() + kind.number_of_values() - 1;
        return reader.values(kind.minimum(), last, step);
    }
    if main.is_empty() {
        return Err(reader.empty(step.is_some()));
    }
    if let Some(special) = reader.special(main)? {
        return match step {
            None => Ok(special),
            Some((_, slash)) => Err(Problem::new(slash - 1, format!("a step cannot follow {main}: remove it"))),
        };
    }
    let Some((first, last)) = main.split_once('-') else {
        let first = reader.value(main, at)?;
        return match step {
            None => Ok(Item::Values { first, last: first, step: 1 }),
            Some((step, slash)) => Err(reader.step_without_range(main, step, slash)),
        };
    };
    let last_at = at + first.len() + 1;
    if first.is_empty() || last.is_empty() {
        let place = if first.is_empty() { at } else { last_at };
        return Err(Problem::new(place, format!("a value of the range is missing: {}", kind.allowed())));
    }
    let (first, last) = (reader.value(first, at)?, reader.value(last, last_at)?);
    let is_sunday_first = kind == FieldKind::DayOfWeek && first == 7 && last != 7;
    let first = if is_sunday_first { 0 } else { first };
    let last = if first <= last { last } else { last + kind.number_of_values() };
    reader.values(first, last, step)
}

struct Reader<'t> {
    kind: FieldKind,
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn end(&self) -> usize {
        self.at + self.text.len()
    }

    fn values(&self, first: u32, last: u32, step: Option<(&str, usize)>) -> Result<Item, Problem> {
        let Some((digits, at)) = step else { return Ok(Item::Values { first, last, step: 1 }) };
        let Some(step) = number(digits) else {
            return Err(Problem::new(at, "the step must be a whole number, for example */15"));
        };
        let values = last - first + 1;
        if step == 0 {
            let problem = Problem::new(at, "a step of 0 is not possible: write a step of at least 1");
            return Err(problem.replacing(at - 1, self.end(), ""));
        }
        if step == 1 || step < values {
            return Ok(Item::Values { first, last, step });
        }
        let first = (first - self.kind.minimum()) % self.kind.number_of_values() + self.kind.minimum();
        let kind = self.kind.as_str();
        let problem = Problem::new(
            at,
            format!(
                "a step of {digits} in a range of {values} values selects only {kind} {first}: write {first}, or use a \
                 smaller step, or use every for an interval of elapsed time"
            ),
        );
        // A greater step was probably meant as an interval, such as 90 minutes.
        Err(if step == values { problem.replacing(self.at, self.end(), first.to_string()) } else { problem })
    }

    fn empty(&self, has_step: bool) -> Problem {
        if has_step {
            let problem = Problem::new(self.at, "the range before / is missing: write */ for all values");
            return problem.replacing(self.at, self.at, "*");
        }
        Problem::new(self.at, format!("a value is missing here: {}", self.kind.allowed()))
    }

    /// Some programs count from the value to the maximum, and others ignore the step.
    fn step_without_range(&self, value: &str, step: &str, slash: usize) -> Problem {
        let last = self.kind.minimum() + self.kind.number_of_values() - 1;
        let range = format!("{value}-{last}/{step}");
        let message = format!("a step needs a range: write {range}, since programs differ on {}", self.text);
        Problem::new(slash - 1, message).replacing(self.at, self.end(), range)
    }

    /// Items that depend on the month, and items of other programs.
    fn special(&self, main: &str) -> Result<Option<Item>, Problem> {
        let upper = main.to_ascii_uppercase();
        let refuse = |message: &str| Err(Problem::new(self.at, message));
        match self.kind {
            FieldKind::DayOfMonth if upper == "L" => return Ok(Some(Item::LastDay)),
            FieldKind::DayOfMonth if upper.starts_with("L-") => {
                return refuse("days before the last day are not supported: write L for the last day, or a number");
            }
            FieldKind::DayOfMonth if upper == "LW" || is_digits_and(&upper, 'W') || upper == "W" => {
                return refuse(
                    "W (the nearest working day) is not supported: select days of the week, for example mon#1 for the \
                     first Monday",
                );
            }
            FieldKind::DayOfWeek if upper == "L" => {
                let problem = Problem::new(
                    self.at,
                    "L needs a day here: write sat for Saturday, or satL for the last one of the month",
                );
                return Err(problem.replacing(self.at, self.at + 1, "sat"));
            }
            FieldKind::DayOfWeek if upper.contains('#') => return self.nth(main).map(Some),
            FieldKind::DayOfWeek if upper.ends_with('L') && upper.len() <= 4 && !upper.contains('-') => {
                let day = &main[..main.len() - 1];
                return Ok(Some(Item::LastOf { weekday: self.value(day, self.at)? % 7 }));
            }
            _ => {}
        }
        if upper == "H" || upper.starts_with("H(") {
            return refuse("H (a value chosen by Jenkins) is not supported: write a number; jitter spreads the load");
        }
        if main.contains('?') {
            let problem = Problem::new(
                self.at,
                "? is not supported: write *. Note that Quartz and AWS count the days of the week from 1 for Sunday; \
                 here, 1 is Monday",
            );
            return Err(if main == "?" { problem.replacing(self.at, self.at + 1, "*") } else { problem });
        }
        Ok(None)
    }

    fn nth(&self, main: &str) -> Result<Item, Problem> {
        let (day, digits) = main.split_once('#').unwrap_or((main, ""));
        let weekday = self.value(day, self.at)? % 7;
        match number(digits) {
            Some(number @ 1..=5) => Ok(Item::Nth { weekday, number }),
            _ => Err(Problem::new(
                self.at + day.len() + 1,
                "a number from 1 to 5 must follow #, for example mon#2 for the second Monday; the last one is monL",
            )),
        }
    }

    fn value(&self, text: &str, at: usize) -> Result<u32, Problem> {
        let kind = self.kind;
        if let Some(value) = number(text) {
            if (kind.minimum()..=kind.maximum()).contains(&value) {
                return Ok(value);
            }
            return Err(self.out_of_range(text, value, at));
        }
        if let Some(value) = kind.named(text) {
            return Ok(value);
        }
        if let Some((place, letter)) = text.char_indices().find(|(_, letter)| !letter.is_ascii_alphanumeric()) {
            return Err(self.unexpected(at + place, letter));
        }
        // A complete name, such as Monday or Sept.
        let short = text.get(..3).filter(|short| kind.named(short).is_some());
        if let Some(short) = short.filter(|_| text.bytes().all(|byte| byte.is_ascii_alphabetic())) {
            let short = short.to_ascii_lowercase();
            let problem = Problem::new(at, format!("names have three letters: write {short} instead of {text}"));
            return Err(problem.replacing(at, at + text.len(), short));
        }
        let other = FieldKind::ALL.into_iter().find(|other| other.named(text).is_some());
        if let Some(other) = other {
            let message = format!(
                "{text} belongs in the field {}, and this is the field {}: the order is minute, hour, day of month, \
                 month, day of week, with an optional second before them",
                other.as_str(),
                kind.as_str()
            );
            return Err(Problem::new(at, message));
        }
        Err(Problem::new(at, format!("{} {text:?} is unknown: {}", kind.as_str(), kind.allowed())))
    }

    fn out_of_range(&self, text: &str, value: u32, at: usize) -> Problem {
        let kind = self.kind;
        let problem = Problem::new(at, format!("{} {text} is out of range: {}", kind.as_str(), kind.allowed()));
        let is_alone = text.len() == self.text.len();
        match (kind, value) {
            // Midnight, and the full hour.
            (FieldKind::Hour, 24) if is_alone => problem.replacing(at, at + text.len(), "0"),
            (FieldKind::Minute | FieldKind::Second, 60) if is_alone => problem.replacing(at, at + text.len(), "0"),
            _ => problem,
        }
    }

    fn unexpected(&self, at: usize, letter: char) -> Problem {
        Problem::new(
            at,
            match letter {
                '~' => "random times (~) are not supported: write a number; jitter spreads the load".to_owned(),
                '+' => {
                    "+ is not supported: a field that begins with * restricts the other day field instead".to_owned()
                }
                '*' => "* must stand alone or before a step, for example */2".to_owned(),
                '#' => "# is allowed only in the day of week, for example mon#2".to_owned(),
                letter => format!("unexpected character {letter:?}: {}", self.kind.allowed()),
            },
        )
    }
}

fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && text.len() > MAXIMUM_DIGITS {
        return Some(u32::MAX);
    }
    text.parse().ok().filter(|_| is_number)
}

fn is_digits_and(text: &str, last: char) -> bool {
    text.strip_suffix(last).is_some_and(|digits| number(digits).is_some())
}
