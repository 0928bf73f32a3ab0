//! What is wrong with a job, said so that its author can mend it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that is wrong with a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// For programs.
    pub code: ProblemCode,
    /// Where in the job, as a JSON path: `$.tasks[1].depends[0]`.
    pub path: String,
    /// Where in the text, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Where in the line, in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What is wrong.
    pub message: String,
    /// What was probably meant, or what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// Kinds of problems. Their names do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The text is not UTF-8.
    NotUtf8,
    /// The text is not JSON.
    NotJson,
    /// A limit is exceeded.
    LimitExceeded,
    /// A value has the wrong type.
    WrongType,
    /// A required key is missing.
    MissingKey,
    /// A key is not of the format.
    UnknownKey,
    /// A key is Hub's to set.
    ReservedKey,
    /// A key is planned and does nothing yet.
    UnsupportedKey,
    /// A key stands twice in one object.
    DuplicateKey,
    /// The job has no tasks.
    NoTasks,
    /// A name cannot be used.
    BadName,
    /// A number is out of range.
    OutOfRange,
    /// Two tasks have one name.
    DuplicateTask,
    /// No task has this name.
    UnknownTask,
    /// A string that begins with an underscore is no reference.
    BadReference,
    /// Tasks wait for each other.
    Cycle,
    /// There are more problems than are listed.
    More,
}

/// Everything that is wrong with a job; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Keeps the invariant: there is at least one.
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        assert!(!problems.is_empty(), "a refusal names a problem");
        Self(problems)
    }

    /// The problems in the order of the text; last, where they are too many to list, how many more there are.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}: ")?;
        }
        write!(f, "{}: {}", self.path, self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, " ({suggestion})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
