//! The sub-commands that ask a Hub.

use std::path::Path;
use std::time::Duration;

use hub_core::{JobId, JobStatus, Json};
use hub_engine::operations::{
    Hub, JobFilter, JobPage, RequestError, RequestErrorKind, ResultUpdate, Submission, UpdateStatus, View,
};
use tokio::time::Instant;

use super::arguments::{Args, Command};
use super::output::Output;
use super::record::Record;
use super::{problems, read_input};
use crate::exit::{Exit, Failure};

/// A job that ends so soon after its submission needs no second question.
const SOON: Duration = Duration::from_millis(250);
/// How many jobs are asked for at a time.
const PAGE: u32 = 1000;
/// How often the progress of a job is shown.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long one question about a job's end takes at most where nobody watches.
const PATIENCE: Duration = Duration::from_secs(3600);

pub(super) async fn run(command: Command, args: Args, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Submit { file, wait, wait_limit, id, view } => {
            let text = read_input(&file)?;
            let reached = args.reach().await?;
            if !wait {
                let id = submit(&*reached.hub, &file, &text, id).await?;
                output.say(&format!("submitted to {}", reached.shown));
                output.id(id);
                return Ok(Exit::Success);
            }
            let limit = wait_limit.map(Duration::from_secs_f64);
            let hub = &*reached.hub;
            let (id, record) = submit_and_follow(hub, (&file, &text), id, limit, output).await?;
            show_end(hub, id, record, view.view(), output).await
        }
        Command::Watch { id, view } => {
            let reached = args.reach().await?;
            follow(&*reached.hub, id, None, output).await?;
            show_end(&*reached.hub, id, None, view.view(), output).await
        }
        Command::Status { id, view } => {
            let view = view.view();
            let record = args.reach().await?.hub.record(id, view.clone(), None).await?.into_json().await?;
            output.view(&record, &view)?;
            Ok(Exit::Success)
        }
        Command::List { status, name, since, until, limit, after } => {
            let filter = JobFilter { status, name, since, until, limit: None, after };
            output.page(&jobs(&*args.reach().await?.hub, filter, limit as usize).await?);
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

/// Lists up to `limit` jobs, however many pages that takes.
pub(super) async fn jobs(hub: &dyn Hub, mut filter: JobFilter, limit: usize) -> Result<JobPage, Failure> {
    let mut all = JobPage::default();
    loop {
        let left = u32::try_from(limit - all.jobs.len()).unwrap_or(u32::MAX);
        filter.limit = Some(left.min(PAGE));
        let page = hub.jobs(filter.clone()).await?;
        all.jobs.extend(page.jobs);
        all.next.clone_from(&page.next);
        if page.next.is_none() || all.jobs.len() >= limit {
            return Ok(all);
        }
        filter.after = page.next;
    }
}

/// Submits and waits for the job's end, as [`follow`] does. The record comes along where it was there at once.
async fn submit_and_follow(
    hub: &dyn Hub,
    (file, text): (&Path, &str),
    id: Option<JobId>,
    limit: Option<Duration>,
    output: &Output,
) -> Result<(JobId, Option<Json>), Failure> {
    let begun = Instant::now();
    let wait = limit.map_or(SOON, |limit| limit.min(SOON));
    let submitted = hub.submit_and_wait(Submission { text: text.into(), id }, wait).await;
    let submitted = submitted.map_err(|error| refused(file, text, error))?;
    output.say(&format!("submitted job {}", submitted.id));
    if submitted.record.is_none() {
        follow(hub, submitted.id, limit.map(|limit| limit.saturating_sub(begun.elapsed())), output).await?;
    }
    Ok((submitted.id, submitted.record))
}

/// Shows the record of a job that has ended, as far as it is wanted, and says with the exit code how it ended. `whole`: its
/// record, where that is here already.
pub(super) async fn show_end(
    hub: &dyn Hub,
    id: JobId,
    whole: Option<Json>,
    view: View,
    output: &Output,
) -> Result<Exit, Failure> {
    let record = match whole {
        Some(record) if view.is_whole() => record,
        _ => hub.record(id, view.clone(), None).await?.into_json().await?,
    };
    output.view(&record, &view)?;
    let status = match Record::read(&record).ok().and_then(|record| record.job_status()) {
        Some(status) => status,
        // It was not among what is shown.
        None => hub.summary(id, None).await?.status,
    };
    Ok(if status == JobStatus::Success { Exit::Success } else { Exit::JobFailed })
}

/// Waits for a job's end, with a bar on a terminal. How it stands is asked in few words, since its record may be large.
///
/// # Errors
/// Where `limit` has passed.
pub(super) async fn follow(hub: &dyn Hub, id: JobId, limit: Option<Duration>, output: &Output) -> Result<(), Failure> {
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
            return Ok(());
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            progress.clear();
            return Err(Failure::new(Exit::Unreachable, format!("job {id} has not ended in time; it goes on")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
    use hub_engine::store::MemoryStore;
    use hub_transport::memory::MemoryBroker;

    use super::*;

    #[tokio::test]
    async fn a_list_has_as_many_jobs_as_are_asked_for() {
        let broker = MemoryBroker::new();
        let settings = DispatcherSettings::new("hub");
        let dispatcher = Dispatcher::start(broker.transport(), Arc::new(MemoryStore::new()), settings).await.unwrap();
        let hub = dispatcher.hub();
        for at in 0..1005 {
            let text = format!(r#"{{"name": "j{at}", "tasks": [{{"name": "a"}}]}}"#);
            hub.submit(Submission { text: text.into(), id: None }).await.unwrap();
        }
        let list = |limit, after| {
            let hub = Arc::clone(&hub);
            async move { jobs(&*hub, JobFilter { after, ..JobFilter::default() }, limit).await.unwrap() }
        };
        let page = list(1003, None).await;
        assert_eq!((page.jobs.len(), &*page.jobs[1002].name), (1003, "j2"));
        let rest = list(1003, page.next).await;
        assert_eq!((rest.jobs.len(), rest.next), (2, None));
        assert_eq!(list(usize::MAX, None).await.jobs.len(), 1005);
        dispatcher.stop(Duration::from_secs(5)).await;
    }
}
