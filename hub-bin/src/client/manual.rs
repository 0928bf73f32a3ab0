//! The manual's flags: `-C`, `-S`, `-U`, `-D`. What they say goes to standard error, what was asked for to
//! standard output.

use clap::CommandFactory;
use hub_core::JobId;
use hub_engine::operations::{JobFilter, RequestErrorKind, ResultUpdate, Submission};

use super::arguments::Args;
use super::output::Output;
use super::{commands, problems, read_input};
use crate::exit::{Exit, Failure};

pub(super) async fn run(args: Args, output: &Output) -> Result<Exit, Failure> {
    let output = &output.manual(args.output);
    if let Some(file) = &args.create {
        let text = read_input(file)?;
        let reached = args.reach_saying(output, "Submitting job to broker").await?;
        output.say("Submitting new job to queue");
        let submitted = reached.hub.submit(Submission { text: text.as_str().into(), id: None }).await;
        let id = submitted.map_err(|error| match error.kind {
            RequestErrorKind::InvalidJob => problems::invalid(file, &text, error.problems.iter()),
            _ => error.into(),
        })?;
        output.say(&format!("Successfully submitted job: {id}"));
        output.id(id);
        return Ok(Exit::Success);
    }
    if let Some(id) = &args.status {
        return status(&args, id, output).await;
    }
    if let Some(file) = &args.update {
        let text = read_input(file)?;
        let update: ResultUpdate = serde_json::from_str(&text).map_err(|error| {
            let message =
                "the update is not of the form {\"id\": TASK, \"status\": \"SUCCESS\" or \"FAILED\", \"data\": …}";
            Failure::new(Exit::Usage, message).because(error)
        })?;
        let id = update.id;
        args.reach().await?.hub.post_result(update).await?;
        output.say(&format!("Successfully updated task: {id}"));
        return Ok(Exit::Success);
    }
    if let Some(id) = args.delete {
        return delete(&args, id, output).await;
    }
    let mut command = Args::command();
    Err(Failure::new(Exit::Usage, format!("there is nothing to do\n\n{}", command.render_usage())))
}

impl Args {
    async fn reach_saying(&self, output: &Output, what: &str) -> Result<super::Reached, Failure> {
        let config = self.reach.read_config()?;
        output.say(&format!("{what} {}...", self.reach.clone().merge(&config).shown_broker()));
        self.reach().await
    }
}

async fn status(args: &Args, id: &str, output: &Output) -> Result<Exit, Failure> {
    if id.is_empty() {
        let page = commands::jobs(&*args.reach().await?.hub, JobFilter::default(), usize::MAX).await?;
        output.print(&serde_json::to_string(&page.jobs).unwrap_or_default());
        return Ok(Exit::Success);
    }
    let id: JobId = id
        .parse()
        .map_err(|error| Failure::new(Exit::Usage, format!("{id:?} is no job id")).because(format!("{error}")))?;
    output.say(&format!("Requesting status for job {id}"));
    let record = args.reach().await?.hub.job(id, None).await?;
    output.record(&record)?;
    Ok(Exit::Success)
}

/// Cancels what runs, removes what has ended.
async fn delete(args: &Args, id: JobId, output: &Output) -> Result<Exit, Failure> {
    let hub = args.reach().await?.hub;
    match hub.cancel(id).await {
        Ok(()) => output.say(&format!("Cancelled job {id}")),
        Err(error) if error.kind == RequestErrorKind::Conflict => {
            hub.remove(id).await?;
            output.say(&format!("Removed job {id}"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Exit::Success)
}
