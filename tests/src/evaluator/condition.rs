//! The second gate: conditions.

use std::cmp::Ordering;

use serde_json::Value;

use super::fill::{Known, Missing};

/// Why a condition is neither true nor false: the kind of the task's error.
type Unknown = &'static str;

const BAD: Unknown = "BAD_CONDITION";

/// Whether a condition holds, given what is known.
pub(super) fn holds(condition: &Value, known: &Known<'_>) -> Result<bool, Unknown> {
    let Value::Object(operation) = condition else {
        return fill(condition, known)?.as_bool().ok_or(BAD);
    };
    let (word, operand) = operation.iter().next().expect("an operation has one key");
    let parts = || operand.as_array().expect("a list");
    match &**word {
        "all" => parts().iter().try_fold(true, |all, part| if all { holds(part, known) } else { Ok(false) }),
        "any" => parts().iter().try_fold(false, |any, part| if any { Ok(true) } else { holds(part, known) }),
        "not" => holds(operand, known).map(|part| !part),
        "exists" => Ok(known.fill(operand).is_ok()),
        "empty" => match fill(operand, known)? {
            Value::Null => Ok(true),
            Value::String(text) => Ok(text.is_empty()),
            Value::Array(list) => Ok(list.is_empty()),
            Value::Object(object) => Ok(object.is_empty()),
            Value::Bool(_) | Value::Number(_) => Err(BAD),
        },
        operator => {
            let (one, other) = (fill(&parts()[0], known)?, fill(&parts()[1], known)?);
            compare(operator, &one, &other)
        }
    }
}

fn fill(template: &Value, known: &Known<'_>) -> Result<Value, Unknown> {
    known.fill(template).map_err(|Missing| "MISSING_VALUE")
}

/// The values of the simulation are small, so that numbers can be compared as doubles.
fn compare(operator: &str, one: &Value, other: &Value) -> Result<bool, Unknown> {
    let order = || match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64().partial_cmp(&other.as_f64()).ok_or(BAD),
        (Value::String(one), Value::String(other)) => Ok(one.chars().cmp(other.chars())),
        _ => Err(BAD),
    };
    let contains = |whole: &Value, part: &Value| match (whole, part) {
        (Value::Array(list), part) => Ok(list.contains(part)),
        (Value::String(text), Value::String(part)) => Ok(text.contains(&**part)),
        (Value::Object(object), Value::String(key)) => Ok(object.contains_key(key)),
        _ => Err(BAD),
    };
    match operator {
        "eq" => Ok(one == other),
        "ne" => Ok(one != other),
        "lt" => order().map(|order| order == Ordering::Less),
        "le" => order().map(|order| order != Ordering::Greater),
        "gt" => order().map(|order| order == Ordering::Greater),
        "ge" => order().map(|order| order != Ordering::Less),
        "in" => contains(other, one),
        "contains" => contains(one, other),
        other => panic!("the simulation has no operator {other:?}"),
    }
}
