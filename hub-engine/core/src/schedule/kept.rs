//! A schedule that a Hub keeps.

use std::sync::Arc;

use uuid::Uuid;

use super::Schedule;
use crate::Timestamp;
use crate::job::{Limits, Problems};

/// A schedule that a Hub keeps under its name. Changing it makes another one with the same `uid`.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptSchedule {
    /// Identifies it: a schedule that is removed and created again under the same name has another one.
    pub uid: Uuid,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
    /// Who changed it last, as the client says.
    pub by: Option<Arc<str>>,
    /// The schedule.
    pub schedule: Arc<Schedule>,
}

impl KeptSchedule {
    /// A schedule as a store has it.
    ///
    /// # Errors
    /// If the text is not valid, for example because a later version of Hub has written it.
    pub fn read(
        uid: Uuid,
        text: &str,
        (created_at, changed_at): (Timestamp, Timestamp),
        by: Option<Arc<str>>,
    ) -> Result<Self, Problems> {
        let schedule = Arc::new(Schedule::parse(text, &Limits::of_accepted(), created_at)?);
        Ok(Self { uid, created_at, changed_at, by, schedule })
    }
}
