//! The subschemas of a schema and how they apply each other, to count the steps of a comparison.
//!
//! Some keywords apply a subschema to the same value (`allOf`, `$ref`), others to a part of it (`properties`, `items`). By a
//! diamond of references a subschema is applied to one value many times, and in a recursive schema this multiplies with
//! each level of the value. [`Graph::is_affordable`] adds up how many times each subschema applies to each part of a value, without applying
//! them, in a time that is proportional to the sizes of both.

use std::collections::BTreeMap;

use hub_core::job::SchemaError;
use regex_syntax::hir::{Hir, HirKind};
use serde_json::{Map, Value};

/// Maximum number of schemas that are nested in each other, or lead to each other by references.
const MAXIMUM_DEPTH: usize = 200;
/// Maximum number of schemas that apply each other to the same value, one after the other. Together with the depth of a value it
/// limits the depth of the recursion of a comparison.
const MAXIMUM_HEIGHT: usize = 24;
/// Maximum number of regular expressions, which take memory.
const MAXIMUM_PATTERNS: usize = 100;
/// Number of bytes of a schema or a text that are one step.
const BYTES_PER_STEP: usize = 64;
/// Number of states of a regular expression up to which its time does not depend on them.
const FEW_STATES: usize = 1000;
/// How many pairs of a state and a byte are one step if there are more states.
const STATES_PER_STEP: u64 = 16;
/// The number of states of a regular expression whose structure is not known, for each of its bytes.
const STATES_PER_BYTE: usize = 100;
/// How many times the elements of a list are compared for `uniqueItems`.
const COMPARISONS: u64 = 16;
/// The keywords of JSON Schema that are supported.
pub(super) const KEYWORDS: [&str; 52] = [
    "$comment",
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
];
/// The version of JSON Schema.
const VERSION: &str = "https://json-schema.org/draft/2020-12/schema";

/// The subschemas of a schema.
#[derive(Debug)]
pub(super) struct Graph {
    /// In their order.
    nodes: Vec<Node>,
    /// The position of the whole schema.
    root: usize,
    /// The places of keywords that JSON Schema does not have, and which are ignored.
    pub(super) unknown: Vec<String>,
    /// The number of regular expressions.
    pub(super) patterns: usize,
}

/// A subschema.
#[derive(Debug, Default)]
struct Node {
    /// Steps of one application, besides those of other subschemas.
    steps: u64,
    /// The number of states of its regular expression.
    pattern: usize,
    /// Whether the elements of a list must differ.
    is_unique: bool,
    /// The number of subschemas that apply each other to the same value, up to this one.
    height: usize,
    /// Subschemas that apply to the same value, and how many times.
    here: Vec<(usize, u64)>,
    properties: BTreeMap<String, usize>,
    /// Subschemas that may apply to any property.
    any_property: Vec<usize>,
    /// Subschemas that apply to the names of properties.
    names: Vec<usize>,
    /// Whether the names of properties are compared with regular expressions, and how large these are together.
    name_patterns: usize,
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
        let mut reader = Reader {
            root: schema,
            by_pointer: BTreeMap::new(),
            nodes: Vec::new(),
            places: Vec::new(),
            depth: 0,
            unknown: Vec::new(),
            patterns: 0,
        };
        reader.node(String::new(), schema)?;
        let Reader { mut nodes, places, unknown, patterns, .. } = reader;
        put_in_order(&mut nodes).map_err(|at| SchemaError {
            pointer: places[at].clone(),
            message: "the schema refers to itself without a step into a part of the value".to_owned(),
        })?;
        if let Some(at) = nodes.iter().position(|node| node.height > MAXIMUM_HEIGHT) {
            let message =
                format!("more than {MAXIMUM_HEIGHT} schemas apply each other to the same value, one after the other");
            return Err(SchemaError { pointer: places[at].clone(), message });
        }
        let root = nodes[0].order;
        nodes.sort_by_key(|node| node.order);
        Ok(Self { nodes, root, unknown, patterns })
    }

    /// Whether a comparison with this value takes at most this many steps.
    pub(super) fn is_affordable(&self, value: &Value, steps: u64) -> bool {
        let mut left = steps;
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
            let mut steps = node.steps.saturating_add(text_steps(own, node.pattern));
            if node.is_unique && value.is_array() {
                steps = steps.saturating_add(size(value).saturating_mul(COMPARISONS));
            }
            *left = left.checked_sub(steps.saturating_mul(times))?;
            for (other, weight) in &node.here {
                let count = applied.entry(*other).or_default();
                *count = count.saturating_add(times.saturating_mul(*weight));
            }
            all.push((at, times));
        }
        match value {
            Value::Object(object) => object.iter().try_for_each(|(key, part)| {
                let patterns: usize = all.iter().map(|(at, _)| self.nodes[*at].name_patterns).sum();
                *left = left.checked_sub(text_steps(key.len(), patterns))?;
                let mut of_names = Applied::new();
                for (at, times) in &all {
                    for other in &self.nodes[*at].names {
                        let count = of_names.entry(*other).or_default();
                        *count = count.saturating_add(*times);
                    }
                }
                if !of_names.is_empty() {
                    self.spend(&Value::from(key.as_str()), of_names, left)?;
                }
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

/// The number of steps to compare a text of this length with a regular expression of this number of states.
fn text_steps(bytes: usize, states: usize) -> u64 {
    let slow = if states > FEW_STATES { (bytes as u64).saturating_mul(states as u64) / STATES_PER_STEP } else { 0 };
    slow.saturating_add((bytes / BYTES_PER_STEP) as u64)
}

/// The number of states of a regular expression, about: a repetition has those of what it repeats, that many times.
fn states(pattern: &str) -> usize {
    fn of(hir: &Hir) -> usize {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => 0,
            HirKind::Literal(literal) => literal.0.len(),
            HirKind::Class(_) => 1,
            HirKind::Repetition(repetition) => {
                let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)) as usize;
                of(&repetition.sub).saturating_mul(times)
            }
            HirKind::Capture(capture) => of(&capture.sub),
            HirKind::Concat(all) | HirKind::Alternation(all) => all.iter().map(of).fold(0, usize::saturating_add),
        }
    }
    regex_syntax::parse(pattern).map_or(pattern.len().saturating_mul(STATES_PER_BYTE), |hir| of(&hir))
}

