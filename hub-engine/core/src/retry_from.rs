//! What runs again when a job is retried, as it stands in requests.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What runs again when a job is retried. In JSON: `"failure"`, `"start"`, or a list of names of tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RetryFrom {
    /// The tasks that have not succeeded, and all that depend on them.
    #[default]
    Failure,
    /// All tasks.
    Start,
    /// These tasks, those that have not succeeded, and all that depend on them.
    Tasks(Vec<String>),
}

impl RetryFrom {
    const FAILURE: &str = "failure";
    const START: &str = "start";

    /// Whether it is [`RetryFrom::Failure`], the default.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Failure)
    }

    /// The value of this word. `None` if it is neither `failure` nor `start`.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            Self::FAILURE => Some(Self::Failure),
            Self::START => Some(Self::Start),
            _ => None,
        }
    }
}

impl Serialize for RetryFrom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Failure => serializer.serialize_str(Self::FAILURE),
            Self::Start => serializer.serialize_str(Self::START),
            Self::Tasks(names) => names.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RetryFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = RetryFrom;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"failure\", \"start\" or a list of names of tasks")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<RetryFrom, E> {
                RetryFrom::of_word(word).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(word), &self))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RetryFrom, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(RetryFrom::Tasks(names))
            }
        }

        deserializer.deserialize_any(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_word_or_a_list() {
        let tasks = RetryFrom::Tasks(vec!["a".to_owned(), "b".to_owned()]);
        for (text, from) in
            [(r#""failure""#, RetryFrom::Failure), (r#""start""#, RetryFrom::Start), (r#"["a","b"]"#, tasks)]
        {
            assert_eq!(serde_json::from_str::<RetryFrom>(text).unwrap(), from);
            assert_eq!(serde_json::to_string(&from).unwrap(), text);
        }
        for text in [r#""a""#, "1", "null", "[1]", "{}"] {
            serde_json::from_str::<RetryFrom>(text).unwrap_err();
        }
        let error = serde_json::from_str::<RetryFrom>(r#""end""#).unwrap_err().to_string();
        assert!(error.contains("expected \"failure\", \"start\" or a list of names of tasks"), "{error}");
    }
}
