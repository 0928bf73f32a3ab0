//! Job files in YAML, converted to JSON.
//!
//! The types of plain values are those of the core schema of YAML 1.2: `no` and `on` are texts. What JSON or this schema does not have is
//! refused with its place.

use std::collections::BTreeMap;
use std::fmt::Write;

use hub_core::job::{Limits, Problem, ProblemCode};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

/// Maximum size of the JSON text in bytes, because an alias repeats a value of any size.
const MAXIMUM_BYTES: usize = 64 * 1024 * 1024;

/// A YAML text as JSON.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) json: String,
    /// The line and the column in the JSON text where values and keys begin, with those in the YAML text, in order.
    places: Vec<(Place, Place)>,
}

/// A line and a column, from 1.
type Place = (u32, u32);

impl Converted {
    /// The same problem with its place in the YAML text.
    pub(super) fn in_yaml(&self, problem: &Problem) -> Problem {
        let Some(place) = problem.line.zip(problem.column) else { return problem.clone() };
        let after = self.places.partition_point(|(json, _)| *json <= place);
        let (line, column) = after.checked_sub(1).map_or((1, 1), |at| self.places[at].1);
        Problem { line: Some(line), column: Some(column), ..problem.clone() }
    }
}

/// Converts a text.
///
/// # Errors
/// What is not YAML, or has no JSON.
pub(super) fn convert(text: &str) -> Result<Converted, Problem> {
    let mut writer = Writer::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            problem(ProblemCode::NotJson, *error.marker(), format!("the job is not YAML: {}", error.info()), None)
        })?;
        writer.event(event, span)?;
    }
    if writer.json.is_empty() {
        return Err(problem(ProblemCode::NotJson, Marker::new(0, 1, 0), "the job is empty".to_owned(), None));
    }
    writer.json.push('\n');
    Ok(Converted { json: writer.json, places: writer.places })
}

/// Writes the JSON text.
#[derive(Default)]
struct Writer {
    json: String,
    line: u32,
    /// Where the current line of the JSON text begins.
    line_start: usize,
    places: Vec<(Place, Place)>,
    open: Vec<Open>,
    /// The values of anchors.
    anchors: BTreeMap<usize, String>,
    /// Anchors whose values are not complete, and where these begin.
    recording: Vec<(usize, usize, usize)>,
    documents: u32,
}

/// A list or an object that is not complete.
struct Open {
    is_object: bool,
    /// Whether the next event is a key.
    is_at_key: bool,
    is_empty: bool,
}

impl Writer {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let advice = "write each job into a file of its own";
                    return Err(refuse(span, "the file has more than one document".to_owned(), Some(advice)));
                }
            }
            Event::Alias(anchor) => {
                self.begin_value(span)?;
                let Some(value) = self.anchors.get(&anchor).cloned() else {
                    return Err(refuse(span, "the alias is inside of what it stands for".to_owned(), None));
                };
                // One line, whose place is that of the alias.
                self.push(&value, span)?;
                self.end_value();
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), span)?,
            Event::SequenceStart(anchor, tag) => self.open(false, anchor, tag.as_deref(), span)?,
            Event::MappingStart(anchor, tag) => self.open(true, anchor, tag.as_deref(), span)?,
            Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Problem> {
        let is_key = self.open.last().is_some_and(|open| open.is_object && open.is_at_key);
        if is_key {
            if text == "<<" && style == ScalarStyle::Plain {
                let advice = "write the keys here, or let an alias stand for the whole value";
                return Err(refuse(span, "merge keys (<<) are not part of YAML 1.2".to_owned(), Some(advice)));
            }
            if anchor > 0 {
                return Err(refuse(span, "an anchor at a key has no meaning here".to_owned(), Some("remove it")));
            }
            self.begin_key(span);
            self.push(&quoted(text), span)?;
            self.json.push_str(": ");
            return Ok(());
        }
        let value = value_of(text, style, tag, span)?;
        self.begin_value(span)?;
        let start = self.json.len();
        self.push(&value, span)?;
        if anchor > 0 {
            self.anchors.insert(anchor, self.json[start..].to_owned());
        }
        self.end_value();
        Ok(())
    }

    fn open(&mut self, is_object: bool, anchor: usize, tag: Option<&Tag>, span: Span) -> Result<(), Problem> {
        if let Some(tag) = tag.filter(|tag| !matches!(tag.suffix.as_str(), "map" | "seq") || !tag.is_yaml_core_schema())
        {
            return Err(unknown_tag(tag, span));
        }
        if self.open.len() > Limits::MAX_DEPTH {
            return Err(refuse(span, format!("the nesting exceeds {} levels", Limits::MAX_DEPTH), None));
        }
        self.begin_value(span)?;
        if anchor > 0 {
            self.recording.push((anchor, self.json.len(), self.open.len()));
        }
        self.json.push(if is_object { '{' } else { '[' });
        self.open.push(Open { is_object, is_at_key: is_object, is_empty: true });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Problem> {
        let Some(Open { is_object, is_empty, .. }) = self.open.pop() else { return Ok(()) };
        if !is_empty {
            self.break_line();
        }
        self.push(if is_object { "}" } else { "]" }, span)?;
        if let Some((anchor, start, _)) = self.recording.pop_if(|(.., depth)| *depth == self.open.len()) {
            let value = self.json[start..].lines().map(str::trim_start).collect::<Vec<_>>().join(" ");
            self.anchors.insert(anchor, value);
        }
        self.end_value();
        Ok(())
    }

    /// Begins the next key.
    fn begin_key(&mut self, span: Span) {
        let is_first = self.open.last_mut().is_none_or(|open| {
            open.is_at_key = false;
            std::mem::replace(&mut open.is_empty, false)
        });
        if !is_first {
            self.json.push(',');
        }
        self.break_line();
        self.note(span);
    }

    /// Begins the next value.
    fn begin_value(&mut self, span: Span) -> Result<(), Problem> {
        match self.open.last_mut() {
            Some(Open { is_object: true, is_at_key: true, .. }) => {
                return Err(refuse(span, "a key must be a text".to_owned(), None));
            }
            Some(open) if !open.is_object => {
                if !std::mem::replace(&mut open.is_empty, false) {
                    self.json.push(',');
                }
                self.break_line();
            }
            _ => {}
        }
        self.note(span);
        Ok(())
    }

    /// A value is complete: in an object, a key comes next.
    fn end_value(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.is_at_key = open.is_object;
        }
    }

    fn push(&mut self, text: &str, span: Span) -> Result<(), Problem> {
        if self.json.len() + text.len() > MAXIMUM_BYTES {
            return Err(refuse(span, format!("the job has more than {MAXIMUM_BYTES} bytes as JSON"), None));
        }
        self.json.push_str(text);
        Ok(())
    }

    fn break_line(&mut self) {
        self.json.push('\n');
        self.line += 1;
        self.line_start = self.json.len();
        let _ = write!(self.json, "{:width$}", "", width = self.open.len() * 2);
    }

    /// Notes where a key or a value begins in both texts.
    fn note(&mut self, span: Span) {
        let column = self.json[self.line_start..].chars().count();
        self.places.push(((self.line + 1, number(column + 1)), place(span.start)));
    }
}

