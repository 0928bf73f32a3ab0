//! Finds the references in a value and records them as placeholders of its template.

use super::path::Path;
use super::phase::{Lists, Phase};
use super::places::Places;
use super::problem::ProblemCode;
use super::quoted::quoted;
use super::reader::Reader;
use super::reference::{self, Attribute, MAX_STEPS, Malformed, ParsedReference, Reference};
use super::secret::{self, Secret, Secrets};
use super::task_names::TaskNames;
use super::template::{Placeholder, Replacement, Template};
use super::value::{Cursor, Value};

/// Number of steps of the path of a task: `tasks`, and its position.
const STEPS_TO_TASK: usize = 2;

/// What `_.failure` of a job has.
const FAILURE_KEYS: [&str; 4] = ["status", "msg", "count", "tasks"];

/// Searches the templates of one task, or the output of the job.
pub(super) struct PlaceholderFinder<'r> {
    pub(super) reader: &'r mut Reader,
    pub(super) task_names: &'r TaskNames<'r>,
    /// The lists of tasks of the job.
    pub(super) lists: Lists,
    /// The list of the task that the arguments belong to; the tasks of the job for its output.
    pub(super) phase: Phase,
    /// The name of the task that the arguments belong to; empty for the job's output.
    pub(super) own: &'r str,
    /// The position of that task, if `_.item` and `_.index` may stand here.
    pub(super) items_of: Option<u32>,
    /// Set if a reference to how the tasks of the job ended is found.
    pub(super) reads_failure: &'r mut bool,
    /// The task whose error `_.failure` is, where this may stand.
    pub(super) failure: Option<u32>,
    /// The position of the task, if its trigger rule has a first task.
    pub(super) first_of: Option<u32>,
    /// The places in values that references lead to.
    pub(super) places: &'r mut Places,
    /// The placeholders of the current template.
    pub(super) found: &'r mut Vec<Placeholder>,
    /// Where secrets are allowed in the current template.
    pub(super) secrets: Secrets,
    /// The secrets of the task.
    pub(super) found_secrets: &'r mut Vec<Secret>,
}

