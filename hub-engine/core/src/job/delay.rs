//! How long a task waits when it could run.

use std::time::Duration;

use super::duration;
use super::template::Template;
use super::value::{Kind, Value};
use crate::Json;

/// How long a task waits when it could run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delay {
    /// For so long.
    Fixed(Duration),
    /// For as long as the value of this template says.
    Of(Template),
}

impl Delay {
    /// The duration that a value means: a string such as `"90s"`, or a number of seconds.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Json) -> Result<Duration, String> {
        let value = Value::of_job(value.get());
        match value.kind() {
            Kind::String => duration::from_text(&value.decoded()),
            Kind::Number => duration::from_seconds(value.text.parse().unwrap_or(f64::INFINITY)),
            kind => Err(format!("a duration is a string such as \"90s\" or a number of seconds, not {}", kind.name())),
        }
    }
}
