//! The failures of a job at its end: tasks and items, with the last lines of their logs.

use hub_core::{JobId, Json};
use hub_engine::operations::{Hub, RequestError, TaskQuery, View};

use super::super::record::Items;
use super::super::style::Style;
use super::super::views;
use super::model::Model;
use super::seen::{Page, TaskSeen};

/// Maximum number of tasks and items that are described.
const MAXIMUM: usize = 20;
/// Maximum number of pages of items that are searched for failed ones.
const MAXIMUM_PAGES: usize = 10;
/// The keys that a description needs.
const KEYS: &str = "name,status,worker,msg,error,log,recovered";

/// A failed task or item: its position, or its task and its number.
enum Failed {
    Task(u32),
    Item(String, u32),
}

/// Describes the failed tasks, unless `of_items`, and the failed items of a job. `None` if there are none.
///
/// # Errors
/// If the Hub does not answer.
pub(super) async fn failures(
    hub: &dyn Hub,
    id: JobId,
    model: &Model,
    of_items: bool,
    style: Style,
) -> Result<Option<String>, RequestError> {
    let (mut found, mut count) = (Vec::new(), 0);
    for (position, task) in (0..).zip(model.tasks()) {
        let failed_items = task.items.map_or(0, |items| items.failed);
        if failed_items > 0 {
            count += failed_items as usize;
            items_of(hub, id, &task.name, failed_items, &mut found).await?;
        } else if !of_items && task.status == "FAILED" {
            count += 1;
            found.push(Failed::Task(position));
        }
    }
    if count == 0 {
        return Ok(None);
    }
    found.truncate(MAXIMUM);
    let mut text = String::new();
    for failed in &found {
        let (of, after) = match failed {
            Failed::Task(position) => (None, *position),
            Failed::Item(task, number) => (Some(task.clone()), *number),
        };
        let query = TaskQuery { of, after: Some(after), limit: Some(1), view: View::whole().with_fields(KEYS) };
        let page = hub.tasks(id, query).await?;
        let described =
            Items::read(&page).ok().and_then(|page| page.tasks.first().map(|task| views::failure(task, style)));
        text += &described.unwrap_or_default();
    }
    if count > found.len() {
        text += &format!("\n\n{} more tasks and items failed", count - found.len());
    }
    Ok(Some(text.trim_start_matches('\n').to_owned()))
}

/// Adds the failed items of a task, of which there are `left`.
async fn items_of(
    hub: &dyn Hub,
    id: JobId,
    task: &str,
    left: u32,
    found: &mut Vec<Failed>,
) -> Result<(), RequestError> {
    let (mut left, mut next) = (left, Some(0));
    for _ in 0..MAXIMUM_PAGES {
        let Some(after) = next.filter(|_| left > 0 && found.len() < MAXIMUM) else { break };
        let query = TaskQuery {
            of: Some(task.to_owned()),
            after: Some(after),
            limit: Some(TaskQuery::MAX_PAGE),
            view: View::whole().with_fields("name,status"),
        };
        let page: Page<TaskSeen> = read(&hub.tasks(id, query).await?)?;
        for (number, _) in (after..).zip(&page.tasks).filter(|(_, item)| item.status == "FAILED") {
            left = left.saturating_sub(1);
            found.push(Failed::Item(task.to_owned(), number));
        }
        next = page.next;
    }
    Ok(())
}

/// Reads a page.
///
/// # Errors
/// If the text is not a page.
pub(super) fn read<T: serde::de::DeserializeOwned>(text: &Json) -> Result<Page<T>, RequestError> {
    serde_json::from_str(text.get()).map_err(|error| {
        let message = format!("cannot read the records of the job's tasks: {error}");
        RequestError::new(hub_engine::operations::RequestErrorKind::Internal, message)
    })
}
