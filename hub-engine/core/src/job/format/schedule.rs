//! The keys of a schedule.

use std::str::FromStr;

use super::job::{read_inputs, read_labels};
use super::key::{self, Object, Table};
use super::{object, schedule_shapes, shapes, values};
use crate::Json;
use crate::Timestamp;
use crate::definition::check_name;
use crate::job::definition_links;
use crate::job::draft::{ScheduleDraft, ScheduledJob};
use crate::job::moment::Moment;
use crate::job::path::Path;
use crate::job::problem::ProblemCode;
use crate::job::quoted::quoted;
use crate::job::reader::Reader;
use crate::job::schedule_rules::{CatchUp, MAXIMUM_FAILURES, Overlap};
use crate::job::value::{Kind, Value};

type Key = key::Key<ScheduleObject>;

/// The keys of a schedule. Add new keys here.
pub(super) static SCHEDULE: Table<ScheduleObject> = Table {
    title: "Schedule",
    about: "A job that Hub starts by itself, and the times at which it does.",
    noun: "the schedule",
    place: "it belongs to a schedule: hub-client schedules apply FILE",
    keys: &[
        Key::new("name", "0.2.0", name, shapes::name, "The name: letters, digits, \".\", \"_\" and \"-\".")
            .required(ProblemCode::MissingKey),
        Key::new(
            "job",
            "0.2.0",
            job,
            schedule_shapes::scheduled_job,
            "The job: NAME, NAME@7 or NAME@prod of a definition, or the job itself.",
        )
        .required(ProblemCode::MissingKey),
        Key::new(
            "inputs",
            "0.2.0",
            |reader, schedule, value, path| {
                schedule.inputs = read_inputs(reader, value, path).map(|inputs| (inputs, value.at));
            },
            shapes::object,
            "The inputs of the definition.",
        ),
        Key::new(
            "cron",
            "0.2.0",
            cron,
            schedule_shapes::cron,
            "The times as a cron expression of five or six fields, or a list of them.",
        ),
        Key::new(
            "every",
            "0.2.0",
            |reader, schedule, value, path| {
                schedule.has_times = true;
                schedule.every = values::duration(reader, value, path).map(|every| (every, value.at));
            },
            shapes::duration,
            "The interval between two times, in place of \"cron\".",
        ),
        Key::new(
            "anchor",
            "0.2.0",
            |reader, schedule, value, path| {
                schedule.anchor = time(reader, value, path).map(|anchor| (anchor, value.at));
            },
            shapes::text,
            "The time from which intervals count: by default \"start\", or the creation of the schedule.",
        ),
        Key::new(
            "timezone",
            "0.2.0",
            |reader, schedule, value, path| {
                schedule.timezone = reader.string(value, path, "\"timezone\"").map(|zone| (zone, value.at));
            },
            shapes::text,
            "The time zone of \"cron\", such as Europe/Berlin: by default UTC.",
        ),
        Key::new(
            "start",
            "0.2.0",
            |reader, schedule, value, path| schedule.start = time(reader, value, path),
            shapes::text,
            "No job starts for an earlier time.",
        ),
        Key::new(
            "end",
            "0.2.0",
            |reader, schedule, value, path| {
                schedule.end_at = value.at;
                schedule.end = time(reader, value, path);
            },
            shapes::text,
            "No job starts for this time or a later one.",
        ),
        Key::new(
            "jitter",
            "0.2.0",
            |reader, schedule, value, path| schedule.jitter = values::duration_or_zero(reader, value, path),
            shapes::duration,
            "Each job starts up to this duration later, so that not all start at once.",
        ),
        Key::new(
            "overlap",
            "0.2.0",
            |reader, schedule, value, path| {
                schedule.overlap = word(reader, value, path, "\"overlap\"", &Overlap::ALL.map(Overlap::as_str));
            },
            schedule_shapes::overlap,
            "What happens at a time at which a job of the schedule has not ended.",
        ),
        Key::new(
            "catch_up",
            "0.2.0",
            |reader, schedule, value, path| {
                schedule.catch_up = word(reader, value, path, "\"catch_up\"", &CatchUp::ALL.map(CatchUp::as_str));
            },
            schedule_shapes::catch_up,
            "What happens with times at which no dispatcher ran.",
        ),
        Key::new(
            "catch_up_window",
            "0.2.0",
            |reader, schedule, value, path| schedule.catch_up_window = values::duration(reader, value, path),
            shapes::duration,
            "How late a job may start for a time at which no dispatcher ran: by default 24h.",
        ),
        Key::new(
            "pause_on_failure",
            "0.2.0",
            pause_on_failure,
            schedule_shapes::failures,
            "The schedule pauses when this number of jobs has failed in a row. 0, the default: never.",
        ),
        Key::new(
            "paused",
            "0.2.0",
            |reader, schedule, value, path| schedule.paused = reader.boolean(value, path, "\"paused\""),
            shapes::no,
            "Whether the schedule is created as a paused one.",
        ),
        Key::new(
            "labels",
            "0.2.0",
            |reader, schedule, value, path| schedule.labels = read_labels(reader, value, path),
            shapes::labels,
            "Texts by name that its jobs inherit.",
        ),
        Key::new(
            "meta",
            "0.2.0",
            |reader, schedule, value, path| schedule.extra.extend(values::meta(reader, value, path)),
            shapes::object,
            "Your own data: stored, and shown with the schedule.",
        ),
        Key::new(
            "$schema",
            "0.2.0",
            |reader, _, value, path| {
                reader.string(value, path, "\"$schema\"");
            },
            shapes::text,
            "The JSON Schema of the file, for editors. Hub ignores it.",
        ),
    ],
    planned: &[],
    reserved: &[],
    beside: None,
};

