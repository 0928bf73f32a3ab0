//! The schemas that are kept ready.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use hub_core::Json;
use hub_core::job::{InputCheck, Violation};

use super::schema_error::SchemaError;
use super::validator::Validator;

/// Maximum number of schemas that are kept ready.
const MAXIMUM_READY: usize = 16;
/// Maximum number of steps of a comparison. They take less than a second.
const MAXIMUM_STEPS: u64 = 2_000_000;
/// The same in the loop of the dispatcher, where nothing else happens meanwhile.
const MAXIMUM_STEPS_IN_LOOP: u64 = 100_000;

/// Compares inputs with JSON Schemas, and keeps the schemas ready that were used last.
#[derive(Debug)]
pub(crate) struct SchemaCheck {
    /// Maximum number of steps of a comparison.
    steps: u64,
    /// The newest is the last one.
    ready: Mutex<VecDeque<(Json, Arc<Validator>)>>,
}

impl Default for SchemaCheck {
    fn default() -> Self {
        Self { steps: MAXIMUM_STEPS, ready: Mutex::default() }
    }
}

impl SchemaCheck {
    /// For the loop of the dispatcher.
    pub(crate) fn for_loop() -> Self {
        Self { steps: MAXIMUM_STEPS_IN_LOOP, ..Self::default() }
    }

    /// The schema, ready for comparisons.
    pub(crate) fn validator(&self, schema: &Json) -> Result<Arc<Validator>, SchemaError> {
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
    fn check(&self, schema: &Json, inputs: &Json) -> Result<Json, Vec<Violation>> {
        match self.validator(schema) {
            Ok(validator) => validator.check(inputs, self.steps),
            // This happens only if a later version of Hub refuses the schema.
            Err(SchemaError { message, .. }) => Err(vec![Violation {
                pointer: String::new(),
                message: format!("the schema cannot be used: {message}"),
            }]),
        }
    }
}
