//! JSON Schemas of values. The parser decides; `docs/jobs.md` lists what a schema cannot express.

use serde_json::{Value, json};

use crate::job::condition::Operator;
use crate::job::for_each::ForEach;
use crate::job::model::DEFAULT_POOL;
use crate::job::reference::{Attribute, MAX_STEPS};
use crate::job::retry::RetryPolicy;
use crate::job::rules::{MAX_LABELS, MAX_NAME_BYTES, MAX_POOL_BYTES, MAX_PRIORITY, NOT_IN_LABEL_NAMES};
use crate::job::run::{METHODS, OWN_HEADERS};
use crate::job::secret::MAX_NAME_BYTES as MAX_SECRET_BYTES;
use crate::job::trigger_rule::TriggerRule;
use crate::job::wait::{Approval, Wait};

/// Control characters, as part of a character class.
const CONTROL: &str = r"\u0000-\u001F\u007F-\u009F";

/// Text without NUL.
const WITHOUT_NUL: &str = r"^[^\u0000]*$";

/// A reference to a definition: a name, and a version or an alias.
const DEFINITION: &str = r"^[^\s/@?#%]+(@[^\s/@?#%]+)?$";

/// Any text.
pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

/// An object with the user's own data.
pub(super) fn object() -> Value {
    json!({ "type": "object" })
}

/// The labels of a job.
pub(super) fn labels() -> Value {
    let names = json!({ "pattern": format!(r"^[^\s{CONTROL}{NOT_IN_LABEL_NAMES}]+$") });
    let value = json!({ "type": "string", "pattern": format!("^[^{CONTROL}]*$") });
    json!({ "type": "object", "propertyNames": names, "additionalProperties": value, "maxProperties": MAX_LABELS })
}

/// A reference to a definition.
pub(super) fn definition_reference() -> Value {
    of_pattern(DEFINITION)
}

/// The schema of inputs: an object of JSON Schema, which a schema of its own describes.
pub(super) fn input_schema() -> Value {
    json!({ "type": "object" })
}

/// A name of any kind. The parser limits the bytes, the schema limits the characters.
pub(super) fn name() -> Value {
    of_pattern(&format!("^[^{CONTROL}]+$"))
}

/// The name of a task.
pub(super) fn task_name() -> Value {
    of_pattern(&format!("^[^.{CONTROL}]+$"))
}

/// The name of a task module.
pub(super) fn module() -> Value {
    of_pattern(&module_pattern())
}

/// What the keys of a task say of each other. A key with `null` counts as absent. `beside_wait` are the keys that cannot
/// stand beside `wait`, and `beside_job` those that cannot stand beside `job`.
pub(super) fn task(beside_wait: &[&str], beside_job: &[&str]) -> Value {
    let any = |keys: &[&str]| json!({ "anyOf": keys.iter().map(|key| has(key)).collect::<Vec<_>>() });
    let none = |keys: &[&str]| json!({ "not": any(keys) });
    json!({
        // The name of a task that says nothing else is the name of its module.
        "if": none(&["task_name", "command", "shell", "http", "wait", "job"]),
        "then": { "properties": { "name": { "pattern": module_pattern() } } },
        "allOf": [
            { "anyOf": [none(&["wait"]), none(beside_wait)] },
            { "anyOf": [none(&["job"]), none(beside_job)] },
            { "anyOf": [has("job"), none(&["inputs", "detached"])] },
            { "anyOf": [none(&["cache"]), { "properties": { "detached": { "not": { "const": true } } } }] },
            { "anyOf": [none(&["cache"]), without_secrets()] }
        ],
        "oneOf": [
            none(&["command", "shell", "http", "env", "cwd", "output"]),
            { "allOf": [has("command"), none(&["task_name", "args", "kwargs", "shell", "http"])] },
            { "allOf": [has("shell"), none(&["task_name", "args", "kwargs", "command", "http"])] },
            { "allOf": [has("http"), none(&["task_name", "args", "kwargs", "command", "shell", "env", "cwd", "output"])] }
        ]
    })
}

/// A task in which no secret stands.
fn without_secrets() -> Value {
    let values = || json!({ "additionalProperties": template() });
    json!({
        "properties": {
            "args": { "items": template() },
            "kwargs": values(),
            "env": values(),
            "http": { "properties": { "headers": values() } }
        }
    })
}