/// About how many steps it takes to compare a value with an equal one.
fn size(value: &Value) -> u64 {
    match value {
        Value::Array(list) => 1 + list.iter().map(size).sum::<u64>(),
        Value::Object(object) => 1 + object.values().map(size).sum::<u64>(),
        Value::String(text) => 1 + (text.len() / BYTES_PER_STEP) as u64,
        _ => 1,
    }
}

/// Reads a schema.
struct Reader<'s> {
    root: &'s Value,
    by_pointer: BTreeMap<String, usize>,
    nodes: Vec<Node>,
    /// The pointer of each node.
    places: Vec<String>,
    /// Number of schemas and references through which the current one was reached.
    depth: usize,
    patterns: usize,
    unknown: Vec<String>,
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
        if self.depth == MAXIMUM_DEPTH {
            let message = format!(
                "more than {MAXIMUM_DEPTH} schemas are nested in each other, or lead to each other by references"
            );
            return Err(SchemaError { pointer, message });
        }
        self.depth += 1;
        let mut node = Node { steps: 1 + object.len() as u64, ..Node::default() };
        for (keyword, value) in object {
            let place = join(&pointer, keyword);
            self.keyword(&mut node, keyword, value, place)?;
        }
        self.depth -= 1;
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
                let other = self.node(pointer, schema)?;
                node.here.push((other, 1));
            }
            (
                "$dynamicRef" | "$dynamicAnchor" | "$anchor" | "$recursiveRef" | "$recursiveAnchor" | "$vocabulary",
                _,
            ) => {
                return refuse(format!("{keyword} is not supported: use \"$ref\" with \"#/$defs/…\""));
            }
            ("dependencies", _) => {
                return refuse(
                    "dependencies is not supported: use \"dependentRequired\" or \"dependentSchemas\"".to_owned(),
                );
            }
            ("pattern", Value::String(pattern)) => {
                node.pattern = states(pattern);
                self.note_pattern(&place)?;
            }
            ("uniqueItems", Value::Bool(is_unique)) => node.is_unique = *is_unique,
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
            ("anyOf" | "oneOf", Value::Array(list)) => self.list(list, &place, |other| node.here.push((other, 1)))?,
            ("not" | "if" | "then" | "else", schema) => {
                let other = self.node(place, schema)?;
                node.here.push((other, 1));
            }
            ("dependentSchemas", Value::Object(all)) => self.map(all, &place, |_, other| node.here.push((other, 1)))?,
            ("properties", Value::Object(all)) => self.map(all, &place, |name, other| {
                node.properties.insert(name.to_owned(), other);
            })?,
            ("patternProperties", Value::Object(all)) => {
                all.keys().try_for_each(|_| self.note_pattern(&place))?;
                node.name_patterns = all.keys().map(|pattern| states(pattern)).fold(0, usize::saturating_add);
                self.map(all, &place, |_, other| node.any_property.push(other))?;
            }
            ("additionalProperties", schema) => {
                let other = self.node(place, schema)?;
                node.any_property.push(other);
            }
            ("propertyNames", schema) => {
                let other = self.node(place, schema)?;
                node.names.push(other);
            }
            ("prefixItems", Value::Array(list)) => self.list(list, &place, |other| node.prefix.push(other))?,
            ("items" | "contains", schema) => {
                let other = self.node(place, schema)?;
                node.any_element.push(other);
            }
            ("$defs" | "definitions", Value::Object(all)) => self.map(all, &place, |_, _| {})?,
            (keyword, _) if !KEYWORDS.contains(&keyword) && !keyword.starts_with("x-") => self.unknown.push(place),
            // Values to compare with.
            (_, value) => node.steps += (value.to_string().len() / BYTES_PER_STEP) as u64,
        }
        Ok(())
    }

    fn note_pattern(&mut self, place: &str) -> Result<(), SchemaError> {
        self.patterns += 1;
        if self.patterns <= MAXIMUM_PATTERNS {
            return Ok(());
        }
        let message = format!("the schema has more than {MAXIMUM_PATTERNS} regular expressions");
        Err(SchemaError { pointer: place.to_owned(), message })
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
                    let below = nodes[at].here.iter().map(|(other, _)| nodes[*other].height).max();
                    nodes[at].height = below.map_or(0, |below| below + 1);
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
        let others = node.properties.values_mut().chain(&mut node.any_property).chain(&mut node.names);
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
