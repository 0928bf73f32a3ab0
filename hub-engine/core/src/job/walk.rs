//! Finds all places that a job refers to in a value, in one traversal.
//!
//! The value is read as text. No tree is built, each byte is read once, and the result is a slice of the same text.

use std::fmt;
use std::ops::Range;

use super::places::{Children, ROOT, Tree};
use super::reference::Attribute;
use super::value::{Cursor, Kind, Value};

/// A reference whose path leads to no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError {
    /// The position of the task referred to.
    pub task: u32,
    /// The attribute of the task.
    pub attribute: Attribute,
    /// The path, as written.
    pub path: Box<[Box<str>]>,
    /// The index of the step that does not exist.
    pub step: usize,
    /// The value that has no such step: `an object without it`, `a list of 3`, `a number`.
    pub found: String,
}

/// The locations of the places of a tree in a value.
#[derive(Debug)]
pub(super) struct Located {
    /// In the order of the tree's nodes.
    spots: Box<[Spot]>,
}

/// The location of one place.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// The begin and the end of the text.
    start: u32,
    end: u32,
    /// The number of the visit to this place, from 1. A duplicate key is visited twice, and the last visit counts, as
    /// in most JSON parsers.
    visit: u32,
    /// The visit to the parent from which this place was reached.
    from: u32,
    kind: Kind,
    /// The number of elements of a list.
    length: u32,
}

impl Located {
    /// Traverses a value.
    pub(super) fn new(tree: &Tree, value: &str) -> Self {
        let unvisited = Spot { start: 0, end: 0, visit: 0, from: 0, kind: Kind::Null, length: 0 };
        let mut walk = Walk { tree, spots: vec![unvisited; tree.len()], visits: 0 };
        let mut cursor = Value::of_job(value).cursor();
        walk.visit(&mut cursor, ROOT, 0);
        Self { spots: walk.spots.into() }
    }

    /// The range of a place in the text, or the first step that does not exist and a description of its parent.
    pub(super) fn find(&self, tree: &Tree, node: u32) -> Result<Range<usize>, (usize, String)> {
        let spot = |node: u32| &self.spots[node as usize];
        // From the end of the path to its beginning, so that the first missing step is reported.
        let (mut here, mut steps, mut missing) = (node, 0, None);
        while here != ROOT {
            let parent = tree.node(here).parent;
            if spot(here).from != spot(parent).visit {
                missing = Some((steps, parent));
            }
            (here, steps) = (parent, steps + 1);
        }
        match missing {
            Some((from_end, parent)) => Err((steps - 1 - from_end, spot(parent).describe())),
            None => Ok(spot(node).start as usize..spot(node).end as usize),
        }
    }
}

impl Spot {
    /// Describes the value for the error message.
    fn describe(&self) -> String {
        match self.kind {
            Kind::Object => "an object without it".to_owned(),
            Kind::List => format!("a list of {}", self.length),
            Kind::String => "a string".to_owned(),
            Kind::Number => "a number".to_owned(),
            Kind::Boolean => "a boolean".to_owned(),
            Kind::Null => "null".to_owned(),
        }
    }
}

/// A traversal of a value.
struct Walk<'t> {
    tree: &'t Tree,
    spots: Vec<Spot>,
    visits: u32,
}

impl Walk<'_> {
    /// Traverses the next value, which is at `node`. The depth of the recursion is the length of the paths, at most
    /// `MAX_STEPS`.
    fn visit(&mut self, cursor: &mut Cursor<'_>, node: u32, from: u32) {
        self.visits += 1;
        let (visit, start, kind) = (self.visits, cursor.at() as u32, cursor.kind());
        let length = match (kind, &self.tree.node(node).children) {
            (Kind::List, Some(children)) => self.list(cursor, children, visit),
            (Kind::Object, Some(children)) => {
                self.object(cursor, children, visit);
                0
            }
            _ => {
                cursor.value();
                0
            }
        };
        self.spots[node as usize] = Spot { start, end: cursor.at() as u32, visit, from, kind, length };
    }

    fn object(&mut self, cursor: &mut Cursor<'_>, children: &Children, visit: u32) {
        cursor.enter();
        while cursor.has_next() {
            match child(children, cursor.key()) {
                Some(child) => self.visit(cursor, child, visit),
                None => drop(cursor.value()),
            }
        }
    }

    fn list(&mut self, cursor: &mut Cursor<'_>, children: &Children, visit: u32) -> u32 {
        let mut wanted = children.indices.iter().peekable();
        let mut length = 0;
        cursor.enter();
        while cursor.has_next() {
            match wanted.next_if(|(index, _)| **index == length) {
                Some((_, child)) => self.visit(cursor, *child, visit),
                None => drop(cursor.value()),
            }
            length += 1;
        }
        length as u32
    }
}

