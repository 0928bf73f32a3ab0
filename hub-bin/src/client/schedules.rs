//! `hub-client schedules`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hub_core::definition::Library;
use hub_core::job::{Job, Limits, Problem};
use hub_core::schedule::Schedule;
use hub_core::{JobId, Timestamp};
use hub_engine::operations::{
    Hub, NamePage, RequestError, RequestErrorKind, ScheduleAnswer, ScheduleChange, ScheduleDraft, ScheduleOrder,
    ScheduleRequest, ScheduleSet, ScheduleSummary, ScheduleTrigger, UpcomingRun,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::arguments::Args;
use super::definitions::find_files;
use super::job_file::{JobFile, without_definitions};
use super::output::Output;
use super::remark_args::or_user;
use super::schedule_args::ScheduleCommand;
use crate::exit::{Exit, Failure};

/// Number of schedules in one page of a list.
const PAGE_SIZE: u32 = 1000;
/// Number of times that are printed with a checked schedule.
const TIMES: u32 = 10;

pub(super) async fn run(command: ScheduleCommand, args: &Args, output: &Output) -> Result<Exit, Failure> {
    let order = |name: String, by, reason| ScheduleOrder { name: name.into(), by, reason };
    match command {
        ScheduleCommand::Apply { paths, dry_run, by } => {
            let files = read_all(&paths, output)?;
            let hub = args.reach().await?.hub;
            return apply(&*hub, &files, or_user(by), dry_run, output).await;
        }
        ScheduleCommand::List => output.schedules(&list(&*args.reach().await?.hub).await?)?,
        ScheduleCommand::Show { name } => {
            match args.reach().await?.hub.schedules(ScheduleRequest::Get { name: name.into() }).await? {
                ScheduleAnswer::One(record) => output.schedule(&record)?,
                _ => return Err(unexpected()),
            }
        }
        ScheduleCommand::Pause { name, remark } => {
            let request = ScheduleRequest::Pause(order(name.clone(), remark.by(), remark.reason));
            control(args, request, &name, "paused", output).await?;
        }
        ScheduleCommand::Resume { name, remark } => {
            let request = ScheduleRequest::Resume(order(name.clone(), remark.by(), remark.reason));
            control(args, request, &name, "resumed", output).await?;
        }
        ScheduleCommand::Remove { name } => {
            let request = ScheduleRequest::Remove { name: name.as_str().into() };
            control(args, request, &name, "removed", output).await?;
        }
        ScheduleCommand::Trigger { name, id } => {
            let reached = args.reach().await?;
            // With an id, the request can be repeated.
            let id = id.unwrap_or_else(|| JobId::new(Uuid::now_v7()));
            let trigger = ScheduleTrigger { name: name.as_str().into(), id: Some(id) };
            match reached.hub.schedules(ScheduleRequest::Trigger(trigger)).await? {
                ScheduleAnswer::Triggered(submitted) => {
                    output.submitted(&submitted, &format!("started a job of {name} at {}", reached.shown))?;
                }
                _ => return Err(unexpected()),
            }
        }
        ScheduleCommand::Next { file, from, limit } => {
            let file = JobFile::read_as("schedule", &file, output)?;
            let from = from.unwrap_or_else(hub_engine::clock::wall);
            let schedule = parse(&file, from).map_err(|problems| file.invalid(problems.iter()))?;
            let times = upcoming(&schedule, from, limit);
            output.upcoming(&times)?;
            output.warn(&schedule.notes());
        }
    }
    Ok(Exit::Success)
}

/// A file with a schedule.
struct ScheduleFile {
    file: JobFile,
    name: Arc<str>,
}

/// Reads and checks all files. Nothing is applied if one of them is not valid.
fn read_all(paths: &[PathBuf], output: &Output) -> Result<Vec<ScheduleFile>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        find_files(path, &mut files)?;
    }
    if files.is_empty() {
        return Err(Failure::new(Exit::Usage, "no schedule files: their names end in .json, .yaml or .yml"));
    }
    let mut by_name = BTreeMap::<Arc<str>, PathBuf>::new();
    let mut read = Vec::new();
    for path in files {
        let schedule = read_one(&path, output)?;
        if let Some(other) = by_name.insert(Arc::clone(&schedule.name), path.clone()) {
            let message = format!("{} and {} have the same name: {}", other.display(), path.display(), schedule.name);
            return Err(Failure::new(Exit::Usage, message).advise("a schedule has one file"));
        }
        read.push(schedule);
    }
    Ok(read)
}

fn read_one(path: &Path, output: &Output) -> Result<ScheduleFile, Failure> {
    let file = JobFile::read_as("schedule", path, output)?;
    let schedule = parse(&file, hub_engine::clock::wall()).map_err(|problems| file.invalid(problems.iter()))?;
    let name = Arc::clone(schedule.name());
    Ok(ScheduleFile { file, name })
}

