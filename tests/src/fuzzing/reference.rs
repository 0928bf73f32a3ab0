//! Target: an arbitrary text as a string in a job. It is a reference, an escaped text or invalid, as documented, and is replaced
//! accordingly.
//!
//! The first byte of the input selects the place of the string and its escapes. The rest of the first line is the string. The
//! following lines are the result of the task, as JSON.

use hub_core::Json;
use hub_core::job::{Attribute, FillError, Job, Limits, ProblemCode, Template, Values};
use serde_json::{Value, json};

use crate::evaluator::walk;

/// The tasks of the job. References cannot use the name of one of them.
const TASKS: [&str; 4] = ["a", "b_c", "_d", "ä"];
/// The task whose arguments contain the string. A reference to it would be a cycle.
const HOST: &str = "host";
/// The attributes of a task that references can use.
const ATTRIBUTES: [Attribute; 5] =
    [Attribute::Data, Attribute::Id, Attribute::Name, Attribute::Status, Attribute::Error];
/// Maximum number of steps of a path.
const MAX_STEPS: usize = 120;
/// The default result of the task.
const RETURNED: &str = r#"{"x": [1, {"": null, "0": "zero"}, [[]]], "0": "_a.data", "é": true}"#;

/// The documented meaning of a string.
#[derive(Debug, PartialEq)]
enum Meaning<'a> {
    /// A text.
    Text(&'a str),
    /// A value of a task.
    Value(Form<'a>),
    /// What Hub knows of the job: its id or its name.
    Known,
    /// Invalid: the job is refused.
    Refused,
}

/// The parts of a reference.
#[derive(Debug, PartialEq)]
struct Form<'a> {
    task: u32,
    attribute: Attribute,
    path: Vec<&'a str>,
}

/// The place of the string, and the number of its characters that are written as escapes.
#[derive(Clone, Copy)]
struct Style {
    place: u8,
    escaped: usize,
}

/// Puts the string into a job. Returns whether the job was accepted.
pub(super) fn check(bytes: &[u8]) -> bool {
    let Some((style, rest)) = bytes.split_first() else { return false };
    let style = Style { place: style & 3, escaped: usize::from(style >> 2 & 3) };
    let Ok(rest) = std::str::from_utf8(rest) else { return false };
    let (string, returned) = rest.split_once('\n').unwrap_or((rest, RETURNED));
    if string.strip_prefix('_').is_some_and(|rest| rest.split('.').next() == Some(HOST)) {
        return false;
    }
    let returned = json_of(returned).or_else(|| json_of(RETURNED)).expect("it is JSON");
    // Escaped once more, the string is a text.
    if string.starts_with('_') && form(string).is_none() {
        let escaped = format!("_{string}");
        assert_eq!(meaning(&escaped, style), Meaning::Text(string));
        assert!(check_string(&escaped, style, &returned));
    }
    check_string(string, style, &returned)
}

fn check_string(string: &str, style: Style, returned: &Json) -> bool {
    let text = job_with(string, style);
    let meaning = meaning(string, style);
    let job = match Job::parse(&text, &Limits::default()) {
        Ok(job) => job,
        Err(problems) => {
            assert_eq!(meaning, Meaning::Refused, "{problems}\n{text}");
            let expected = [ProblemCode::BadReference, ProblemCode::UnknownTask];
            assert!(problems.iter().all(|problem| expected.contains(&problem.code)), "{problems}");
            return false;
        }
    };
    let template = template_of(&job, style);
    assert_eq!(template.text().to_value(), around(&string.into(), style), "the template is what was written");
    let look_up_returned = |task, attribute| look_up(task, attribute, returned);
    let filled = job.fill(template, usize::MAX, &mut Values::default(), look_up_returned);
    let references: Vec<Form<'_>> = template.references().map(taken_apart).collect();
    match meaning {
        Meaning::Refused => panic!("accepted, though it is neither a reference nor a text: {text}"),
        Meaning::Known => assert_eq!((references.len(), filled), (1, Ok(around(&Value::Null, style).into()))),
        Meaning::Text(meant) => {
            assert_eq!(references, []);
            assert_eq!(filled.map(|json| json.to_value()), Ok(around(&meant.into(), style)), "{text}");
        }
        Meaning::Value(form) => {
            let (name, word) = (TASKS[form.task as usize], form.attribute);
            let path: String = form.path.iter().map(|step| format!(".{step}")).collect();
            assert_eq!(format!("_{name}.{word}{path}"), string, "put together again");
            let whole = look_up(form.task, form.attribute, returned).map_or(Value::Null, |json| json.to_value());
            match (filled, walk(&whole, &form.path)) {
                (Ok(filled), Ok(value)) => assert_eq!(filled.to_value(), around(value, style), "{text}"),
                (Err(FillError::Missing(missing)), Err(step)) => assert_eq!(missing.step, step, "{missing}\n{text}"),
                (filled, value) => panic!("{string:?} became {filled:?}, not {value:?}"),
            }
            assert_eq!(references, [form]);
        }
    }
    true
}

