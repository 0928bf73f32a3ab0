//! Reads filters.

use std::iter;
use std::str::FromStr;

use super::error::FilterError;
use super::pattern::Pattern;
use super::terms::{Condition, Filter, Relation, Term, TextField, TimeField, When};
use crate::job::{duration_from_text, label_name, nearest};
use crate::text::{Shown, beginning};
use crate::{JobStatus, Timestamp};

/// Maximum length of a filter, in bytes.
const MAXIMUM_BYTES: usize = 4096;
/// Maximum number of values of all terms together. Each may cost a database a look-up.
const MAXIMUM_VALUES: usize = 100;
/// The prefix of names of labels.
const LABEL: &str = "label.";
/// The operators. Longer ones come first.
const OPERATORS: [&str; 6] = ["<=", ">=", "<", ">", ":", "="];

/// Reads a filter.
fn parse(text: &str) -> Result<Filter, FilterError> {
    if text.len() > MAXIMUM_BYTES {
        let message = format!("a filter has at most {MAXIMUM_BYTES} bytes, and this one has {}", text.len());
        return Err(FilterError { character: 1, message });
    }
    let mut reader = Reader { text, at: 0, values: 0 };
    let is_control = |(_, letter): &(usize, char)| letter.is_control() && !letter.is_whitespace();
    if let Some((at, letter)) = text.char_indices().find(is_control) {
        return Err(reader.error(at, format!("a filter must not contain control characters, such as {letter:?}")));
    }
    let terms = iter::from_fn(|| reader.next_term()).collect::<Result<_, _>>()?;
    Ok(Filter::new(text.to_owned(), terms))
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        parse(text)
    }
}

/// A definition without a version stands for all its versions.
fn of_versions(patterns: Vec<Pattern>) -> Vec<Pattern> {
    let all = |pattern: Pattern| {
        let mut parts = pattern.parts().to_vec();
        if !parts.iter().any(|part| part.contains('@')) {
            parts.last_mut().expect("a pattern has a part").push('@');
            parts.push(String::new());
        }
        Pattern::new(parts)
    };
    patterns.into_iter().map(all).collect()
}

impl TryFrom<String> for Filter {
    type Error = FilterError;

    fn try_from(text: String) -> Result<Self, FilterError> {
        parse(&text)
    }
}

struct Reader<'t> {
    text: &'t str,
    /// The byte at which the rest begins.
    at: usize,
    /// The number of values so far.
    values: usize,
}

/// A value as it was written.
struct Value {
    /// Where it begins, in bytes.
    at: usize,
    /// The texts between its wildcards.
    parts: Vec<String>,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn error(&self, at: usize, message: impl Into<String>) -> FilterError {
        FilterError { character: self.text[..at].chars().count() + 1, message: message.into() }
    }

    fn next_term(&mut self) -> Option<Result<Term, FilterError>> {
        self.at = self.text.len() - self.rest().trim_start().len();
        (!self.rest().is_empty()).then(|| self.term())
    }

    fn term(&mut self) -> Result<Term, FilterError> {
        let is_negated = self.rest().starts_with('-');
        self.at += usize::from(is_negated);
        let (at, rest) = (self.at, self.rest());
        let end = rest.find(|letter: char| letter.is_whitespace() || "<>:=\"".contains(letter)).unwrap_or(rest.len());
        let field = &rest[..end];
        self.at += end;
        let Some(operator) = OPERATORS.into_iter().find(|operator| self.rest().starts_with(operator)) else {
            return Err(self.no_operator(at, field));
        };
        self.at += operator.len();
        if let Some(plain) = field.strip_suffix('!') {
            let message = format!("write -{}{operator} for jobs that do not match", shown_plain(plain));
            return Err(self.error(at, message));
        }
        let condition = self.condition(at, field, operator)?;
        Ok(Term { is_negated, condition })
    }

