//! The defaults of a task module: retry and timeout of tasks that do not set them.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::problem::{Problem, ProblemCode, Problems};
use super::reader::Reader;
use super::retry::RetryPolicy;
use super::timeouts::Timeouts;
use super::value::Value;
use super::{Limits, format};
use crate::Json;
use crate::definition::Library;

/// The retry policy and the time limits that a task module sets. They apply to tasks of the module for which neither the
/// task nor its job has any. Workers report them with their modules, in the job format:
/// `{"retry": {"maximum_attempts": 5}, "timeout": "10m"}`.
#[derive(Clone, Debug)]
pub struct ModuleDefaults {
    /// As the worker has reported it.
    text: Json,
    retry: Option<RetryPolicy>,
    timeouts: Option<Timeouts>,
}

impl ModuleDefaults {
    /// Maximum size of the text in bytes. The row of each task has a copy.
    pub const MAXIMUM_BYTES: usize = 1024;

    /// Reads the defaults of a module.
    ///
    /// # Errors
    /// If it is larger than [`Self::MAXIMUM_BYTES`], some JSON parsers may refuse it, or a key or a value is not what it is in a
    /// task. A module cannot set `schedule_to_start` and `schedule_to_close`.
    pub fn read(text: Json) -> Result<Self, Problems> {
        let bytes = text.get().len();
        if bytes > Self::MAXIMUM_BYTES {
            let message = format!("the options have {bytes} bytes; the maximum is {}", Self::MAXIMUM_BYTES);
            return Err(whole(ProblemCode::LimitExceeded, message).into());
        }
        // The text of a job was checked for this.
        if let Some(why) = text.unreadable() {
            return Err(whole(ProblemCode::NotJson, format!("the options have {why}")).into());
        }
        let mut reader = Reader::new(Limits::default().max_tasks, &format::OBJECTS, Library::default());
        let draft = format::read_module_defaults(&mut reader, Value::of_job(text.get()));
        reader.report.check(text.get())?;
        let draft = draft.unwrap_or_default();
        Ok(Self { text, retry: draft.retry, timeouts: draft.timeouts })
    }

    /// For a field of a message or a row: what cannot be read counts as absent.
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<Self>>, D::Error> {
        let text = Option::<Json>::deserialize(deserializer)?;
        Ok(text.and_then(|text| Self::read(text).ok()).map(Arc::new))
    }

    /// The retry policy.
    #[must_use]
    pub const fn retry(&self) -> Option<&RetryPolicy> {
        self.retry.as_ref()
    }

    /// The time limits: of an attempt, and the grace.
    #[must_use]
    pub const fn timeouts(&self) -> Option<&Timeouts> {
        self.timeouts.as_ref()
    }

    /// Whether the module sets nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.retry.is_none() && self.timeouts.is_none()
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &Json {
        &self.text
    }
}

impl Default for ModuleDefaults {
    fn default() -> Self {
        Self { text: Json::from_checked("{}"), retry: None, timeouts: None }
    }
}

/// Equal if the text is.
impl PartialEq for ModuleDefaults {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ModuleDefaults {}

impl Serialize for ModuleDefaults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ModuleDefaults {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Json::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A problem of the whole text.
fn whole(code: ProblemCode, message: String) -> Problem {
    Problem { code, path: "$".to_owned(), line: None, column: None, message, suggestion: None }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(text: &str) -> Result<ModuleDefaults, String> {
        ModuleDefaults::read(Json::parse(text).unwrap()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_module_sets_retry_and_the_limits_of_an_attempt() {
        let text =
            r#"{"retry": {"maximum_attempts": 5, "exhausted": "hold"}, "timeout": {"heartbeat": "3s", "grace": 1}}"#;
        let defaults = read(text).unwrap();
        assert_eq!(defaults.retry().map(|policy| policy.maximum_attempts), Some(5));
        let expected = Timeouts {
            heartbeat: Some(Duration::from_secs(3)),
            grace: Some(Duration::from_secs(1)),
            ..Timeouts::default()
        };
        assert_eq!(defaults.timeouts(), Some(&expected));
        let stored = serde_json::to_string(&defaults).unwrap();
        assert_eq!(serde_json::from_str::<ModuleDefaults>(&stored).unwrap(), defaults);
        let short = read(r#"{"timeout": "10m", "retry": null}"#).unwrap();
        assert_eq!(short.timeouts().and_then(|timeouts| timeouts.start_to_close), Some(Duration::from_secs(600)));
        assert!(short.retry().is_none() && read("{}").unwrap().timeouts().is_none());
    }

    #[test]
    fn what_a_module_cannot_set_is_refused() {
        for (text, words) in [
            ("[]", "must be an object"),
            (r#"{"retry": 0}"#, "$.retry"),
            (r#"{"retry": {"maximum_atempts": 2}}"#, "did you mean"),
            (r#"{"timeout": {"schedule_to_start": 1, "schedule_to_close": 2}}"#, "schedule_to_close"),
            (r#"{"timeout": -1}"#, "$.timeout"),
            (r#"{"priority": 1}"#, "priority"),
            (r#"{"retry": 2, "retry": 3}"#, "duplicate key"),
            (r#"{"retry": {"retry_on": ["\ud800"]}}"#, "surrogate"),
            (r#"{"\udc00": 1}"#, "surrogate"),
            (r#"{"timeout": 1e400}"#, "range"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        }
        let large = format!(r#"{{"retry": {{"retry_on": ["{}"]}}}}"#, "x".repeat(ModuleDefaults::MAXIMUM_BYTES));
        assert!(read(&large).unwrap_err().contains("maximum is 1024"));
        serde_json::from_str::<ModuleDefaults>(r#"{"retry": "often"}"#).unwrap_err();
    }
}
