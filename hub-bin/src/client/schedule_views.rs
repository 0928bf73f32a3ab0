//! Schedules as tables.

use hub_core::text::{Shown, ShownLines};
use hub_engine::operations::{ScheduleRecord, ScheduleSummary, UpcomingRun};

use super::style::Column::{Cut, Right, Whole};
use super::style::{Style, cell, row};
use super::views::{pretty, to_seconds};

/// Maximum number of skipped times in a table.
const SKIPS: usize = 10;

/// A list of schedules.
pub(super) fn schedules(schedules: &[ScheduleSummary], style: Style) -> String {
    let columns = [
        Whole("schedule"),
        Cut("job"),
        Whole("next"),
        Whole("last"),
        Right("running"),
        Right("waiting"),
        Right("skipped"),
    ];
    let mut table = style.table(&columns);
    for schedule in schedules {
        let next = match (&schedule.paused, schedule.next_at) {
            (Some(_), _) => "paused".to_owned(),
            (None, Some(next)) => to_seconds(&next.to_string()),
            (None, None) => "ended".to_owned(),
        };
        table.add_row(row([
            cell(&schedule.name),
            cell(schedule.definition.as_deref().unwrap_or("its own")),
            cell(next),
            cell(schedule.last.as_ref().map(|last| to_seconds(&last.at.to_string())).unwrap_or_default()),
            cell(schedule.running),
            cell(schedule.waiting),
            cell(schedule.skipped),
        ]));
    }
    table.trim_fmt()
}

/// A schedule: how far it has come, its next times, the newest skipped ones, and its text.
pub(super) fn schedule(record: &ScheduleRecord, style: Style) -> String {
    let summary = &record.summary;
    let mut text = format!("{}\n", Shown(&summary.name));
    if let Some(pause) = &summary.paused {
        let by = pause.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
        let reason = pause.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let at = to_seconds(&pause.at.to_string());
        text.push_str(&format!("paused since {at}{}\n", Shown(format!("{by}{reason}"))));
    }
    let plural = |count: u64, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    text.push_str(&format!(
        "started {}, skipped {}; {} running, {} waiting\n",
        plural(summary.started, "job"),
        plural(summary.skipped, "time"),
        summary.running,
        summary.waiting
    ));
    if let Some(last) = &summary.last {
        text.push_str(&format!("last job: {} for {}\n", last.job, to_seconds(&last.at.to_string())));
    }
    if !record.upcoming.is_empty() && summary.paused.is_none() {
        text.push_str(&format!("\n{}\n", upcoming(&record.upcoming, style)));
    }
    if !record.skips.is_empty() {
        let mut table = style.table(&[Whole("skipped"), Whole("reason"), Cut("")]);
        for skip in record.skips.iter().take(SKIPS) {
            let msg = skip.msg.as_deref().unwrap_or_else(|| skip.reason.describe());
            let reason = serde_json::to_value(skip.reason).ok();
            let reason = reason.as_ref().and_then(|reason| reason.as_str()).unwrap_or_default();
            table.add_row(row([cell(to_seconds(&skip.at.to_string())), cell(reason), cell(msg)]));
        }
        text.push_str(&format!("\n{}\n", table.trim_fmt()));
    }
    let is_one_line = record.schedule.get().trim_end().lines().count() < 2;
    let source = if is_one_line { pretty(&record.schedule) } else { record.schedule.get().to_owned() };
    format!("{text}\n{}", ShownLines(source.trim_end()))
}

/// Future times.
pub(super) fn upcoming(times: &[UpcomingRun], style: Style) -> String {
    let mut table = style.table(&[Whole("next times"), Whole("UTC")]);
    for time in times {
        table.add_row(row([cell(&time.local), cell(to_seconds(&time.at.to_string()))]));
    }
    table.trim_fmt()
}
