//! Finds the places that a job refers to in a value: all of them in one walk.
//!
//! The value is read as text. Nothing is built of it, each byte is read once, and what is found is a piece of that
//! same text.

use std::fmt;
use std::ops::Range;

use super::places::{Children, ROOT, Tree};
use super::reference::Attribute;
use super::value::{Cursor, Kind, Value};

/// A reference that found nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError {
    /// The position of the task referred to.
    pub task: u32,
    /// What of it.
    pub attribute: Attribute,
    /// The path, as written.
    pub path: Box<[Box<str>]>,
    /// Which step of the path found nothing.
    pub step: usize,
    /// What was there instead: `an object without it`, `a list of 3`, `a number`.
    pub found: String,
}

/// Where the places of a tree are in a value.
#[derive(Debug)]
pub(super) struct Located {
    /// In the order of the tree's nodes.
    spots: Box<[Spot]>,
}

/// Where one place is.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// Where the text begins and ends.
    start: u32,
    end: u32,
    /// The number of the visit to this place, from 1. A key that stands twice in an object is visited twice, and the
    /// last visit counts, as for every other reader of JSON.
    visit: u32,
    /// The visit to the place around it that came here.
    from: u32,
    kind: Kind,
    /// The number of elements, where it is a list.
    length: u32,
}

impl Located {
    /// Walks through a value.
    pub(super) fn new(tree: &Tree, value: &str) -> Self {
        let nowhere = Spot { start: 0, end: 0, visit: 0, from: 0, kind: Kind::Null, length: 0 };
        let mut walk = Walk { tree, spots: vec![nowhere; tree.len()], visits: 0 };
        let mut cursor = Value::of_job(value).cursor();
        walk.visit(&mut cursor, ROOT, 0);
        Self { spots: walk.spots.into() }
    }

    /// Where a place is in the text, or which step of the path found nothing and what is there instead.
    pub(super) fn find(&self, tree: &Tree, node: u32) -> Result<Range<usize>, (usize, String)> {
        let spot = |node: u32| &self.spots[node as usize];
        // From the end of the path to its beginning: of several steps that lead nowhere the first one counts.
        let (mut here, mut steps, mut lost) = (node, 0, None);
        while here != ROOT {
            let around = tree.node(here).parent;
            if spot(here).from != spot(around).visit {
                lost = Some((steps, around));
            }
            (here, steps) = (around, steps + 1);
        }
        match lost {
            Some((from_end, around)) => Err((steps - 1 - from_end, spot(around).describe())),
            None => Ok(spot(node).start as usize..spot(node).end as usize),
        }
    }
}

impl Spot {
    /// What is here, where a step was expected to lead on.
    fn describe(&self) -> String {
        match self.kind {
            Kind::Object => "an object without it".to_owned(),
            Kind::List => format!("a list of {}", self.length),
            Kind::String => "a string".to_owned(),
            Kind::Number => "a number".to_owned(),
            Kind::Truth => "a truth value".to_owned(),
            Kind::Null => "null".to_owned(),
        }
    }
}

/// A walk through a value.
struct Walk<'t> {
    tree: &'t Tree,
    spots: Vec<Spot>,
    visits: u32,
}

impl Walk<'_> {
    /// Goes through the value that stands next, which is at `node`. Recurses as deep as paths are long, which
    /// `MOST_STEPS` bounds.
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
        while cursor.finds_more() {
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
        while cursor.finds_more() {
            match wanted.next_if(|(index, _)| **index == length) {
                Some((_, child)) => self.visit(cursor, *child, visit),
                None => drop(cursor.value()),
            }
            length += 1;
        }
        length as u32
    }
}

/// The place that a key of an object leads to. A result may come with keys that are half of a surrogate pair, which no
/// step of a path can be, and is not unreadable for that.
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

    /// What each path finds in the value, all found in one walk.
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
    fn of_a_key_that_stands_twice_the_last_one_counts() {
        let twice = r#"{"a": {"b": 1, "c": 2}, "\u0061": {"b": 3}}"#;
        let without = Err((1, "an object without it".to_owned()));
        assert_eq!(find(twice, &[&["a", "b"], &["a", "c"]]), [Ok("3"), without]);
        assert_eq!(find(r#"{"a": {"b": 1}, "a": 2}"#, &[&["a", "b"]]), [Err((1, "a number".to_owned()))]);
    }

    #[test]
    fn what_is_there_instead_is_named() {
        assert_eq!(find("{}", &[&["a", "b"]]), [Err((0, "an object without it".to_owned()))]);
        for step in ["3", "-0", "-1", "+1", "01", "00", "1.5", "a", "99999999999999999999999"] {
            assert_eq!(find("[1, 2, 3]", &[&[step]]), [Err((0, "a list of 3".to_owned()))], "{step}");
        }
        for (value, kind) in [("\"x\"", "a string"), ("true", "a truth value"), ("null", "null"), ("-1", "a number")] {
            assert_eq!(find(value, &[&["0"]]), [Err((0, kind.to_owned()))]);
        }
    }

    #[test]
    fn half_a_surrogate_pair_beside_the_key_does_no_harm() {
        assert_eq!(find(r#"{"\ud800": "\udfff", "a": "\ud800"}"#, &[&["a"]]), [Ok(r#""\ud800""#)]);
    }
}