/// The documented meaning of a string.
fn meaning(string: &str, style: Style) -> Meaning<'_> {
    match string.strip_prefix('_') {
        None => Meaning::Text(string),
        // It is ambiguous: the name of a task may begin with an underscore.
        Some(rest) if rest.starts_with('_') && form(rest).is_some() => Meaning::Refused,
        Some(rest) if rest.starts_with('_') => Meaning::Text(rest),
        // What Hub knows of the job.
        Some(".job.id" | ".job.name") => Meaning::Known,
        // The worker replaces it, in arguments only.
        Some(rest) if is_secret(rest) => {
            if style.place < 2 {
                Meaning::Refused
            } else {
                Meaning::Text(string)
            }
        }
        Some(rest) => form(rest).map_or(Meaning::Refused, Meaning::Value),
    }
}

/// `.secret.<name>`.
fn is_secret(text: &str) -> bool {
    let name = text.strip_prefix(".secret.").unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=100).contains(&name.len()) && name.bytes().all(is_plain)
}

/// `<task>.<attribute>[.<key or index>…]`.
fn form(text: &str) -> Option<Form<'_>> {
    let parts: Vec<&str> = text.split('.').collect();
    let (name, word, path) = (parts[0], *parts.get(1)?, &parts[2..]);
    let task = TASKS.iter().position(|task| *task == name)?;
    let attribute = ATTRIBUTES.into_iter().find(|attribute| attribute.as_str() == word)?;
    let has_inside = matches!(attribute, Attribute::Data | Attribute::Error);
    let is_path = path.len() <= MAX_STEPS && path.iter().all(|step| !step.is_empty());
    let is_form = is_path && (has_inside || path.is_empty());
    is_form.then(|| Form { task: task as u32, attribute, path: path.to_vec() })
}

fn taken_apart(reference: &hub_core::job::Reference) -> Form<'_> {
    let path = reference.path.iter().map(|step| &**step).collect();
    Form { task: reference.task, attribute: reference.attribute, path }
}

fn look_up(task: u32, attribute: Attribute, returned: &Json) -> Option<Json> {
    match attribute {
        Attribute::Data => Some(returned.clone()),
        Attribute::Id => Some(Json::string(&format!("id of {task}"))),
        Attribute::Name => Some(Json::string(TASKS[task as usize])),
        Attribute::Status => Some(Json::string("SUCCESS")),
        Attribute::Error | Attribute::Item | Attribute::Index | Attribute::Failure => None,
        Attribute::JobId | Attribute::JobName | Attribute::JobFailure | Attribute::Input => None,
        attribute => unreachable!("{attribute} stands only where a trigger rule has a first task"),
    }
}

/// Parses JSON, if its nesting depth is within the limit of the parser.
fn json_of(text: &str) -> Option<Json> {
    serde_json::from_str::<Value>(&format!("[[[[{text}]]]]")).ok()?;
    Json::parse(text).ok()
}

fn job_with(string: &str, style: Style) -> String {
    let quoted = spelt(string, style.escaped);
    let (task, job) = match style.place {
        0 => (String::new(), format!(r#", "output": {quoted}"#)),
        1 => (String::new(), format!(r#", "output": {{"k": [{quoted}], "_a.data": ""}}"#)),
        2 => (format!(r#", "args": [ 1e2 ,{quoted} ]"#), String::new()),
        _ => (format!(r#", "kwargs": {{"k" :[null,{{"": {quoted}}}]}}"#), String::new()),
    };
    let tasks: Vec<String> = TASKS.iter().map(|name| json!({ "name": name }).to_string()).collect();
    format!(r#"{{"name": "j", "tasks": [{}, {{"name": "{HOST}"{task}}}]{job}}}"#, tasks.join(", "))
}

fn template_of(job: &Job, style: Style) -> &Template {
    let host = &job.tasks()[TASKS.len()];
    let template = match style.place {
        0 | 1 => job.output(),
        2 => host.args(),
        _ => host.kwargs(),
    };
    template.expect("the job has it")
}

/// The parsed template, with this value instead of the string.
fn around(value: &Value, style: Style) -> Value {
    match style.place {
        0 => value.clone(),
        1 => json!({"k": [value], "_a.data": ""}),
        2 => json!([1e2, value]),
        _ => json!({"k": [null, {"": value}]}),
    }
}

/// The string as JSON, its first characters as `\u` escapes.
fn spelt(string: &str, escaped: usize) -> String {
    let escape = |char: char| {
        let mut units = [0; 2];
        char.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
    };
    let head: String = string.chars().take(escaped).map(escape).collect();
    let tail: String = string.chars().skip(escaped).collect();
    format!("\"{head}{}", &Value::from(tail).to_string()[1..])
}
