//! Collects the problems of a job while it is read, and sorts them in the order of the text.

use super::path::Path;
use super::position::Positions;
use super::problem::{Problem, ProblemCode, Problems};
use super::suggest::SearchBudget;

/// Maximum number of problems described. Further problems are only counted.
const MAX_LISTED: usize = 100;

/// The problems found so far.
pub(super) struct Report {
    found: Vec<(usize, Problem)>,
    beyond: usize,
    budget: SearchBudget,
}

impl Report {
    pub(super) const fn new() -> Self {
        Self { found: Vec::new(), beyond: 0, budget: SearchBudget::for_job() }
    }

    /// Adds a problem at a byte offset of the text.
    pub(super) fn add(
        &mut self,
        code: ProblemCode,
        path: Path<'_>,
        offset: usize,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) {
        if self.found.len() == MAX_LISTED {
            self.beyond += 1;
            return;
        }
        let (path, message) = (path.to_string(), message.into());
        self.found.push((offset, Problem { code, path, line: None, column: None, message, suggestion }));
    }

    /// A report for a job inside of this one. Both share the budget for suggestions.
    pub(super) fn enter(&mut self) -> Self {
        Self { budget: std::mem::replace(&mut self.budget, SearchBudget::spent()), ..Self::new() }
    }

    /// Adds the problems of a job inside of this one, which is at `path` and at this byte offset.
    pub(super) fn leave(&mut self, inner: Self, path: Path<'_>, at: usize) {
        self.budget = inner.budget;
        self.beyond += inner.beyond;
        for (offset, mut problem) in inner.found {
            if self.found.len() == MAX_LISTED {
                self.beyond += 1;
                continue;
            }
            problem.path = format!("{path}{}", problem.path.strip_prefix('$').unwrap_or_default());
            self.found.push((at + offset, problem));
        }
    }

    /// Suggests a candidate similar to `word`. Returns `None` also if the maximum number of problems is reached.
    pub(super) fn did_you_mean<'a>(
        &mut self,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<String> {
        if self.found.len() == MAX_LISTED { None } else { self.budget.did_you_mean(word, candidates) }
    }

    /// Whether there are no problems.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns `Err` with the problems, if there are any. Their offsets are converted to lines and columns of `text`.
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
        assert_eq!(problems.len(), MAX_LISTED + 1);
        let lines: Vec<Option<u32>> = problems[..MAX_LISTED].iter().map(|problem| problem.line).collect();
        assert_eq!(lines, (3..=102).map(Some).collect::<Vec<_>>());
        assert_eq!(problems[MAX_LISTED].message, "… and 2 more problems");
        assert_eq!(problems[MAX_LISTED].code, ProblemCode::More);
    }
}
