//! The sub-commands that ask a Hub.

use std::path::Path;
use std::time::Duration;

use hub_core::{JobId, JobStatus, Json};
use hub_engine::operations::{Hub, JobFilter, RequestError, RequestErrorKind, ResultUpdate, Submission, UpdateStatus};
use tokio::time::Instant;

use super::arguments::{Args, Command};
use super::output::Output;
use super::record::Record;
use super::{problems, read_input};
use crate::exit::{Exit, Failure};

/// A job that ends so soon after its submission needs no second question.
const SOON: Duration = Duration::from_millis(250);
/// How often the progress of a job is shown.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long one question about a job's end takes at most where nobody watches.
const PATIENCE: Duration = Duration::from_secs(3600);

pub(super) async fn run(command: Command, args: Args, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Submit { file, wait, wait_limit, id } => {
            let text = read_input(&file)?;
            let reached = args.reach().await?;
            if !wait {
                let id = submit(&*reached.hub, &file, &text, id).await?;
                output.say(&format!("submitted to {}", reached.shown));
                output.id(id);
                return Ok(Exit::Success);
            }
            let limit = wait_limit.map(Duration::from_secs_f64);
            let record = submit_and_follow(&*reached.hub, (&file, &text), id, limit, output).await?;
            output.record(&record)
        }
        Command::Watch { id } => {
            let reached = args.reach().await?;
            let record = follow(&*reached.hub, id, None, output).await?;
            output.record(&record)
        }
        Command::Status { id } => {
            output.record(&args.reach().await?.hub.job(id, None).await?)?;
            Ok(Exit::Success)
        }
        Command::List { status, name, limit } => {
            let filter = JobFilter { status, name, limit: Some(limit), after: None };
            output.page(&args.reach().await?.hub.jobs(filter).await?);
            Ok(Exit::Success)
        }
        Command::Cancel { id } => {
            args.reach().await?.hub.cancel(id).await?;
            output.say(&format!("cancelled job {id}"));
            Ok(Exit::Success)
        }
        Command::Remove { id } => {
            args.reach().await?.hub.remove(id).await?;
            output.say(&format!("removed job {id}"));
            Ok(Exit::Success)
        }
        Command::Result { id, data, failed } => {
            let data = data.as_deref().map(Json::parse).transpose();
            let data = data.map_err(|error| Failure::new(Exit::Usage, "--data is not JSON").because(error))?;
            let status = if failed.is_some() { UpdateStatus::Failed } else { UpdateStatus::Success };
            args.reach().await?.hub.post_result(ResultUpdate { id, status, data, msg: failed, v: None }).await?;
            output.say(&format!("posted the result of task {id}"));
            Ok(Exit::Success)
        }
        Command::Workers => {
            output.workers(&args.reach().await?.hub.workers().await?);
            Ok(Exit::Success)
        }
        Command::Health => {
            output.health(&args.reach().await?.hub.health().await?);
            Ok(Exit::Success)
        }
        Command::Run(_) | Command::Validate { .. } => Ok(Exit::Success),
    }
}

/// Submits; shows a job's problems in its text.
pub(super) async fn submit(hub: &dyn Hub, file: &Path, text: &str, id: Option<JobId>) -> Result<JobId, Failure> {
    hub.submit(Submission { text: text.into(), id }).await.map_err(|error| refused(file, text, error))
}

fn refused(file: &Path, text: &str, error: RequestError) -> Failure {
    match error.kind {
        RequestErrorKind::InvalidJob => problems::invalid(file, text, error.problems.iter()),
        _ => error.into(),
    }
}

/// Submits and waits for the job's end, as [`follow`] does.
pub(super) async fn submit_and_follow(
    hub: &dyn Hub,
    (file, text): (&Path, &str),
    id: Option<JobId>,
    limit: Option<Duration>,
    output: &Output,
) -> Result<Json, Failure> {
    let begun = Instant::now();
    let wait = limit.map_or(SOON, |limit| limit.min(SOON));
    let submitted = hub.submit_and_wait(Submission { text: text.into(), id }, wait).await;
    let submitted = submitted.map_err(|error| refused(file, text, error))?;
    output.say(&format!("submitted job {}", submitted.id));
    match submitted.record {
        Some(record) => Ok(record),
        None => follow(hub, submitted.id, limit.map(|limit| limit.saturating_sub(begun.elapsed())), output).await,
    }
}

/// Waits for a job's end, with a bar on a terminal. Returns the record as it stands when `limit` has passed.
pub(super) async fn follow(
    hub: &dyn Hub,
    id: JobId,
    limit: Option<Duration>,
    output: &Output,
) -> Result<Json, Failure> {
    let progress = output.progress();
    let deadline = limit.map(|limit| Instant::now() + limit);
    loop {
        let step = if progress.is_shown() { LOOK_EVERY } else { PATIENCE };
        let left = deadline.map_or(step, |deadline| deadline.saturating_duration_since(Instant::now()).min(step));
        let text = match hub.job(id, Some(left)).await {
            Ok(text) => text,
            // Nothing is lost by asking again, and the dispatcher may be starting again.
            Err(error) if error.kind == RequestErrorKind::TimedOut && left == step => continue,
            Err(error) => return Err(error.into()),
        };
        let record = Record::read(&text)?;
        progress.show(&record);
        if record.job_status().is_some_and(JobStatus::is_terminal) {
            progress.clear();
            return Ok(text);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            progress.clear();
            return Err(Failure::new(Exit::Unreachable, format!("job {id} has not ended in time; it goes on")));
        }
    }
}
