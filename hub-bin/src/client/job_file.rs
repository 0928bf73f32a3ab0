//! Files with a job, in JSON or YAML.

use std::path::{Path, PathBuf};

use hub_core::definition::{Definition, Library, Pin, Reference, Which};
use hub_core::job::{Job, Limits, Problem, ProblemCode, Problems};
use hub_engine::operations::{RequestError, RequestErrorKind};

use super::output::Output;
use super::yaml::{self, Converted};
use super::{input, problems};
use crate::exit::Failure;

/// The endings of the names of YAML files.
const YAML: [&str; 2] = ["yaml", "yml"];

/// A file with a job.
pub(super) struct JobFile {
    pub(super) path: PathBuf,
    /// What it is to be.
    what: &'static str,
    /// The text of the file.
    source: String,
    /// How it became JSON, if it is YAML.
    converted: Option<Converted>,
}

/// A file whose text is no job in any language.
pub(super) struct NotAJob {
    /// The text of the file.
    pub(super) source: String,
    pub(super) problems: Vec<Problem>,
}

impl JobFile {
    /// Reads a file, or standard input.
    ///
    /// # Errors
    /// If it cannot be read, is not text, or is not YAML although it is meant as such.
    pub(super) fn read(path: &Path, output: &Output) -> Result<Self, Failure> {
        Self::read_as("job", path, output)
    }

    /// The same for a file that is to be a `what`.
    ///
    /// # Errors
    /// Those of [`JobFile::read`].
    pub(super) fn read_as(what: &'static str, path: &Path, output: &Output) -> Result<Self, Failure> {
        let read = Self::open_as(what, path, output)?;
        read.map_err(|NotAJob { source, problems }| problems::invalid(path, what, &source, problems.iter()))
    }

    /// Reads a file, or standard input. Within the result: what is wrong with the text.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn open(path: &Path, output: &Output) -> Result<Result<Self, NotAJob>, Failure> {
        Self::open_as("job", path, output)
    }

    fn open_as(what: &'static str, path: &Path, output: &Output) -> Result<Result<Self, NotAJob>, Failure> {
        let source = match String::from_utf8(input::read(path, &format!("the {what}"), output)?) {
            Ok(source) => source,
            Err(error) => {
                let problems = Job::parse_bytes(error.as_bytes(), &Limits::default()).err();
                let source = String::from_utf8_lossy(error.as_bytes()).into_owned();
                return Ok(Err(NotAJob { source, problems: problems.into_iter().flatten().collect() }));
            }
        };
        let is_yaml = match path.extension().and_then(|extension| extension.to_str()) {
            Some(extension) => YAML.iter().any(|yaml| extension.eq_ignore_ascii_case(yaml)),
            None => is_meant_as_yaml(&source),
        };
        let converted = match is_yaml.then(|| yaml::convert(&source)).transpose() {
            Ok(converted) => converted,
            Err(problem) => return Ok(Err(NotAJob { source, problems: vec![problem] })),
        };
        Ok(Ok(Self { path: path.to_owned(), what, source, converted }))
    }

    /// The same file, which is to be a schedule.
    pub(super) fn of_schedule(self) -> Self {
        Self { what: "schedule", ..self }
    }

    /// The job as JSON.
    pub(super) fn json(&self) -> &str {
        self.converted.as_ref().map_or(&self.source, |converted| &converted.json)
    }

    /// The failure for these problems of the job.
    pub(super) fn invalid<'a>(&self, found: impl Iterator<Item = &'a Problem>) -> Failure {
        let found: Vec<Problem> = found.map(|problem| self.in_file(problem)).collect();
        self.invalid_in_file(&found)
    }

    /// The failure for these problems, which have their places in the file.
    pub(super) fn invalid_in_file(&self, found: &[Problem]) -> Failure {
        problems::invalid(&self.path, self.what, &self.source, found.iter())
    }

    /// The same problem with its place in the file.
    pub(super) fn in_file(&self, problem: &Problem) -> Problem {
        self.converted.as_ref().map_or_else(|| problem.clone(), |converted| converted.in_yaml(problem))
    }

    /// The failure for a refused submission.
    pub(super) fn refused(&self, error: RequestError) -> Failure {
        match error.kind {
            RequestErrorKind::InvalidJob if !error.problems.is_empty() => self.invalid(error.problems.iter()),
            _ => error.into(),
        }
    }

    /// Refuses a job that every dispatcher would refuse, so that mistakes are found without a connection. Problems that depend on
    /// the dispatcher's limits, its version or its definitions are left to the dispatcher, which checks every job.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let limits =
            Limits { max_bytes: usize::MAX, max_tasks: usize::MAX, max_depth: Limits::MAX_DEPTH, ..Limits::default() };
        let Err(problems) = without_definitions(|library| Job::parse_with(self.json(), &limits, library)) else {
            return Ok(());
        };
        let depends =
            |problem: &Problem| matches!(problem.code, ProblemCode::LimitExceeded | ProblemCode::UnsupportedKey);
        if problems.iter().all(depends) { Ok(()) } else { Err(self.invalid(problems.iter())) }
    }
}

/// Parses a job as if each definition that it refers to were there.
pub(super) fn without_definitions(parse: impl Fn(&Library) -> Result<Job, Problems>) -> Result<Job, Problems> {
    let library = Library::default();
    let parsed = parse(&library);
    let missing = library.take_missing();
    if missing.is_empty() {
        return parsed;
    }
    for reference in missing {
        let definition = stand_in(&reference);
        library.insert(reference, Some(definition.into()));
    }
    parse(&library)
}

/// A definition that is valid, and stands for one that is not known here.
fn stand_in(reference: &Reference) -> Definition {
    let version = if let Which::Version(version) = reference.which { version } else { 1 };
    let pin = Pin { name: reference.name.clone(), version };
    let text = r#"{"name": "unknown", "tasks": [{"name": "unknown"}]}"#.into();
    Definition { pin, text, created_at: hub_core::Timestamp::default(), by: None }
}

/// Whether a text without a file name is YAML: it does not begin like JSON, but with a key or the marks of a document.
fn is_meant_as_yaml(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or_default();
    let key = first.split_once(':').map(|(key, _)| key);
    let is_key =
        |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte));
    first.starts_with("---") || first.starts_with("%YAML") || key.is_some_and(is_key)
}
