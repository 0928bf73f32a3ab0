//! The place of a value in a job as a JSON path: `$.tasks[1].depends[0]`.

use std::fmt;

use super::quoted::quoted;

/// A step of a path with a link to the previous step. It is stored on the stack of the function that traverses the
/// tree, so that a path costs nothing unless a problem contains it.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

/// Maximum length of a key that is shown without quotation marks. Longer keys are quoted and truncated.
const LONGEST_PLAIN: usize = 64;

impl<'p> Path<'p> {
    pub(super) const fn key(&'p self, key: &'p str) -> Self {
        Path::Key(self, key)
    }

    pub(super) const fn index(&'p self, index: usize) -> Self {
        Path::Index(self, index)
    }
}

impl Path<'_> {
    /// The JSON pointer to this place from the place `skipped` steps below the root.
    pub(super) fn pointer(&self, skipped: usize) -> String {
        let (mut steps, mut here) = (Vec::new(), self);
        loop {
            here = match here {
                Path::Root => break,
                Path::Key(parent, key) => {
                    steps.push(key.replace('~', "~0").replace('/', "~1"));
                    parent
                }
                Path::Index(parent, index) => {
                    steps.push(index.to_string());
                    parent
                }
            };
        }
        steps.iter().rev().skip(skipped).fold(String::new(), |pointer, step| format!("{pointer}/{step}"))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => f.write_str("$"),
            Path::Key(parent, key) if is_plain(key) => write!(f, "{parent}.{key}"),
            Path::Key(parent, key) => write!(f, "{parent}[{}]", quoted(key)),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

fn is_plain(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=LONGEST_PLAIN).contains(&key.len()) && key.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keys_with_special_characters() {
        let root = Path::Root;
        let tasks = root.key("tasks");
        let task = tasks.index(3);
        assert_eq!(task.key("x-owner").to_string(), "$.tasks[3].x-owner");
        assert_eq!(task.key("a.b\n").to_string(), r#"$.tasks[3]["a.b\n"]"#);
        assert_eq!(task.key("").to_string(), r#"$.tasks[3][""]"#);
        assert_eq!(task.key("a/b~").index(0).pointer(2), "/a~1b~0/0");
    }
}
