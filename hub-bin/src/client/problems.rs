//! What is wrong with a job file, shown in the file.

use std::path::Path;

use hub_core::job::{Job, Limits, Problem};
use hub_core::text::is_active;

use super::input::{name_of, read_job};
use super::output::Output;
use crate::exit::{Exit, Failure};

/// A line of the file is shown up to this width.
const WIDEST: usize = 120;

/// Checks a file and says what is wrong with it.
pub(super) fn validate(file: &Path, output: &Output) -> Result<Exit, Failure> {
    let text = read_job(file, output)?;
    match Job::parse(&text, &Limits::default()) {
        Ok(job) => {
            output.say(&format!("{} is a valid job with {} tasks", job.name(), job.tasks().len()));
            Ok(Exit::Success)
        }
        Err(problems) => Err(invalid(file, &text, problems.iter())),
    }
}

/// The failure that these problems of `text` make.
pub(super) fn invalid<'a>(file: &Path, text: &str, problems: impl Iterator<Item = &'a Problem>) -> Failure {
    let name = name_of(file);
    let shown: Vec<String> = problems.map(|problem| describe(&name, text, problem)).collect();
    let count = if shown.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", shown.len()) };
    Failure::new(Exit::Usage, format!("{name} is not a valid job: {count}{}", shown.concat()))
}

fn describe(name: &str, text: &str, problem: &Problem) -> String {
    let (Some(line), Some(column)) = (problem.line, problem.column) else {
        return format!("\n\n{problem}");
    };
    let mut shown = format!("\n\n{name}:{line}:{column}: {} [{}]", problem.message, problem.path);
    let index = usize::try_from(line).unwrap_or(1).saturating_sub(1);
    let before = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    // What is no text says nothing to a reader.
    let is_text = |line: &&str| !line.contains(|one| is_active(one) && one != '\t');
    if let Some(source) = text.lines().nth(index).filter(|_| before < WIDEST).filter(is_text) {
        let source: String = source.chars().take(WIDEST).map(|one| if one == '\t' { ' ' } else { one }).collect();
        shown.push_str(&format!("\n    {source}\n    {}^", " ".repeat(before)));
    }
    if let Some(suggestion) = &problem.suggestion {
        shown.push_str(&format!("\n    {suggestion}"));
    }
    shown
}
