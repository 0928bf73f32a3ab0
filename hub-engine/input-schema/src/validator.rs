//! One JSON Schema, ready for comparisons.

use std::fmt::{self, Write};

use hub_core::Json;
use hub_core::job::{SchemaError, Violation, nearest};
use hub_core::text::cut;
use jsonschema::{Draft, PatternOptions, ValidationError};
use serde_json::{Map, Value};

use super::graph::{Graph, KEYWORDS};

/// Maximum number of violations that are described.
const MAXIMUM_VIOLATIONS: usize = 100;
/// Maximum length of a description in bytes.
const MAXIMUM_MESSAGE: usize = 300;
/// Maximum memory of all compiled patterns in bytes.
const MAXIMUM_PATTERN_BYTES: usize = 8 * 1024 * 1024;
/// Maximum number of steps to compare the defaults with the schema.
const STEPS_FOR_DEFAULTS: u64 = 1_000_000;

/// A JSON Schema, ready for comparisons.
#[derive(Debug)]
pub(crate) struct Validator {
    compiled: jsonschema::Validator,
    graph: Graph,
    /// The defaults of top-level properties.
    defaults: Map<String, Value>,
}

impl Validator {
    /// Compiles a schema.
    ///
    /// # Errors
    /// If it is not a valid schema, has something that is not supported, or its defaults do not match it.
    pub(crate) fn new(schema: &Json) -> Result<Self, SchemaError> {
        let refuse = |error: String| SchemaError { pointer: String::new(), message: error };
        let schema: Value = serde_json::from_str(schema.get()).map_err(|error| refuse(error.to_string()))?;
        if let Some(error) = jsonschema::draft202012::meta::validate(&schema).err() {
            return Err(SchemaError { pointer: error.instance_path().to_string(), message: describe(&error) });
        }
        let graph = Graph::new(&schema)?;
        let bytes = MAXIMUM_PATTERN_BYTES / graph.patterns.max(1);
        let patterns = PatternOptions::regex().size_limit(bytes).dfa_size_limit(bytes);
        let compiled = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(patterns)
            .should_validate_formats(true)
            .build(&schema)
            .map_err(|error| SchemaError { pointer: error.instance_path().to_string(), message: describe(&error) })?;
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let defaults = properties.filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())));
        let validator = Self { compiled, graph, defaults: defaults.collect() };
        validator.check_defaults()?;
        Ok(validator)
    }

    /// Keywords that JSON Schema does not have, each with what may be meant.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warn = |pointer: &String| {
            let keyword = pointer.rsplit('/').next().unwrap_or_default();
            let near = nearest(keyword, KEYWORDS).map_or_else(String::new, |near| format!(": did you mean {near:?}?"));
            format!("input_schema{pointer} is ignored, because JSON Schema has no keyword {keyword:?}{near}")
        };
        self.graph.unknown.iter().take(MAXIMUM_VIOLATIONS).map(warn).collect()
    }

    /// A default that does not match the schema would be found with each start.
    fn check_defaults(&self) -> Result<(), SchemaError> {
        let defaults = Value::Object(self.defaults.clone());
        let found =
            self.violations(&defaults, STEPS_FOR_DEFAULTS).into_iter().find(|violation| !violation.pointer.is_empty());
        found.map_or(Ok(()), |Violation { pointer, message }| {
            let (name, rest) = pointer[1..].split_once('/').unwrap_or((&pointer[1..], ""));
            let slash = if rest.is_empty() { "" } else { "/" };
            let pointer = format!("/properties/{name}/default{slash}{rest}");
            Err(SchemaError { pointer, message: format!("the default does not match the schema: {message}") })
        })
    }

    /// The inputs with the defaults of the schema. `steps` is the maximum number of steps of the comparison.
    ///
    /// # Errors
    /// All violations, at least one. The first hundred are described.
    pub(crate) fn check(&self, inputs: &Json, steps: u64) -> Result<Json, Vec<Violation>> {
        let all = |message: String| vec![Violation { pointer: String::new(), message }];
        let mut value: Value = serde_json::from_str(inputs.get()).map_err(|error| all(error.to_string()))?;
        let missing = match &value {
            Value::Object(given) => {
                let is_missing = |(name, _): &(&String, &Value)| !given.contains_key(*name);
                self.defaults.iter().filter(is_missing).map(|(name, value)| (name.clone(), value.clone())).collect()
            }
            _ => Map::new(),
        };
        let checked = with_defaults(inputs, &missing);
        if let Value::Object(given) = &mut value {
            given.extend(missing);
        }
        let violations = self.violations(&value, steps);
        if violations.is_empty() { Ok(checked) } else { Err(violations) }
    }

    fn violations(&self, value: &Value, steps: u64) -> Vec<Violation> {
        if !self.graph.is_affordable(value, steps) {
            let message = "the comparison of these inputs with the schema would take too long: give fewer values, or simplify the schema";
            return vec![Violation { pointer: String::new(), message: message.to_owned() }];
        }
        let mut errors = self.compiled.iter_errors(value);
        let described = errors
            .by_ref()
            .take(MAXIMUM_VIOLATIONS)
            .map(|error| Violation { pointer: error.instance_path().to_string(), message: describe(&error) });
        let mut violations: Vec<Violation> = described.collect();
        if errors.next().is_some() {
            violations.push(Violation { pointer: String::new(), message: "… and more".to_owned() });
        }
        violations
    }
}

