//! Checks a job file without a Hub.

use std::path::Path;

use hub_core::job::{Job, Limits};
use serde_json::json;

use super::output::Output;
use super::{input, problems};
use crate::exit::{Exit, Failure};

/// Checks a file and reports its problems.
pub(super) fn validate(file: &Path, output: &Output) -> Result<Exit, Failure> {
    let bytes = input::read(file, "the job", output)?;
    match Job::parse_bytes(&bytes, &Limits::default()) {
        Ok(job) => {
            let tasks = job.tasks().len();
            let warnings = job.warnings();
            let mut answer = json!({"valid": true, "name": job.name(), "tasks": tasks});
            if !warnings.is_empty() {
                answer["warnings"] = warnings.clone().into();
            }
            output.checked(&answer, &format!("{} is a valid job with {tasks} tasks", job.name()))?;
            output.warn(&warnings);
            Ok(Exit::Success)
        }
        Err(problems) => {
            output.checked(&json!({"valid": false, "problems": problems}), "")?;
            Err(problems::invalid(file, &String::from_utf8_lossy(&bytes), problems.iter()))
        }
    }
}
