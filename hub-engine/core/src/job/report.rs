//! Collects what is wrong with a job while it is read, and puts it in the order of its text.

use super::path::Path;
use super::position::Positions;
use super::problem::{Problem, ProblemCode, Problems};
use super::suggest::Effort;

/// Maximum number of problems described; further ones are only counted.
const LISTED: usize = 100;

/// The problems found so far.
pub(super) struct Report {
    found: Vec<(usize, Problem)>,
    beyond: usize,
    effort: Effort,
}

impl Report {
    pub(super) const fn new() -> Self {
        Self { found: Vec::new(), beyond: 0, effort: Effort::for_one_job() }
    }

    /// Notes a problem at a byte offset of the text.
    pub(super) fn add(
        &mut self,
        code: ProblemCode,
        path: Path<'_>,
        offset: usize,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) {
        if self.found.len() == LISTED {
            self.beyond += 1;
            return;
        }
        let (path, message) = (path.to_string(), message.into());
        self.found.push((offset, Problem { code, path, line: None, column: None, message, suggestion }));
    }

    /// A name near to `word`, as a suggestion. `None` also when enough problems are described already.
    pub(super) fn did_you_mean<'a>(
        &mut self,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<String> {
        if self.found.len() == LISTED { None } else { self.effort.did_you_mean(word, candidates) }
    }

    /// Whether nothing was noted.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// `Err` with the problems, if there are any, their offsets turned into lines and columns of `text`.
    pub(super) fn check(mut self, text: &str) -> Result<(), Problems> {
        if self.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(offset, _)| *offset);
        let mut positions = Positions::new(text);
        let placed = self.found.into_iter().map(|(offset, problem)| {
            let (line, column) = positions.of(offset);
            Problem { line: Some(line), column: Some(column), ..problem }
        });
        Err(Problems::new(placed.chain(more(self.beyond)).collect()))
    }
}

/// The entry that stands for problems beyond those listed.
fn more(beyond: usize) -> Option<Problem> {
    let plural = if beyond == 1 { "" } else { "s" };
    (beyond > 0).then(|| Problem {
        code: ProblemCode::More,
        path: Path::Root.to_string(),
        line: None,
        column: None,
        message: format!("… and {beyond} more problem{plural}"),
        suggestion: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_the_order_of_the_text_and_counts_the_rest() {
        let mut report = Report::new();
        let text = "\n".repeat(200);
        for offset in (0..102).rev() {
            report.add(ProblemCode::WrongType, Path::Root.index(offset), offset, "", None);
        }
        let problems: Vec<Problem> = report.check(&text).unwrap_err().into_iter().collect();
        assert_eq!(problems.len(), LISTED + 1);
        let lines: Vec<Option<u32>> = problems[..LISTED].iter().map(|problem| problem.line).collect();
        assert_eq!(lines, (3..=102).map(Some).collect::<Vec<_>>());
        assert_eq!(problems[LISTED].message, "… and 2 more problems");
        assert_eq!(problems[LISTED].code, ProblemCode::More);
    }
}
