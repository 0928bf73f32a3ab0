//! The schemas that are kept ready.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use hub_core::Json;
use hub_core::job::{InputCheck, SchemaError, Violation};

use super::validator::Validator;

/// Maximum number of schemas that are kept ready.
const MAXIMUM_READY: usize = 16;

/// Compares inputs with JSON Schemas, and keeps the schemas ready that were used last.
#[derive(Debug, Default)]
pub struct SchemaCheck {
    /// The newest is the last one.
    ready: Mutex<VecDeque<(Json, Arc<Validator>)>>,
}

impl SchemaCheck {
    /// The schema, ready for comparisons.
    fn validator(&self, schema: &Json) -> Result<Arc<Validator>, SchemaError> {
        // No code panics while holding this lock.
        let lock = || self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ready = lock();
        if let Some(at) = ready.iter().rposition(|(known, _)| known == schema)
            && let Some(found) = ready.remove(at)
        {
            let validator = Arc::clone(&found.1);
            ready.push_back(found);
            return Ok(validator);
        }
        drop(ready);
        let validator = Arc::new(Validator::new(schema)?);
        let mut ready = lock();
        if ready.len() == MAXIMUM_READY {
            ready.pop_front();
        }
        ready.push_back((schema.clone(), Arc::clone(&validator)));
        Ok(validator)
    }
}

impl InputCheck for SchemaCheck {
    fn schema(&self, schema: &Json) -> Result<Vec<String>, SchemaError> {
        Ok(self.validator(schema)?.warnings())
    }

    fn check(&self, schema: &Json, inputs: &Json, steps: u64) -> Result<Json, Vec<Violation>> {
        match self.validator(schema) {
            Ok(validator) => validator.check(inputs, steps),
            // This happens only if a later version of Hub refuses the schema.
            Err(SchemaError { message, .. }) => Err(vec![Violation {
                pointer: String::new(),
                message: format!("the schema cannot be used: {message}"),
            }]),
        }
    }
}
