//! The subcommands that send requests to a Hub.

use std::path::Path;
use std::time::Duration;

use hub_core::Json;
use hub_core::details::RepairAction;
use hub_core::filter::FilterError;
use hub_engine::operations::{
    Hub, JobCancel, JobFilter, JobPage, JobRetry, JobSignal, Pausable, PauseRequest, PriorityRequest, RequestError,
    RequestErrorKind, ResultUpdate, SignalOutcome, Submission, Submitted, TaskApproval, TaskQuery, TaskRepair,
    UpdateStatus, View,
};

use super::arguments::{AnswerArgs, Args, Command, PausableArgs, RepairArgs, RetryArgs};
use super::identity::{self, JobOrTask, JobRef};
use super::job_file::JobFile;
use super::output::Output;
use super::remark_args::{RemarkArgs, or_user};
use super::{definitions, follow, input, schedules};
use crate::exit::{Exit, Failure};

/// Maximum number of jobs in one page of a list.
const PAGE_SIZE: u32 = 1000;

pub(super) async fn run(command: Command, args: &Args, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Submit { file, wait, wait_limit, id, view } => {
            let file = JobFile::read(&file, output)?;
            file.check()?;
            let reached = args.reach().await?;
            let submission = Submission { text: file.json().into(), id };
            let refused = |error| file.refused(error);
            if wait {
                let limit = wait_limit.map(Duration::from_secs_f64);
                return follow::submit_and_follow(&*reached.hub, submission, limit, &view.view(), output, refused)
                    .await;
            }
            let submitted = reached.hub.submit_and_report(submission).await.map_err(refused)?;
            output.submitted(&submitted, &format!("submitted to {}", reached.shown))?;
        }
        Command::Watch { id, wait_limit, view } => {
            let hub = args.reach().await?.hub;
            let id = id.resolve(&*hub).await?;
            return follow::watch(&*hub, id, wait_limit.map(Duration::from_secs_f64), &view.view(), output).await;
        }
        Command::Status { id, view } => {
            let (hub, view) = (args.reach().await?.hub, view.view());
            output.view(&job(&*hub, &id, &view).await?, &view)?;
        }
        Command::Explain { of: JobOrTask { job, task: named }, task } => {
            if named.is_some() && task.is_some() {
                return Err(Failure::new(Exit::Usage, "the task is given twice: as JOB.TASK and as TASK"));
            }
            let hub = args.reach().await?.hub;
            let id = job.resolve(&*hub).await?;
            let explanation = hub.explain(id, named.or(task)).await;
            output.explanation(&about_job(&*hub, id, explanation).await?)?;
        }
        Command::Document { id } => {
            let hub = args.reach().await?.hub;
            let id = id.resolve(&*hub).await?;
            output.exactly(about_job(&*hub, id, hub.document(id).await).await?.text())?;
        }
        Command::List { filter, status, name, since, until, sub_jobs, limit, after } => {
            let filter = (!filter.is_empty()).then(|| filter.join(" ").parse()).transpose();
            let filter = filter.map_err(|error: FilterError| Failure::new(Exit::Usage, error.to_string()))?;
            let filter = JobFilter { status, name, since, until, filter, sub_jobs, limit: Some(limit), after };
            output.page(&list(&*args.reach().await?.hub, filter).await?)?;
        }
        Command::Cancel { id, now, handlers, wait, remark } => {
            let hub = args.reach().await?.hub;
            let id = id.resolve(&*hub).await?;
            let cancel = JobCancel { id, now, handlers, by: remark.by(), reason: remark.reason };
            let mut status = about_job(&*hub, id, hub.cancel_with(cancel).await).await?;
            if wait && !status.is_terminal() {
                status = follow::end_of(&*hub, id, output).await?;
            }
            output.cancelled(id, status)?;
        }
        Command::Pause { of, remark } => pause(args, true, of, remark, output).await?,
        Command::Resume { of, remark } => pause(args, false, of, remark, output).await?,
        Command::Priority { id, priority, remark } => {
            let hub = args.reach().await?.hub;
            let id = id.resolve(&*hub).await?;
            let (by, reason) = (remark.by(), remark.reason);
            let of = PriorityRequest { id, priority: priority.into(), by, reason };
            about_job(&*hub, id, hub.set_priority(of).await).await?;
            let answer = serde_json::json!({"id": id, "priority": priority});
            output.checked(&answer, &format!("the priority of job {id} is {priority}"))?;
        }
        Command::Remove { id } => {
            let hub = args.reach().await?.hub;
            let id = id.resolve(&*hub).await?;
            about_job(&*hub, id, hub.remove(id).await).await?;
            output.done(id, &format!("removed job {id}"))?;
        }
        Command::Result { id, data, failed } => {
            let data = json_argument("--data", data, "the result", output)?;
            let status = if failed.is_some() { UpdateStatus::Failed } else { UpdateStatus::Success };
            let hub = args.reach().await?.hub;
            let id = id.resolve(&*hub).await?;
            post(&*hub, ResultUpdate { id, status, data, msg: failed, v: None }).await?;
            output.done(id, &format!("posted the result of task {id}"))?;
        }
        Command::Signal { id, name, data, key, broadcast, by } => {
            let data = json_argument("--data", data, "the data", output)?;
            let hub = args.reach().await?.hub;
            let id = id.resolve(&*hub).await?;
            let signal = JobSignal { id, name, data, key, broadcast, by: or_user(by) };
            let outcome = about_job(&*hub, id, hub.signal(signal).await).await?;
            output.done(id, &format!("{} (job {id})", told(outcome)))?;
        }
        Command::Approve { choice, answer } => answer_task(args, answer, choice, output).await?,
        Command::Reject { answer } => answer_task(args, answer, "reject".to_owned(), output).await?,
        Command::Retry(retry) => return retry_job(args, retry, output).await,
        Command::Skip { repair, data } => repair_task(args, repair, RepairAction::Skip, data, output).await?,
        Command::Fail { repair } => repair_task(args, repair, RepairAction::Fail, None, output).await?,
        Command::Items { id, limit, after } => {
            let hub = args.reach().await?.hub;
            let (id, of) = id.job_and_name(&*hub).await?;
            let query = TaskQuery { after: Some(after), limit: Some(limit), of: Some(of), view: View::whole() };
            output.items(&about_job(&*hub, id, hub.tasks(id, query).await).await?)?;
        }
        Command::Definitions { command } => return definitions::run(command, args, output).await,
        Command::Schedules { command } => return schedules::run(command, args, output).await,
        Command::Workers => output.workers(&args.reach().await?.hub.workers().await?)?,
        Command::Health => output.health(&args.reach().await?.hub.health().await?)?,
        Command::Run(_)
        | Command::Validate { .. }
        | Command::Schema
        | Command::Completions { .. }
        | Command::Man { .. } => {}
    }
    Ok(Exit::Success)
}

