//! Parses the text of a job.

use std::sync::Arc;

use super::model::Job;
use super::problem::Problems;
use super::reader::Reader;
use super::{Limits, format, link, syntax};

impl Job {
    /// Parses a job from bytes.
    ///
    /// # Errors
    /// All problems of the job, at least one. The first hundred are described.
    pub fn parse_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, Problems> {
        Self::parse(syntax::text(bytes)?, limits)
    }

    /// Parses a job. The time is proportional to the size of the text, also for an invalid job.
    ///
    /// # Errors
    /// All problems of the job, at least one. The first hundred are described.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, Problems> {
        let value = syntax::value(text, limits)?;
        let mut reader = Reader::new(limits.max_tasks, &format::OBJECTS);
        reader.has_inputs = limits.is_sub_job;
        let draft = format::read(&mut reader, value);
        let job = draft.and_then(|draft| link::link(&mut reader, text, draft));
        reader.report.check(text)?;
        Ok(job.expect("a job without a required key has a problem"))
    }

    /// This job with the same text, but without its key. A retry of a job does not take the key, since that belongs to the
    /// first job.
    ///
    /// # Panics
    /// If the text of the job is not valid, which is a bug.
    #[must_use]
    pub fn without_key(self: Arc<Self>) -> Arc<Self> {
        if self.key().is_none() {
            return self;
        }
        let again =
            |shared: Arc<Self>| Self::parse(&shared.source, &Limits::of_accepted()).expect("the text was valid before");
        let mut job = Arc::try_unwrap(self).unwrap_or_else(again);
        if let Some(options) = &mut job.rare {
            options.key = None;
        }
        Arc::new(job)
    }
}