    fn condition(&mut self, at: usize, field: &str, operator: &str) -> Result<Condition, FilterError> {
        let relation = match operator {
            "<" => Some(Relation::Before),
            "<=" => Some(Relation::UpTo),
            ">" => Some(Relation::After),
            ">=" => Some(Relation::From),
            _ => None,
        };
        if let Some(time) = TimeField::ALL.into_iter().find(|time| time.as_str() == field) {
            let Some(relation) = relation else {
                let message = format!("{field} is a time: compare it, for example with {field}>-24h");
                return Err(self.error(at, message));
            };
            return Ok(Condition::Time(time, relation, self.when()?));
        }
        let text = TextField::ALL.into_iter().find(|text| text.as_str() == field);
        let label = field.strip_prefix(LABEL);
        if field != "status" && text.is_none() && label.is_none() {
            return Err(self.unknown_field(at, field));
        }
        if relation.is_some() {
            let message = format!("{} is not a time: only times can be compared with {operator}", shown(field));
            return Err(self.error(at, message));
        }
        if let Some(Err(why)) = label.map(label_name) {
            return Err(self.error(at, format!("write label.NAME:VALUE: {why}")));
        }
        let values = self.values()?;
        if let Some(field) = text {
            if field == TextField::Definition {
                values.iter().try_for_each(|value| self.version(value))?;
            }
            let patterns = patterns(values);
            return Ok(Condition::Text(
                field,
                if field == TextField::Definition { of_versions(patterns) } else { patterns },
            ));
        }
        match label {
            Some(label) => Ok(Condition::Label(label.to_owned(), patterns(values))),
            None => {
                let statuses = values.into_iter().map(|value| self.status(&value));
                Ok(Condition::Status(statuses.collect::<Result<_, _>>()?))
            }
        }
    }

    /// A version is a number: jobs do not keep the alias that they were started with.
    fn version(&self, value: &Value) -> Result<(), FilterError> {
        let text = value.parts.join("*");
        let is_number = |version: &str| version.chars().all(|letter| letter.is_ascii_digit() || letter == '*');
        match text.split_once('@') {
            Some((name, version)) if version.is_empty() || !is_number(version) => {
                let message =
                    format!("{} is no version: write definition:{name}@7, or definition:{name}", shown(&text));
                Err(self.error(value.at, message))
            }
            _ => Ok(()),
        }
    }

