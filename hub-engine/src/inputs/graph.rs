//! The subschemas of a schema and how they apply each other, to count the steps of a comparison.
//!
//! Some keywords apply a subschema to the same value (`allOf`, `$ref`), others to a part of it (`properties`, `items`). By a
//! diamond of references a subschema is applied to one value many times, and in a recursive schema this multiplies with
//! each level of the value. [`Graph::is_affordable`] adds up how many times each subschema applies to each part of a value, without applying
//! them, in a time that is proportional to the sizes of both.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::schema_error::SchemaError;

/// Maximum number of steps of a comparison. This many take about a second.
const MAXIMUM_STEPS: u64 = 5_000_000;
/// Maximum number of references that lead from one to the next.
const MAXIMUM_CHAIN: usize = 100;
/// How much more steps an alternative takes: it is tried, and tried again to describe what does not match.
const TRIES: u64 = 3;
/// Number of bytes of a schema or a text that are one step.
const BYTES_PER_STEP: usize = 64;
/// The version of JSON Schema.
const VERSION: &str = "https://json-schema.org/draft/2020-12/schema";

/// The subschemas of a schema.
#[derive(Debug)]
pub(super) struct Graph {
    /// In their order.
    nodes: Vec<Node>,
    /// The position of the whole schema.
    root: usize,
}

/// A subschema.
#[derive(Debug, Default)]
struct Node {
    /// Steps of one application, besides those of other subschemas.
    steps: u64,
    /// Subschemas that apply to the same value, and how many times.
    here: Vec<(usize, u64)>,
    properties: BTreeMap<String, usize>,
    /// Subschemas that may apply to any property.
    any_property: Vec<usize>,
    prefix: Vec<usize>,
    /// Subschemas that may apply to any element.
    any_element: Vec<usize>,
    /// The position in an order in which a subschema comes after all that it applies to the same value.
    order: usize,
}

/// How many times subschemas apply to a value, by the order of the subschemas.
type Applied = BTreeMap<usize, u64>;

impl Graph {
    /// Finds the subschemas.
    ///
    /// # Errors
    /// If the schema has something that is not supported.
    pub(super) fn new(schema: &Value) -> Result<Self, SchemaError> {
        let mut reader =
            Reader { root: schema, by_pointer: BTreeMap::new(), nodes: Vec::new(), places: Vec::new(), chain: 0 };
        reader.node(String::new(), schema)?;
        let Reader { mut nodes, places, .. } = reader;
        put_in_order(&mut nodes).map_err(|at| SchemaError {
            pointer: format!("{}/$ref", places[at]),
            message: "the schema refers to itself without a step into a part of the value".to_owned(),
        })?;
        let root = nodes[0].order;
        nodes.sort_by_key(|node| node.order);
        Ok(Self { nodes, root })
    }

    /// Whether a comparison with this value takes few enough steps.
    pub(super) fn is_affordable(&self, value: &Value) -> bool {
        let mut left = MAXIMUM_STEPS;
        self.spend(value, [(self.root, 1)].into(), &mut left).is_some()
    }

    /// Subtracts the steps of the comparison of a value and its parts. The depth of the recursion is that of the value. `None` if
    /// there are not enough left.
    fn spend(&self, value: &Value, mut applied: Applied, left: &mut u64) -> Option<()> {
        let own = match value {
            Value::String(text) => text.len(),
            _ => 0,
        };
        let mut all: Vec<(usize, u64)> = Vec::new();
        // The last one applies others to the same value, and no other one applies it.
        while let Some((at, times)) = applied.pop_last() {
            let node = &self.nodes[at];
            let steps = node.steps.saturating_add((own / BYTES_PER_STEP) as u64).saturating_mul(times);
            *left = left.checked_sub(steps)?;
            for (other, weight) in &node.here {
                let count = applied.entry(*other).or_default();
                *count = count.saturating_add(times.saturating_mul(*weight));
            }
            all.push((at, times));
        }
        match value {
            Value::Object(object) => object.iter().try_for_each(|(key, part)| {
                let next = |node: &Node, into: &mut dyn FnMut(usize)| {
                    node.properties.get(key).into_iter().chain(&node.any_property).for_each(|at| into(*at));
                };
                self.spend_part(part, &all, next, left)
            }),
            Value::Array(list) => list.iter().enumerate().try_for_each(|(index, part)| {
                let next = |node: &Node, into: &mut dyn FnMut(usize)| {
                    node.prefix.get(index).into_iter().chain(&node.any_element).for_each(|at| into(*at));
                };
                self.spend_part(part, &all, next, left)
            }),
            _ => Some(()),
        }
    }

