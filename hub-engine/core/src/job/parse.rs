//! Parses the text of a job.

use std::sync::Arc;

use super::model::Job;
use super::problem::Problems;
use super::reader::Reader;
use super::{Limits, definition_links, format, link, start, syntax};
use crate::definition::Library;

impl Job {
    /// Parses a job from bytes.
    ///
    /// # Errors
    /// All problems of the job, at least one. The first hundred are described.
    pub fn parse_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, Problems> {
        Self::parse(syntax::text(bytes)?, limits)
    }

    /// Parses a job, or the start of a definition, from bytes: see [`Job::parse_with`].
    ///
    /// # Errors
    /// All problems of the job, at least one. The first hundred are described.
    pub fn parse_bytes_with(bytes: &[u8], limits: &Limits, library: &Library) -> Result<Self, Problems> {
        Self::parse_with(syntax::text(bytes)?, limits, library)
    }

    /// Parses a job. The time is proportional to the size of the text, also for an invalid job.
    ///
    /// # Errors
    /// All problems of the job, at least one. The first hundred are described.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, Problems> {
        Self::parse_with(text, limits, &Library::default())
    }

    /// Parses a job, or the start of a definition. The library notes which definitions it lacks.
    ///
    /// # Errors
    /// All problems of the job, at least one. The first hundred are described.
    pub fn parse_with(text: &str, limits: &Limits, library: &Library) -> Result<Self, Problems> {
        let value = syntax::value(text, limits)?;
        let mut reader = Reader::new(limits.max_tasks, &format::OBJECTS, library.clone());
        reader.has_inputs = limits.is_sub_job;
        let job = if start::is_start(value) {
            start::read(&mut reader, text, value)
        } else {
            let draft = format::read(&mut reader, value);
            draft.and_then(|draft| link::link(&mut reader, text, draft))
        };
        reader.report.check(text)?;
        Ok(job.expect("a job without a required key has a problem"))
    }

    /// Parses the text of a definition: a job that gets its inputs and its key when it is started.
    ///
    /// # Errors
    /// All problems of the job, at least one. The first hundred are described.
    pub fn parse_definition(text: &str, limits: &Limits, library: &Library) -> Result<Self, Problems> {
        let value = syntax::value(text, limits)?;
        let mut reader = Reader::new(limits.max_tasks, &format::OBJECTS, library.clone());
        reader.has_inputs = true;
        let draft = format::read(&mut reader, value);
        let job = draft.and_then(|draft| {
            definition_links::refuse_keys_of_starts(&mut reader.report, value);
            link::link(&mut reader, text, draft)
        });
        reader.report.check(text)?;
        Ok(job.expect("a job without a required key has a problem"))
    }

    /// This job with the same text, but without its key. A retry of a job does not take the key, since that belongs to the
    /// first job.
    #[must_use]
    pub fn without_key(self: Arc<Self>) -> Arc<Self> {
        if self.key().is_none() {
            return self;
        }
        let mut job = Self::clone(&self);
        if let Some(options) = &mut job.rare {
            options.key = None;
        }
        Arc::new(job)
    }
}
