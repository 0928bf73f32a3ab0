//! What is wrong with a cron expression.

/// A correction of a part of the text.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    /// The place of the part, in bytes.
    pub(super) from: usize,
    pub(super) to: usize,
    /// What to write there.
    pub(super) text: String,
}

/// A problem that was found while reading an ASCII text.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// The place in the text, in bytes, which are characters here.
    pub(super) at: usize,
    pub(super) message: String,
    pub(super) edit: Option<Edit>,
}

impl Problem {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), edit: None }
    }

    /// With a replacement for a part of the text.
    pub(super) fn replacing(self, from: usize, to: usize, text: impl Into<String>) -> Self {
        Self { edit: Some(Edit { from, to, text: text.into() }), ..self }
    }
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The place in the text, in characters from 0. `None` if the whole text is the problem.
    pub(crate) position: Option<usize>,
    pub(crate) message: String,
    /// An expression that is accepted.
    pub(crate) suggestion: Option<String>,
}

/// The text after the corrections of all problems. `None` if a problem has no correction.
pub(super) fn corrected(text: &str, problems: &[Problem]) -> Option<String> {
    let mut edits = problems.iter().map(|problem| problem.edit.as_ref()).collect::<Option<Vec<_>>>()?;
    edits.sort_by_key(|edit| edit.from);
    let mut result = String::new();
    let mut done = 0;
    for edit in edits {
        result.push_str(text.get(done..edit.from)?);
        result.push_str(&edit.text);
        done = edit.to;
    }
    result.push_str(text.get(done..)?);
    Some(result.trim_matches([' ', '\t']).to_owned())
}
