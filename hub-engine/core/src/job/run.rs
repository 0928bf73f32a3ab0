//! What a task runs that has no module: a command, a shell script or an HTTP request.

use std::sync::{Arc, LazyLock};

use super::template::Template;
use crate::TaskKind;

/// What a task runs instead of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub(super) form: RunForm,
    /// Its keys and their values, in the order of the text. References are replaced in all of them; those that must not
    /// have any are literal.
    pub(super) parts: Box<[(&'static str, Template)]>,
}

/// The methods of HTTP requests.
pub(super) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Headers that Hub sets itself, since they say how a request is transmitted.
pub(super) const OWN_HEADERS: [&str; 6] =
    ["connection", "content-length", "expect", "te", "transfer-encoding", "upgrade"];

/// The form of what a task runs. The task has the key of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunForm {
    /// A program with its arguments.
    Command,
    /// A text for `sh -c`.
    Shell,
    /// An HTTP request.
    Http,
}

/// What a task needs of the worker that runs it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// This task module.
    Module(Arc<str>),
    /// That it allows tasks of this kind.
    Kind(TaskKind),
}

impl RunForm {
    /// All forms.
    pub const ALL: [Self; 3] = [Self::Command, Self::Shell, Self::Http];

    /// The key of a task that has this form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Shell => "shell",
            Self::Http => "http",
        }
    }

    /// The kind of tasks that have this form.
    #[must_use]
    pub const fn kind(self) -> TaskKind {
        match self {
            Self::Command | Self::Shell => TaskKind::Command,
            Self::Http => TaskKind::Http,
        }
    }

    /// Its key, shared: records show it as `task_name`.
    pub(super) fn shared_name(self) -> &'static Arc<str> {
        static NAMES: LazyLock<[Arc<str>; RunForm::ALL.len()]> =
            LazyLock::new(|| RunForm::ALL.map(|form| form.as_str().into()));
        &NAMES[self as usize]
    }
}

impl Run {
    /// Its form.
    #[must_use]
    pub const fn form(&self) -> RunForm {
        self.form
    }

    /// Its keys and their values.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        self.parts.iter().map(|(key, template)| (*key, template))
    }
}
