//! Circles of imports: files of a crate that depend on each other, so that none can be read or changed without the others.
//!
//! A file depends on the file that defines what it names. A re-export is no dependency of the file that it is in: names are
//! followed through it to their definition. So an index (`mod.rs`) that declares and re-exports its children is in no circle; one
//! that defines what its children need, and itself needs its children, is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::files::Files;
use super::modules::{Crate, Named};

/// Files that depend on each other in a cycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    /// All files of the cycle, sorted.
    pub files: Vec<String>,
    /// The shortest path from the first file back to itself.
    path: Vec<String>,
    /// All dependencies between them.
    edges: Vec<Edge>,
}

/// A dependency of a file on the definition of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    line: usize,
    names: BTreeSet<String>,
}

/// The dependencies of a crate: from file, to file.
type Edges = BTreeMap<(String, String), Edge>;

/// All cycles of all crates among these files.
#[must_use]
pub fn circles(files: &Files) -> Vec<Circle> {
    let roots = files.keys().filter(|path| path.ends_with("src/lib.rs") || path.contains("src/bin/"));
    roots.flat_map(|root| circles_among(&Crate::read(root, files).edges())).collect()
}

fn circles_among(edges: &Edges) -> Vec<Circle> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for edge in edges.values() {
        next.entry(&edge.from).or_default().push(&edge.to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|file| (*file, reach(file, &next))).collect();
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for (file, from_here) in &reached {
        if !from_here.contains(file) || placed.contains(file) {
            continue;
        }
        let leads_back = |other: &&&str| reached.get(**other).is_some_and(|from_there| from_there.contains(file));
        let members: Vec<&str> = from_here.iter().filter(leads_back).copied().collect();
        placed.extend(&members);
        let inside = |edge: &&Edge| members.contains(&&*edge.from) && members.contains(&&*edge.to);
        found.push(Circle {
            path: shortest(file, &next),
            edges: edges.values().filter(inside).cloned().collect(),
            files: members.into_iter().map(str::to_owned).collect(),
        });
    }
    found
}

/// All files that `from` depends on, directly or indirectly.
fn reach<'a>(from: &str, next: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = next.get(from).cloned().unwrap_or_default();
    while let Some(file) = open.pop() {
        if reached.insert(file) {
            open.extend(next.get(file).into_iter().flatten());
        }
    }
    reached
}

