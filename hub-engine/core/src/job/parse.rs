//! Reads the text of a job.

use super::model::Job;
use super::problem::Problems;
use super::reader::Reader;
use super::{Limits, format, link, syntax};

impl Job {
    /// Reads a job that came as bytes.
    ///
    /// # Errors
    /// Every problem of the job, at least one. The first hundred are described.
    pub fn parse_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, Problems> {
        Self::parse(syntax::text(bytes)?, limits)
    }

    /// Reads a job. Takes time in proportion to the text, also to refuse it.
    ///
    /// # Errors
    /// Every problem of the job, at least one. The first hundred are described.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, Problems> {
        let value = syntax::value(text, limits)?;
        let mut reader = Reader::new(limits.max_tasks, &format::OBJECTS);
        let draft = format::read(&mut reader, value);
        let job = draft.and_then(|draft| link::link(&mut reader, text, draft));
        reader.report.check(text)?;
        Ok(job.expect("what is missing in a job was noted as a problem"))
    }
}