/// The JSON value of a flag; "-" means standard input, with `what`.
fn json_argument(flag: &str, data: Option<String>, what: &str, output: &Output) -> Result<Option<Json>, Failure> {
    let data = match data {
        Some(name) if name == "-" => Some(input::read_text(Path::new("-"), what, output)?),
        data => data,
    };
    data.as_deref().map(Json::parse).transpose().map_err(|error| {
        Failure::new(Exit::Usage, format!("{flag} is not valid JSON"))
            .because(error)
            .advise(format!("a JSON string needs double quotes: {flag} '\"done\"'"))
    })
}

/// Pauses or resumes a job or a pool.
async fn pause(
    args: &Args,
    is_pause: bool,
    of: PausableArgs,
    remark: RemarkArgs,
    output: &Output,
) -> Result<(), Failure> {
    let hub = args.reach().await?.hub;
    let of = match (of.id, of.pool) {
        (Some(id), _) => Pausable::Job(id.resolve(&*hub).await?),
        (None, pool) => Pausable::Pool(pool.unwrap_or_default()),
    };
    let request = PauseRequest { of: of.clone(), by: remark.by(), reason: remark.reason };
    let outcome = if is_pause { hub.pause(request).await } else { hub.resume(request).await };
    match of {
        Pausable::Job(id) => about_job(&*hub, id, outcome).await?,
        Pausable::Pool(_) => outcome?,
    }
    let answer = serde_json::to_value(&of).unwrap_or_default();
    output.checked(&answer, &format!("{} {of}", if is_pause { "paused" } else { "resumed" }))
}

/// What happened to a signal, for people.
const fn told(outcome: SignalOutcome) -> &'static str {
    match outcome {
        SignalOutcome::Delivered => "delivered the signal to the task that waits for it",
        SignalOutcome::Kept => "sent the signal; it is kept until a task waits for it",
        SignalOutcome::Repeated => "the signal was sent before with this key; nothing has changed",
        SignalOutcome::Dropped => "no task waits for the signal now, and a broadcast is not kept",
    }
}

/// Answers the question of a task.
async fn answer_task(
    args: &Args,
    AnswerArgs { id, input, by }: AnswerArgs,
    choice: String,
    output: &Output,
) -> Result<(), Failure> {
    let input = json_argument("--input", input, "the input", output)?;
    let hub = args.reach().await?.hub;
    let id = id.resolve(&*hub).await?;
    let done = format!("answered task {id} with {choice:?}");
    let approval = TaskApproval { id, choice, input, by: or_user(by) };
    about_task(&*hub, id, hub.approve(approval).await).await?;
    output.done(id, &done)
}

