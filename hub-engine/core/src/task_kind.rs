//! The kinds of tasks, of which a worker allows some.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kind of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskKind {
    /// Tasks that run a task module.
    Modules,
    /// Tasks that run a command or a shell script.
    Command,
    /// Tasks that send an HTTP request.
    Http,
}

/// Some of the kinds of tasks. By default, a worker allows task modules only: it is configured for commands and requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskKinds([bool; TaskKind::ALL.len()]);

impl TaskKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Modules, Self::Command, Self::Http];

    /// The word for it in settings and in heartbeats.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::Command => "command",
            Self::Http => "http",
        }
    }

    /// The kind of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl TaskKinds {
    /// No kind.
    #[must_use]
    pub const fn none() -> Self {
        Self([false; TaskKind::ALL.len()])
    }

    /// All kinds.
    #[must_use]
    pub const fn all() -> Self {
        Self([true; TaskKind::ALL.len()])
    }

    /// The same kinds and this one.
    #[must_use]
    pub const fn with(mut self, kind: TaskKind) -> Self {
        self.0[kind as usize] = true;
        self
    }

    /// Whether this kind is one of them.
    #[must_use]
    pub const fn contains(self, kind: TaskKind) -> bool {
        self.0[kind as usize]
    }

    /// The kinds, in their order.
    pub fn iter(self) -> impl Iterator<Item = TaskKind> {
        TaskKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl Default for TaskKinds {
    fn default() -> Self {
        Self::none().with(TaskKind::Modules)
    }
}

impl FromIterator<TaskKind> for TaskKinds {
    fn from_iter<T: IntoIterator<Item = TaskKind>>(kinds: T) -> Self {
        kinds.into_iter().fold(Self::none(), Self::with)
    }
}

impl Serialize for TaskKinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(TaskKind::as_str))
    }
}

impl<'de> Deserialize<'de> for TaskKinds {
    /// Words of a newer Hub are ignored.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        Ok(words.iter().filter_map(|word| TaskKind::from_word(word)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_as_words_and_unknown_words_are_ignored() {
        let kinds: TaskKinds = serde_json::from_str(r#"["http", "modules", "sql"]"#).unwrap();
        assert_eq!(serde_json::to_string(&kinds).unwrap(), r#"["modules","http"]"#);
        assert!(!kinds.contains(TaskKind::Command) && TaskKinds::all().contains(TaskKind::Command));
        assert_eq!(serde_json::to_string(&TaskKinds::default()).unwrap(), r#"["modules"]"#);
    }
}