/// A program and its arguments.
pub(super) fn command() -> Value {
    let program = json!({ "allOf": [template(), { "type": "string", "pattern": WITHOUT_NUL, "minLength": 1 }] });
    json!({ "type": "array", "minItems": 1, "prefixItems": [program], "items": word(&template()) })
}

/// The variables of a command.
pub(super) fn env() -> Value {
    let names = json!({ "pattern": r"^[^=\u0000]+$", "not": { "pattern": "^HUB_" } });
    json!({ "type": "object", "propertyNames": names, "additionalProperties": word(&with_secrets()) })
}

/// A text in which nothing is replaced.
pub(super) fn script() -> Value {
    json!({ "type": "string", "pattern": WITHOUT_NUL, "minLength": 1 })
}

/// An HTTP request.
pub(super) fn http() -> Value {
    json!({ "anyOf": [{ "$ref": "#/$defs/Http" }, { "type": "null" }] })
}

/// An address, or a reference to one.
pub(super) fn url() -> Value {
    let address = json!({ "type": "string", "pattern": format!(r"^(_|https?://[^ {CONTROL}]+$)") });
    json!({ "allOf": [template(), address] })
}

/// A method of a request.
pub(super) fn method() -> Value {
    let words: Vec<Value> = METHODS.into_iter().map(Value::from).chain([Value::Null]).collect();
    json!({ "type": "string", "enum": words, "default": "GET" })
}

/// The headers of a request.
pub(super) fn headers() -> Value {
    let any_case = |letter: char| format!("[{}{letter}]", letter.to_ascii_uppercase());
    let own = OWN_HEADERS.map(|name| name.chars().map(any_case).collect::<String>());
    let names = json!({
        "pattern": r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        "not": { "pattern": format!("^({})$", own.join("|")) }
    });
    let value =
        json!({ "allOf": [word(&with_secrets()), { "pattern": r"^[^\u0000-\u0008\u000A-\u001F\u007F-\u009F]*$" }] });
    json!({ "type": "object", "propertyNames": names, "additionalProperties": value })
}

/// How the output of a command is read.
pub(super) fn output() -> Value {
    json!({ "type": "string", "enum": ["text", "json", null], "default": "text" })
}

/// A word of a command: a string or a number, or a reference to one.
fn word(template: &Value) -> Value {
    json!({ "allOf": [template, { "type": ["string", "number"], "pattern": WITHOUT_NUL }] })
}

/// The object has this key, with a value other than `null`.
pub(super) fn has(key: &str) -> Value {
    json!({ "required": [key], "properties": { key: { "not": { "type": "null" } } } })
}

/// A wait.
pub(super) fn wait() -> Value {
    json!({ "anyOf": [{ "$ref": "#/$defs/Wait" }, { "type": "null" }] })
}

/// A sub-job.
pub(super) fn sub_job() -> Value {
    let job = json!({ "allOf": [{ "$ref": "#/$defs/Job" }, { "not": has("key") }, { "not": has("inputs") }] });
    json!({ "anyOf": [job, definition_reference(), { "type": "null" }] })
}

/// The inputs of a sub-job.
pub(super) fn inputs() -> Value {
    json!({ "type": "object", "additionalProperties": template(), "default": {} })
}

/// A number of signals.
pub(super) fn signals() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": Wait::MAXIMUM_SIGNALS })
}

/// An approval.
pub(super) fn approval() -> Value {
    json!({ "anyOf": [{ "$ref": "#/$defs/Approval" }, { "type": "null" }] })
}

/// The answers to a question.
pub(super) fn choices() -> Value {
    let mut choices = failing_choices();
    choices["minItems"] = 1.into();
    choices
}

/// Some of the answers to a question.
pub(super) fn failing_choices() -> Value {
    json!({ "type": "array", "maxItems": Approval::MAXIMUM_CHOICES, "uniqueItems": true, "items": name() })
}

/// How a task ends that has waited for too long.
pub(super) fn on_timeout() -> Value {
    let data =
        json!({ "type": "object", "required": ["data"], "properties": { "data": {} }, "additionalProperties": false });
    json!({ "anyOf": [{ "type": "string", "enum": ["fail", "skip"] }, data, { "type": "null" }] })
}

/// The tasks of a job.
pub(super) fn tasks() -> Value {
    json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/Task" } })
}

/// The handlers of a job.
pub(super) fn handlers() -> Value {
    json!({ "type": "array", "items": { "$ref": "#/$defs/Task" }, "maxItems": 1000, "default": [] })
}

/// Positional arguments.
pub(super) fn args() -> Value {
    json!({ "type": "array", "items": with_secrets(), "default": [] })
}