/// Retries a job that has ended, or a task that waits.
async fn retry_job(args: &Args, retry: RetryArgs, output: &Output) -> Result<Exit, Failure> {
    let RetryArgs { of, from, overrides, cancel, id: new_id, wait, wait_limit, view, remark } = retry;
    let hub = args.reach().await?.hub;
    let is_of_job = from.is_some() || !overrides.is_empty() || new_id.is_some() || wait || cancel;
    let id = match of.resolve(&*hub, is_of_job).await? {
        Ok(id) => id,
        Err(_) if is_of_job => {
            let message =
                "--from, --override, --cancel, --id and --wait are for the retry of a job, and this is no job";
            return Err(Failure::new(Exit::Usage, message).advise("to retry a job, give its id or \"last\""));
        }
        Err(task) => {
            repair_task(args, RepairArgs { id: task, remark }, RepairAction::Retry, None, output).await?;
            return Ok(Exit::Success);
        }
    };
    let overrides = overrides.into_iter().collect();
    let from = from.unwrap_or_default();
    let by = remark.by();
    let retry = JobRetry { id, new_id, from, overrides, cancel, by, reason: remark.reason }.with_new_id();
    let submitted = about_job(&*hub, id, retry_when_ended(&*hub, retry).await).await?;
    if !wait {
        output.submitted(&submitted, &format!("submitted a retry of job {id}"))?;
        return Ok(Exit::Success);
    }
    output.say_id(submitted.id);
    output.warn(&submitted.warnings);
    follow::wait(&*hub, submitted.id, wait_limit.map(Duration::from_secs_f64), &view.view(), output).await
}

/// Retries a job. One that is cancelled for it may need longer to end than the dispatcher waits.
async fn retry_when_ended(hub: &dyn Hub, retry: JobRetry) -> Result<Submitted, RequestError> {
    loop {
        match hub.retry(retry.clone()).await {
            Err(error) if error.kind == RequestErrorKind::NotEnded => {}
            answer => return answer,
        }
    }
}

/// Repairs a task.
async fn repair_task(
    args: &Args,
    RepairArgs { id, remark }: RepairArgs,
    action: RepairAction,
    data: Option<String>,
    output: &Output,
) -> Result<(), Failure> {
    let data = json_argument("--data", data, "the data", output)?;
    let hub = args.reach().await?.hub;
    let id = id.resolve(&*hub).await?;
    let repair = TaskRepair { id, action, data, by: remark.by(), reason: remark.reason };
    about_task(&*hub, id, hub.repair(repair).await).await?;
    let done = match action {
        RepairAction::Retry => "retried",
        RepairAction::Skip => "skipped",
        RepairAction::Fail => "failed",
    };
    output.done(id, &format!("{done} task {id}"))
}

/// The part of a job's record that `view` selects.
pub(super) async fn job(hub: &dyn Hub, id: &JobRef, view: &View) -> Result<Json, Failure> {
    let id = id.resolve(hub).await?;
    let record = async { hub.record(id, view.clone(), None).await?.into_json().await };
    about_job(hub, id, record.await).await
}

/// Posts the result of a task.
pub(super) async fn post(hub: &dyn Hub, update: ResultUpdate) -> Result<(), Failure> {
    let id = update.id;
    about_task(hub, id, hub.post_result(update).await).await
}

/// Adds an explanation if no task has the given id.
async fn about_task<T>(hub: &dyn Hub, id: hub_core::TaskId, outcome: Result<T, RequestError>) -> Result<T, Failure> {
    match outcome {
        Err(error) if error.kind == RequestErrorKind::NotFound => {
            Err(identity::unknown_task(hub, id, error.into()).await)
        }
        outcome => Ok(outcome?),
    }
}

/// Adds an explanation if no job has the given id.
async fn about_job<T>(hub: &dyn Hub, id: hub_core::JobId, outcome: Result<T, RequestError>) -> Result<T, Failure> {
    match outcome {
        Err(error) if error.kind == RequestErrorKind::NotFound => {
            Err(identity::unknown_job(hub, id, error.into()).await)
        }
        outcome => Ok(outcome?),
    }
}

/// The jobs that pass `filter`, up to its limit. They are requested page by page.
pub(super) async fn list(hub: &dyn Hub, mut filter: JobFilter) -> Result<JobPage, Failure> {
    let mut left = filter.limit.unwrap_or(u32::MAX);
    let mut all = JobPage::default();
    loop {
        filter.limit = Some(left.min(PAGE_SIZE));
        let page = hub.jobs(filter.clone()).await?;
        left -= u32::try_from(page.jobs.len()).unwrap_or(u32::MAX).min(left);
        all.jobs.extend(page.jobs);
        all.next = page.next;
        match &all.next {
            Some(next) if left > 0 => filter.after = Some(next.clone()),
            _ => return Ok(all),
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
    async fn a_list_has_the_requested_number_of_jobs() {
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
            async move { list(&*hub, JobFilter { after, limit, ..JobFilter::default() }).await.unwrap() }
        };
        let page = list(Some(1003), None).await;
        assert_eq!((page.jobs.len(), &*page.jobs[1002].name), (1003, "j2"));
        let rest = list(Some(1003), page.next).await;
        assert_eq!((rest.jobs.len(), rest.next), (2, None));
        assert_eq!(list(None, None).await.jobs.len(), 1005);
        dispatcher.stop(Duration::from_secs(5)).await;
    }
}