    /// Subtracts the steps of a part of a value. `next` passes on the subschemas that one applies to this part.
    fn spend_part(
        &self,
        part: &Value,
        all: &[(usize, u64)],
        next: impl Fn(&Node, &mut dyn FnMut(usize)),
        left: &mut u64,
    ) -> Option<()> {
        *left = left.checked_sub(all.len() as u64)?;
        let mut applied = Applied::new();
        for (at, times) in all {
            next(&self.nodes[*at], &mut |other| {
                let count = applied.entry(other).or_default();
                *count = count.saturating_add(*times);
            });
        }
        // To parts that no subschema applies to, and their parts, nothing is done.
        if applied.is_empty() { Some(()) } else { self.spend(part, applied, left) }
    }
}

/// Reads a schema.
struct Reader<'s> {
    root: &'s Value,
    by_pointer: BTreeMap<String, usize>,
    nodes: Vec<Node>,
    /// The pointer of each node.
    places: Vec<String>,
    /// Number of references through which the current subschema was reached.
    chain: usize,
}

impl<'s> Reader<'s> {
    /// The node of the subschema at a pointer. The depth of the recursion is that of the schema, or of its references.
    fn node(&mut self, pointer: String, schema: &'s Value) -> Result<usize, SchemaError> {
        if let Some(known) = self.by_pointer.get(&pointer) {
            return Ok(*known);
        }
        let at = self.nodes.len();
        self.nodes.push(Node { steps: 1, ..Node::default() });
        self.places.push(pointer.clone());
        self.by_pointer.insert(pointer.clone(), at);
        let Value::Object(object) = schema else { return Ok(at) };
        let mut node = Node { steps: 1 + object.len() as u64, ..Node::default() };
        for (keyword, value) in object {
            let place = join(&pointer, keyword);
            self.keyword(&mut node, keyword, value, place)?;
        }
        self.nodes[at] = node;
        Ok(at)
    }

