//! Reads cron expressions.

use super::days::Days;
use super::dialect;
use super::expression::Cron;
use super::field::Field;
use super::kind::FieldKind;
use super::notes;
use super::problem::{Problem, Refused, corrected};
use super::times::TimesOfDay;

/// Maximum length of an expression, in bytes.
const MAXIMUM_BYTES: usize = 256;
/// 400 years in seconds. The Gregorian calendar and the days of the week repeat after that time.
const CYCLE: i64 = 146_097 * 86_400;

impl Cron {
    /// Reads an expression. If it is wrong, returns the first problem of each field.
    pub(crate) fn parse(text: &str) -> Result<Self, Vec<Refused>> {
        if text.len() > MAXIMUM_BYTES {
            let message = format!("a cron expression has at most {MAXIMUM_BYTES} bytes, not {}", text.len());
            return Err(vec![Refused { position: None, message, suggestion: None }]);
        }
        if let Some(refused) = not_ascii(text) {
            return Err(vec![refused]);
        }
        read(text).map_err(|problems| {
            let suggestion = corrected(text, &problems).filter(|corrected| read(corrected).is_ok());
            let refused = |problem: Problem| Refused {
                position: Some(problem.at),
                message: problem.message,
                suggestion: suggestion.clone(),
            };
            problems.into_iter().map(refused).collect()
        })
    }
}

/// Letters that text programs put in place of ASCII characters.
fn not_ascii(text: &str) -> Option<Refused> {
    let is_wrong = |letter: &char| !letter.is_ascii() || (letter.is_ascii_control() && *letter != '\t');
    let (position, letter) = text.chars().enumerate().find(|(_, letter)| is_wrong(letter))?;
    let message = match letter {
        '\n' | '\r' => "a cron expression is one line: write each expression as its own list item".to_owned(),
        _ => format!("unexpected character {letter:?}: a cron expression consists of ASCII characters"),
    };
    let plain = text.trim().chars().map(|letter| match letter {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{3000}' => ' ',
        '\u{ff0a}' | '\u{2217}' => '*',
        other => other,
    });
    let plain: String = plain.collect();
    let is_accepted = !plain.contains(|letter| is_wrong(&letter)) && read(&plain).is_ok();
    Some(Refused { position: Some(position), message, suggestion: is_accepted.then_some(plain) })
}

/// Reads an ASCII text.
fn read(text: &str) -> Result<Cron, Vec<Problem>> {
    let expanded = dialect::expand(text).map_err(|problem| vec![problem])?;
    let mut parts: Vec<(usize, &str)> = words(expanded);
    dialect::check_number_of_fields(&parts, expanded).map_err(|problem| vec![problem])?;
    let has_seconds = parts.len() == FieldKind::ALL.len();
    let kinds = &FieldKind::ALL[usize::from(!has_seconds)..];
    let mut fields = Vec::new();
    let mut problems = Vec::new();
    for (kind, (at, part)) in kinds.iter().zip(parts.drain(..)) {
        match Field::parse(*kind, part, at) {
            Ok(field) => fields.push(field),
            Err(problem) => problems.push(problem),
        }
    }
    if !has_seconds {
        fields.insert(0, Field::of(0));
    }
    match <[Field; 6]>::try_from(fields) {
        Ok(fields) if problems.is_empty() => build(&fields, has_seconds).map_err(|message| {
            let at = words(expanded).get(usize::from(has_seconds) + 2).map_or(0, |(at, _)| *at);
            vec![Problem::new(at, message)]
        }),
        _ => Err(dialect::with_quartz_weekdays(expanded, problems)),
    }
}

/// The parts between blanks, with their places.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut at = 0;
    let mut found = Vec::new();
    for part in text.split([' ', '\t']) {
        if !part.is_empty() {
            found.push((at, part));
        }
        at += part.len() + 1;
    }
    found
}

fn build(fields: &[Field; 6], has_seconds: bool) -> Result<Cron, String> {
    let [second, minute, hour, day_of_month, month, day_of_week] = fields;
    let cron = Cron {
        times: TimesOfDay { hours: hour.values, minutes: minute.values, seconds: second.values },
        days: Days {
            of_month: day_of_month.values,
            last: day_of_month.has_last_day,
            of_week: day_of_week.values,
            nth: day_of_week.nth,
            last_of: day_of_week.last_of,
            needs_both: day_of_month.begins_with_star || day_of_week.begins_with_star,
        },
        months: month.values,
        has_wildcard_hours: hour.begins_with_star || hour.is_full(FieldKind::Hour),
        notes: notes::notes(fields, has_seconds),
    };
    match cron.first_match(0, CYCLE) {
        Some(_) => Ok(cron),
        None => Err("the expression never fires: the selected months do not have the selected days".to_owned()),
    }
}