/// The shortest path from a file back to itself.
fn shortest(file: &str, next: &BTreeMap<&str, Vec<&str>>) -> Vec<String> {
    let mut open = VecDeque::from([vec![file]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = open.pop_front() {
        for to in path.last().and_then(|last| next.get(last)).into_iter().flatten() {
            if *to == file {
                return path.iter().chain([to]).map(|file| (*file).to_owned()).collect();
            }
            if seen.insert(*to) {
                open.push_back(path.iter().chain([to]).copied().collect());
            }
        }
    }
    Vec::new()
}

/// The target of a path.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A module.
    Module(usize),
    /// An item of this module, or a part of that item.
    ItemOf(usize),
}

impl Crate {
    /// The dependencies between files.
    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (at, module) in self.modules.iter().enumerate() {
            let imported = module.imports.iter().filter(|import| import.is_private).map(|import| &import.from);
            for named in imported.chain(&module.paths) {
                if let Some(Place::ItemOf(owner)) = self.resolve(at, &named.segments, &mut Vec::new()) {
                    self.add_edge(&mut edges, at, owner, named);
                }
            }
        }
        edges
    }

    fn add_edge(&self, edges: &mut Edges, from: usize, to: usize, named: &Named) {
        let (from, to) = (&self.modules[from].file, &self.modules[to].file);
        if from == to {
            return;
        }
        let edge = edges.entry((from.clone(), to.clone())).or_insert_with(|| Edge {
            from: from.clone(),
            to: to.clone(),
            line: named.line,
            names: BTreeSet::new(),
        });
        edge.line = edge.line.min(named.line);
        edge.names.extend(named.segments.last().cloned());
    }

    /// Where a path leads that is written in the module `from`. `None`: out of the crate, or to a local variable.
    /// `seen` has the names that are looked for already, because imports may lead to each other.
    fn resolve(&self, from: usize, path: &[String], seen: &mut Vec<(usize, String)>) -> Option<Place> {
        let mut place = Place::Module(from);
        for (position, segment) in path.iter().enumerate() {
            let Place::Module(at) = place else { break };
            place = match segment.as_str() {
                "crate" if position == 0 => Place::Module(0),
                "self" if position == 0 => Place::Module(from),
                "super" => Place::Module(self.modules[at].parent?),
                name => self.look_up(at, name, position + 1 == path.len(), seen)?,
            };
        }
        Some(place)
    }

    /// Resolves a name in a module. If a module and an item have the same name, the last name of a path is the item.
    fn look_up(&self, at: usize, name: &str, is_last: bool, seen: &mut Vec<(usize, String)>) -> Option<Place> {
        let module = &self.modules[at];
        let child = module.children.get(name).map(|child| Place::Module(*child));
        if child.is_some() && !is_last {
            return child;
        }
        if module.items.contains(name) {
            return Some(Place::ItemOf(at));
        }
        let key = (at, name.to_owned());
        if seen.contains(&key) {
            return child;
        }
        seen.push(key);
        let by_name = module.imports.iter().filter(|import| import.name.as_deref() == Some(name));
        let imported = by_name.into_iter().find_map(|import| self.resolve(at, &import.from.segments, seen));
        imported.or(child).or_else(|| {
            let globs = module.imports.iter().filter(|import| import.name.is_none());
            globs.into_iter().find_map(|glob| match self.resolve(at, &glob.from.segments, seen) {
                Some(Place::Module(inner)) if inner != at => self.look_up(inner, name, is_last, seen),
                _ => None,
            })
        })
    }
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} files: {}", self.files.len(), self.path.join(" \u{2192} "))?;
        for Edge { from, to, line, names } in &self.edges {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            writeln!(f, "  {from}:{line} names {} of {to}", names.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let files = files.iter().map(|(path, text)| (format!("x/src/{path}"), (*text).to_owned())).collect();
        let found = circles(&files).into_iter().map(|circle| circle.path);
        found.map(|path| path.iter().map(|file| file.replace("x/src/", "")).collect()).collect()
    }

    const ROOT: (&str, &str) = ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;");
    const USES_A: (&str, &str) = ("b.rs", "use crate::a::A; pub struct B(A);");

    #[test]
    fn a_circle_is_found_however_its_paths_are_written() {
        for text in [
            "use crate::b::B; pub struct A(B);",
            "use crate::B; pub struct A;",
            "use super::b::{self, B as Other}; pub struct A;",
            "use super::*; pub struct A(B);",
            "use crate::b; pub fn f() { b::B::new() } pub struct A;",
            "pub struct A(super::b::B);",
            "pub struct A; fn f() { println!(\"{}\", crate::b::B::NAME); }",
            "pub struct A; fn f() { use crate::b::B; }",
            "pub struct A; mod inner { use super::super::b::B; }",
        ] {
            assert_eq!(found(&[ROOT, ("a.rs", text), USES_A]), [["a.rs", "b.rs", "a.rs"]], "{text}");
        }
    }

    #[test]
    fn tests_and_documentation_and_other_crates_make_no_circle() {
        for text in [
            "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
            "pub struct A; #[cfg(all(test, unix))] fn f() { crate::b::B::new() }",
            "//! See [`crate::b::B`].\n/// And `use crate::b::B`.\npub struct A;",
            "use ::b::B; use other::b::B as C; pub struct A;",
            "use crate::b; pub struct A;",
        ] {
            assert_eq!(found(&[ROOT, ("a.rs", text), USES_A]), Vec::<Vec<String>>::new(), "{text}");
        }
    }

    #[test]
    fn an_index_is_in_a_circle_only_where_it_holds_something() {
        let child = ("a/one.rs", "use super::{Two, two}; pub struct One(Two);");
        let other = ("a/two.rs", "pub struct Two; pub fn two() {}");
        let root = ("lib.rs", "mod a;");
        let index = ("a/mod.rs", "mod one; mod two; pub use one::One; pub use two::{Two, two};");
        assert_eq!(found(&[root, index, child, other]), Vec::<Vec<String>>::new());
        let holds = ("a/mod.rs", "mod one; pub use one::One; pub struct Two(One); pub fn two() {}");
        assert_eq!(found(&[root, holds, child]), [["a/mod.rs", "a/one.rs", "a/mod.rs"]]);
    }

    #[test]
    fn a_circle_over_several_files_is_one_and_says_where() {
        let files = [
            ("x/src/lib.rs", "mod a; mod b; mod c; mod d;"),
            ("x/src/a.rs", "use crate::b::B;\npub struct A;"),
            ("x/src/b.rs", "\nuse crate::c::C;\npub struct B;"),
            ("x/src/c.rs", "use crate::a::A;\nuse crate::d::D;\npub struct C;"),
            ("x/src/d.rs", "pub struct D;"),
        ];
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let [circle] = &circles(&files)[..] else { panic!("one circle") };
        assert_eq!(circle.files, ["x/src/a.rs", "x/src/b.rs", "x/src/c.rs"]);
        let expected = "3 files: x/src/a.rs \u{2192} x/src/b.rs \u{2192} x/src/c.rs \u{2192} x/src/a.rs\n  \
                        x/src/a.rs:1 names B of x/src/b.rs\n  x/src/b.rs:2 names C of x/src/c.rs\n  \
                        x/src/c.rs:1 names A of x/src/a.rs\n";
        assert_eq!(circle.to_string(), expected);
    }

    #[test]
    fn imports_that_lead_to_each_other_are_followed_once() {
        let root = ("lib.rs", "mod a; mod b; pub use a::X; pub use b::*;");
        assert_eq!(
            found(&[root, ("a.rs", "pub use crate::b::X;"), ("b.rs", "pub use crate::a::X; fn f() { X }")]),
            Vec::<Vec<String>>::new()
        );
    }
}
