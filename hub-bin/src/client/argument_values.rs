//! The values of arguments, parsed from text.

use std::time::Duration;

use hub_core::{Json, NotATime, RetryFrom, Timestamp};
use hub_engine::clock::wall;
use hub_engine::operations::View;

/// Parses what runs again when a job is retried.
pub(super) fn retry_from(text: &str) -> Result<RetryFrom, String> {
    let names = || text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Ok(RetryFrom::of_word(text).unwrap_or_else(|| RetryFrom::Tasks(names())))
}

/// Parses the data of a task.
pub(super) fn task_data(text: &str) -> Result<(String, Json), String> {
    let (task, data) = text.split_once('=').ok_or("must be TASK=JSON")?;
    let data = Json::parse(data).map_err(|error| format!("the data is not valid JSON: {error}"))?;
    Ok((task.to_owned(), data))
}

/// Parses an input of a job: JSON, or else a text.
pub(super) fn input(text: &str) -> Result<(String, serde_json::Value), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

/// Parses a label.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Parses a duration in seconds.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "must be a number of seconds, such as 1.5".to_owned())?;
    if seconds.is_finite() && seconds > 0.0 && seconds <= 1e9 {
        return Ok(seconds);
    }
    Err("must be a number of seconds greater than 0 and not greater than 1000000000".to_owned())
}

/// Checks a list of keys of a record. The dispatcher checks them only when the job has ended.
pub(super) fn keys(text: &str) -> Result<String, String> {
    let view = View::whole().with_fields(text);
    if view.fields.as_ref().is_none_or(Vec::is_empty) {
        return Err("must contain at least one key, such as status,msg".to_owned());
    }
    view.check().map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// Parses a point in time, or an age relative to now.
pub(super) fn time_or_age(text: &str) -> Result<Timestamp, String> {
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 60 * 60,
        Some(b'd') => 24 * 60 * 60,
        _ => 0,
    };
    match text.get(..text.len().saturating_sub(1)).unwrap_or_default().parse::<u32>() {
        Ok(count) if unit > 0 => Ok(wall().before(Duration::from_secs(u64::from(count) * unit))),
        _ => text.parse().map_err(|error: NotATime| format!("{error}, or an age such as 30s, 15m, 2h, 3d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_ages_are_parsed() {
        assert_eq!(time_or_age("2026-11-23T22:01:43.120Z"), Ok(Timestamp::from_millis(1_795_471_303_120)));
        for (text, seconds) in [("90s", 90), ("2m", 120), ("1h", 3600), ("3d", 3 * 86_400)] {
            let (earliest, parsed) = (wall().before(Duration::from_secs(seconds)), time_or_age(text).unwrap());
            assert!(parsed >= earliest && parsed <= wall().before(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "-1h", "2w", "yesterday", "1.5h", "\u{e9}", "99999999999d"] {
            assert!(time_or_age(text).unwrap_err().contains("2h"), "{text}");
        }
    }
}