/// A schedule as an object of the format.
pub(super) struct ScheduleObject;

impl Object for ScheduleObject {
    const HAS_OWN_KEYS: bool = true;

    type Draft<'a> = ScheduleDraft<'a>;

    fn extra<'d>(draft: &'d mut ScheduleDraft<'_>) -> Option<&'d mut Vec<(String, Json)>> {
        Some(&mut draft.extra)
    }
}

/// Reads the keys of a schedule. `None`: the value is no object.
pub(in crate::job) fn read<'a>(reader: &mut Reader, value: Value<'a>) -> Option<ScheduleDraft<'a>> {
    let object = reader.object(value, Path::Root, "a schedule")?;
    let mut draft = ScheduleDraft { at: value.at, ..ScheduleDraft::default() };
    object::read(reader, &SCHEDULE, object, Path::Root, &mut draft);
    Some(draft)
}

fn name<'a>(reader: &mut Reader, schedule: &mut ScheduleDraft<'a>, value: Value<'a>, path: Path<'_>) {
    let Some(name) = reader.string(value, path, "the name of a schedule") else { return };
    if reader
        .check_rule(
            check_name(&name).map_err(|why| why.replace("a definition", "a schedule")),
            ProblemCode::BadName,
            path,
            value.at,
        )
        .is_some()
    {
        schedule.name = Some(name);
    }
}

fn job(reader: &mut Reader, schedule: &mut ScheduleDraft<'_>, value: Value<'_>, path: Path<'_>) {
    let job = if value.kind() == Kind::Object {
        Some(ScheduledJob::Inline(Json::from_checked(value.text)))
    } else {
        definition_links::reference(reader, value, path).map(ScheduledJob::Definition)
    };
    schedule.job = job.map(|job| (job, value.at));
}

fn cron<'a>(reader: &mut Reader, schedule: &mut ScheduleDraft<'a>, value: Value<'a>, path: Path<'_>) {
    const WHAT: &str = "a cron expression";
    schedule.has_times = true;
    if value.kind() != Kind::List {
        schedule.cron.extend(reader.string(value, path, WHAT).map(|text| (text, value.at)));
        return;
    }
    schedule.has_cron_list = true;
    if value.elements().next().is_none() {
        let message = "the list of cron expressions is empty";
        return reader.report.add(ProblemCode::OutOfRange, path, value.at, message, None);
    }
    for (index, value) in value.elements().enumerate() {
        schedule.cron.extend(reader.string(value, path.index(index), WHAT).map(|text| (text, value.at)));
    }
}

/// A time of the wall clock.
fn time(reader: &mut Reader, value: Value<'_>, path: Path<'_>) -> Option<Timestamp> {
    match values::moment(reader, value, path)? {
        Moment::At(time) => Some(time),
        Moment::After(_) => {
            let message = "a schedule needs a time such as \"2026-11-23T22:15:03Z\" here, not a duration";
            reader.report.add(ProblemCode::OutOfRange, path, value.at, message, None);
            None
        }
    }
}

fn pause_on_failure(reader: &mut Reader, schedule: &mut ScheduleDraft<'_>, value: Value<'_>, path: Path<'_>) {
    let Some(digits) = reader.whole_number(value, path, "\"pause_on_failure\"") else { return };
    let number = digits.parse().ok().filter(|number| *number <= MAXIMUM_FAILURES);
    let rule = number.ok_or_else(|| format!("it must be from 0 to {MAXIMUM_FAILURES}, not {digits}"));
    schedule.pause_on_failure = reader.check_rule(rule, ProblemCode::OutOfRange, path, value.at);
}

/// One of these words.
fn word<T: FromStr>(reader: &mut Reader, value: Value<'_>, path: Path<'_>, what: &str, words: &[&str]) -> Option<T> {
    let word = reader.string(value, path, what)?;
    let known = word.parse().ok();
    if known.is_none() {
        let near = reader.report.did_you_mean(&word, words.iter().copied());
        let message = format!("{what} cannot be {}", quoted(&word));
        let known = || format!("it is one of {}", words.join(", "));
        reader.report.add(ProblemCode::OutOfRange, path, value.at, message, Some(near.unwrap_or_else(known)));
    }
    known
}
