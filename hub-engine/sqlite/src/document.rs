//! The texts of jobs.

use std::sync::Arc;

use hub_core::definition::Pins;
use hub_core::job::Job;
use hub_core::state::JobSnapshot;
use rusqlite::types::Type;
use rusqlite::{Connection, Row};

use super::definitions;
use super::rows::{DOCUMENT, Head, PINS, object};

/// The text of a job.
pub(super) struct Document<'r> {
    text: &'r str,
    /// The versions of definitions that it refers to.
    pins: Pins,
}

impl<'r> Document<'r> {
    pub(super) fn read(row: &'r Row<'_>) -> rusqlite::Result<Self> {
        let pins = object(row, PINS)?.unwrap_or_default();
        Ok(Self { text: row.get_ref(DOCUMENT)?.as_str()?, pins })
    }

    /// Whether a job has this text, and refers to the same versions of definitions.
    pub(super) fn is_of(&self, job: &Job) -> bool {
        job.source() == self.text && **job.pins() == self.pins
    }

    /// The complete job of the same row, with all tasks in the initial state.
    pub(super) fn job_of(&self, head: Head, connection: &Connection) -> rusqlite::Result<JobSnapshot> {
        let library = definitions::library(connection, &self.pins)?;
        // The job was within the limits when it was accepted, but the limits may have changed.
        let job = Job::parse_accepted(self.text, &self.pins, &library).map_err(|problems| {
            let why = format!("the document of job {} cannot be read: {problems}", head.id);
            rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into())
        })?;
        Ok(head.with_job(Arc::new(job)))
    }
}
