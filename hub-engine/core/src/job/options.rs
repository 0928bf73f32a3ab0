//! What only some jobs have.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::labels::Labels;
use super::moment::Moment;
use super::places::Places;
use super::retry::RetryPolicy;
use super::timeouts::Timeouts;
use crate::Json;
use crate::definition::{Pin, Pins};

/// What only some jobs have. There may be hundreds of thousands of live jobs, so it is stored separately.
#[derive(Clone, Debug, Default)]
pub(super) struct JobOptions {
    pub(super) key: Option<String>,
    pub(super) retry: Option<Box<RetryPolicy>>,
    pub(super) timeouts: Option<Box<Timeouts>>,
    pub(super) start_at: Option<Moment>,
    pub(super) deadline: Option<Moment>,
    /// The byte offset of the deadline in the text. `None` if it stands in the text of the definition.
    pub(super) deadline_at: Option<usize>,
    pub(super) handler_deadline: Option<Duration>,
    pub(super) labels: Arc<Labels>,
    /// The definition that it was started from, or whose text it has.
    pub(super) definition: Option<Pin>,
    /// The size of the texts of the definitions that it was read from, in bytes.
    pub(super) definition_bytes: usize,
    /// The versions of the definitions that it refers to, and its sub-jobs.
    pub(super) pins: Arc<Pins>,
    /// The given inputs.
    pub(super) inputs: Option<Json>,
    pub(super) input_schema: Option<Json>,
    /// The places in values that the templates refer to.
    pub(super) places: Places,
    /// The positions of the tasks that run for items.
    pub(super) for_each: Box<[u32]>,
    pub(super) extra: Vec<(String, Json)>,
}

impl JobOptions {
    /// That of a job that has none of it.
    pub(super) fn none() -> &'static Self {
        static NONE: LazyLock<JobOptions> = LazyLock::new(JobOptions::default);
        &NONE
    }

    /// In a box, if there is anything.
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        let is_empty = matches!(
            &self,
            Self { key: None, retry: None, timeouts: None, start_at: None, deadline: None, deadline_at: _,
                handler_deadline: None, labels, definition: None, definition_bytes: _, pins, inputs: None, input_schema: None, places, for_each, extra }
                if labels.is_empty() && pins.is_empty() && places.is_empty() && for_each.is_empty() && extra.is_empty()
        );
        (!is_empty).then(|| Box::new(self))
    }
}