    fn status(&self, value: &Value) -> Result<JobStatus, FilterError> {
        let word = value.parts.join("*");
        word.parse().map_err(|_| {
            let known = JobStatus::ALL.map(JobStatus::as_str);
            let hint = match nearest(&word, known) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the statuses are {}", known.join(", ")),
            };
            self.error(value.at, format!("no job has the status {}: {hint}", shown(&word)))
        })
    }

    /// The time after a comparison.
    fn when(&mut self) -> Result<When, FilterError> {
        let Value { at, parts } = self.value()?;
        if self.rest().starts_with(',') {
            return Err(self.error(self.at, "only one time is allowed here"));
        }
        let text = parts.join("*");
        if let Some(ago) = text.strip_prefix('-') {
            return duration_from_text(ago).map(When::Ago).map_err(|_| {
                let message = format!(
                    "{} is not a time: write, for example, -90m, -24h or -7d, up to -366d, or a day such as 2026-11-28",
                    shown(&text)
                );
                self.error(at, message)
            });
        }
        // A date without a time means midnight UTC.
        let is_day = text.len() == "2026-11-28".len();
        let full = if is_day { format!("{text}T00:00:00Z") } else { text.clone() };
        full.parse::<Timestamp>().map(When::At).map_err(|_| {
            let message = format!(
                "{} is not a time: write -24h for 24 hours ago, a day such as 2026-11-28 (UTC), or a time such as \
                 2026-11-28T14:30:00Z",
                shown(&text)
            );
            self.error(at, message)
        })
    }

    /// The values after an operator, separated by commas. At least one.
    fn values(&mut self) -> Result<Vec<Value>, FilterError> {
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            if !self.rest().starts_with(',') {
                return Ok(values);
            }
            self.at += 1;
        }
    }

    /// One value, up to a blank, a comma or the end.
    fn value(&mut self) -> Result<Value, FilterError> {
        let at = self.at;
        self.values += 1;
        if self.values > MAXIMUM_VALUES {
            return Err(self.error(at, format!("a filter has at most {MAXIMUM_VALUES} values")));
        }
        let parts = if self.rest().starts_with('"') { self.quoted()? } else { self.plain()? };
        match self.rest().chars().next() {
            Some(letter) if letter != ',' && !letter.is_whitespace() => {
                Err(self.error(self.at, "a blank or a comma is missing after the quoted value"))
            }
            _ => Ok(Value { at, parts }),
        }
    }

    /// A value without quotation marks.
    fn plain(&mut self) -> Result<Vec<String>, FilterError> {
        let rest = self.rest();
        let end = rest.find(|letter: char| letter.is_whitespace() || letter == ',').unwrap_or(rest.len());
        let value = &rest[..end];
        if value.is_empty() {
            return Err(self.error(self.at, "a value is missing"));
        }
        if value.starts_with([':', '=', '<', '>']) {
            return Err(self.error(self.at, "put a value that begins like an operator into quotation marks"));
        }
        if let Some(quote) = value.find('"') {
            return Err(self.error(self.at + quote, "quotation marks must enclose the whole value"));
        }
        self.at += end;
        Ok(value.split('*').map(str::to_owned).collect())
    }

    /// A value in quotation marks, in which a backslash makes the next character an ordinary one.
    fn quoted(&mut self) -> Result<Vec<String>, FilterError> {
        let begin = self.at;
        let mut parts = vec![String::new()];
        let mut letters = self.rest().char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            let part = parts.last_mut().expect("there is one");
            match letter {
                '"' => {
                    self.at += at + 1;
                    return Ok(parts);
                }
                '*' => parts.push(String::new()),
                '\\' => part.extend(letters.next().map(|(_, letter)| letter)),
                _ => part.push(letter),
            }
        }
        Err(self.error(begin, "the closing quotation mark is missing"))
    }

    fn no_operator(&self, at: usize, field: &str) -> FilterError {
        let message = if field.is_empty() && !self.rest().starts_with('"') {
            "a term is missing after the \"-\"".to_owned()
        } else if let Some(time) = TimeField::ALL.into_iter().map(TimeField::as_str).find(|time| *time == field) {
            format!("{time:?} has no value: compare it, for example with {time}>-24h")
        } else if self.rest().starts_with('"') {
            "the value has no field: write name:\"VALUE\"".to_owned()
        } else if field == LABEL {
            "write label.NAME:VALUE".to_owned()
        } else if is_field(field) {
            format!("{} has no value: write {field}:VALUE", shown(field))
        } else {
            format!("{} has no field: write name:{} for jobs of this name", shown(field), shown_plain(field))
        };
        self.error(at, message)
    }

    fn unknown_field(&self, at: usize, field: &str) -> FilterError {
        let hint = match nearest(field, fields()) {
            _ if field.to_lowercase().starts_with("label") => "write label.NAME:VALUE".to_owned(),
            Some(near) => format!("did you mean {near}?"),
            None => format!("the fields are {} and label.NAME", fields().collect::<Vec<_>>().join(", ")),
        };
        self.error(at, format!("jobs cannot be filtered by {}: {hint}", shown(field)))
    }
}

fn patterns(values: Vec<Value>) -> Vec<Pattern> {
    values.into_iter().map(|value| Pattern::new(value.parts)).collect()
}

/// What jobs can be filtered by, labels apart.
fn fields() -> impl Iterator<Item = &'static str> {
    let texts = TextField::ALL.into_iter().map(TextField::as_str);
    iter::once("status").chain(texts).chain(TimeField::ALL.into_iter().map(TimeField::as_str))
}

fn is_field(field: &str) -> bool {
    fields().any(|known| known == field) || field.starts_with(LABEL)
}

fn shown(word: &str) -> String {
    format!("{:?}", beginning(word, 80))
}

fn shown_plain(word: &str) -> String {
    Shown(beginning(word, 80)).to_string()
}
