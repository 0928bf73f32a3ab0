//! Waiting for a job's end.

use std::future::Future;
use std::time::Duration;

use hub_core::JobId;
use hub_core::state::JobSummary;
use hub_engine::client::last_answer;
use hub_engine::operations::{Hub, RequestErrorKind, Submission, Submitted, View};
use tokio::time::Instant;

use super::identity;
use super::output::{Output, exit_of};
use super::record::Record;
use crate::exit::{Exit, Failure};
use crate::signals::Signals;

/// A job that ends this soon after its submission needs no second question.
const SOON: Duration = Duration::from_millis(250);
/// Interval between two looks at a job whose progress is shown.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Maximum time of one question about a job's end where no progress is shown.
const PATIENCE: Duration = Duration::from_secs(3600);
/// For so long the record of a job that has ended is asked for again, where the dispatcher is starting again.
const LAST: Duration = Duration::from_secs(30);

/// Why waiting is over.
enum Followed {
    /// The job has ended like this.
    Ended(JobSummary),
    /// The time was over before.
    TimeOver,
}

/// Submits a job and waits for its end, `limit` at most.
pub(super) async fn submit_and_follow(
    hub: &dyn Hub,
    submission: Submission,
    limit: Option<Duration>,
    view: &View,
    output: &Output,
    refused: impl FnOnce(hub_engine::operations::RequestError) -> Failure,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let wait = limit.map_or(SOON, |limit| limit.min(SOON));
    let Submitted { id, record, warnings } = hub.submit_and_wait(submission, wait).await.map_err(refused)?;
    output.say_id(id);
    if let Some(record) = record {
        let exit = exit_of(Record::read(&record)?.job_status());
        let printed = match view.is_whole() {
            true => output.view(&record, view),
            false => print(hub, id, view, output).await,
        };
        return printed.map(|()| exit).map_err(|failure| failure.about(id));
    }
    output.warn(&warnings);
    let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
    follow_and_print(hub, id, left, limit, view, output).await
}

/// Waits for a job's end, `limit` at most, and prints its record.
pub(super) async fn watch(
    hub: &dyn Hub,
    id: JobId,
    limit: Option<Duration>,
    view: &View,
    output: &Output,
) -> Result<Exit, Failure> {
    follow_and_print(hub, id, limit, limit, view, output).await
}

/// `limit` is what the user gave, `left` what is left of it.
async fn follow_and_print(
    hub: &dyn Hub,
    id: JobId,
    left: Option<Duration>,
    limit: Option<Duration>,
    view: &View,
    output: &Output,
) -> Result<Exit, Failure> {
    let followed = unless_interrupted(follow(hub, id, left, output)).await;
    let goes_on = || format!("it goes on. Follow it: hub-client watch {id}");
    match followed {
        None => Err(Failure::new(Exit::Interrupted, format!("interrupted; job {id} was not cancelled: {}", goes_on()))),
        Some(Err(failure)) if failure.exit == Exit::NotFound => Err(identity::unknown_job(hub, id, failure).await),
        Some(Err(failure)) => Err(failure.about(id)),
        Some(Ok(Followed::Ended(summary))) => {
            let ask = || async { hub.record(id, view.clone(), None).await?.into_json().await };
            let record = last_answer(&summary, Instant::now() + LAST, ask).await;
            let printed = record.map_err(Failure::from).and_then(|record| output.view(&record, view));
            printed.map_err(|failure| failure.about(id))?;
            Ok(exit_of(Some(summary.status)))
        }
        Some(Ok(Followed::TimeOver)) => {
            print(hub, id, view, output).await.map_err(|failure| failure.about(id))?;
            Err(Failure::new(Exit::WaitLimit, format!("job {id} did not end within {}: {}", shown(limit), goes_on())))
        }
    }
}

/// Prints what is wanted of a job's record.
async fn print(hub: &dyn Hub, id: JobId, view: &View, output: &Output) -> Result<(), Failure> {
    let record = hub.record(id, view.clone(), None).await?.into_json().await?;
    output.view(&record, view)
}

/// A time limit, in words.
pub(super) fn shown(limit: Option<Duration>) -> String {
    format!("{} s (--wait-limit)", limit.unwrap_or_default().as_secs_f64())
}

/// `None` where SIGINT or SIGTERM came first.
async fn unless_interrupted<T>(waiting: impl Future<Output = T>) -> Option<T> {
    let Ok(mut signals) = Signals::listen() else { return Some(waiting.await) };
    tokio::select! {
        outcome = waiting => Some(outcome),
        () = signals.next() => None,
    }
}

/// Waits for a job's end, with a bar on a terminal, `limit` at most. Its state is asked for in few words, since its record
/// may be large.
async fn follow(hub: &dyn Hub, id: JobId, limit: Option<Duration>, output: &Output) -> Result<Followed, Failure> {
    let progress = output.progress();
    let deadline = limit.map(|limit| Instant::now() + limit);
    loop {
        let step = if progress.is_shown() { LOOK_EVERY } else { PATIENCE };
        let left = deadline.map_or(step, |deadline| deadline.saturating_duration_since(Instant::now()).min(step));
        let summary = match hub.summary(id, Some(left)).await {
            Ok(summary) => summary,
            // Nothing is lost by asking again, and the dispatcher may be starting again.
            Err(error) if error.kind == RequestErrorKind::TimedOut && left == step => continue,
            Err(error) => return Err(error.into()),
        };
        progress.show(&summary);
        if summary.status.is_terminal() {
            progress.clear();
            return Ok(Followed::Ended(summary));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            progress.clear();
            return Ok(Followed::TimeOver);
        }
    }
}
