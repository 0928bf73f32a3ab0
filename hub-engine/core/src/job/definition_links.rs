//! Definitions that a job refers to, and how a job belongs to one.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

use super::canonical;
use super::limits::Limits;
use super::model::{Job, SubJob, Task};
use super::path::Path;
use super::problem::ProblemCode;
use super::quoted::quoted;
use super::reader::Reader;
use super::report::Report;
use super::value::{Kind, Value};
use crate::Json;
use crate::definition::{Definition, Library, Parsed, Pin, Pins, Reference};
use crate::digest::Digest;

/// Keys of a job that are given when a definition is started, with what to do instead.
const KEYS_OF_STARTS: [(&str, &str); 2] = [
    ("inputs", "give default values in \"input_schema\""),
    ("key", "a key belongs to one job, so it is given with the start"),
];

impl Job {
    /// The version of a definition that it was started from, or whose text it has.
    #[must_use]
    pub fn definition(&self) -> Option<&Pin> {
        self.options().definition.as_ref()
    }

    /// The versions of definitions that its text refers to.
    #[must_use]
    pub fn pins(&self) -> &Arc<Pins> {
        self.rare.as_ref().map_or_else(|| Pins::none(), |options| &options.pins)
    }

    /// The size of its text and of those of the definitions that it was read from, in bytes.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.source.len() + self.options().definition_bytes
    }

    /// The inputs that were given with it, an object.
    #[must_use]
    pub fn inputs(&self) -> Option<&Json> {
        self.options().inputs.as_ref()
    }

    /// The JSON Schema of its inputs.
    #[must_use]
    pub fn input_schema(&self) -> Option<&Json> {
        self.options().input_schema.as_ref()
    }

    /// Whether its tasks can read inputs that were given with it, or that its schema describes.
    #[must_use]
    pub fn has_inputs(&self) -> bool {
        self.inputs().is_some() || self.input_schema().is_some() || self.definition().is_some()
    }

    /// A digest of what the job does. It does not depend on how the text is written.
    pub(super) fn content(&self) -> Digest {
        if self.pins().references.is_empty() {
            return canonical::digest(&self.source);
        }
        let mut text = serde_json::to_string(&self.pins().references).expect("pins can be written as JSON");
        canonical::append(&mut text, &self.source);
        Digest::of(text.as_bytes())
    }

    /// The same job as a version of a definition.
    fn of_definition(mut self, pin: Pin) -> Self {
        let options = self.rare.get_or_insert_default();
        options.pins = Arc::new(Pins { own: Some(pin.clone()), references: options.pins.references.clone() });
        options.definition = Some(pin);
        self
    }

    /// Parses the text of a job that was accepted before. `pins` are what it referred to then, and the library has these.
    ///
    /// # Errors
    /// If the text cannot be read.
    pub fn parse_accepted(text: &str, pins: &Pins, library: &Library) -> Result<Self, super::Problems> {
        let job = Self::parse_with(text, &Limits::of_accepted(), library)?;
        Ok(match &pins.own {
            Some(pin) => job.of_definition(pin.clone()),
            None => job,
        })
    }
}

impl Pins {
    /// That of a job that refers to no definition.
    pub(super) fn none() -> &'static Arc<Self> {
        static NONE: LazyLock<Arc<Pins>> = LazyLock::new(Arc::default);
        &NONE
    }
}