/// The JSON text of a scalar.
fn value_of(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<String, Problem> {
    let is_text = match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => true,
        Some(tag)
            if !tag.is_yaml_core_schema() || !matches!(tag.suffix.as_str(), "int" | "float" | "bool" | "null") =>
        {
            return Err(unknown_tag(tag, span));
        }
        Some(tag) => {
            let advice = "remove it, and write the value without quotation marks";
            return Err(refuse(span, format!("the tag !!{} is not supported", tag.suffix), Some(advice)));
        }
        None => style != ScalarStyle::Plain,
    };
    if is_text {
        return Ok(quoted(text));
    }
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => "null".to_owned(),
        "true" | "True" | "TRUE" => "true".to_owned(),
        "false" | "False" | "FALSE" => "false".to_owned(),
        _ if matches!(text.trim_start_matches(['-', '+']), ".inf" | ".Inf" | ".INF")
            || matches!(text, ".nan" | ".NaN" | ".NAN") =>
        {
            let advice = "write it in quotation marks if it is a text";
            return Err(refuse(span, format!("JSON has no number {text}"), Some(advice)));
        }
        _ => number_of(text, span)?.unwrap_or_else(|| quoted(text)),
    };
    Ok(value)
}

/// The JSON text of a number. `None`: the text is no number.
fn number_of(text: &str, span: Span) -> Result<Option<String>, Problem> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let is_plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let number = u128::from_str_radix(digits, radix).ok().filter(|_| is_plain);
            return Ok(number.map(|number| number.to_string()));
        }
    }
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) =
        rest.split_once(['e', 'E']).map_or((rest, None), |(before, after)| (before, Some(after)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(before, after)| (before, Some(after)));
    let is_number = (digits(whole) || whole.is_empty() && fraction.is_some_and(digits))
        && fraction.is_none_or(|fraction| fraction.is_empty() || digits(fraction))
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    if !is_number {
        return Ok(None);
    }
    if whole.len() > 1 && whole.starts_with('0') {
        let advice =
            "write it in quotation marks if it is a text, without the zero if it is decimal, or with 0o if it is octal";
        return Err(refuse(span, format!("{text} is read differently by different programs"), Some(advice)));
    }
    let mut number = format!("{sign}{}", if whole.is_empty() { "0" } else { whole });
    if let Some(fraction) = fraction {
        let _ = write!(number, ".{}", if fraction.is_empty() { "0" } else { fraction });
    }
    if let Some(exponent) = exponent {
        let _ = write!(number, "e{exponent}");
    }
    Ok(Some(number))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn unknown_tag(tag: &Tag, span: Span) -> Problem {
    refuse(span, format!("the tag {}{} has no meaning in a job", tag.handle, tag.suffix), Some("remove it"))
}

fn refuse(span: Span, message: String, advice: Option<&str>) -> Problem {
    problem(ProblemCode::NotJson, span.start, message, advice)
}

fn problem(code: ProblemCode, at: Marker, message: String, advice: Option<&str>) -> Problem {
    let (line, column) = place(at);
    let suggestion = advice.map(str::to_owned);
    Problem { code, path: "$".to_owned(), line: Some(line), column: Some(column), message, suggestion }
}

fn place(at: Marker) -> Place {
    (number(at.line()), number(at.col() + 1))
}

fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use hub_core::job::Job;
    use serde_json::{Value, json};

    use super::*;

    fn json_of(text: &str) -> Value {
        serde_json::from_str(&convert(text).unwrap().json).unwrap()
    }

    /// The place and the message of a refusal.
    fn refusal(text: &str) -> (u32, u32, String) {
        let problem = convert(text).unwrap_err();
        (problem.line.unwrap(), problem.column.unwrap(), problem.message)
    }

    #[test]
    fn values_have_the_types_of_yaml_1_2() {
        let text = "a: no\nb: on\nc: 12:30\nd: 2026-11-28\ne: 0x1F\nf: 0o17\ng: 1e3\nh: .5\ni: -1.\nj: ~\nk:\nl: True\nm: '5'\nn: !!str 5\no: 1_000\np: +7\nq: 18446744073709551616\nr: =\ns: -\nt: .\n";
        let expected = json!({"a": "no", "b": "on", "c": "12:30", "d": "2026-11-28", "e": 31, "f": 15, "g": 1e3, "h": 0.5, "i": -1.0,
            "j": null, "k": null, "l": true, "m": "5", "n": "5", "o": "1_000", "p": 7, "q": 18_446_744_073_709_551_616_f64, "r": "=",
            "s": "-", "t": "."});
        let text = text.replace("s: -\n", "s: '-'\n");
        assert_eq!(json_of(&text), expected);
        assert!(convert("q: 18446744073709551616\n").unwrap().json.contains("18446744073709551616"));
    }

    #[test]
    fn blocks_flows_comments_and_aliases() {
        let text = "# a job\n---\nname: &n \"tab\\t\"\ntext: |\n  one\n  two\nfolded: >-\n  one\n  two\nlist: [1, {a: b}, []]\ncopy: *n\nx-m: &m {a: [1, 2]}\ny: *m\n1: one\n...\n";
        let expected = json!({"name": "tab\t", "text": "one\ntwo\n", "folded": "one two", "list": [1, {"a": "b"}, []], "copy": "tab\t",
            "x-m": {"a": [1, 2]}, "y": {"a": [1, 2]}, "1": "one"});
        assert_eq!(json_of(text), expected);
        assert_eq!(json_of("\u{feff}{\"a\": [1, true]}"), json!({"a": [1, true]}));
    }

    #[test]
    fn what_has_no_json_is_refused_at_its_place() {
        for (text, place, message) in [
            ("a: .inf", (1, 4), "JSON has no number"),
            ("a: -.INF", (1, 4), "JSON has no number"),
            ("a: !!int '5'", (1, 4), "not supported"),
            ("&x a: 1", (1, 1), "anchor"),
            ("zip: 01234", (1, 6), "differently"),
            ("a: !secret b", (1, 4), "tag"),
            ("a: {<<: *b}", (1, 9), ""),
            ("x: &b {c: 1}\na:\n  <<: *b", (3, 3), "merge"),
            ("? [a, b]\n: 1", (1, 3), "key"),
            ("a: 1\n---\nb: 2", (2, 1), "more than one"),
            ("a: &x [*x]", (1, 8), "inside"),
            ("a: [1, 2", (1, 9), "not YAML"),
            ("a: b: c", (1, 5), "not YAML"),
            ("", (1, 1), "empty"),
            ("# nothing\n", (1, 1), "empty"),
        ] {
            let (line, column, found) = refusal(text);
            assert!(found.contains(message), "{text:?}: {found}");
            if !message.is_empty() && message != "not YAML" {
                assert_eq!((line, column), place, "{text:?}: {found}");
            }
        }
    }

    #[test]
    fn aliases_cannot_fill_the_memory() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..20 {
            let before = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        assert!(refusal(&text).2.contains("bytes"));
        assert!(refusal(&"[".repeat(10_000)).2.len() < 300);
    }

    #[test]
    fn problems_of_the_job_have_their_place_in_the_yaml_text() {
        let text = "# nightly\nname: etl\ntasks:\n  - name: load\n    depnds: [x]\n  - name: \"größe\"\n    args: [1, _nope.data]\n";
        let converted = convert(text).unwrap();
        let problems = Job::parse(&converted.json, &Limits::default()).unwrap_err();
        let places: Vec<_> = problems.iter().map(|problem| converted.in_yaml(problem)).collect();
        let places: Vec<_> = places.iter().map(|problem| (problem.line.unwrap(), problem.column.unwrap())).collect();
        assert_eq!(places, [(5, 5), (7, 15)]);
    }
}
