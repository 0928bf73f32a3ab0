//! Finds the references in a value and makes a template of it.

use super::path::Path;
use super::places::Places;
use super::problem::ProblemCode;
use super::quoted::quoted;
use super::reader::Reader;
use super::reference::{self, Attribute, MOST_STEPS, Malformed, Reference, Written};
use super::roster::Roster;
use super::template::{Filling, Hole, Template};
use super::value::{Cursor, Value};

/// Looks through the templates of one task, or of the job's output.
pub(super) struct Holes<'r> {
    pub(super) reader: &'r mut Reader,
    pub(super) roster: &'r Roster<'r>,
    /// The name of the task whose arguments they are; empty where it has none.
    pub(super) own: &'r str,
    /// The places in values that are referred to.
    pub(super) places: &'r mut Places,
    /// Those of the template that is looked through.
    pub(super) found: &'r mut Vec<Hole>,
}

impl Holes<'_> {
    /// Gives the template, whose text stands at a byte offset of the job's, its holes.
    pub(super) fn punch(&mut self, template: &mut Template, at: usize, path: Path<'_>) {
        self.find(&mut Value { at, text: template.as_str() }.cursor(), path);
        for hole in &mut *self.found {
            hole.start -= at;
            hole.end -= at;
        }
        template.punch(self.found);
    }

    /// Looks through the value that stands next. Recurses as deep as the job is nested, which
    /// `Limits::DEEPEST` bounds.
    fn find(&mut self, cursor: &mut Cursor<'_>, path: Path<'_>) {
        match cursor.next_byte() {
            b'[' => {
                cursor.enter();
                let mut index = 0;
                while cursor.finds_more() {
                    self.find(cursor, path.index(index));
                    index += 1;
                }
            }
            b'{' => {
                cursor.enter();
                while cursor.finds_more() {
                    let key = cursor.key().meant();
                    self.find(cursor, path.key(&key));
                }
            }
            b'"' => {
                let hole = self.hole(cursor.value(), path);
                self.found.extend(hole);
            }
            _ => {
                cursor.value();
            }
        }
    }

    /// What counts is the string that is meant, however its characters are written.
    fn hole(&mut self, string: Value<'_>, path: Path<'_>) -> Option<Hole> {
        let meant = string.meant();
        let rest = meant.strip_prefix('_')?;
        if rest.starts_with('_') {
            self.check_escaped(rest, path, string.at);
            // Only the first underscore goes; it is either itself or its escape.
            let length = if string.text[1..].starts_with('_') { 1 } else { r"\u005f".len() };
            let start = string.at + 1;
            return Some(Hole { start, end: start + length, filling: Filling::Nothing });
        }
        let reference = self.reference(rest, path, string.at)?;
        let end = string.at + string.text.len();
        Some(Hole { start: string.at, end, filling: Filling::Reference(reference) })
    }

    fn reference(&mut self, rest: &str, path: Path<'_>, at: usize) -> Option<Reference> {
        let written = match reference::parse(rest) {
            Ok(written) => written,
            Err(malformed) => {
                let (message, suggestion) = self.explain(rest, &malformed);
                self.reader.report.add(ProblemCode::BadReference, path, at, message, Some(suggestion));
                return None;
            }
        };
        let Some(task) = self.roster.find(written.task) else {
            self.unknown_task(rest, &written, path, at);
            return None;
        };
        if self.own == written.task && written.attribute.needs_end() {
            let name = quoted(written.task);
            let message = format!("{name} waits for its own end: {0} → {0}", written.task);
            self.reader.report.add(ProblemCode::Cycle, path, at, message, None);
            return None;
        }
        let Written { attribute, path, .. } = written;
        let place = self.places.add(task, attribute, &path);
        Some(Reference { task, attribute, path: path.into_iter().map(Into::into).collect(), place })
    }

    /// An escaped string may have been meant as a reference to a task whose own name begins with an
    /// underscore. Such a task can run, but no reference can name it; guessing would hand on the wrong value.
    fn check_escaped(&mut self, text: &str, path: Path<'_>, at: usize) {
        let Ok(written) = reference::parse(text) else { return };
        if self.roster.find(written.task).is_some() {
            let shown = quoted(&format!("_{text}"));
            let message = format!(
                "{shown} may be the text after its first underscore, or a reference to {}",
                quoted(written.task)
            );
            let suggestion = Some("rename the task so that its name does not begin with an underscore".to_owned());
            self.reader.report.add(ProblemCode::BadReference, path, at, message, suggestion);
        }
    }

    fn unknown_task(&mut self, rest: &str, written: &Written<'_>, path: Path<'_>, at: usize) {
        let report = &mut self.reader.report;
        let message = format!("{} refers to a task that is not in the job", quoted(&format!("_{rest}")));
        let near = self.roster.did_you_mean(report, written.task);
        report.add(ProblemCode::UnknownTask, path, at, message, Some(near.unwrap_or_else(|| literal(rest))));
    }

    /// What is wrong with a reference, and what to write in its place.
    fn explain(&mut self, rest: &str, malformed: &Malformed<'_>) -> (String, String) {
        let shown = quoted(&format!("_{rest}"));
        match malformed {
            Malformed::NoAttribute => {
                let message = format!("{shown} is no reference: those have the form _<task>.data");
                let known = self.roster.find(rest).is_some();
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
                (format!("{shown} has {count} steps, the limit is {MOST_STEPS}"), literal(rest))
            }
            Malformed::NothingInside(attribute) => {
                let message = format!("{shown}: {attribute} is a string, there is nothing inside it");
                (message, format!("end it after .{attribute}"))
            }
        }
    }
}

/// How to write what was not meant as a reference.
fn literal(rest: &str) -> String {
    format!("for the text itself write {}", quoted(&format!("__{rest}")))
}