impl PlaceholderFinder<'_> {
    /// Finds and sets the placeholders of a template. `at` is the byte offset of its text in the text of the job.
    pub(super) fn set_placeholders(&mut self, template: &mut Template, at: usize, path: Path<'_>) {
        self.find(&mut Value { at, text: template.as_str() }.cursor(), path);
        for placeholder in &mut *self.found {
            placeholder.start -= at;
            placeholder.end -= at;
        }
        template.set_placeholders(self.found);
    }

    /// Searches the next value. The depth of the recursion is the nesting depth of the job, at most
    /// `Limits::MAX_DEPTH`.
    fn find(&mut self, cursor: &mut Cursor<'_>, path: Path<'_>) {
        match cursor.next_byte() {
            b'[' => {
                cursor.enter();
                let mut index = 0;
                while cursor.has_next() {
                    self.find(cursor, path.index(index));
                    index += 1;
                }
            }
            b'{' => {
                cursor.enter();
                while cursor.has_next() {
                    let key = cursor.key().decoded();
                    self.find(cursor, path.key(&key));
                }
            }
            b'"' => {
                let placeholder = self.placeholder(cursor.value(), path);
                self.found.extend(placeholder);
            }
            _ => {
                cursor.value();
            }
        }
    }

    /// Decides by the decoded string, so escaped characters make no difference.
    fn placeholder(&mut self, string: Value<'_>, path: Path<'_>) -> Option<Placeholder> {
        let meant = string.decoded();
        let rest = meant.strip_prefix('_')?;
        if rest.starts_with('_') {
            self.check_escaped(rest, path, string.at);
            // Only the first underscore is removed. It is written as itself or as an escape sequence.
            let length = if string.text[1..].starts_with('_') { 1 } else { r"\u005f".len() };
            let start = string.at + 1;
            return Some(Placeholder { start, end: start + length, replacement: Replacement::Nothing });
        }
        if let Some(name) = secret::written(rest) {
            self.secret(name, path, string.at);
            return None;
        }
        let reference = self.reference(rest, path, string.at)?;
        let end = string.at + string.text.len();
        Some(Placeholder { start: string.at, end, replacement: Replacement::Reference(reference) })
    }

    /// A secret stays as it is written: the worker replaces it.
    fn secret(&mut self, name: &str, path: Path<'_>, at: usize) {
        let pointer = path.pointer(STEPS_TO_TASK);
        let is_allowed = match self.secrets {
            Secrets::Refused => false,
            Secrets::Allowed => true,
            Secrets::Below(key) => pointer.split('/').nth(2) == Some(key),
        };
        let report = &mut self.reader.report;
        if !is_allowed {
            let message = "a secret can be only in \"args\", \"kwargs\", \"env\" and the \"headers\" of \"http\"";
            let suggestion = literal(&format!(".secret{name}"));
            return report.add(ProblemCode::BadReference, path, at, message, Some(suggestion));
        }
        let name = name.strip_prefix('.').unwrap_or_default();
        if let Err(why) = Secret::check_name(name) {
            let suggestion = Some("write \"_.secret.NAME\"".to_owned());
            return report.add(ProblemCode::BadReference, path, at, why, suggestion);
        }
        // What a task runs has its own object in the message.
        let is_run = ["/env/", "/http/"].iter().any(|key| pointer.starts_with(key));
        let at = if is_run { format!("/run{pointer}") } else { pointer };
        self.found_secrets.push(Secret { at: at.into(), name: name.into() });
    }

    fn reference(&mut self, rest: &str, path: Path<'_>, at: usize) -> Option<Reference> {
        if let Some(rest) = rest.strip_prefix('.') {
            return self.reference_of_hub(rest, path, at);
        }
        let written = match reference::parse(rest) {
            Ok(written) => written,
            Err(malformed) => {
                let (message, suggestion) = self.explain(rest, &malformed);
                self.reader.report.add(ProblemCode::BadReference, path, at, message, Some(suggestion));
                return None;
            }
        };
        let Some(task) = self.task_names.find(written.task) else {
            self.unknown_task(rest, &written, path, at);
            return None;
        };
        if self.own == written.task && written.attribute.needs_end() {
            let name = quoted(written.task);
            let message = format!("{name} depends on itself: {0} → {0}", written.task);
            self.reader.report.add(ProblemCode::Cycle, path, at, message, None);
            return None;
        }
        let list = self.lists.phase(task);
        if list > self.phase {
            let shown = quoted(&format!("_{rest}"));
            let message = format!("{shown} refers to a task of \"{}\", which runs later", list.as_str());
            self.reader.report.add(ProblemCode::BadReference, path, at, message, Some(literal(rest)));
            return None;
        }
        Some(self.refer(task, written.attribute, written.path))
    }

    fn refer(&mut self, task: u32, attribute: Attribute, path: Vec<&str>) -> Reference {
        let place = self.places.add(task, attribute, &path);
        Reference { task, attribute, path: path.into_iter().map(Into::into).collect(), place }
    }

    /// A reference to what Hub itself knows.
    fn reference_of_hub(&mut self, rest: &str, path: Path<'_>, at: usize) -> Option<Reference> {
        let shown = quoted(&format!("_.{rest}"));
        let written = match reference::parse_of_hub(rest) {
            Ok(written) => written,
            Err(Malformed::UnknownAttribute(_)) => {
                let known = Attribute::OF_HUB.map(|attribute| format!("_.{}", attribute.as_str()));
                let message = format!("there is nothing named {shown}; there are {}", known.join(", "));
                let report = &mut self.reader.report;
                let near = report.did_you_mean(&format!("_.{rest}"), known.iter().map(String::as_str));
                let suggestion = near.unwrap_or_else(|| literal(&format!(".{rest}")));
                report.add(ProblemCode::BadReference, path, at, message, Some(suggestion));
                return None;
            }
            Err(malformed) => {
                let (message, suggestion) = self.explain(&format!(".{rest}"), &malformed);
                self.reader.report.add(ProblemCode::BadReference, path, at, message, Some(suggestion));
                return None;
            }
        };
        match self.owner_of(written.attribute) {
            Ok((_, Attribute::JobFailure))
                if !FAILURE_KEYS.contains(written.path.first().unwrap_or(&FAILURE_KEYS[0])) =>
            {
                let message = format!("{shown}: how a job ended has {}", FAILURE_KEYS.join(", "));
                let report = &mut self.reader.report;
                let near =
                    report.did_you_mean(written.path[0], FAILURE_KEYS).unwrap_or_else(|| literal(&format!(".{rest}")));
                report.add(ProblemCode::BadReference, path, at, message, Some(near));
                None
            }
            Ok((task, attribute)) => Some(self.refer(task, attribute, written.path)),
            Err(why) => {
                let suggestion = Some(literal(&format!(".{rest}")));
                self.reader.report.add(ProblemCode::BadReference, path, at, format!("{shown}{why}"), suggestion);
                None
            }
        }
    }

    /// The task that a reference to what Hub itself knows belongs to and what it reads, or why it cannot stand here.
    fn owner_of(&mut self, attribute: Attribute) -> Result<(u32, Attribute), &'static str> {
        match attribute {
            Attribute::Item | Attribute::Index => {
                let why = ": there is an item only in the arguments of a task with \"for_each\", and in the \"when\" of its \"for_each\"";
                self.items_of.map(|task| (task, attribute)).ok_or(why)
            }
            Attribute::Failure => match self.failure {
                Some(task) => Ok((task, attribute)),
                None if self.phase > Phase::Tasks => {
                    *self.reads_failure = true;
                    Ok((0, Attribute::JobFailure))
                }
                None => Err(" is the error of a task or a job that has failed: it stands only in a \"fallback\" and \
                             in the tasks of \"on_failure\" and \"finally\""),
            },
            _ if attribute.of_first().is_some() => {
                let why =
                    ": there is a first task only in a task with the trigger rule one_success, one_failed or one_done";
                self.first_of.map(|task| (task, attribute)).ok_or(why)
            }
            Attribute::Input if !self.reader.has_inputs => Err(
                " are the inputs of the job, and this job has none: give it \"inputs\", or an \"input_schema\" for a definition",
            ),
            _ => Ok((0, attribute)),
        }
    }

    /// An escaped string may be intended as a reference to a task whose name begins with an underscore. References
    /// cannot name such a task, so the ambiguous string is refused.
    fn check_escaped(&mut self, text: &str, path: Path<'_>, at: usize) {
        let Ok(written) = reference::parse(text) else { return };
        if self.task_names.find(written.task).is_some() {
            let shown = quoted(&format!("_{text}"));
            let message = format!(
                "{shown} may be the text after its first underscore, or a reference to {}",
                quoted(written.task)
            );
            let suggestion = Some("rename the task so that its name does not begin with an underscore".to_owned());
            self.reader.report.add(ProblemCode::BadReference, path, at, message, suggestion);
        }
    }

    fn unknown_task(&mut self, rest: &str, written: &ParsedReference<'_>, path: Path<'_>, at: usize) {
        let report = &mut self.reader.report;
        let message = format!("{} refers to a task that is not in the job", quoted(&format!("_{rest}")));
        let near = self.task_names.did_you_mean(report, written.task);
        report.add(ProblemCode::UnknownTask, path, at, message, Some(near.unwrap_or_else(|| literal(rest))));
    }

    /// The message and the suggestion for an invalid reference.
    fn explain(&mut self, rest: &str, malformed: &Malformed<'_>) -> (String, String) {
        let shown = quoted(&format!("_{rest}"));
        match malformed {
            Malformed::NoAttribute => {
                let message = format!("{shown} is not a reference: references have the form _<task>.data");
                let known = self.task_names.find(rest).is_some();
                (message, if known { format!("did you mean \"_{rest}.data\"?") } else { literal(rest) })
            }
            Malformed::UnknownAttribute(word) => {
                let known = Attribute::ALL.map(Attribute::as_str);
                let message = format!("{shown}: a task has no {}; it has {}", quoted(word), known.join(", "));
                let near = self.reader.report.did_you_mean(word, known);
                (message, near.unwrap_or_else(|| literal(rest)))
            }
            Malformed::EmptyStep => (format!("{shown} has an empty step between its dots"), literal(rest)),
            Malformed::TooManySteps(count) => {
                (format!("{shown} has {count} steps, the limit is {MAX_STEPS}"), literal(rest))
            }
            Malformed::NothingInside(attribute) => {
                let message = format!("{shown}: {attribute} is a string, so no path can follow it");
                (message, format!("end the reference after .{attribute}"))
            }
        }
    }
}

/// The suggestion for a text that is not intended as a reference.
fn literal(rest: &str) -> String {
    format!("for the text itself write {}", quoted(&format!("__{rest}")))
}