/// Keyword arguments.
pub(super) fn kwargs() -> Value {
    json!({ "type": "object", "additionalProperties": with_secrets(), "default": {} })
}

/// The names of other tasks.
pub(super) fn depends() -> Value {
    json!({ "type": "array", "items": text(), "default": [] })
}

/// The name of a pool.
pub(super) fn pool() -> Value {
    json!({ "type": "string", "pattern": format!("^[A-Za-z0-9._-]{{1,{MAX_POOL_BYTES}}}$"), "default": DEFAULT_POOL })
}

/// A priority.
pub(super) fn priority() -> Value {
    json!({ "type": "integer", "minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY })
}

/// The priority of tasks without a priority.
pub(super) fn job_priority() -> Value {
    let mut priority = priority();
    priority["default"] = 0.into();
    priority
}

/// The name of a trigger rule.
pub(super) fn trigger_rule() -> Value {
    let words = TriggerRule::ALL.map(|rule| Value::from(rule.as_str()));
    let words: Vec<Value> = words.into_iter().chain([Value::Null]).collect();
    json!({ "type": "string", "enum": words, "default": TriggerRule::AllSuccess.as_str() })
}

/// A condition.
pub(super) fn condition() -> Value {
    json!({ "anyOf": [{ "$ref": "#/$defs/Condition" }, { "type": "null" }] })
}

/// What a condition is.
pub(super) fn condition_definition() -> Value {
    let one = |key: &str, value: Value| json!({ "type": "object", "required": [key], "properties": { key: value }, "additionalProperties": false });
    let condition = || json!({ "$ref": "#/$defs/Condition" });
    let list = || json!({ "type": "array", "minItems": 1, "items": condition() });
    let two = || json!({ "type": "array", "minItems": 2, "maxItems": 2, "items": template() });
    let comparisons = Operator::ALL.map(|operator| one(operator.as_str(), two()));
    let forms: Vec<Value> = [
        json!({ "type": "boolean" }),
        reference(),
        one("all", list()),
        one("any", list()),
        one("not", condition()),
        one("exists", reference()),
        one("empty", template()),
    ]
    .into_iter()
    .chain(comparisons)
    .collect();
    json!({ "description": "A condition: true, false, a reference to one of them, or an operator.", "anyOf": forms })
}

/// A retry policy, or its number of attempts.
pub(super) fn retry() -> Value {
    json!({ "anyOf": [attempts(), { "$ref": "#/$defs/Retry" }, { "type": "null" }] })
}

/// Time limits, or the longest run of an attempt.
pub(super) fn timeout() -> Value {
    let mut forms = duration();
    if let Some(forms) = forms["anyOf"].as_array_mut() {
        forms.push(json!({ "$ref": "#/$defs/Timeout" }));
    }
    forms
}

/// A number of attempts.
pub(super) fn attempts() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": RetryPolicy::MAXIMUM_ATTEMPTS })
}

/// A backoff coefficient.
pub(super) fn backoff() -> Value {
    json!({ "type": "number", "minimum": 1, "maximum": 1000 })
}

/// The items of a task, or an object with options.
pub(super) fn for_each() -> Value {
    json!({ "anyOf": [simple_items(), { "$ref": "#/$defs/ForEach" }, { "type": "null" }] })
}

/// What a task can iterate over.
pub(super) fn items() -> Value {
    json!({ "anyOf": [simple_items(), { "type": "object", "additionalProperties": template() }] })
}

fn simple_items() -> Value {
    json!({
        "anyOf": [
            { "type": "array", "items": template() },
            { "type": "integer", "minimum": 0, "maximum": ForEach::MAXIMUM_ITEMS },
            { "allOf": [template(), { "type": "string", "pattern": "^_[^_]" }] }
        ]
    })
}

/// A number of items.
pub(super) fn count() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": ForEach::MAXIMUM_ITEMS })
}

/// How many items may fail.
pub(super) fn tolerated() -> Value {
    json!({
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": ForEach::MAXIMUM_ITEMS },
            { "type": "string", "pattern": r"^(100(\.0*)?|[0-9]{1,2}(\.[0-9]*)?)%$" },
            { "type": "null" }
        ]
    })
}

/// Yes or no.
pub(super) fn boolean() -> Value {
    json!({ "type": "boolean" })
}

/// Yes or no, where the default is no.
pub(super) fn no() -> Value {
    json!({ "type": "boolean", "default": false })
}

