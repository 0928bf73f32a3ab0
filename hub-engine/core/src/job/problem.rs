//! Problems of a job, described for its author.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One problem of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind of problem, for programs.
    pub code: ProblemCode,
    /// The place in the job as a JSON path: `$.tasks[1].depends[0]`.
    pub path: String,
    /// The line in the text, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in characters, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The description of the problem.
    pub message: String,
    /// The probable intention, or what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// Kinds of problems. Their names are stable.
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
    /// A key is not part of the format.
    UnknownKey,
    /// A key is set by Hub.
    ReservedKey,
    /// A key is planned and not supported yet.
    UnsupportedKey,
    /// An object has a duplicate key.
    DuplicateKey,
    /// A key does not go together with another one of its object.
    ConflictingKeys,
    /// The job has no tasks.
    NoTasks,
    /// A name is invalid.
    BadName,
    /// A value is not allowed: a number is out of range, or a text is too long.
    OutOfRange,
    /// Two tasks have the same name.
    DuplicateTask,
    /// No task has this name.
    UnknownTask,
    /// A string that begins with an underscore is not a valid reference.
    BadReference,
    /// There is no such definition.
    UnknownDefinition,
    /// The definition cannot be used.
    BadDefinition,
    /// The inputs do not match the input schema.
    BadInputs,
    /// The input schema is not valid, or not supported.
    BadSchema,
    /// The dependencies have a cycle.
    Cycle,
    /// There are more problems than are listed.
    More,
}

/// All problems of a job, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Asserts that there is at least one problem.
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        assert!(!problems.is_empty(), "a refused job has a problem");
        Self(problems)
    }

    /// The problems in the order of the text. If there are too many to list, the last entry contains the number of the
    /// others.
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
