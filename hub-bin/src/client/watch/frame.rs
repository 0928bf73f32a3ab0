//! The live view: how the job does, and what runs now, in as many lines as the terminal has.

use std::time::Duration;

use hub_core::Timestamp;

use super::super::durations::{between, elapsed};
use super::line::Line;
use super::model::Model;
use super::seen::TaskSeen;
use super::story;

/// Maximum number of lines.
const MAXIMUM_LINES: usize = 20;
/// Minimum width of a view with all counts in one line.
const WIDE: usize = 70;

/// Which tasks are shown first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Concern {
    Held,
    WaitsForOutside,
    Items,
    Runs,
    WaitsForAttempt,
}

/// The view at the time `now` since the watch began. It has at most as many lines as fit above the last line of a terminal with
/// `height` lines, and at least one.
pub(super) fn lines(model: &Model, now: Duration, at: Timestamp, (width, height): (usize, usize)) -> Vec<Line> {
    let limit = height.saturating_sub(1).clamp(1, MAXIMUM_LINES);
    let mut lines = head(model, now, at, width);
    if limit < lines.len() + 2 {
        lines.truncate(limit);
        return lines;
    }
    let shown = current(model);
    let room = limit - lines.len();
    let count = if shown.len() > room { room - 1 } else { shown.len() };
    lines.extend(shown.iter().take(count).map(|(concern, task)| line_of(*concern, task, at)));
    if shown.len() > count {
        lines.push(Line::new().add(format_args!("  … and {} more", shown.len() - count)));
    }
    lines
}

/// The counts first, since they are shown even in one line.
fn head(model: &Model, now: Duration, at: Timestamp, width: usize) -> Vec<Line> {
    let counts = model.counts();
    let status = || Line::new().mark(model.status.as_str());
    let time = elapsed(between(model.submitted_at, at));
    if width >= WIDE {
        return vec![status().add(format_args!("  {}, {time}  {}", story::standing(model, counts, now), model.name))];
    }
    let mut numbers = status().add(format_args!(" {}/{}", counts.ended, counts.total)).add(story::failures(counts));
    numbers = numbers.add(format_args!(", {time}"));
    let mut lines = vec![numbers];
    let items = model.items();
    if items.total > 0 {
        lines.push(Line::new().add(format_args!("  {}/{} items", items.ended, items.total)));
    }
    lines.extend(story::pace(model, now).map(|pace| Line::new().add(format_args!("  {pace}"))));
    lines
}

/// The tasks that run or need something, the most urgent ones first, and of equal ones those that began first.
fn current(model: &Model) -> Vec<(Concern, &TaskSeen)> {
    let mut found: Vec<_> = model.tasks().iter().filter_map(|task| Some((concern(task)?, task))).collect();
    found.sort_by(|(one, first), (other, second)| {
        // A task without a time has just begun.
        let begun = |task: &TaskSeen| (task.started_at.is_none(), task.started_at.clone());
        one.cmp(other).then_with(|| begun(first).cmp(&begun(second)))
    });
    found
}

fn concern(task: &TaskSeen) -> Option<Concern> {
    match task {
        task if task.has_ended() => None,
        task if task.is_held() => Some(Concern::Held),
        task if task.waits_for_attempt() => Some(Concern::WaitsForAttempt),
        task if !task.runs() => None,
        task if task.items.is_some() => Some(Concern::Items),
        task if task.waits_for_outside() => Some(Concern::WaitsForOutside),
        _ => Some(Concern::Runs),
    }
}

