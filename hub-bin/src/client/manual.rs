//! The manual's flags: `-C`, `-S`, `-U`, `-D`. Messages are written to standard error, results to standard output.

use hub_core::JobStatus;
use hub_engine::operations::{JobCancel, JobFilter, RequestErrorKind, ResultUpdate, Submission, View};

use super::arguments::Args;
use super::identity::JobRef;
use super::job_file::JobFile;
use super::output::Output;
use super::{commands, input};
use crate::exit::{Exit, Failure};

/// Error message for an invalid input of `-U`.
const UPDATE: &str = "the update must have the form {\"id\": TASK, \"status\": \"SUCCESS\" or \"FAILED\", \"data\": …}";

pub(super) async fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let output = &output.manual();
    if let Some(file) = &args.manual.create {
        let file = JobFile::read(file, output)?;
        file.check()?;
        let config = args.reach.read_config()?;
        let broker = args.reach.clone().merge(&config).shown_broker();
        output.say(&format!("Submitting job to broker {broker}..."));
        let reached = args.reach().await?;
        output.say("Submitting new job to queue");
        let submission = Submission { text: file.json().into(), id: None };
        let submitted = reached.hub.submit_and_report(submission).await;
        let submitted = submitted.map_err(|error| file.refused(error))?;
        output.submitted(&submitted, &format!("Successfully submitted job: {}", submitted.id))?;
        return Ok(Exit::Success);
    }
    if let Some(id) = &args.manual.status {
        return status(args, id, output).await;
    }
    if let Some(file) = &args.manual.update {
        let text = input::read_text(file, "the update", output)?;
        let update: ResultUpdate =
            serde_json::from_str(&text).map_err(|error| Failure::new(Exit::Usage, UPDATE).because(error))?;
        let id = update.id;
        commands::post(&*args.reach().await?.hub, update).await?;
        output.done(id, &format!("Successfully updated task: {id}"))?;
        return Ok(Exit::Success);
    }
    if let Some(id) = &args.manual.delete {
        return delete(args, id, output).await;
    }
    Ok(Exit::Usage)
}

async fn status(args: &Args, id: &str, output: &Output) -> Result<Exit, Failure> {
    if id.is_empty() {
        let all = commands::list(&*args.reach().await?.hub, JobFilter::default()).await?;
        output.all_jobs(&all.jobs)?;
        return Ok(Exit::Success);
    }
    let id: JobRef = id.parse().map_err(|why| Failure::new(Exit::Usage, format!("-S {id}: {why}")))?;
    let hub = args.reach().await?.hub;
    let id = id.resolve(&*hub).await?;
    output.say(&format!("Requesting status for job {id}"));
    output.record(&commands::job(&*hub, &JobRef::Id(id), &View::whole()).await?)?;
    Ok(Exit::Success)
}

/// Cancels a job, or removes it if it has ended.
async fn delete(args: &Args, id: &JobRef, output: &Output) -> Result<Exit, Failure> {
    let hub = args.reach().await?.hub;
    let id = id.resolve(&*hub).await?;
    match hub.cancel_with(JobCancel::new(id)).await {
        Ok(JobStatus::Cancelled) => output.done(id, &format!("Cancelled job {id}"))?,
        Ok(_) => output.done(id, &format!("Cancelling job {id}"))?,
        Err(error) if error.kind == RequestErrorKind::Conflict => {
            hub.remove(id).await?;
            output.done(id, &format!("Removed job {id}"))?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Exit::Success)
}
