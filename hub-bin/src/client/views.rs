//! Human-readable views of jobs, tasks and workers.

use comfy_table::Cell;
use hub_core::state::JobSummary;
use hub_core::text::{Shown, ShownLines};
use hub_core::{JobStatus, Json};
use hub_engine::clock::wall;
use hub_engine::operations::{DefinitionRecord, DefinitionSummary, WorkerInfo};

use super::durations::{between, elapsed};
use super::record::{Record, TaskRecord, written};
use super::style::Column::{Cut, Right, Whole};
use super::style::{Style, cell, row, status_cell};

/// Maximum number of lines of a traceback or log that are shown. The last lines are shown.
const MAX_LINES: usize = 20;
/// Maximum number of failed tasks that are described.
const MAX_FAILED: usize = 20;
/// Maximum number of tasks in a folded table.
const MAX_ROWS: usize = 100;
/// Minimum width of a list of jobs with complete ids and times.
const WIDE: usize = 120;
/// Minimum width of a list of jobs with the time of submission.
const MEDIUM: usize = 76;
/// Number of digits of an abbreviated id, which is the end of the id.
const SHORT_ID: usize = 12;
/// Maximum number of characters of a user's value in a table that is not truncated to the terminal.
const MAX_VALUE_CHARS: usize = 1000;

/// A list of jobs.
pub(super) fn jobs(jobs: &[JobSummary], style: Style) -> String {
    let (is_wide, has_times) = (style.fits(WIDE), style.fits(MEDIUM));
    let has_failures = jobs.iter().any(|job| job.first_failure.is_some());
    let mut columns = vec![Whole("id"), Cut("name"), Whole("status"), Right("tasks"), Right("duration")];
    columns.extend(has_times.then_some(Whole("submitted")));
    columns.extend(has_failures.then_some(Cut("first failure")));
    let mut table = style.table(&columns);
    let now = wall();
    for job in jobs {
        let (id, submitted) = (job.id.to_string(), job.submitted_at.to_string());
        let duration = between(job.submitted_at, job.ended_at.unwrap_or(now));
        let mut cells = vec![
            cell(if is_wide { &id } else { &id[id.len() - SHORT_ID..] }),
            cell(&job.name),
            status_cell(job.status.as_str()),
            cell(format_args!("{}/{}", job.tasks_ended, job.tasks)),
            cell(elapsed(duration)),
        ];
        cells.extend(has_times.then(|| cell(if is_wide { submitted } else { to_seconds(&submitted) })));
        let failure = job.first_failure.as_ref().map(|first| format!("{}: {}", first.task, first.msg));
        cells.extend(has_failures.then(|| cell(failure.unwrap_or_default())));
        table.add_row(row(cells));
    }
    table.trim_fmt()
}

/// A list of definitions.
pub(super) fn definitions(definitions: &[DefinitionSummary], style: Style) -> String {
    let columns = [Whole("definition"), Right("version"), Whole("since"), Cut("by"), Cut("aliases")];
    let mut table = style.table(&columns);
    for definition in definitions {
        let aliases = definition.aliases.iter().map(|(alias, version)| format!("{alias}={version}"));
        table.add_row(row([
            cell(&definition.name),
            cell(definition.version),
            cell(to_seconds(&definition.created_at.to_string())),
            cell(definition.by.as_deref().unwrap_or_default()),
            cell(aliases.collect::<Vec<_>>().join(", ")),
        ]));
    }
    table.trim_fmt()
}

/// A version of a definition: all versions, and its job.
pub(super) fn definition(record: &DefinitionRecord, style: Style) -> String {
    let mut table = style.table(&[Right("version"), Whole("since"), Cut("by"), Cut("aliases")]);
    for version in &record.versions {
        table.add_row(row([
            cell(version.version),
            cell(to_seconds(&version.created_at.to_string())),
            cell(version.by.as_deref().unwrap_or_default()),
            cell(version.aliases.join(", ")),
        ]));
    }
    let is_one_line = record.job.get().trim_end().lines().count() < 2;
    let text = if is_one_line { pretty(&record.job) } else { record.job.get().to_owned() };
    let title = format!("{}@{}", Shown(&record.name), record.summary.version);
    format!("{title}\n\n{}\n\n{}", table.trim_fmt(), ShownLines(text.trim_end()))
}

/// A JSON value on several lines.
pub(super) fn pretty(json: &Json) -> String {
    serde_json::to_string_pretty(&json.to_value()).unwrap_or_else(|_| json.get().to_owned())
}