/// Parses a schedule, as if it were created at this time, and the job in it. Which definitions there are is left to the dispatcher.
fn parse(file: &JobFile, created_at: Timestamp) -> Result<Schedule, Vec<Problem>> {
    let limits =
        Limits { max_bytes: usize::MAX, max_tasks: usize::MAX, max_depth: Limits::MAX_DEPTH, ..Limits::default() };
    let schedule = Schedule::parse(file.json(), &limits, created_at).map_err(Vec::from_iter)?;
    let text = schedule.run_text();
    match without_definitions(|library: &Library| Job::parse_with(text, &limits, library)) {
        Ok(_) => Ok(schedule),
        Err(problems) => Err(problems.into_iter().map(|problem| schedule.problem_of_job(problem)).collect()),
    }
}

/// Whether a text is meant as a schedule: it has times, and no tasks.
pub(super) fn is_schedule(text: &str) -> bool {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let has = |key| value.get(key).is_some();
    (has("cron") || has("every") || has("job") && !has("definition")) && !has("tasks")
}

/// Prints the result of checking a schedule: its next times.
pub(super) fn validate(file: &JobFile, output: &Output) -> Result<Exit, Failure> {
    let now = hub_engine::clock::wall();
    match parse(file, now) {
        Ok(schedule) => {
            let times = upcoming(&schedule, now, TIMES);
            let mut answer = json!({"valid": true, "schedule": schedule.name(), "upcoming": times});
            let notes = schedule.notes();
            if !notes.is_empty() {
                answer["warnings"] = notes.clone().into();
            }
            let shown: String = times.iter().map(|time| format!("\n  {}", time.local)).collect();
            let line = format!(
                "{} is a valid schedule; whether its definition is there is checked when it is applied; the next times:{shown}",
                schedule.name()
            );
            output.checked(&answer, &line)?;
            output.warn(&notes);
            Ok(Exit::Success)
        }
        Err(problems) => {
            let problems: Vec<Problem> = problems.iter().map(|problem| file.in_file(problem)).collect();
            output.checked(&json!({"valid": false, "problems": problems}), "")?;
            Err(file.invalid_in_file(&problems))
        }
    }
}

fn upcoming(schedule: &Schedule, from: Timestamp, limit: u32) -> Vec<UpcomingRun> {
    schedule.times_after(from).take(limit as usize).map(|at| UpcomingRun { at, local: schedule.local(at) }).collect()
}

/// Applies the files when the dispatcher has found no problem in any of them.
async fn apply(
    hub: &dyn Hub,
    files: &[ScheduleFile],
    by: Option<String>,
    dry_run: bool,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut sets = Vec::new();
    for one in files {
        sets.push(set(hub, one, by.clone(), true).await?);
    }
    if !dry_run {
        for (at, one) in files.iter().enumerate() {
            sets[at] = set(hub, one, by.clone(), false).await.map_err(|failure| {
                if at == 0 {
                    failure
                } else {
                    failure.advise(format!("{at} of {} files were applied before this one", files.len()))
                }
            })?;
        }
    }
    for (ScheduleFile { file, name }, set) in files.iter().zip(&sets) {
        let would = if dry_run { "would be " } else { "" };
        let what = match set.change {
            ScheduleChange::Created => format!("{name} {}", if dry_run { "would be created" } else { "is new" }),
            ScheduleChange::Changed => format!("{name} {would}changed"),
            ScheduleChange::Unchanged => format!("{name} is unchanged"),
        };
        let next = set.upcoming.first().map_or_else(String::new, |next| format!("; next time: {}", next.local));
        output.say(&format!("{}: {what}{next}", file.path.display()));
        output.warn(&set.warnings);
    }
    let count = |change| sets.iter().filter(|set| set.change == change).count();
    let (created, changed) = (count(ScheduleChange::Created), count(ScheduleChange::Changed));
    let would = if dry_run { " (nothing was changed)" } else { "" };
    let plural = if sets.len() == 1 { "" } else { "s" };
    let line = format!("{} schedule{plural}: {created} new, {changed} changed{would}", sets.len());
    output.checked(&serde_json::to_value(&sets).unwrap_or_default(), &line)?;
    Ok(Exit::Success)
}

async fn set(hub: &dyn Hub, one: &ScheduleFile, by: Option<String>, dry_run: bool) -> Result<ScheduleSet, Failure> {
    let draft = ScheduleDraft { name: Arc::clone(&one.name), text: one.file.json().into(), by, dry_run };
    match hub.schedules(ScheduleRequest::Set(draft)).await {
        Ok(ScheduleAnswer::Set(set)) => Ok(set),
        Ok(_) => Err(unexpected()),
        Err(error) => Err(one.file.refused(error)),
    }
}

async fn list(hub: &dyn Hub) -> Result<Vec<ScheduleSummary>, Failure> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let filter = NamePage { limit: Some(PAGE_SIZE), after };
        let ScheduleAnswer::List(page) = hub.schedules(ScheduleRequest::List(filter)).await? else {
            return Err(unexpected());
        };
        all.extend(page.schedules);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

async fn control(
    args: &Args,
    request: ScheduleRequest,
    name: &str,
    done: &str,
    output: &Output,
) -> Result<(), Failure> {
    args.reach().await?.hub.schedules(request).await?;
    output.checked(&json!({ "name": name }), &format!("{done} the schedule {name}"))
}

fn unexpected() -> Failure {
    RequestError::new(RequestErrorKind::Internal, "the answer of the Hub does not match the request").into()
}