/// The place of a key of an object. A result may contain keys with lone surrogates. They match no step and are ignored.
fn child(children: &Children, key: Value<'_>) -> Option<u32> {
    let written = &key.text[1..key.text.len() - 1];
    if written.contains('\\') {
        let meant: String = serde_json::from_str(key.text).ok()?;
        children.keys.get(&*meant).copied()
    } else {
        children.keys.get(written).copied()
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let walked = &self.path[..self.step];
        write!(f, "nothing at {:?}: .{}", self.path[self.step], self.attribute)?;
        walked.iter().try_for_each(|step| write!(f, ".{step}"))?;
        write!(f, " is {}", self.found)
    }
}

impl std::error::Error for ResolveError {}

#[cfg(test)]
mod tests {
    use super::super::places::Places;
    use super::*;

    /// Finds all paths in the value in one traversal.
    fn find<'v>(value: &'v str, paths: &[&[&str]]) -> Vec<Result<&'v str, (usize, String)>> {
        let mut places = Places::default();
        let nodes: Vec<u32> = paths.iter().map(|path| places.add(0, Attribute::Data, path)).collect();
        let tree = places.of(0, Attribute::Data).unwrap();
        let located = Located::new(tree, value);
        nodes.into_iter().map(|node| located.find(tree, node).map(|range| &value[range])).collect()
    }

    #[test]
    fn finds_the_text_itself() {
        assert_eq!(find(r#"{"a": 1, "b" : [ 1.0 ] }"#, &[&["b"], &["b", "0"]]), [Ok("[ 1.0 ]"), Ok("1.0")]);
        assert_eq!(find(r#"{"0": null}"#, &[&["0"]]), [Ok("null")]);
        assert_eq!(find("[10, 11, 12]", &[&["2"], &["0"]]), [Ok("12"), Ok("10")]);
        let nested = r#" {"a": {"b": [[], {"c": "]}"}]}, "d": 1}"#;
        let paths: [&[&str]; 4] = [&["d"], &["a", "b", "1", "c"], &["a", "b"], &["a", "b", "0"]];
        assert_eq!(find(nested, &paths), [Ok("1"), Ok(r#""]}""#), Ok(r#"[[], {"c": "]}"}]"#), Ok("[]")]);
    }

    #[test]
    fn the_last_of_duplicate_keys_counts() {
        let twice = r#"{"a": {"b": 1, "c": 2}, "\u0061": {"b": 3}}"#;
        let without = Err((1, "an object without it".to_owned()));
        assert_eq!(find(twice, &[&["a", "b"], &["a", "c"]]), [Ok("3"), without]);
        assert_eq!(find(r#"{"a": {"b": 1}, "a": 2}"#, &[&["a", "b"]]), [Err((1, "a number".to_owned()))]);
    }

    #[test]
    fn describes_the_parent_of_a_missing_step() {
        assert_eq!(find("{}", &[&["a", "b"]]), [Err((0, "an object without it".to_owned()))]);
        for step in ["3", "-0", "-1", "+1", "01", "00", "1.5", "a", "99999999999999999999999"] {
            assert_eq!(find("[1, 2, 3]", &[&[step]]), [Err((0, "a list of 3".to_owned()))], "{step}");
        }
        for (value, kind) in [("\"x\"", "a string"), ("true", "a boolean"), ("null", "null"), ("-1", "a number")] {
            assert_eq!(find(value, &[&["0"]]), [Err((0, kind.to_owned()))]);
        }
    }

    #[test]
    fn ignores_lone_surrogates() {
        assert_eq!(find(r#"{"\ud800": "\udfff", "a": "\ud800"}"#, &[&["a"]]), [Ok(r#""\ud800""#)]);
    }
}
