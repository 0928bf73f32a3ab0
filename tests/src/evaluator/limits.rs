//! Limits for the size and depth of values. Sizes are those of JSON without spaces, so they are exact for jobs without spaces.

use serde_json::Value;

/// Limits of values.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum size of a task's arguments (positional and keyword arguments together), and of the output, in bytes.
    pub max_value_bytes: usize,
    /// Maximum nesting depth of arrays and objects.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_value_bytes: 12 * 1024 * 1024, max_depth: 500 }
    }
}

impl Limits {
    /// Checks the arguments of a task. Returns the kind of the error.
    pub(super) fn check_arguments(&self, args: &Value, kwargs: &Value) -> Result<(), &'static str> {
        if bytes(args) + bytes(kwargs) > self.max_value_bytes {
            return Err("ARGUMENTS_TOO_LARGE");
        }
        if is_deeper_than(args, self.max_depth) || is_deeper_than(kwargs, self.max_depth) {
            return Err("VALUE_TOO_DEEP");
        }
        Ok(())
    }

    /// Checks the inputs of a sub-job. Returns the kind of the error.
    pub(super) fn check_inputs(&self, inputs: &Value) -> Result<(), &'static str> {
        if bytes(inputs) > self.max_value_bytes {
            return Err("ARGUMENTS_TOO_LARGE");
        }
        if is_deeper_than(inputs, self.max_depth) { Err("VALUE_TOO_DEEP") } else { Ok(()) }
    }

    /// Checks the result of a task. Returns the kind of the error.
    pub(super) fn check_result(&self, data: &Value) -> Result<(), &'static str> {
        if bytes(data) > self.max_value_bytes {
            return Err("RESULT_TOO_LARGE");
        }
        if is_deeper_than(data, self.max_depth) { Err("VALUE_TOO_DEEP") } else { Ok(()) }
    }

    /// Whether the output of a job is within the limits.
    pub(super) fn allow_output(&self, output: &Value) -> bool {
        bytes(output) <= self.max_value_bytes && !is_deeper_than(output, self.max_depth)
    }
}

fn bytes(value: &Value) -> usize {
    value.to_string().len()
}

fn is_deeper_than(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth == 0 || items.iter().any(|item| is_deeper_than(item, depth - 1)),
        Value::Object(object) => depth == 0 || object.values().any(|item| is_deeper_than(item, depth - 1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_and_depths_are_counted() {
        let limits = Limits { max_value_bytes: 12, max_depth: 2 };
        assert_eq!(limits.check_arguments(&json!(["12345678"]), &json!({})), Err("ARGUMENTS_TOO_LARGE"));
        assert_eq!(limits.check_arguments(&json!(["123456"]), &json!({})), Ok(()), "10 bytes and 2");
        assert_eq!(limits.check_arguments(&json!([[1]]), &json!({"a": 1})), Ok(()));
        assert_eq!(limits.check_arguments(&json!([[[]]]), &json!({})), Err("VALUE_TOO_DEEP"));
        assert_eq!(limits.check_arguments(&json!([]), &json!({"": [[]]})), Err("VALUE_TOO_DEEP"));
        assert_eq!(limits.check_result(&json!("12345678901")), Err("RESULT_TOO_LARGE"));
        assert_eq!(limits.check_result(&json!("1234567890")), Ok(()));
        assert_eq!(limits.check_result(&json!([{"": []}])), Err("VALUE_TOO_DEEP"));
        assert!(limits.allow_output(&json!([[1, 2]])) && !limits.allow_output(&json!([[[]]])));
    }
}