/// The text of an object with further properties at its end.
fn with_defaults(inputs: &Json, defaults: &Map<String, Value>) -> Json {
    let text = inputs.get().trim();
    let (Some(start), false) = (text.strip_suffix('}'), defaults.is_empty()) else { return inputs.clone() };
    let mut text = start.trim_end().to_owned();
    for (name, value) in defaults {
        text.push_str(if text.ends_with('{') { "" } else { ", " });
        text.push_str(&format!("{}: {value}", Value::from(name.as_str())));
    }
    text.push('}');
    Json::from_checked(text)
}

/// The message of an error, which can quote a value of any size.
fn describe(error: &ValidationError<'_>) -> String {
    let mut text = Limited(String::new());
    let is_whole = write!(text, "{error}").is_ok();
    let text = text.0;
    if is_whole && text.len() <= MAXIMUM_MESSAGE {
        return text;
    }
    cut(format!("{}", error.masked()).into(), MAXIMUM_MESSAGE).to_string()
}

/// A text that refuses to become long.
struct Limited(String);

impl Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAXIMUM_MESSAGE {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, inputs: &str) -> Result<String, Vec<String>> {
        let validator = Validator::new(&Json::parse(schema).unwrap()).unwrap();
        let outcome = validator.check(&Json::parse(inputs).unwrap(), 2_000_000);
        outcome.map(|json| json.get().to_owned()).map_err(|all| all.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn defaults_are_inserted_where_inputs_are_missing() {
        let schema = r#"{"properties": {"day": {"type": "string", "default": "today"}, "n": {"default": 1}, "x": {}}}"#;
        assert_eq!(check(schema, "{}").unwrap(), r#"{"day": "today", "n": 1}"#);
        assert_eq!(check(schema, "{ \"n\" : 1.50 }").unwrap(), "{ \"n\" : 1.50, \"day\": \"today\"}");
        assert_eq!(check(schema, r#"{"day": "a", "n": null}"#).unwrap(), r#"{"day": "a", "n": null}"#);
        assert_eq!(check(schema, r#"{"day": 5}"#).unwrap_err(), [r#"day: 5 is not of type "string""#]);
    }

    #[test]
    fn all_violations_are_reported_and_long_values_are_not_quoted() {
        let schema = r#"{"required": ["a"], "properties": {"b": {"type": "integer"}, "c": {"maxLength": 3}}}"#;
        let long = "x".repeat(1_000_000);
        let violations = check(schema, &format!(r#"{{"b": "1", "c": "{long}"}}"#)).unwrap_err();
        assert_eq!(violations.len(), 3, "{violations:?}");
        assert!(violations.iter().all(|violation| violation.len() < 400), "{violations:?}");
        let list = format!("{{\"l\": [{}]}}", vec!["1"; 500].join(","));
        let many = check(r#"{"properties": {"l": {"items": {"type": "string"}}}}"#, &list).unwrap_err();
        assert_eq!((many.len(), many[100].as_str()), (101, "the inputs: … and more"));
    }

    #[test]
    fn schemas_that_are_not_valid_have_the_place() {
        for (schema, place) in [
            (r#"{"type": "strng"}"#, "/type"),
            (r#"{"properties": {"a": {"minimum": "1"}}}"#, "/properties/a/minimum"),
            (r#"{"properties": {"a": {"pattern": "("}}}"#, "/properties/a/pattern"),
            (r#"{"properties": {"a": {"pattern": "(a)\\1"}}}"#, "/properties/a/pattern"),
            (r#"{"properties": {"a": {"type": "integer", "default": "x"}}}"#, "/properties/a/default"),
            (
                r#"{"properties": {"a": {"items": {"type": "integer"}, "default": [1, "x"]}}}"#,
                "/properties/a/default/1",
            ),
            (r##"{"properties": {"a": {"$ref": "#/$defs/b"}}}"##, "/properties/a/$ref"),
            (r#"{"$ref": "https://example.com/schema.json"}"#, "/$ref"),
            (r#"{"$ref": "file:///etc/passwd"}"#, "/$ref"),
            (r##"{"$ref": "#"}"##, ""),
            (r##"{"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}"##, "/$defs/a/allOf/0"),
            (r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#, "/$schema"),
            (r#"{"unevaluatedProperties": false}"#, "/unevaluatedProperties"),
            (r#"{"dependencies": {"a": {}}}"#, "/dependencies"),
            (r##"{"$dynamicRef": "#x"}"##, "/$dynamicRef"),
            (r#"{"properties": {"a": {"$id": "https://example.com/a"}}}"#, "/properties/a/$id"),
        ] {
            let error = Validator::new(&Json::parse(schema).unwrap()).unwrap_err();
            assert_eq!(error.pointer, place, "{schema}: {}", error.message);
        }
    }

    #[test]
    fn misspelt_keywords_are_reported() {
        let schema = r#"{"requierd": ["n"], "x-mine": 1, "properties": {"typ": {"typ": "integer"}, "required": {"enum": [{"foo": 1}]}}}"#;
        let warnings = Validator::new(&Json::parse(schema).unwrap()).unwrap().warnings();
        let expected = [
            r#"input_schema/properties/typ/typ is ignored, because JSON Schema has no keyword "typ": did you mean "type"?"#,
            r#"input_schema/requierd is ignored, because JSON Schema has no keyword "requierd": did you mean "required"?"#,
        ];
        assert_eq!(warnings, expected);
    }

    #[test]
    fn a_small_schema_cannot_take_years() {
        // Each level applies the next one eight times.
        let mut schema = String::from(r#"{"$defs": {"d0": {"type": "integer"}"#);
        for level in 1..11 {
            let before = format!(r##"{{"$ref": "#/$defs/d{}"}}"##, level - 1);
            schema.push_str(&format!(r#", "d{level}": {{"allOf": [{}]}}"#, vec![before; 8].join(",")));
        }
        schema.push_str(r##"}, "properties": {"a": {"$ref": "#/$defs/d10"}}}"##);
        assert_eq!(check(&schema, "{}").unwrap(), "{}");
        assert!(check(&schema, r#"{"a": 1}"#).unwrap_err()[0].contains("too long"));
        // Elements that must differ are compared with each other.
        let unique =
            format!("{{\"allOf\": [{}]}}", vec![r#"{"properties": {"l": {"uniqueItems": true}}}"#; 1000].join(","));
        let lists = format!("{{\"l\": [{}]}}", vec![format!("[{}]", vec!["1"; 1000].join(",")); 15].join(","));
        assert!(check(&unique, &lists).unwrap_err()[0].contains("too long"));
        // The names of properties, and regular expressions with many states, count.
        let names: Vec<String> = (0..3000).map(|at| format!(r#"{{"maxLength": {at}}}"#)).collect();
        let names = format!(r#"{{"propertyNames": {{"allOf": [{}]}}}}"#, names.join(","));
        assert!(check(&names, &format!(r#"{{"{}": 1}}"#, "x".repeat(100_000))).unwrap_err()[0].contains("too long"));
        let repetition = r#"{"properties": {"a": {"pattern": "[ab]*a[ab]{4000}c"}}}"#;
        assert!(
            check(repetition, &format!(r#"{{"a": "{}"}}"#, "ab".repeat(20_000))).unwrap_err()[0].contains("too long")
        );
        let host = r#"{"properties": {"a": {"items": {"pattern": "^[a-z0-9-]{1,63}([.][a-z0-9-]{1,63})*$"}}}}"#;
        check(host, &format!(r#"{{"a": [{}]}}"#, vec![r#""www.example.com""#; 20_000].join(","))).unwrap();
        // References that lead from one to the next are limited, and so are patterns.
        let chain: Vec<String> = (0..60).map(|at| format!(r##""d{at}": {{"$ref": "#/$defs/d{}"}}"##, at + 1)).collect();
        let chain = format!(r##"{{"$defs": {{{}, "d60": {{}}}}, "$ref": "#/$defs/d0"}}"##, chain.join(","));
        assert!(Validator::new(&Json::parse(&chain).unwrap()).unwrap_err().message.contains("one after the other"));
        let patterns: Vec<String> = (0..101).map(|at| format!(r#""p{at}": {{"pattern": "\\w{{9}}"}}"#)).collect();
        let patterns = format!(r#"{{"properties": {{{}}}}}"#, patterns.join(","));
        assert!(Validator::new(&Json::parse(&patterns).unwrap()).unwrap_err().message.contains("regular expressions"));
        // Each level of the value is compared twice.
        let tree = r##"{"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}"##;
        let nested = |levels| format!("{}1{}", "{\"a\": ".repeat(levels), "}".repeat(levels));
        check(tree, &nested(3)).unwrap();
        assert!(check(tree, &nested(60)).unwrap_err()[0].contains("too long"));
        // A list of 300,000 numbers is not too much for an ordinary schema.
        let list = format!("{{\"l\": [{}]}}", vec!["1"; 300_000].join(","));
        check(r#"{"properties": {"l": {"items": {"type": "integer"}}}}"#, &list).unwrap();
    }

    #[test]
    fn recursive_schemas_of_ordinary_kinds_are_accepted() {
        let tree = r##"{"$defs": {"node": {"type": "object", "properties": {"left": {"$ref": "#/$defs/node"}, "right": {"$ref": "#/$defs/node"}}}},
            "properties": {"root": {"$ref": "#/$defs/node"}}}"##;
        let nested = format!("{{\"root\": {}{{}}{}}}", "{\"left\": {}, \"right\": ".repeat(50), "}".repeat(50));
        check(tree, &nested).unwrap();
        let expression = r##"{"$defs": {"e": {"oneOf": [
            {"type": "boolean"},
            {"type": "object", "required": ["and"], "properties": {"and": {"items": {"$ref": "#/$defs/e"}}}},
            {"type": "object", "required": ["not"], "properties": {"not": {"$ref": "#/$defs/e"}}}]}},
            "properties": {"when": {"$ref": "#/$defs/e"}}}"##;
        check(expression, r#"{"when": {"and": [true, {"not": {"not": false}}, {"and": [true]}]}}"#).unwrap();
        check(expression, r#"{"when": {"or": []}}"#).unwrap_err();
        let deep = format!("{{\"when\": {}true{}}}", "{\"not\": ".repeat(40), "}".repeat(40));
        check(expression, &deep).unwrap();
    }
}
