//! The text of a schedule: a job, and the times at which it starts.

use std::sync::Arc;
use std::time::Duration;

use hub_calendar::{Calendar, CalendarError, CalendarField, CalendarSpec};
use serde_json::json;

use super::draft::{ScheduleDraft, ScheduledJob};
use super::labels::Labels;
use super::path::Path;
use super::position::Positions;
use super::problem::{Problem, ProblemCode, Problems};
use super::reader::Reader;
use super::schedule_rules::{CatchUp, Overlap};
use super::{Limits, format, syntax};
use crate::chance::hash;
use crate::definition::{Library, Reference};
use crate::{Json, Timestamp};

/// A schedule: a job, and the times at which it starts.
#[derive(Clone, Debug)]
pub struct Schedule {
    source: Arc<str>,
    name: Arc<str>,
    definition: Option<Reference>,
    run_text: Arc<str>,
    /// The line and the column of the job.
    job_at: (u32, u32),
    labels: Arc<Labels>,
    calendar: Calendar,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    jitter: Duration,
    overlap: Overlap,
    catch_up: CatchUp,
    catch_up_window: Duration,
    pause_on_failure: u32,
    paused: bool,
}

impl Schedule {
    /// Default of `catch_up_window`.
    pub const CATCH_UP_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

    /// Parses the text of a schedule that was created at this time, from which intervals count if it has no `anchor` and no `start`. Its job is
    /// not parsed: see [`Schedule::run_text`].
    ///
    /// # Errors
    /// All problems of the schedule, at least one. The first hundred are described.
    pub fn parse(text: &str, limits: &Limits, created_at: Timestamp) -> Result<Self, Problems> {
        let value = syntax::value_of("schedule", text, limits)?;
        let mut reader = Reader::new(limits.max_tasks, &format::OBJECTS, Library::default());
        let schedule = format::read_schedule(&mut reader, value)
            .and_then(|draft| Self::of_draft(&mut reader, text, draft, created_at));
        reader.report.check(text)?;
        Ok(schedule.expect("a schedule without a required key has a problem"))
    }

    fn of_draft(reader: &mut Reader, text: &str, draft: ScheduleDraft<'_>, created_at: Timestamp) -> Option<Self> {
        let default = || draft.every.map(|_| draft.start.unwrap_or(created_at));
        let anchor = draft.anchor.map(|(anchor, _)| anchor).or_else(default);
        let spec = CalendarSpec {
            cron: draft.cron.iter().map(|(text, _)| text.to_string()).collect(),
            every: draft.every.map(|(every, _)| every),
            anchor: anchor.and_then(|anchor| i64::try_from(anchor.as_millis()).ok()),
            timezone: draft.timezone.as_ref().map_or_else(|| "UTC".to_owned(), |(zone, _)| zone.to_string()),
        };
        // Times that are not readable have been reported, and are not missing.
        let is_readable = draft.has_times == (!draft.cron.is_empty() || draft.every.is_some());
        let calendar = is_readable.then(|| Calendar::new(&spec)).and_then(|calendar| {
            calendar.map_err(|errors| errors.into_iter().for_each(|error| report(reader, &draft, error))).ok()
        });
        if draft.start.zip(draft.end).is_some_and(|(start, end)| start >= end) {
            let message = "\"end\" is not after \"start\"";
            reader.report.add(ProblemCode::OutOfRange, Path::Root.key("end"), draft.end_at, message, None);
        }
        let (job, at) = draft.job?;
        let (definition, run_text) = match job {
            ScheduledJob::Definition(reference) => {
                let mut start = json!({ "definition": reference.to_string() }).to_string();
                if let Some((inputs, _)) = &draft.inputs {
                    start.pop();
                    start.push_str(&format!(", \"inputs\": {}}}", inputs.get()));
                }
                (Some(reference), start.into())
            }
            ScheduledJob::Inline(job) => {
                if let Some((_, at)) = draft.inputs {
                    let message = "\"inputs\" stands beside the name of a definition: this schedule has a job";
                    let advice = "put the inputs into the job".to_owned();
                    reader.report.add(ProblemCode::UnsupportedKey, Path::Root.key("inputs"), at, message, Some(advice));
                }
                (None, job.get().into())
            }
        };
        let schedule = Self {
            source: text.into(),
            name: draft.name?.as_ref().into(),
            definition,
            run_text,
            job_at: Positions::new(text).of(at),
            labels: Arc::new(draft.labels),
            calendar: calendar?,
            start: draft.start,
            end: draft.end,
            jitter: draft.jitter.unwrap_or_default(),
            overlap: draft.overlap.unwrap_or_default(),
            catch_up: draft.catch_up.unwrap_or_default(),
            catch_up_window: draft.catch_up_window.unwrap_or(Self::CATCH_UP_WINDOW),
            pause_on_failure: draft.pause_on_failure.unwrap_or_default(),
            paused: draft.paused.unwrap_or_default(),
        };
        // A schedule that has ended is kept, so that its file can be applied again.
        if schedule.next_after(Timestamp::default()).is_none() && reader.report.is_empty() {
            let message = "the schedule never starts a job: it has no time between \"start\" and \"end\"";
            let root = Path::Root;
            let (path, at) = if draft.end.is_some() { (root.key("end"), draft.end_at) } else { (root, draft.at) };
            reader.report.add(ProblemCode::OutOfRange, path, at, message, None);
        }
        Some(schedule)
    }

