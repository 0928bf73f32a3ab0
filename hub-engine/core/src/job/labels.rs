//! Labels of jobs.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The labels of a job: texts by name.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;
