//! Shows the problems of a job file with the lines of the file.

use std::path::Path;

use hub_core::job::Problem;
use hub_core::text::is_active;

use crate::exit::{Exit, Failure};

/// The name of standard input on the command line.
pub(super) const STDIN: &str = "-";
/// Maximum number of characters of a line that are shown.
const MAX_WIDTH: usize = 120;

/// The failure for these problems of `text`, which is to be a `what`.
pub(super) fn invalid<'a>(file: &Path, what: &str, text: &str, problems: impl Iterator<Item = &'a Problem>) -> Failure {
    let name = name_of(file);
    let shown: Vec<String> = problems.map(|problem| describe(&name, text, problem)).collect();
    let count = if shown.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", shown.len()) };
    Failure::new(Exit::Usage, format!("{name} is not a valid {what}: {count}{}", shown.concat()))
}

fn describe(name: &str, text: &str, problem: &Problem) -> String {
    let (Some(line), Some(column)) = (problem.line, problem.column) else {
        return format!("\n\n{problem}");
    };
    let mut shown = format!("\n\n{name}:{line}:{column}: {} [{}]", problem.message, problem.path);
    let index = usize::try_from(line).unwrap_or(1).saturating_sub(1);
    let before = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    // A line with control characters is not shown.
    let is_text = |line: &&str| !line.contains(|one| is_active(one) && one != '\t');
    if let Some(source) = text.lines().nth(index).filter(|_| before < MAX_WIDTH).filter(is_text) {
        let source: String = source.chars().take(MAX_WIDTH).map(|one| if one == '\t' { ' ' } else { one }).collect();
        shown.push_str(&format!("\n    {source}\n    {}^", " ".repeat(before)));
    }
    if let Some(suggestion) = &problem.suggestion {
        shown.push_str(&format!("\n    {suggestion}"));
    }
    shown
}

/// The name of a file in messages.
pub(super) fn name_of(path: &Path) -> String {
    if path == Path::new(STDIN) { "standard input".to_owned() } else { path.display().to_string() }
}