/// A list of live workers, followed by their broken modules and shortages.
pub(super) fn workers(workers: &[WorkerInfo], style: Style) -> String {
    let columns =
        [Cut("worker"), Cut("host"), Right("pid"), Cut("pools"), Right("running"), Cut("tasks"), Right("seen")];
    let mut table = style.table(&columns);
    let now = wall();
    for worker in workers {
        table.add_row(row([
            cell(&worker.id),
            cell(&worker.host),
            cell(worker.pid),
            cell(worker.pools.join(", ")),
            cell(format_args!("{}/{}", worker.running, worker.slots)),
            cell(worker.tasks.join(", ")),
            cell(format_args!("{} ago", elapsed(between(worker.last_seen, now)))),
        ]));
    }
    let mut text = table.trim_fmt();
    for worker in workers {
        for (module, why) in &worker.broken {
            let head = format!("{} cannot load the module {}", Shown(&worker.id), Shown(module));
            text.push_str(&format!("\n\n{head}:\n{}", indented(why)));
        }
        if let Some(what) = &worker.shortage {
            text.push_str(&format!("\n\n{} takes no tasks for now: {}", Shown(&worker.id), Shown(what)));
        }
    }
    text
}

/// A job: a table of its tasks, then descriptions of the failed tasks, and the output. `is_folded`: of a job with many tasks, those
/// that succeeded are counted.
pub(super) fn record(record: &Record<'_>, is_folded: bool, style: Style) -> String {
    let now = wall();
    let is_over = record.job_status().is_some_and(JobStatus::is_terminal);
    let mut text = format!("{}  {}  {}", Shown(&record.name), Shown(&record.id), style.status(&record.status));
    if let Some(submitted) = &record.submitted_at {
        text.push_str(&format!("\nsubmitted {}", Shown(submitted)));
    }
    if let Some(duration) = record.duration(now) {
        text.push_str(&format!(", ran for {}", elapsed(duration)));
    }
    if let Some(parent) = &record.parent {
        let detached = if parent.detached { ", detached" } else { "" };
        text.push_str(&format!("\nsub-job of {}{detached}", Shown(&parent.job)));
    }
    if let Some(origin) = &record.origin {
        let kept = record.tasks.iter().filter(|task| task.did_not_run_again()).count();
        text.push_str(&format!(
            "\nretry of {}\n{kept} of {} tasks did not run again",
            Shown(origin),
            record.tasks.len()
        ));
    }
    if let Some(deadline) = record.deadline_at.as_ref().filter(|_| !is_over) {
        text.push_str(&format!("\ndeadline {}", Shown(deadline)));
    }
    if let Some(change) = &record.priority_change {
        text.push_str(&format!("\npriority {}", Shown(change)));
    }
    for pause in record.pauses.values() {
        text.push_str(&format!("\npaused {}", Shown(pause)));
    }
    if let Some(cancel) = &record.cancel {
        text.push_str(&format!("\ncancelled {}", Shown(cancel)));
    }
    text.push_str(&format!("\n\n{}", tasks_of(record, is_folded, style)));
    let failed: Vec<&TaskRecord<'_>> = record.tasks.iter().filter(|task| task.status == "FAILED").collect();
    for task in failed.iter().take(MAX_FAILED) {
        text.push_str(&failure(task, style));
    }
    if failed.len() > MAX_FAILED {
        text.push_str(&format!("\n\n{} more tasks failed: -o json shows all", failed.len() - MAX_FAILED));
    }
    if let Some(msg) = &record.msg {
        text.push_str(&format!("\n\n{}", ShownLines(msg)));
    }
    if let Some(output) = record.output {
        text.push_str(&format!("\n\noutput: {}", Shown(written(output))));
    }
    text
}

/// The tasks of a job.
fn tasks_of(record: &Record<'_>, is_folded: bool, style: Style) -> String {
    if !is_folded || record.tasks.len() <= MAX_ROWS {
        return tasks("task", &record.tasks, style);
    }
    let is_shown = |task: &&TaskRecord<'_>| !matches!(task.status.as_str(), "SUCCESS" | "SKIPPED");
    let shown: Vec<_> = record.tasks.iter().filter(is_shown).take(MAX_ROWS).collect();
    let count = |status: &str| record.tasks.iter().filter(|task| task.status == status).count();
    let mut text = format!("{} of {} tasks succeeded", count("SUCCESS"), record.tasks.len());
    if !shown.is_empty() {
        text = format!("{}\n\n{text}", tasks("task", shown, style));
    }
    text.push_str(&format!("; all tasks: hub-client status {}", Shown(&record.id)));
    text
}

