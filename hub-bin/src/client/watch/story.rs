//! The lines that tell what has happened: one for each change, and one for many changes of one kind.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_core::{TaskStatus, Timestamp};

use super::super::durations::{between, elapsed};
use super::changes::{Change, Kind};
use super::line::Line;
use super::model::{Counts, Model};
use super::seen::{Detail, TaskSeen};

/// Maximum number of tasks of a job whose usual changes have a line each. Those of larger jobs are only counted.
pub(super) const MAXIMUM_TASKS: usize = 100;
/// Maximum number of lines for changes of one kind between two looks at a job.
const MAXIMUM_LINES: usize = 10;
/// Maximum number of lines for changes in a large job. Later ones are only counted.
const MAXIMUM_ALL_LINES: usize = 500;
/// Minimum time between two lines about the progress of a job.
const MINIMUM_INTERVAL: Duration = Duration::from_secs(2);
/// Part of the time so far that passes at least between two lines about the progress of a job: one in this number.
const INTERVALS: u32 = 20;

/// What is told of a job so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    lines: usize,
    /// When the progress was told, and what it was.
    progress: Option<(Duration, [u64; 4])>,
}

/// What has a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    One(Change),
    /// A number of changes of one kind, with the word for it.
    Many(&'static str, usize),
}

impl Story {
    /// Decides which changes have a line each, and which are counted.
    pub(super) fn entries(&mut self, changes: &[Change], tasks: usize) -> Vec<Entry> {
        let (mut entries, mut counts, mut more) = (Vec::new(), BTreeMap::<_, usize>::new(), BTreeMap::new());
        let is_large = tasks > MAXIMUM_TASKS;
        for change in changes {
            if is_large && change.kind.is_usual() {
                continue;
            }
            let count = counts.entry(word(change.kind)).or_default();
            *count += 1;
            let has_room = !is_large || (*count <= MAXIMUM_LINES && self.lines < MAXIMUM_ALL_LINES);
            if has_room {
                self.lines += 1;
                entries.push(Entry::One(*change));
            } else {
                *more.entry(word(change.kind)).or_default() += 1;
            }
        }
        entries.extend(more.into_iter().map(|(word, count)| Entry::Many(word, count)));
        entries
    }

    /// A line about the progress, if there is something new to tell and the last one is old enough. `now`: since the watch began.
    pub(super) fn progress(&mut self, model: &Model, now: Duration, at: Timestamp) -> Option<Line> {
        let items = model.items();
        if model.tasks().len() <= MAXIMUM_TASKS && items.total == 0 {
            return None;
        }
        let counts = model.counts();
        let state = [counts.ended as u64, counts.failed as u64, items.ended, items.total];
        let is_due = self.progress.is_none_or(|(told, before)| {
            before != state && now.saturating_sub(told) >= MINIMUM_INTERVAL.max(now / INTERVALS)
        });
        if !is_due {
            return None;
        }
        self.progress = Some((now, state));
        Some(stamped(model, at).mark(model.status.as_str()).add(format_args!("  {}", standing(model, counts, now))))
    }
}

/// The line of an entry. `detail`: why the task failed, if known.
pub(super) fn line(entry: &Entry, model: &Model, detail: Option<&Detail>, at: Timestamp) -> Line {
    let line = stamped(model, at);
    let Change { position, kind } = match entry {
        Entry::One(change) => *change,
        Entry::Many(word, count) => return line.mark(word).add(format_args!("  {count} more tasks")),
    };
    let Some(task) = model.tasks().get(position) else { return line };
    let reason = detail.map(Detail::shown).unwrap_or_default();
    if let (Kind::ItemsFailed, Some(items)) = (kind, task.items) {
        let ended = format!("  {} of {} items of {}", items.failed, items.total, task.name);
        return line.mark(word(kind)).add(ended);
    }
    let line = line.mark(word(kind)).add(format_args!("  {}", task.name));
    match kind {
        Kind::Started => line.add(attempt(task)).add(on_worker(task)),
        Kind::Waits => line.add(format_args!("  {}", task.waiting_reason.as_deref().unwrap_or_default())),
        Kind::AttemptFailed { number } => {
            let line = line.add(format_args!("  attempt {number} failed{reason}"));
            match task.retry_at.as_deref().and_then(|until| until.parse().ok()) {
                Some(until) => line.add(format_args!("; next in {}", elapsed(between(at, until)))),
                None => line,
            }
        }
        Kind::Held => line.add(format_args!("  the last attempt failed{reason}; retry, skip or fail it")),
        Kind::Again => line.add("  waits again: its worker was lost or has returned it"),
        Kind::Ended(TaskStatus::Failed) => line.add(ran(task)).add(items(task)).add(reason).add(recovered(task)),
        Kind::Ended(_) if task.kept_from.is_some() => line.add("  kept from an earlier job"),
        Kind::Ended(_) if task.overridden => line.add("  has the data of the retry"),
        Kind::Ended(_) | Kind::ItemsFailed => line.add(ran(task)).add(items(task)),
    }
}

