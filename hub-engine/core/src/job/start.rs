//! The start of a definition: a submission that names a definition instead of having tasks.

use std::sync::Arc;

use super::definition_links;
use super::draft::StartDraft;
use super::format;
use super::labels::Labels;
use super::model::Job;
use super::path::Path;
use super::problem::ProblemCode;
use super::reader::Reader;
use super::rules::MAX_LABELS;
use super::times;
use super::value::{Kind, Value};
use crate::definition::Pins;

/// The key that makes a submission a start.
const DEFINITION: &str = "definition";

/// Whether a submission starts a definition.
pub(super) fn is_start(value: Value<'_>) -> bool {
    value.kind() == Kind::Object
        && value.properties().any(|(key, value)| key.decoded() == DEFINITION && value.kind() != Kind::Null)
}

/// Reads a start. The job has the tasks of the definition and the text of the start.
pub(super) fn read(reader: &mut Reader, text: &str, value: Value<'_>) -> Option<Job> {
    let draft = format::read_start(reader, value);
    let (reference, at) = draft.definition.clone()?;
    let path = Path::Root;
    let path = path.key(DEFINITION);
    let base = definition_links::job_of(reader, &reference, (path, at), 0)?;
    let mut job = Job::clone(&base);
    job.source = text.into();
    job.priority = draft.priority.or(base.priority);
    let options = job.rare.get_or_insert_default();
    let StartDraft { key, start_at, deadline, deadline_at, labels, inputs, extra, .. } = draft;
    options.definition_bytes += base.source.len();
    options.key = key.map(Into::into);
    options.start_at = start_at.or(options.start_at);
    (options.deadline, options.deadline_at) =
        if deadline.is_some() { (deadline, deadline_at) } else { (options.deadline, None) };
    times::check(&mut reader.report, (options.start_at, options.deadline), options.deadline_at);
    options.inputs = inputs;
    if !labels.is_empty() {
        options.labels = Arc::new(together(reader, &options.labels, labels, at));
    }
    options.extra.retain(|(known, _)| extra.iter().all(|(key, _)| key != known));
    options.extra.extend(extra);
    let mut references = base.pins().references.clone();
    references.extend(base.definition().map(|pin| (reference, pin.clone())));
    options.pins = Arc::new(Pins { own: None, references });
    Some(job)
}

/// The labels of the definition and those of the start, which win.
fn together(reader: &mut Reader, base: &Labels, own: Labels, at: usize) -> Labels {
    let mut labels = base.clone();
    labels.extend(own);
    if labels.len() > MAX_LABELS {
        let message =
            format!("the job has {} labels with those of its definition, the limit is {MAX_LABELS}", labels.len());
        reader.report.add(ProblemCode::LimitExceeded, Path::Root.key("labels"), at, message, None);
    }
    labels
}
