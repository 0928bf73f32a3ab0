//! Conditions of tasks: whether a task runs, by values of other tasks. `docs/jobs.md` describes them.

use std::cmp::Ordering;

use super::comparison;
use super::fill_error::FillError;
use super::reference::Reference;
use super::template::Template;
use super::value::{Kind, Value};
use crate::Json;

/// A condition that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A truth value, or a reference to one.
    Value(Template),
    /// Whether all of these hold.
    All(Vec<Self>),
    /// Whether any of these holds.
    Any(Vec<Self>),
    /// Whether this does not hold.
    Not(Box<Self>),
    /// What an operator says of two values.
    Compare(Operator, Template, Template),
    /// Whether there is something at the place that this refers to.
    Exists(Template),
    /// Whether this is `null`, or a string, a list or an object with nothing in it.
    Empty(Template),
}

/// Compares two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// They are equal.
    Eq,
    /// They are not equal.
    Ne,
    /// The first is less.
    Lt,
    /// The first is not greater.
    Le,
    /// The first is greater.
    Gt,
    /// The first is not less.
    Ge,
    /// The first is an element of the second, a part of the string, or a key of the object.
    In,
    /// The second is an element of the first, a part of the string, or a key of the object.
    Contains,
    /// The first begins with the second.
    StartsWith,
    /// The first ends with the second.
    EndsWith,
}

/// Why a condition is neither true nor false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionError {
    /// A value in it cannot be had.
    Fill(FillError),
    /// A value is of a type that the condition cannot use; what is wrong.
    WrongType(String),
}

impl From<FillError> for ConditionError {
    fn from(error: FillError) -> Self {
        Self::Fill(error)
    }
}

impl Operator {
    /// Every operator, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Eq,
        Self::Ne,
        Self::Lt,
        Self::Le,
        Self::Gt,
        Self::Ge,
        Self::In,
        Self::Contains,
        Self::StartsWith,
        Self::EndsWith,
    ];

    /// The word as it stands in jobs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::In => "in",
            Self::Contains => "contains",
            Self::StartsWith => "starts_with",
            Self::EndsWith => "ends_with",
        }
    }

    /// What it says of two values.
    fn holds(self, one: &str, other: &str) -> Result<bool, ConditionError> {
        let order = || comparison::order(one, other).ok_or_else(|| self.refuse(one, other));
        match self {
            Self::Eq => Ok(comparison::equal(one, other)),
            Self::Ne => Ok(!comparison::equal(one, other)),
            Self::Lt => Ok(order()? == Ordering::Less),
            Self::Le => Ok(order()? != Ordering::Greater),
            Self::Gt => Ok(order()? == Ordering::Greater),
            Self::Ge => Ok(order()? != Ordering::Less),
            Self::In => contains(other, one).ok_or_else(|| self.refuse(one, other)),
            Self::Contains => contains(one, other).ok_or_else(|| self.refuse(one, other)),
            Self::StartsWith | Self::EndsWith => {
                let (one_value, other_value) = (Value::of_job(one), Value::of_job(other));
                if (one_value.kind(), other_value.kind()) != (Kind::String, Kind::String) {
                    return Err(self.refuse(one, other));
                }
                let (text, part) = (one_value.decoded(), other_value.decoded());
                Ok(if self == Self::StartsWith { text.starts_with(&*part) } else { text.ends_with(&*part) })
            }
        }
    }

    fn refuse(self, one: &str, other: &str) -> ConditionError {
        let (word, one, other) = (self.as_str(), Value::of_job(one).kind(), Value::of_job(other).kind());
        ConditionError::WrongType(format!("{word:?} cannot compare {} with {}", one.name(), other.name()))
    }
}

/// Whether a list has an element, a string a part, an object a key. `None` where the values are none of these.
fn contains(whole: &str, part: &str) -> Option<bool> {
    let (whole, part) = (Value::of_job(whole), Value::of_job(part));
    match (whole.kind(), part.kind()) {
        (Kind::List, _) => Some(whole.elements().any(|element| comparison::equal(element.text, part.text))),
        (Kind::String, Kind::String) => Some(whole.decoded().contains(&*part.decoded())),
        (Kind::Object, Kind::String) => Some(whole.properties().any(|(key, _)| key.decoded() == part.decoded())),
        _ => None,
    }
}

impl Condition {
    /// How deep conditions may be nested.
    pub const DEEPEST: usize = 16;
    /// How many conditions and operands one condition may have.
    pub const MAXIMUM_NODES: usize = 256;

    /// Whether it holds. `fill` yields the value of a template. Parts are looked at from left to right, until the answer is
    /// known.
    ///
    /// # Errors
    /// Where a value cannot be had or is of the wrong type.
    pub fn holds(&self, fill: &mut impl FnMut(&Template) -> Result<Json, FillError>) -> Result<bool, ConditionError> {
        match self {
            Self::Value(value) => match fill(value)?.get() {
                "true" => Ok(true),
                "false" => Ok(false),
                other => {
                    let kind = Value::of_job(other).kind().name();
                    Err(ConditionError::WrongType(format!("{} is {kind}, not true or false", value.text())))
                }
            },
            Self::All(parts) => {
                for part in parts {
                    if !part.holds(fill)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Any(parts) => {
                for part in parts {
                    if part.holds(fill)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(part) => Ok(!part.holds(fill)?),
            Self::Compare(operator, one, other) => operator.holds(fill(one)?.get(), fill(other)?.get()),
            Self::Exists(reference) => match fill(reference) {
                Ok(_) => Ok(true),
                Err(FillError::Missing(_)) => Ok(false),
                Err(error) => Err(error.into()),
            },
            Self::Empty(value) => {
                let value = fill(value)?;
                let value = Value::of_job(value.get());
                match value.kind() {
                    Kind::Null => Ok(true),
                    Kind::String => Ok(value.decoded().is_empty()),
                    Kind::List => Ok(value.elements().next().is_none()),
                    Kind::Object => Ok(value.properties().next().is_none()),
                    kind @ (Kind::Number | Kind::Boolean) => {
                        Err(ConditionError::WrongType(format!("\"empty\" cannot judge {}", kind.name())))
                    }
                }
            }
        }
    }

    /// The references in it.
    #[must_use]
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            Self::Value(template) | Self::Exists(template) | Self::Empty(template) => template.references().collect(),
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::references).collect(),
            Self::Not(part) => part.references(),
            Self::Compare(_, one, other) => one.references().chain(other.references()).collect(),
        }
    }
}
