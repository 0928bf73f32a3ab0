//! Checks a job file without a Hub.

use std::path::Path;

use hub_core::job::{Job, Limits, Problem};
use serde_json::json;

use super::job_file::{JobFile, NotAJob, without_definitions};
use super::output::Output;
use super::{problems, schedules};
use crate::exit::{Exit, Failure};

/// Checks a file and reports its problems. Definitions that the job refers to are not known here.
pub(super) fn validate(file: &Path, output: &Output) -> Result<Exit, Failure> {
    let file = match JobFile::open(file, output)? {
        Ok(opened) => opened,
        Err(NotAJob { source, problems }) => {
            output.checked(&json!({"valid": false, "problems": problems}), "")?;
            return Err(problems::invalid(file, "job", &source, problems.iter()));
        }
    };
    if schedules::is_schedule(file.json()) {
        return schedules::validate(&file.of_schedule(), output);
    }
    match without_definitions(|library| Job::parse_with(file.json(), &Limits::default(), library)) {
        Ok(job) => {
            let tasks = job.tasks().len();
            let warnings = job.warnings();
            let mut answer = json!({"valid": true, "name": job.name(), "tasks": tasks});
            if !warnings.is_empty() {
                answer["warnings"] = warnings.clone().into();
            }
            let line = match job.definition() {
                // Its tasks are not known here.
                Some(pin) => {
                    answer = json!({"valid": true, "definition": pin.name});
                    format!("a valid start of the definition {}", pin.name)
                }
                None => format!("{} is a valid job with {tasks} tasks", job.name()),
            };
            output.checked(&answer, &line)?;
            output.warn(&warnings);
            Ok(Exit::Success)
        }
        Err(problems) => {
            let problems: Vec<Problem> = problems.iter().map(|problem| file.in_file(problem)).collect();
            output.checked(&json!({"valid": false, "problems": problems}), "")?;
            Err(file.invalid_in_file(&problems))
        }
    }
}