    /// The text, as it was given.
    #[must_use]
    pub const fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The definition that it starts. `None`: it contains its job.
    #[must_use]
    pub const fn definition(&self) -> Option<&Reference> {
        self.definition.as_ref()
    }

    /// What is submitted at each time: a job, or the start of a definition.
    #[must_use]
    pub const fn run_text(&self) -> &Arc<str> {
        &self.run_text
    }

    /// A problem of the job that would be submitted, at its place in the text of the schedule.
    #[must_use]
    pub fn problem_of_job(&self, problem: Problem) -> Problem {
        let (line, column) = self.job_at;
        if self.definition.is_some() {
            let path = problem.path.replacen("$.definition", "$.job", 1);
            return Problem { path, line: Some(line), column: Some(column), ..problem };
        }
        let path = format!("$.job{}", problem.path.strip_prefix('$').unwrap_or_default());
        let is_first = problem.line == Some(1);
        let column = problem.column.map(|own| if is_first { column + own - 1 } else { own });
        Problem { path, line: problem.line.map(|own| line + own - 1), column, ..problem }
    }

    /// The labels that its jobs inherit.
    #[must_use]
    pub const fn labels(&self) -> &Arc<Labels> {
        &self.labels
    }

    /// What happens at a time at which a job of the schedule has not ended.
    #[must_use]
    pub const fn overlap(&self) -> Overlap {
        self.overlap
    }

    /// What happens with times at which no dispatcher ran.
    #[must_use]
    pub const fn catch_up(&self) -> CatchUp {
        self.catch_up
    }

    /// How late a job may start for a time at which no dispatcher ran.
    #[must_use]
    pub const fn catch_up_window(&self) -> Duration {
        self.catch_up_window
    }

    /// Number of failed jobs in a row after which the schedule pauses. 0: it never does.
    #[must_use]
    pub const fn pause_on_failure(&self) -> u32 {
        self.pause_on_failure
    }

    /// Whether it is created as a paused one.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused
    }

    /// The first time of the schedule after `time`. `None`: there is none.
    #[must_use]
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let after = self.start.map_or(time, |start| start.before(Duration::from_millis(1)).max(time));
        let next = self.calendar.next_after(i64::try_from(after.as_millis()).ok()?)?;
        let next = Timestamp::from_millis(u64::try_from(next).ok()?);
        (next > time && self.end.is_none_or(|end| next < end)).then_some(next)
    }

    /// When the job for a time of the schedule starts: at most `jitter` later, and before the next time. `uid` is the schedule's.
    #[must_use]
    pub fn due(&self, uid: uuid::Uuid, time: Timestamp) -> Timestamp {
        if self.jitter.is_zero() {
            return time;
        }
        let distance = self.next_after(time).map_or(Duration::MAX, |next| next.since(time));
        let jitter = self.jitter.min(distance.saturating_sub(Duration::from_millis(1))).as_millis() as u64;
        let chance = hash(uid.as_bytes().iter().copied().chain(time.as_millis().to_be_bytes()));
        time.after(Duration::from_millis(chance % (jitter + 1)))
    }

    /// The times of the schedule after `time`, in order.
    pub fn times_after(&self, time: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(time), |at| self.next_after(*at))
    }

    /// A time in the zone of the schedule, for people.
    #[must_use]
    pub fn local(&self, time: Timestamp) -> String {
        i64::try_from(time.as_millis()).map_or_else(|_| time.to_string(), |millis| self.calendar.local(millis))
    }

    /// What its author may not expect.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.calendar.notes()
    }

    /// The values of these keys in the text.
    #[must_use]
    pub fn values(&self, keys: &[&str]) -> Vec<Option<serde_json::Value>> {
        let value = Json::from_checked(Arc::clone(&self.source)).to_value();
        keys.iter().map(|key| value.get(key).cloned()).collect()
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

fn report(reader: &mut Reader, draft: &ScheduleDraft<'_>, error: CalendarError) {
    let CalendarError { field, index, position, message, suggestion } = error;
    let root = Path::Root;
    let (key, at) = match field {
        CalendarField::Cron => ("cron", draft.cron.get(index).map(|(_, at)| *at)),
        CalendarField::Every => ("every", draft.every.map(|(_, at)| at)),
        CalendarField::Anchor => ("anchor", draft.anchor.map(|(_, at)| at)),
        CalendarField::Timezone => ("timezone", draft.timezone.as_ref().map(|(_, at)| *at)),
    };
    // A sentence about a whole value has no subject.
    let is_about_key = position.is_none() && field != CalendarField::Timezone;
    let message = if is_about_key { format!("{key:?} {message}") } else { message };
    let at = at.unwrap_or(draft.at) + position.map_or(0, |position| position + 1);
    let path = root.key(key);
    let path = if draft.has_cron_list && field == CalendarField::Cron { path.index(index) } else { path };
    let suggestion = suggestion.map(|whole| format!("did you mean {whole:?}?"));
    reader.report.add(ProblemCode::OutOfRange, path, at, message, suggestion);
}
