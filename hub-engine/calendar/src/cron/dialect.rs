//! Forms of whole expressions that other programs accept.

use super::problem::Problem;

/// The names that stand for expressions.
const NAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// Blanks that may separate fields.
const BLANKS: [char; 2] = [' ', '\t'];

/// The expression that a name stands for, or the text itself. Refuses forms of other programs.
pub(super) fn expand(text: &str) -> Result<&str, Problem> {
    let trimmed = text.trim_matches(BLANKS);
    let at = text.len() - text.trim_start_matches(BLANKS).len();
    if trimmed.is_empty() {
        return Err(Problem::new(0, "the expression is empty: write for example 0 6 * * mon-fri"));
    }
    if trimmed.starts_with('@') {
        return name(trimmed, at);
    }
    let lower = trimmed.to_ascii_lowercase();
    for prefix in ["tz=", "cron_tz="] {
        if lower.starts_with(prefix) {
            let end = trimmed.find(BLANKS).unwrap_or(trimmed.len());
            let zone = trimmed.get(prefix.len()..end).unwrap_or_default();
            let message = format!("the time zone does not belong in the expression: write timezone: {zone:?}");
            return Err(Problem::new(at, message).replacing(at, at + end, ""));
        }
    }
    if lower.starts_with("rate(") {
        return Err(Problem::new(at, "rate(...) of AWS is not supported: use every, for example every: \"5m\""));
    }
    if lower.starts_with("cron(") {
        return Err(Problem::new(
            at,
            "cron(...) of AWS is not supported: write the five fields minute, hour, day of month, month, day of week \
             without the year, with * instead of ?, and with names for the days of the week",
        ));
    }
    Ok(text)
}

fn name(trimmed: &str, at: usize) -> Result<&'static str, Problem> {
    let lower = trimmed.to_ascii_lowercase();
    if let Some((_, expression)) = NAMES.iter().find(|(name, _)| *name == lower) {
        return Ok(expression);
    }
    if lower.starts_with("@every") {
        let interval = trimmed.get(6..).unwrap_or_default().trim_matches(BLANKS);
        let interval = if interval.is_empty() { "5m" } else { interval };
        return Err(Problem::new(at, format!("@every is not supported: write every: {interval:?} instead of cron")));
    }
    if lower == "@reboot" {
        return Err(Problem::new(at, "@reboot is not supported: a schedule has times only; submit the job instead"));
    }
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    let problem = Problem::new(at, format!("{trimmed} is unknown: the names are {}", names.join(", ")));
    let distance = |name: &&str| strsim::osa_distance(name, &lower);
    Err(match names.into_iter().min_by_key(distance).filter(|name| distance(name) <= 2) {
        Some(near) => problem.replacing(at, at + trimmed.len(), near),
        None => problem,
    })
}

/// Refuses expressions that do not have five or six fields.
pub(super) fn check_number_of_fields(parts: &[(usize, &str)], text: &str) -> Result<(), Problem> {
    let Some(&(last_at, last)) = parts.last() else { return Ok(()) };
    let fields = "minute, hour, day of month, month, day of week, with an optional second before them";
    match parts.len() {
        5 | 6 => Ok(()),
        7 => {
            let problem = Problem::new(last_at, format!("the year is not supported: the fields are {fields}"));
            Err(if ["*", "?"].contains(&last) {
                let end = last_at + last.len();
                problem.replacing(text.get(..last_at).map_or(last_at, |before| before.trim_end().len()), end, "")
            } else {
                Problem {
                    message: format!("{}; set start and end of the schedule instead", problem.message),
                    ..problem
                }
            })
        }
        number @ ..5 => {
            let is_one = if number == 1 { "1 field" } else { &format!("{number} fields") };
            let end = last_at + last.len();
            Err(Problem::new(
                end,
                format!("the expression has {is_one} instead of five or six: the fields are {fields}"),
            ))
        }
        number => {
            let at = parts.get(6).map_or(last_at, |(at, _)| *at);
            let message = format!("the expression has {number} fields instead of five or six: the fields are {fields}");
            Err(Problem::new(at, message))
        }
    }
}

/// Removes corrections of `?` where the day of week has numbers, whose meaning differs in the programs that use `?`.
pub(super) fn with_quartz_weekdays(text: &str, mut problems: Vec<Problem>) -> Vec<Problem> {
    let weekdays = text.trim_end_matches(BLANKS).rsplit(BLANKS).next().unwrap_or_default();
    if weekdays.contains(|letter: char| letter.is_ascii_digit()) {
        for problem in problems.iter_mut().filter(|problem| text.get(problem.at..=problem.at) == Some("?")) {
            problem.edit = None;
        }
    }
    problems
}
