//! What a task runs that has no module, as the message of the task says it: read and checked, with the references
//! replaced.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hub_core::{Json, TaskKind};
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A program with its arguments, or the shell with a text.
    Process(ProcessOrder),
    /// An HTTP request.
    Http(HttpOrder),
}

/// A program to run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProcessOrder {
    /// The program and its arguments, at least the program.
    pub(super) words: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    /// Relative to the directory of tasks.
    pub(super) cwd: Option<String>,
    /// Whether its output is one JSON value instead of a text.
    pub(super) is_json: bool,
}

/// A request to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HttpOrder {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is nothing to run.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoOrder {
    /// This version of Hub cannot run it.
    Unknown,
    /// A value cannot be what it is used for.
    Bad(String),
}

/// The keys of a task without a module.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    command: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    shell: Option<Cow<'a, str>>,
    #[serde(borrow)]
    http: Option<HttpKeys<'a>>,
    #[serde(borrow, default)]
    env: BTreeMap<String, &'a RawValue>,
    #[serde(borrow)]
    cwd: Option<Cow<'a, str>>,
    #[serde(borrow)]
    output: Option<Cow<'a, str>>,
}

/// The keys of an HTTP request.
#[derive(Deserialize)]
struct HttpKeys<'a> {
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    url: &'a RawValue,
    #[serde(borrow, default)]
    headers: BTreeMap<String, &'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// The shell and the argument before the text that it runs.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];
/// The prefix of the variables of Hub itself, which a task cannot set.
const OWN_PREFIX: &str = "HUB_";

impl Order {
    /// Reads what to run.
    pub(super) fn read(run: Option<&Json>) -> Result<Self, NoOrder> {
        let run = run.ok_or(NoOrder::Unknown)?;
        let keys: Keys<'_> = serde_json::from_str(run.get()).map_err(|error| NoOrder::Bad(error.to_string()))?;
        if let Some(http) = &keys.http {
            return request(http).map(Self::Http);
        }
        let words = match (&keys.command, &keys.shell) {
            (Some(words), _) => {
                let words = words.iter().zip(1..);
                words
                    .map(|(value, at)| word(value, &format!("element {at} of the command")))
                    .collect::<Result<_, _>>()?
            }
            (None, Some(text)) => SHELL
                .into_iter()
                .map(str::to_owned)
                .chain([checked(text.to_string(), "the text for the shell")?])
                .collect(),
            (None, None) => return Err(NoOrder::Unknown),
        };
        process(words, &keys).map(Self::Process)
    }

    /// The kind of tasks that it belongs to.
    pub(super) const fn kind(&self) -> TaskKind {
        match self {
            Self::Process(_) => TaskKind::Command,
            Self::Http(_) => TaskKind::Http,
        }
    }
}

fn process(words: Vec<String>, keys: &Keys<'_>) -> Result<ProcessOrder, NoOrder> {
    if words.first().is_none_or(String::is_empty) {
        return Err(NoOrder::Bad("the command names no program: its first element is empty".to_owned()));
    }
    let is_json = match keys.output.as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(_) => return Err(NoOrder::Unknown),
    };
    let variable = |(name, value): (&String, &&RawValue)| {
        if name.is_empty() || name.contains(['=', '\0']) || name.starts_with(OWN_PREFIX) {
            return Err(NoOrder::Bad(format!("{name:?} cannot be the name of a variable")));
        }
        Ok((name.clone(), word(value, &format!("the variable {name:?}"))?))
    };
    let env = keys.env.iter().map(variable).collect::<Result<_, _>>()?;
    let cwd = keys.cwd.as_ref().map(|cwd| checked(cwd.to_string(), "the directory (cwd)")).transpose()?;
    Ok(ProcessOrder { words, env, cwd, is_json })
}

fn request(keys: &HttpKeys<'_>) -> Result<HttpOrder, NoOrder> {
    let bad = |why: String| NoOrder::Bad(why);
    let method = keys.method.as_deref().unwrap_or("GET");
    let method = method.parse().map_err(|_| bad(format!("{method:?} is not an HTTP method")))?;
    let address = word(keys.url, "the URL")?;
    let url = Url::parse(&address).map_err(|error| bad(format!("{address:?} is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad(format!("the URL {address:?} must begin with http:// or https://")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad(
            "the URL contains a user or a password, which records would show: use the header Authorization".to_owned(),
        ));
    }
    let (mut headers, kind) = (HeaderMap::new(), keys.body.map(|body| body.get().as_bytes()[0]));
    for (name, value) in &keys.headers {
        let value = word(value, &format!("the header {name:?}"))?;
        let parsed = (HeaderName::from_bytes(name.as_bytes()).ok(), HeaderValue::from_bytes(value.as_bytes()).ok());
        let (Some(key), Some(value)) = parsed else {
            return Err(bad(format!(
                "the header {name:?} has a name or a value that HTTP does not allow, such as a line break"
            )));
        };
        headers.insert(key, value);
    }
    let body = match (kind, keys.body) {
        (_, None) => Vec::new(),
        (Some(b'"'), Some(text)) => word(text, "the body")?.into_bytes(),
        (_, Some(json)) => json.get().as_bytes().to_vec(),
    };
    let usual = if kind == Some(b'"') { "text/plain; charset=utf-8" } else { "application/json" };
    if kind.is_some() {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(usual));
    }
    Ok(HttpOrder { method, url, headers, body })
}