    fn keyword(&mut self, node: &mut Node, keyword: &str, value: &'s Value, place: String) -> Result<(), SchemaError> {
        let refuse = |message: String| Err(SchemaError { pointer: place.clone(), message });
        match (keyword, value) {
            ("$ref", Value::String(target)) => {
                let Some(pointer) = target.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'))
                else {
                    return refuse(format!("{target:?} leads out of the schema: a reference begins with \"#/\""));
                };
                let pointer = decoded(pointer);
                let Some(schema) = self.root.pointer(&pointer) else {
                    return refuse(format!("{target:?} leads nowhere"));
                };
                if self.chain == MAXIMUM_CHAIN {
                    return refuse(format!("more than {MAXIMUM_CHAIN} references lead from one to the next"));
                }
                self.chain += 1;
                let other = self.node(pointer, schema)?;
                self.chain -= 1;
                node.here.push((other, 1));
            }
            (
                "$dynamicRef" | "$dynamicAnchor" | "$anchor" | "$recursiveRef" | "$recursiveAnchor" | "$vocabulary",
                _,
            ) => {
                return refuse(format!("{keyword} is not supported: use \"$ref\" with \"#/$defs/…\""));
            }
            ("unevaluatedProperties" | "unevaluatedItems", _) => {
                return refuse(format!("{keyword} is not supported: use \"additionalProperties\" or \"items\""));
            }
            ("$id", _) if place.matches('/').count() > 1 => {
                return refuse("\"$id\" is supported only at the top of the schema".to_owned());
            }
            ("$schema", Value::String(version)) if version.trim_end_matches('#') != VERSION => {
                return refuse(format!("this is a schema of another version than {VERSION}"));
            }
            ("allOf", Value::Array(list)) => self.list(list, &place, |other| node.here.push((other, 1)))?,
            ("anyOf" | "oneOf", Value::Array(list)) => {
                self.list(list, &place, |other| node.here.push((other, TRIES)))?
            }
            ("not" | "if" | "then" | "else", schema) => {
                let other = self.node(place, schema)?;
                node.here.push((other, TRIES));
            }
            ("dependentSchemas", Value::Object(all)) => self.map(all, &place, |_, other| node.here.push((other, 1)))?,
            ("properties", Value::Object(all)) => self.map(all, &place, |name, other| {
                node.properties.insert(name.to_owned(), other);
            })?,
            ("patternProperties", Value::Object(all)) => {
                self.map(all, &place, |_, other| node.any_property.push(other))?;
            }
            ("additionalProperties" | "propertyNames", schema) => {
                let other = self.node(place, schema)?;
                node.any_property.push(other);
            }
            ("prefixItems", Value::Array(list)) => self.list(list, &place, |other| node.prefix.push(other))?,
            ("items" | "contains", schema) => {
                let other = self.node(place, schema)?;
                let tries = if keyword == "contains" { TRIES as usize } else { 1 };
                node.any_element.extend(std::iter::repeat_n(other, tries));
            }
            ("$defs" | "definitions", Value::Object(all)) => self.map(all, &place, |_, _| {})?,
            // Values to compare with.
            (_, value) => node.steps += (value.to_string().len() / BYTES_PER_STEP) as u64,
        }
        Ok(())
    }

    fn list(&mut self, list: &'s [Value], place: &str, mut each: impl FnMut(usize)) -> Result<(), SchemaError> {
        list.iter()
            .enumerate()
            .try_for_each(|(index, schema)| self.node(format!("{place}/{index}"), schema).map(&mut each))
    }

    fn map(
        &mut self,
        all: &'s Map<String, Value>,
        place: &str,
        mut each: impl FnMut(&str, usize),
    ) -> Result<(), SchemaError> {
        all.iter().try_for_each(|(name, schema)| self.node(join(place, name), schema).map(|other| each(name, other)))
    }
}

/// Sets the order of the nodes, and replaces their numbers by it.
///
/// # Errors
/// A node that applies itself to the same value.
fn put_in_order(nodes: &mut [Node]) -> Result<(), usize> {
    let mut order: Vec<Option<usize>> = vec![None; nodes.len()];
    let (mut is_open, mut next) = (vec![false; nodes.len()], 0);
    for start in 0..nodes.len() {
        let mut stack = vec![(start, 0)];
        while let Some((at, done)) = stack.pop() {
            if order[at].is_some() {
                continue;
            }
            is_open[at] = true;
            match nodes[at].here.get(done) {
                Some((other, _)) => {
                    stack.push((at, done + 1));
                    if order[*other].is_none() {
                        if is_open[*other] {
                            return Err(at);
                        }
                        stack.push((*other, 0));
                    }
                }
                None => {
                    order[at] = Some(next);
                    next += 1;
                }
            }
        }
    }
    let order: Vec<usize> = order.into_iter().map(Option::unwrap_or_default).collect();
    for (at, node) in nodes.iter_mut().enumerate() {
        node.order = order[at];
        node.here.iter_mut().for_each(|(other, _)| *other = order[*other]);
        let others = node.properties.values_mut().chain(&mut node.any_property);
        others.chain(&mut node.prefix).chain(&mut node.any_element).for_each(|other| *other = order[*other]);
    }
    Ok(())
}

fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A pointer in a fragment of a URI.
fn decoded(pointer: &str) -> String {
    let mut bytes = pointer.as_bytes();
    let mut text = Vec::with_capacity(bytes.len());
    while let Some((first, rest)) = bytes.split_first() {
        let digits = rest.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                text.push(byte);
                bytes = &rest[2..];
            }
            None => {
                text.push(*first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}