/// The line for a job that had begun before the watch.
pub(super) fn before(model: &Model, at: Timestamp) -> Line {
    let counts = model.counts();
    let ended = format!("  {} of {} tasks had ended before", counts.ended, counts.total);
    stamped(model, at).mark(model.status.as_str()).add(ended).add(failures(counts))
}

/// A line that says that the Hub does not answer.
pub(super) fn silence(model: Option<&Model>, at: Timestamp) -> Line {
    model.map_or_else(Line::new, |model| stamped(model, at)).add("the Hub does not answer; asking again")
}

/// How a job does: counts, the rate and the remaining time.
pub(super) fn standing(model: &Model, counts: Counts, now: Duration) -> String {
    let mut text = format!("{}/{} tasks", counts.ended, counts.total);
    let items = model.items();
    if items.total > 0 {
        text += &format!(", {}/{} items", items.ended, items.total);
    }
    text += &failures(counts);
    if counts.running > 0 {
        text += &format!(", {} running", counts.running);
    }
    if let Some(pace) = pace(model, now) {
        text += &format!(", {pace}");
    }
    text
}

/// The rate and the remaining time, as far as they are known.
pub(super) fn pace(model: &Model, now: Duration) -> Option<String> {
    let rate = model.per_second()?;
    let rate = if rate < 10.0 { format!("{rate:.1}/s") } else { format!("{rate:.0}/s") };
    Some(match model.rest(now) {
        // Not more precise than it is.
        Some(rest) if rest < Duration::from_secs(60) => format!("{rate}, about {} s left", rest.as_secs().max(1)),
        Some(rest) => format!("{rate}, about {} left", elapsed(rest)),
        None => rate,
    })
}

pub(super) fn failures(counts: Counts) -> String {
    if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() }
}

/// The counts of a task's items.
pub(super) fn items(task: &TaskSeen) -> String {
    let Some(items) = task.items else { return String::new() };
    let failed = if items.failed > 0 { format!(", {} failed", items.failed) } else { String::new() };
    format!("  {}/{} items{failed}", items.ended(), items.total)
}

/// The number of a task's attempt, unless it is the first one.
pub(super) fn attempt(task: &TaskSeen) -> String {
    task.attempt.filter(|number| *number > 1).map(|number| format!("  attempt {number}")).unwrap_or_default()
}

fn on_worker(task: &TaskSeen) -> String {
    task.worker.as_ref().map(|worker| format!("  on {worker}")).unwrap_or_default()
}

const fn recovered(task: &TaskSeen) -> &'static str {
    if task.recovered { " (recovered)" } else { "" }
}

/// How long a task ran.
fn ran(task: &TaskSeen) -> String {
    let time = |text: &Option<String>| text.as_ref()?.parse::<Timestamp>().ok();
    match (time(&task.started_at), time(&task.ended_at)) {
        (Some(started), Some(ended)) => format!("  {}", elapsed(between(started, ended))),
        _ => String::new(),
    }
}

/// The begin of a line: the time since the submission of the job.
fn stamped(model: &Model, at: Timestamp) -> Line {
    Line::new().add(format_args!("{:>8}  ", elapsed(between(model.submitted_at, at))))
}

/// The word for a change.
const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Started => "RUNNING",
        Kind::Waits => "WAITS",
        Kind::AttemptFailed { .. } => "RETRY",
        Kind::Held => "HELD",
        Kind::Again => "AGAIN",
        Kind::ItemsFailed => "FAILED",
        Kind::Ended(status) => status.as_str(),
    }
}