fn line_of(concern: Concern, task: &TaskSeen, at: Timestamp) -> Line {
    let time = |text: &Option<String>| text.as_ref()?.parse::<Timestamp>().ok();
    let name = format!("  {}", task.name);
    match concern {
        Concern::Held => Line::new().add("  ").mark("HELD").add(name).add("  retry, skip or fail it"),
        Concern::WaitsForOutside => {
            let reason = task.waiting_reason.as_deref().unwrap_or_default();
            Line::new().add("  ").mark("WAITS").add(name).add(format_args!("  {reason}"))
        }
        Concern::Items => Line::new().add("  ").mark("RUNNING").add(name).add(story::items(task)),
        Concern::Runs => {
            let ran = time(&task.started_at).map(|started| format!("  {}", elapsed(between(started, at))));
            let line = Line::new().add("  ").mark("RUNNING").add(name);
            line.add(ran.unwrap_or_default()).add(story::attempt(task))
        }
        Concern::WaitsForAttempt => {
            let left = time(&task.retry_at).map(|until| format!(" in {}", elapsed(between(at, until))));
            Line::new().add("  ").mark("RETRY").add(name).add(story::attempt(task)).add(left.unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::seen::ItemsSeen;
    use super::super::testing::{at, model, task};
    use super::*;

    fn view(model: &Model, size: (usize, usize)) -> Vec<String> {
        let lines = lines(model, Duration::from_secs(5), at(5000), size);
        lines.iter().map(|line| line.written(Some(size.0 - 1), false)).collect()
    }

    /// A job with a task for each concern.
    fn busy() -> Model {
        let mut model = model(8);
        let running = |name: &str, second: u32| TaskSeen {
            started_at: Some(format!("1970-01-01T00:00:0{second}.000Z")),
            ..task(name, "RUNNING")
        };
        model.see(
            0,
            vec![
                task("done", "SUCCESS"),
                running("late", 4),
                TaskSeen { attempt: Some(2), ..running("early", 1) },
                TaskSeen {
                    attempt: Some(3),
                    retry_at: Some("1970-01-01T00:00:08.000Z".into()),
                    ..task("flaky", "PENDING")
                },
                TaskSeen {
                    items: Some(ItemsSeen { total: 9, success: 3, failed: 1, ..ItemsSeen::default() }),
                    ..running("parse", 2)
                },
                TaskSeen { waiting_reason: Some("waits for an approval (ok?)".into()), ..running("ask", 1) },
                TaskSeen { held_until: Some("later".into()), ..task("stuck", "PENDING") },
                task("waiting", "PENDING"),
            ],
        );
        model
    }

    #[test]
    fn the_view_shows_counts_and_then_what_runs() {
        assert_eq!(
            view(&busy(), (100, 24)),
            [
                "RUNNING  1/8 tasks, 4/9 items, 3 running, 5.00 s  job",
                "  HELD  stuck  retry, skip or fail it",
                "  WAITS  ask  waits for an approval (ok?)",
                "  RUNNING  parse  4/9 items, 1 failed",
                "  RUNNING  early  4.00 s  attempt 2",
                "  RUNNING  late  1.00 s",
                "  RETRY  flaky  attempt 3 in 3.00 s",
            ]
        );
        assert_eq!(
            view(&busy(), (40, 7)),
            [
                "RUNNING 1/8, 5.00 s",
                "  4/9 items",
                "  HELD  stuck  retry, skip or fail it",
                "  WAITS  ask  waits for an approval (o…",
                "  RUNNING  parse  4/9 items, 1 failed",
                "  … and 3 more",
            ]
        );
        assert_eq!(view(&busy(), (40, 1)), ["RUNNING 1/8, 5.00 s"]);
    }

    #[test]
    fn ten_thousand_running_tasks_fit_in_the_terminal() {
        let mut model = model(10_000);
        model.see(
            0,
            (0..10_000).map(|number| task(&format!("任务{number}名前👩‍🚀{}", "x".repeat(50)), "RUNNING")).collect(),
        );
        for (width, height) in [(40, 10), (40, 2), (40, 1), (1, 1), (80, 24), (300, 200)] {
            let lines = lines(&model, Duration::from_secs(5), at(5000), (width, height));
            assert!(lines.len() < height.max(2), "{} lines of {height}", lines.len());
            assert!(lines.len() <= MAXIMUM_LINES);
        }
        assert_eq!(
            view(&model, (40, 4)),
            ["RUNNING 0/10000, 5.00 s", "  RUNNING  任务0名前👩\u{200d}🚀xxxxxxxxxxxxxx…", "  … and 9999 more"]
        );
    }

    proptest! {
        #[test]
        fn any_job_fits_in_any_terminal(
            tasks in prop::collection::vec((any::<String>(), prop::sample::select(vec!["PENDING", "RUNNING", "SUCCESS", "FAILED", "NEW"]), any::<bool>()), 0..60),
            width in 1_usize..120,
            height in 1_usize..60,
        ) {
            let mut model = model(tasks.len());
            let seen = |(name, status, holds): &(String, &str, bool)| TaskSeen {
                held_until: holds.then(|| name.clone()),
                started_at: Some(name.clone()),
                ..task(name, status)
            };
            model.see(0, tasks.iter().map(seen).collect());
            let lines = lines(&model, Duration::from_secs(1), at(1), (width, height));
            prop_assert!(!lines.is_empty() && lines.len() <= height.saturating_sub(1).max(1));
        }
    }
}