/// Reads a reference to a definition.
pub(super) fn reference(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<Reference> {
    let text = reader.string(value, path, "a reference to a definition")?;
    reader.check_rule(text.parse(), ProblemCode::BadName, path, value.at)
}

/// The job of the definition that is referred to at this place, in a job that is nested in this number of others.
pub(super) fn job_of(
    reader: &mut Reader,
    reference: &Reference,
    (path, at): (Path<'_>, usize),
    level: u32,
) -> Option<Arc<Job>> {
    let library = reader.library.clone();
    let report = &mut reader.report;
    let Some(definition) = library.find(reference) else {
        let message = format!("there is no definition {}", quoted(&reference.to_string()));
        let first = || "define it first: hub-client definitions apply FILE".to_owned();
        let suggestion = library.hint(reference).unwrap_or_else(first);
        report.add(ProblemCode::UnknownDefinition, path, at, message, Some(suggestion));
        return None;
    };
    match parse(&library, &definition) {
        Ok(job) if level + job.levels <= SubJob::MAXIMUM_LEVELS => Some(job),
        Ok(_) | Err(NotUsable::TooDeep) => {
            let message = format!("jobs may be nested {} levels deep", SubJob::MAXIMUM_LEVELS);
            report.add(ProblemCode::LimitExceeded, path, at, message, None);
            None
        }
        Err(NotUsable::Because(message)) => {
            report.add(ProblemCode::BadDefinition, path, at, message, None);
            None
        }
    }
}

/// Why a definition cannot be used.
enum NotUsable {
    /// It is nested too deeply.
    TooDeep,
    /// For this reason.
    Because(String),
}

/// Parses a definition, once for all tasks that run it.
fn parse(library: &Library, definition: &Definition) -> Result<Arc<Job>, NotUsable> {
    let pin = &definition.pin;
    match library.begin(pin) {
        Some(Parsed::Begun) => {
            let message = format!("the definition {pin} runs itself, directly or through other definitions");
            Err(NotUsable::Because(message))
        }
        Some(Parsed::TooDeep) => Err(NotUsable::TooDeep),
        Some(Parsed::Done(outcome)) => outcome.map_err(NotUsable::Because),
        None => {
            let outcome = Job::parse_definition(&definition.text, &Limits::of_accepted(), library)
                .map(|job| Arc::new(job.of_definition(pin.clone())))
                .map_err(|problems| {
                    let first = problems.iter().next().map(|first| format!("{}: {}", first.path, first.message));
                    format!("the definition {pin} cannot be used: {}", first.unwrap_or_default())
                });
            library.finish(pin.clone(), outcome.clone());
            outcome.map_err(NotUsable::Because)
        }
    }
}

/// Reports keys that a definition cannot have, because they are given when it is started.
pub(super) fn refuse_keys_of_starts(report: &mut Report, job: Value<'_>) {
    for (key, value) in job.properties().filter(|(_, value)| value.kind() != Kind::Null) {
        let word = key.decoded();
        if let Some((_, suggestion)) = KEYS_OF_STARTS.iter().find(|(refused, _)| *refused == word) {
            let message = format!("a definition has no {}", quoted(&word));
            let suggestion = Some((*suggestion).to_owned());
            report.add(ProblemCode::ConflictingKeys, Path::Root.key(&word), value.at, message, suggestion);
        }
    }
}

/// The size of the texts of the definitions that these tasks run. Each is counted once.
pub(super) fn bytes_of(tasks: &[Task]) -> usize {
    let mut seen = HashSet::new();
    let sub_jobs = tasks.iter().filter_map(Task::sub_job).filter(|sub_job| seen.insert(Arc::as_ptr(&sub_job.job)));
    let bytes = sub_jobs.map(|SubJob { job, reference, .. }| {
        let own = if reference.is_some() { job.source.len() } else { 0 };
        own + job.options().definition_bytes
    });
    bytes.sum()
}

/// The versions of definitions that the sub-jobs of these tasks refer to.
pub(super) fn pins_of(tasks: &[Task]) -> Arc<Pins> {
    let (mut references, mut seen) = (BTreeMap::new(), HashSet::new());
    for sub_job in tasks.iter().filter_map(Task::sub_job) {
        if let Some((reference, pin)) = sub_job.reference.clone().zip(sub_job.job.definition().cloned()) {
            references.insert(reference, pin);
        }
        if seen.insert(Arc::as_ptr(&sub_job.job)) {
            references.extend(sub_job.job.pins().references.clone());
        }
    }
    Arc::new(Pins { own: None, references })
}
