//! Waits for the end of a job.

use std::future::Future;
use std::time::Duration;

use hub_core::{JobId, JobStatus};
use hub_engine::client::last_answer;
use hub_engine::operations::{Hub, RequestErrorKind, Submission, Submitted, View};
use tokio::time::Instant;

use super::followed::Followed;
use super::output::{Output, exit_of};
use super::record::Record;
use super::{identity, watch};
use crate::exit::{Exit, Failure};
use crate::signals::Signals;

/// Maximum time that the submission itself waits for the end of the job. A shorter job needs no second request.
const SUBMIT_WAIT: Duration = Duration::from_millis(250);
/// Interval between two requests for the state of a job whose progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum time that one request waits for the end of a job whose progress is not shown.
const MAX_REQUEST_WAIT: Duration = Duration::from_secs(3600);
/// Maximum time for which the request for the final record is repeated while the dispatcher restarts.
const RECORD_TIMEOUT: Duration = Duration::from_secs(30);

/// Submits a job and waits up to `limit` for its end.
pub(super) async fn submit_and_follow(
    hub: &dyn Hub,
    submission: Submission,
    limit: Option<Duration>,
    view: &View,
    output: &Output,
    refused: impl FnOnce(hub_engine::operations::RequestError) -> Failure,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let wait = limit.map_or(SUBMIT_WAIT, |limit| limit.min(SUBMIT_WAIT));
    let Submitted { id, record, warnings } = hub.submit_and_wait(submission, wait).await.map_err(refused)?;
    output.say_id(id);
    if let Some(record) = record {
        let exit = exit_of(Record::read(&record)?.job_status());
        let printed = match view.is_whole() {
            true => output.folded_view(&record, view),
            false => print(hub, id, view, output).await,
        };
        return printed.map(|()| exit).map_err(|failure| failure.about(id));
    }
    output.warn(&warnings);
    let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
    let followed = unless_interrupted(follow(hub, id, left, output)).await;
    print_followed(hub, id, followed, limit, view, output).await
}

/// Waits up to `limit` for the end of a job and prints its record.
pub(super) async fn wait(
    hub: &dyn Hub,
    id: JobId,
    limit: Option<Duration>,
    view: &View,
    output: &Output,
) -> Result<Exit, Failure> {
    let followed = unless_interrupted(follow(hub, id, limit, output)).await;
    print_followed(hub, id, followed, limit, view, output).await
}

/// Like [`wait`], and shows what happens in the job, unless messages are switched off.
pub(super) async fn watch(
    hub: &dyn Hub,
    id: JobId,
    limit: Option<Duration>,
    view: &View,
    output: &Output,
) -> Result<Exit, Failure> {
    if !output.has_messages() {
        return wait(hub, id, limit, view, output).await;
    }
    let followed = unless_interrupted(watch::follow(hub, id, limit, view, output)).await;
    print_followed(hub, id, followed, limit, view, output).await
}

/// Waits for the end of a job, and returns its status.
pub(super) async fn end_of(hub: &dyn Hub, id: JobId, output: &Output) -> Result<JobStatus, Failure> {
    loop {
        match unless_interrupted(follow(hub, id, None, output)).await {
            None => return Err(Failure::new(Exit::Interrupted, format!("interrupted; job {id} is being cancelled"))),
            Some(Err(failure)) => return Err(failure.about(id)),
            Some(Ok(Followed::Ended(summary))) => return Ok(summary.status),
            Some(Ok(Followed::TimedOut)) => {}
        }
    }
}

/// Prints the record of a job that was followed. `followed` is `None` if that was interrupted.
async fn print_followed(
    hub: &dyn Hub,
    id: JobId,
    followed: Option<Result<Followed, Failure>>,
    limit: Option<Duration>,
    view: &View,
    output: &Output,
) -> Result<Exit, Failure> {
    let watch = || format!("To wait for it again: hub-client watch {id}");
    match followed {
        None => Err(Failure::new(Exit::Interrupted, format!("interrupted; job {id} was not cancelled. {}", watch()))),
        Some(Err(failure)) if failure.exit == Exit::NotFound => Err(identity::unknown_job(hub, id, failure).await),
        Some(Err(failure)) => Err(failure.about(id)),
        Some(Ok(Followed::Ended(summary))) => {
            let ask = || async { hub.record(id, view.clone(), None).await?.into_json().await };
            let record = last_answer(&summary, Instant::now() + RECORD_TIMEOUT, ask).await;
            let printed = record.map_err(Failure::from).and_then(|record| output.folded_view(&record, view));
            printed.map_err(|failure| failure.about(id))?;
            Ok(exit_of(Some(summary.status)))
        }
        Some(Ok(Followed::TimedOut)) => {
            print(hub, id, view, output).await.map_err(|failure| failure.about(id))?;
            let message = format!("job {id} did not end within {} and keeps running. {}", shown(limit), watch());
            Err(Failure::new(Exit::WaitLimit, message))
        }
    }
}

/// Prints the part of a job's record that `view` selects.
async fn print(hub: &dyn Hub, id: JobId, view: &View, output: &Output) -> Result<(), Failure> {
    let record = hub.record(id, view.clone(), None).await?.into_json().await?;
    output.folded_view(&record, view)
}

/// Formats a time limit.
pub(super) fn shown(limit: Option<Duration>) -> String {
    format!("{} s (--wait-limit)", limit.unwrap_or_default().as_secs_f64())
}

/// `None` if SIGINT or SIGTERM arrived first.
async fn unless_interrupted<T>(waiting: impl Future<Output = T>) -> Option<T> {
    let Ok(mut signals) = Signals::listen() else { return Some(waiting.await) };
    tokio::select! {
        outcome = waiting => Some(outcome),
        () = signals.next() => None,
    }
}

/// Waits up to `limit` for the end of a job, with a progress bar on a terminal. It requests the summary, since the record may be
/// large.
async fn follow(hub: &dyn Hub, id: JobId, limit: Option<Duration>, output: &Output) -> Result<Followed, Failure> {
    let progress = output.progress();
    let deadline = limit.map(|limit| Instant::now() + limit);
    loop {
        let step = if progress.is_shown() { PROGRESS_INTERVAL } else { MAX_REQUEST_WAIT };
        let left = deadline.map_or(step, |deadline| deadline.saturating_duration_since(Instant::now()).min(step));
        let summary = match hub.summary(id, Some(left)).await {
            Ok(summary) => summary,
            // The request can be repeated, and the dispatcher may be restarting.
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
            return Ok(Followed::TimedOut);
        }
    }
}
