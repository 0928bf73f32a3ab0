//! References to definitions, and what they stood for when a job was accepted.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::rules;

/// Selects a version of a definition: `etl`, `etl@7` or `etl@prod`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The name of the definition.
    pub name: Arc<str>,
    /// The version.
    pub which: Which,
}

/// Which version of a definition is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// The one with the greatest number.
    Newest,
    /// The one with this number, from 1.
    Version(u32),
    /// The one that this alias stands for.
    Alias(Arc<str>),
}

/// One version of a definition: `etl@7`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin {
    /// The name of the definition.
    pub name: Arc<str>,
    /// The number of the version, from 1.
    pub version: u32,
}

/// The versions that the references of a job stand for, from its acceptance to its removal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pins {
    /// The version whose text is that of the job, if it is a sub-job that was named by its definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own: Option<Pin>,
    /// By reference, as it is written in the job or in a definition that it refers to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<Reference, Pin>,
}

impl Pins {
    /// Whether nothing of the job comes from a definition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.own.is_none() && self.references.is_empty()
    }
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, which) = match text.split_once('@') {
            None => (text, Which::Newest),
            Some((name, version)) if version.starts_with(|first: char| first.is_ascii_digit()) => {
                let number = version.parse().ok().filter(|number| *number > 0 && !version.starts_with('0'));
                let number = number.ok_or_else(|| {
                    format!("{version:?} is not the number of a version: versions are counted from 1")
                })?;
                (name, Which::Version(number))
            }
            Some((name, alias)) => {
                rules::alias(alias)?;
                (name, Which::Alias(alias.into()))
            }
        };
        rules::name(name)?;
        Ok(Self { name: name.into(), which })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.which {
            Which::Newest => f.write_str(&self.name),
            Which::Version(number) => write!(f, "{}@{number}", self.name),
            Which::Alias(alias) => write!(f, "{}@{alias}", self.name),
        }
    }
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Reference { name, which: Which::Version(version) } => Ok(Self { name, version }),
            _ => Err(format!("{text:?} names no version: write NAME@NUMBER")),
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// Serializes a type as its text.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(Reference, Pin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_survive_a_round_trip() {
        for text in ["etl", "etl@1", "etl@4294967295", "etl@prod", "größe@älteste"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        let pins = Pins {
            own: Some("load@2".parse().unwrap()),
            references: [("etl@prod".parse().unwrap(), "etl@7".parse().unwrap())].into(),
        };
        let text = serde_json::to_string(&pins).unwrap();
        assert_eq!(text, r#"{"own":"load@2","references":{"etl@prod":"etl@7"}}"#);
        assert_eq!(serde_json::from_str::<Pins>(&text).unwrap(), pins);
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in
            ["", "@", "@7", "etl@", "etl@0", "etl@07", "etl@-1", "etl@4294967296", "etl@1.5", "a b", "etl@prod@7"]
        {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
        assert!("etl".parse::<Pin>().is_err() && "etl@prod".parse::<Pin>().is_err());
    }
}