/// A string, or a number as it is written.
fn word(value: &RawValue, what: &str) -> Result<String, NoOrder> {
    let text = value.get();
    let kind = match text.as_bytes().first() {
        Some(b'"') => {
            let text = serde_json::from_str(text).map_err(|error| NoOrder::Bad(format!("{what}: {error}")))?;
            return checked(text, what);
        }
        Some(b'-' | b'0'..=b'9') => return Ok(text.to_owned()),
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'n') => "null",
        _ => "a boolean",
    };
    Err(NoOrder::Bad(format!(
        "{what} is {kind}, and must be a string or a number: refer to a part of the value, or convert it in a task before this one"
    )))
}

fn checked(text: String, what: &str) -> Result<String, NoOrder> {
    match text.find('\0') {
        None => Ok(text),
        Some(at) => Err(NoOrder::Bad(format!("{what} contains NUL (at byte {at}), which no program can be given"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(run: &str) -> Result<ProcessOrder, NoOrder> {
        match Order::read(Some(&Json::from_checked(run)))? {
            Order::Process(order) => Ok(order),
            Order::Http(order) => panic!("{order:?}"),
        }
    }

    #[test]
    fn words_are_strings_and_numbers_as_written() {
        let order = read(r#"{"command": ["a", "b c\n", 1.50, -10000000000000000000000], "env": {"x": 1e3}}"#).unwrap();
        assert_eq!(order.words, ["a", "b c\n", "1.50", "-10000000000000000000000"]);
        assert_eq!(order.env["x"], "1e3");
        let order = read(r#"{"shell": "_x.data | __y", "output": "json", "cwd": "a"}"#).unwrap();
        assert_eq!((order.words.join(" "), order.is_json), ("/bin/sh -c _x.data | __y".to_owned(), true));
    }

    #[test]
    fn other_values_are_refused_with_their_place() {
        for (run, what) in [
            (r#"{"command": ["a", true]}"#, "element 2 of the command is a boolean"),
            (r#"{"command": ["a", "b", null]}"#, "element 3 of the command is null"),
            (r#"{"command": [["a"]]}"#, "element 1 of the command is a list"),
            (r#"{"command": ["a"], "env": {"B": {}}}"#, "the variable \"B\" is an object"),
            (r#"{"command": ["a", "b\u0000"]}"#, "contains NUL (at byte 1)"),
            (r#"{"command": [""]}"#, "names no program"),
            (r#"{"command": []}"#, "names no program"),
            (r#"{"command": ["a"], "env": {"HUB_TASK_OF": "x"}}"#, "cannot be the name of a variable"),
            (r#"{"command": "a"}"#, "invalid type"),
        ] {
            assert!(matches!(read(run), Err(NoOrder::Bad(why)) if why.contains(what)), "{run}");
        }
        assert_eq!(read(r#"{"sql": "select 1"}"#), Err(NoOrder::Unknown));
        assert_eq!(read(r#"{"command": ["a"], "output": "csv"}"#), Err(NoOrder::Unknown));
    }
    #[test]
    fn requests_are_read_with_the_type_of_their_body() {
        let read = |run: &str| match Order::read(Some(&Json::from_checked(run))) {
            Ok(Order::Http(order)) => Ok(order),
            Ok(Order::Process(order)) => panic!("{order:?}"),
            Err(why) => Err(why),
        };
        let order = read(r#"{"http": {"url": "http://h/a?b=c", "headers": {"X-N": 7}}}"#).unwrap();
        assert_eq!((order.method.as_str(), order.url.as_str(), order.body.len()), ("GET", "http://h/a?b=c", 0));
        assert_eq!((&order.headers["x-n"], order.headers.len()), (&"7".parse().unwrap(), 1));
        let typed = |body: &str| {
            let order =
                read(&format!(r#"{{"http": {{"method": "POST", "url": "https://h", "body": {body}}}}}"#)).unwrap();
            (String::from_utf8(order.body).unwrap(), order.headers[CONTENT_TYPE].to_str().unwrap().to_owned())
        };
        assert_eq!(typed(r#"{"a": 1.50}"#), (r#"{"a": 1.50}"#.to_owned(), "application/json".to_owned()));
        assert_eq!(typed(r#""a\nb""#), ("a\nb".to_owned(), "text/plain; charset=utf-8".to_owned()));
        for (http, what) in [
            (r#"{"url": 7}"#, "is not a URL"),
            (r#"{"url": null}"#, "the URL is null"),
            (r#"{"url": "ftp://h"}"#, "must begin with http"),
            (r#"{"url": "http://me:secret@h"}"#, "use the header Authorization"),
            (r#"{"url": "http://h", "headers": {"A": "b\r\nC: d"}}"#, "such as a line break"),
            (r#"{"url": "http://h", "headers": {"A": {}}}"#, "the header \"A\" is an object"),
            (r#"{"url": "http://h", "method": "GE T"}"#, "not an HTTP method"),
        ] {
            let refused = read(&format!(r#"{{"http": {http}}}"#));
            assert!(matches!(&refused, Err(NoOrder::Bad(why)) if why.contains(what)), "{http}: {refused:?}");
        }
    }
}