/// The items of a task.
pub(super) fn items(items: &[TaskRecord<'_>], style: Style) -> String {
    tasks("item", items, style)
}

/// A table of tasks, which are called `what`.
fn tasks<'t, 'r: 't>(what: &'static str, tasks: impl IntoIterator<Item = &'t TaskRecord<'r>>, style: Style) -> String {
    let now = wall();
    let columns = [Cut(what), Whole("status"), Right("duration"), Cut("worker"), Cut("args"), Cut("result")];
    let mut table = style.table(&columns);
    for task in tasks {
        table.add_row(row([
            cell(&task.name),
            status_cell(&task.status),
            cell(task.duration(now).map(elapsed).unwrap_or_default()),
            cell(task.ran_on()),
            value_cell(&task.arguments()),
            value_cell(&task.result()),
        ]));
    }
    table.trim_fmt()
}

/// The description of a failed task.
pub(super) fn failure(task: &TaskRecord<'_>, style: Style) -> String {
    let mut text = format!("\n\n{} {}", Shown(&task.name), style.status(&task.status));
    let error = task.error.as_ref();
    let kinds = [error.and_then(|error| error.kind.as_deref()), error.and_then(|error| error.type_name.as_deref())];
    let kinds: Vec<&str> = kinds.into_iter().flatten().collect();
    if !kinds.is_empty() {
        text.push_str(&format!(" ({})", Shown(kinds.join(", "))));
    }
    if let Some(worker) = &task.worker {
        text.push_str(&format!(" on worker {}", Shown(worker)));
    }
    if task.recovered {
        text.push_str(", recovered");
    }
    let msg = task.msg.as_deref().unwrap_or_default().trim_end();
    let traceback = end_of(error.and_then(|error| error.traceback.as_deref()).unwrap_or_default());
    let log = end_of(task.log.as_deref().unwrap_or_default());
    // A traceback ends with the message, and the message of an executable with its standard error. Each text is shown once.
    // (Every text ends with the empty text.)
    let shows_msg = !traceback.ends_with(msg);
    if shows_msg {
        text.push_str(&format!("\n{}", indented(msg)));
    }
    let repeats = shows_msg && msg.ends_with(traceback);
    if !traceback.is_empty() && !repeats {
        text.push_str(&format!("\n{}", indented(traceback)));
    }
    if !msg.ends_with(log) && !traceback.ends_with(log) {
        text.push_str(&format!("\n  printed:\n{}", indented(log)));
    }
    text
}

fn end_of(text: &str) -> &str {
    let text = text.trim_end();
    match text.rmatch_indices('\n').nth(MAX_LINES - 1) {
        Some((at, _)) => &text[at + 1..],
        None => text,
    }
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(|line| format!("  {}", Shown(line))).collect();
    lines.join("\n")
}

/// A cell with a user's value, which may be very large.
fn value_cell(text: &str) -> Cell {
    match text.char_indices().nth(MAX_VALUE_CHARS) {
        Some(_) => cell(text.chars().take(MAX_VALUE_CHARS - 1).chain(['…']).collect::<String>()),
        None => cell(text),
    }
}

/// A time in RFC 3339, without its fraction of a second.
pub(super) fn to_seconds(time: &str) -> String {
    time.split_once('.').map_or_else(|| time.to_owned(), |(whole, _)| format!("{whole}Z"))
}

#[cfg(test)]
mod tests {
    use super::super::record::TaskErrorRecord;
    use super::*;

    #[test]
    fn each_text_of_a_failure_is_shown_once() {
        let described = |msg: &str, traceback: Option<&str>, log: &str| {
            let mut task: TaskRecord<'_> = serde_json::from_str(r#"{"name": "t", "status": "FAILED"}"#).unwrap();
            let error = TaskErrorRecord { kind: None, type_name: None, traceback: traceback.map(str::to_owned) };
            (task.msg, task.error, task.log) = (Some(msg.to_owned()), Some(error), Some(log.to_owned()));
            failure(&task, Style { has_colors: false, width: None })
        };
        let (trace, shown) = ("Traceback:\nKeyError: 'k'\n", "\n\nt FAILED\n  Traceback:\n  KeyError: 'k'");
        assert_eq!(described("'k'", Some(trace), ""), shown);
        assert_eq!(described("'k'", Some(trace), "out\n"), format!("{shown}\n  printed:\n  out"));
        assert_eq!(described("exit code 3: no", Some("no\n"), "no\n"), "\n\nt FAILED\n  exit code 3: no");
        assert_eq!(described("no", Some("no\n"), "no\n"), "\n\nt FAILED\n  no");
        assert_eq!(described("lost", None, " \n"), "\n\nt FAILED\n  lost");
    }

    #[test]
    fn the_last_lines_of_a_text_are_shown() {
        let text: String = (1..=30).map(|line| format!("{line}\n")).collect();
        assert_eq!(end_of(&text).lines().count(), MAX_LINES);
        assert!(end_of(&text).starts_with("11\n") && end_of(&text).ends_with("\n30"));
        assert_eq!(end_of("one\n"), "one");
    }
}
