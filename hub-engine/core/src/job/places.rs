//! The places in the values of tasks that a job refers to.
//!
//! All paths into one value form one tree. It is built when the job is read, so that a value is traversed once for all
//! references to it (see [`super::walk`]).

use std::collections::{BTreeMap, HashMap};

use super::reference::Attribute;

/// The places that a job refers to, grouped by value.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    trees: HashMap<(u32, Attribute), Tree>,
}

/// The paths into one value. The root has index 0 and stands for the value itself.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// The end of a path.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The path without its last step.
    pub(super) parent: u32,
    /// The paths that continue here.
    pub(super) children: Option<Box<Children>>,
}

/// Paths by their next step.
#[derive(Clone, Debug, Default)]
pub(super) struct Children {
    /// The step as a key of an object.
    pub(super) keys: HashMap<Box<str>, u32>,
    /// The step as an index of a list, if it can be one.
    pub(super) indices: BTreeMap<usize, u32>,
}

/// The node of a value itself.
pub(super) const ROOT: u32 = 0;

impl Places {
    /// Adds a path into a task's value; returns its node in the tree of that value.
    pub(super) fn add(&mut self, task: u32, attribute: Attribute, path: &[&str]) -> u32 {
        if path.is_empty() {
            return ROOT;
        }
        let tree = self.trees.entry(tree_of(task, attribute)).or_insert_with(Tree::new);
        path.iter().fold(ROOT, |parent, step| tree.child(parent, step))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// The paths into a task's value, if there are any.
    pub(super) fn of(&self, task: u32, attribute: Attribute) -> Option<&Tree> {
        self.trees.get(&tree_of(task, attribute))
    }
}

/// Any task can be the first one, so all paths into a value of first tasks are in one tree.
const fn tree_of(task: u32, attribute: Attribute) -> (u32, Attribute) {
    if attribute.of_first().is_some() { (u32::MAX, attribute) } else { (task, attribute) }
}

impl Tree {
    fn new() -> Self {
        Self { nodes: vec![Node { parent: ROOT, children: None }] }
    }

    pub(super) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }

    fn child(&mut self, parent: u32, step: &str) -> u32 {
        let new = self.nodes.len() as u32;
        let children = self.nodes[parent as usize].children.get_or_insert_default();
        if let Some(known) = children.keys.get(step) {
            return *known;
        }
        children.keys.insert(step.into(), new);
        if let Some(index) = as_index(step) {
            children.indices.insert(index, new);
        }
        self.nodes.push(Node { parent, children: None });
        new
    }
}

/// The step as an index of a list: digits without leading zeros.
fn as_index(step: &str) -> Option<usize> {
    let canonical = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    canonical.then(|| step.parse().ok()).flatten()
}