/// A recovery.
pub(super) fn recover() -> Value {
    json!({ "anyOf": [{ "$ref": "#/$defs/Recover" }, { "type": "null" }] })
}

/// What is kept of results.
pub(super) fn cache() -> Value {
    json!({ "anyOf": [{ "$ref": "#/$defs/Cache" }, { "type": "null" }] })
}

/// A text or a number.
pub(super) fn version() -> Value {
    json!({ "type": ["string", "number", "null"] })
}

/// A duration that must be there.
pub(super) fn ttl() -> Value {
    json!({ "allOf": [duration(), { "not": { "type": "null" } }] })
}

/// A part of a whole.
pub(super) fn fraction() -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 1 })
}

/// What happens after the last attempt.
pub(super) fn exhausted() -> Value {
    json!({ "type": "string", "enum": ["fail", "hold", null] })
}

/// Names of errors.
pub(super) fn error_names() -> Value {
    json!({ "type": "array", "items": name() })
}

/// A duration. What it must not exceed is checked by the parser.
pub(super) fn duration() -> Value {
    json!({
        "anyOf": [
            { "type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$" },
            { "type": "number", "exclusiveMinimum": 0, "maximum": 366 * 86400 },
            { "type": "null" }
        ]
    })
}

/// A duration or a time.
pub(super) fn moment() -> Value {
    let mut forms = duration();
    let time = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$";
    if let Some(forms) = forms["anyOf"].as_array_mut() {
        forms.push(json!({ "type": "string", "pattern": time }));
    }
    forms
}

/// A time or a duration, or a reference to one. Which times there are is checked by the parser.
pub(super) fn until() -> Value {
    let mut forms = moment();
    if let Some(forms) = forms["anyOf"].as_array_mut() {
        forms.push(reference());
    }
    forms
}

/// A duration, zero included, or a reference to one.
pub(super) fn delay() -> Value {
    let mut forms = duration();
    forms["anyOf"][1] = json!({ "type": "number", "minimum": 0, "maximum": 366 * 86400 });
    if let Some(forms) = forms["anyOf"].as_array_mut() {
        forms.push(reference());
    }
    forms
}

/// A reference.
fn reference() -> Value {
    json!({ "allOf": [template(), { "type": "string", "pattern": "^_[^_]" }] })
}

/// Any value with references in it.
pub(super) fn template() -> Value {
    json!({ "$ref": "#/$defs/Template" })
}

/// Any value with references and secrets in it.
fn with_secrets() -> Value {
    json!({ "$ref": "#/$defs/TemplateWithSecrets" })
}

/// The definition of a value with references.
pub(super) fn template_definition() -> Value {
    definition(&template(), None, "")
}

/// The definition of a value with references and secrets.
pub(super) fn secrets_definition() -> Value {
    let secret = format!(r"_\.secret\.[A-Za-z0-9_-]{{1,{MAX_SECRET_BYTES}}}$");
    definition(&with_secrets(), Some(secret), ", or to a secret of the worker, such as _.secret.token")
}

fn path_pattern() -> String {
    format!(r"(\.[^.]+){{0,{MAX_STEPS}}}")
}

/// The definition of a template whose parts are `part`, with a further form of references. Each keyword applies to values of
/// one type only.
fn definition(part: &Value, more: Option<String>, about: &str) -> Value {
    let words = |inside: bool| {
        let words = Attribute::ALL.iter().filter(|attribute| attribute.has_inside() == inside);
        words.map(|attribute| attribute.as_str()).collect::<Vec<_>>().join("|")
    };
    let path = path_pattern();
    let reference = format!(r"_[^_.][^.]*\.(({})|({}){path})$", words(false), words(true));
    let of_hub = format!(
        r"_\.(first\.(id|name|status|(data|error){path})|item{path}|failure{path}|input{path}|index|job\.(id|name))$"
    );
    let more = more.map(|more| format!("|{more}")).unwrap_or_default();
    json!({
        "description": format!("Any value. A string that begins with an underscore is a reference to a task, such as _add.data{about}; \
            with two underscores, it is the text after the first one."),
        "pattern": format!("^($|[^_]|__|{reference}|{of_hub}{more})"),
        "items": part,
        "additionalProperties": part
    })
}

fn of_pattern(pattern: &str) -> Value {
    json!({ "type": "string", "maxLength": MAX_NAME_BYTES, "pattern": pattern })
}

fn module_pattern() -> String {
    format!(r"^[^./\\{CONTROL}][^/\\{CONTROL}]*$")
}