impl Detail {
    /// `: timed out (start_to_close): the message`, with the parts that are known.
    fn shown(&self) -> String {
        let kind = self.error.as_ref().and_then(|error| match (error.kind.as_deref(), error.which.as_deref()) {
            (Some("TIMED_OUT"), Some(which)) => Some(format!("timed out ({which})")),
            (Some("TIMED_OUT"), None) => Some("timed out".to_owned()),
            // The message says it.
            (Some("TASK_FAILED") | None, _) => None,
            (Some(kind), _) => Some(kind.to_owned()),
        });
        let first = |msg: &String| msg.lines().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned());
        let parts = [kind, self.msg.as_ref().and_then(first)];
        parts.into_iter().flatten().map(|part| format!(": {part}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use hub_core::{JobStatus, text::is_active};
    use proptest::prelude::*;

    use super::super::seen::{ErrorSeen, ItemsSeen};
    use super::super::testing::{at, model, task};
    use super::*;

    fn written(line: &Line) -> String {
        line.written(None, false)
    }

    /// The lines about what has changed since the task was pending.
    fn told(new: TaskSeen, detail: Option<&Detail>) -> Vec<String> {
        let (mut model, mut story) = (model(1), Story::default());
        model.see(0, vec![task("load", "PENDING")]);
        let changes = model.see(0, vec![new]);
        let entries = story.entries(&changes, model.tasks().len());
        entries.iter().map(|entry| written(&line(entry, &model, detail, at(1500)))).collect()
    }

    #[test]
    fn one_line_for_each_change() {
        let timed_out = Detail {
            msg: Some("\nthe task ran longer\nthan allowed".into()),
            error: Some(ErrorSeen { kind: Some("TIMED_OUT".into()), which: Some("start_to_close".into()) }),
        };
        let failed =
            Detail { msg: Some("no".into()), error: Some(ErrorSeen { kind: Some("TASK_FAILED".into()), which: None }) };
        let started = || TaskSeen { started_at: Some("1970-01-01T00:00:01.000Z".into()), ..task("load", "RUNNING") };
        let ended = |status: &str| TaskSeen {
            status: status.into(),
            ended_at: Some("1970-01-01T00:00:01.250Z".into()),
            ..started()
        };
        let items = Some(ItemsSeen { total: 9, success: 6, failed: 2, skipped: 1, cancelled: 0 });
        let cases = [
            (TaskSeen { worker: Some("w-1".into()), ..started() }, None, vec!["RUNNING  load  on w-1"]),
            (ended("SUCCESS"), None, vec!["SUCCESS  load  250 ms"]),
            (TaskSeen { items, ..ended("SUCCESS") }, None, vec!["SUCCESS  load  250 ms  9/9 items, 2 failed"]),
            (ended("FAILED"), Some(&failed), vec!["FAILED  load  250 ms: no"]),
            (
                TaskSeen { recovered: true, ..ended("FAILED") },
                Some(&failed),
                vec!["FAILED  load  250 ms: no (recovered)"],
            ),
            (
                ended("FAILED"),
                Some(&timed_out),
                vec!["FAILED  load  250 ms: timed out (start_to_close): the task ran longer"],
            ),
            (task("load", "SKIPPED"), None, vec!["SKIPPED  load"]),
            (
                TaskSeen { kept_from: Some("1".into()), ..ended("SUCCESS") },
                None,
                vec!["SUCCESS  load  kept from an earlier job"],
            ),
            (
                TaskSeen {
                    attempt: Some(2),
                    retry_at: Some("1970-01-01T00:00:03.500Z".into()),
                    ..task("load", "PENDING")
                },
                Some(&timed_out),
                vec!["RETRY  load  attempt 1 failed: timed out (start_to_close): the task ran longer; next in 2.00 s"],
            ),
            (
                TaskSeen { attempt: Some(2), ..ended("SUCCESS") },
                Some(&failed),
                vec!["RETRY  load  attempt 1 failed: no", "SUCCESS  load  250 ms"],
            ),
            (
                TaskSeen { attempt: Some(3), held_until: Some("later".into()), ..task("load", "PENDING") },
                Some(&failed),
                vec!["HELD  load  the last attempt failed: no; retry, skip or fail it"],
            ),
            (
                TaskSeen { waiting_reason: Some("waits for the signal \"go\"".into()), ..started() },
                None,
                vec!["WAITS  load  waits for the signal \"go\""],
            ),
            (
                TaskSeen { items: Some(ItemsSeen { total: 9, failed: 1, ..ItemsSeen::default() }), ..started() },
                None,
                vec!["RUNNING  load", "FAILED  1 of 9 items of load"],
            ),
        ];
        for (new, detail, lines) in cases {
            let lines: Vec<String> = lines.into_iter().map(|line| format!("  1.50 s  {line}")).collect();
            assert_eq!(told(new, detail), lines);
        }
    }

    #[test]
    fn failures_of_items_are_told_when_their_number_has_doubled() {
        let mut model = model(1);
        let with = |failed| TaskSeen {
            items: Some(ItemsSeen { total: 999, failed, ..ItemsSeen::default() }),
            ..task("p", "RUNNING")
        };
        let told = (1..=999)
            .flat_map(|failed| model.see(0, vec![with(failed)]))
            .filter(|change| change.kind == Kind::ItemsFailed);
        assert_eq!(told.count(), 10);
    }

    #[test]
    fn of_ten_thousand_tasks_the_usual_changes_are_counted() {
        const TASKS: usize = 10_000;
        let (mut model, mut story, mut lines) = (model(TASKS), Story::default(), 0);
        let see = |model: &mut Model, from: usize, status: &str| {
            model.see(from, (from..from + 100).map(|number| task(&format!("t{number}"), status)).collect())
        };
        for from in (0..TASKS).step_by(100) {
            for status in ["RUNNING", if from % 1000 == 0 { "FAILED" } else { "SUCCESS" }] {
                let changes = see(&mut model, from, status);
                assert_eq!(changes.len(), 100);
                let entries = story.entries(&changes, TASKS);
                lines += entries.len();
                match status {
                    "FAILED" => {
                        assert_eq!(entries.len(), MAXIMUM_LINES + 1);
                        assert_eq!(
                            written(&line(&entries[MAXIMUM_LINES], &model, None, at(0))),
                            "    0 ms  FAILED  90 more tasks"
                        );
                    }
                    _ => assert!(entries.is_empty()),
                }
                model.note(Duration::from_secs(from as u64 / 100));
                lines += usize::from(story.progress(&model, Duration::from_secs(from as u64 / 100), at(0)).is_some());
            }
        }
        assert!((110..220).contains(&lines), "{lines} lines");
        let counts = model.counts();
        assert_eq!((counts.ended, counts.failed, counts.succeeded), (TASKS, 1000, 9000));
        let standing = standing(&model, counts, Duration::from_secs(100));
        assert!(standing.starts_with("10000/10000 tasks, 1000 failed, 100/s"), "{standing}");
    }

    #[test]
    fn a_storm_of_retries_has_a_bounded_number_of_lines() {
        let (mut model, mut story, mut lines) = (model(1000), Story::default(), 0);
        for attempt in 2..500 {
            let seen = (0..1000).map(|_| TaskSeen { attempt: Some(attempt), ..task("t", "PENDING") }).collect();
            lines +=
                story.entries(&model.see(0, seen), 1000).iter().filter(|entry| matches!(entry, Entry::One(_))).count();
        }
        assert_eq!(lines, MAXIMUM_ALL_LINES);
    }

    #[test]
    fn an_estimate_needs_work_that_is_known_and_waits_for_nothing() {
        let estimate = |special: TaskSeen, status| {
            let mut model = model(1000);
            for second in 0..=10_usize {
                let ends = |number| number < 1 + second * 20;
                let ordinary = |number| task("t", if ends(number) { "SUCCESS" } else { "PENDING" });
                model.see(0, std::iter::once(special.clone()).chain((1..1000).map(ordinary)).collect());
                model.complete();
                model.status = status;
                model.note(Duration::from_secs(second as u64));
            }
            pace(&model, Duration::from_secs(10))
        };
        let known = Some("20/s, about 40 s left".to_owned());
        assert_eq!(estimate(task("t", "PENDING"), JobStatus::Running), known);
        let without = Some("20/s".to_owned());
        assert_eq!(estimate(task("t", "PENDING"), JobStatus::Paused), without);
        assert_eq!(estimate(task("open", "PENDING"), JobStatus::Running), without, "its items are not known");
        let waits = TaskSeen { waiting_reason: Some("waits for an approval".into()), ..task("t", "RUNNING") };
        assert_eq!(estimate(waits, JobStatus::Running), without);
        let held = TaskSeen { held_until: Some("later".into()), ..task("t", "PENDING") };
        assert_eq!(estimate(held, JobStatus::Running), without);
    }

    proptest! {
        #[test]
        fn texts_from_outside_are_escaped(name in any::<String>(), reason in any::<String>(), msg in any::<String>(), status in any::<String>()) {
            let detail = Detail { msg: Some(msg), error: Some(ErrorSeen { kind: Some(reason.clone()), which: Some(name.clone()) }) };
            for status in ["RUNNING", "FAILED", &status] {
                let seen = TaskSeen {
                    attempt: Some(2),
                    waiting_reason: Some(reason.clone()),
                    worker: Some(name.clone()),
                    ..task(&name, status)
                };
                for line in told(seen, Some(&detail)) {
                    prop_assert!(!line.contains(is_active), "{line:?}");
                }
            }
        }
    }
}
