//! `hub-client run`: a whole Hub in this process, for one job.

use std::sync::Arc;
use std::time::Duration;

use hub_core::JobId;
use hub_core::job::{Job, Limits};
use hub_engine::dispatcher::{Dispatcher, DispatcherSettings};
use hub_engine::operations::{Hub, View};
use hub_engine::store::MemoryStore;
use hub_transport::memory::MemoryBroker;

use super::arguments::RunArgs;
use super::output::Output;
use super::{commands, read_input};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::reach::DEFAULT_PREFIX;
use crate::signals::Signals;
use crate::worker::Work;

/// How long everything may take to end when the job has.
const GRACE: Duration = Duration::from_secs(5);

pub(super) async fn run(args: RunArgs, output: &Output) -> Result<Exit, Failure> {
    let text = read_input(&args.file)?;
    let Some(work) = args.work.clone().merge(&Config::default()) else {
        let message = "the job needs task modules: name their directory with --tasks-dir";
        return Err(Failure::new(Exit::Usage, message));
    };
    let mut signals =
        Signals::listen().map_err(|error| Failure::new(Exit::Refused, "cannot listen for signals").because(error))?;
    let transport = MemoryBroker::new().transport();
    let settings = DispatcherSettings::new(DEFAULT_PREFIX);
    let dispatcher = Dispatcher::start(Arc::clone(&transport), Arc::new(MemoryStore::new()), settings)
        .await
        .map_err(|error| Failure::new(Exit::Refused, "the dispatcher cannot start").because(error))?;
    let hub = dispatcher.hub();
    let id = commands::submit(&*hub, &args.file, &text, None).await?;
    let worker = only_what_it_needs(work, &text).start(transport, DEFAULT_PREFIX).await?;
    let outcome = end_of(&*hub, id, &args, output, &mut signals).await;
    worker.stop(GRACE).await;
    dispatcher.stop(GRACE).await;
    outcome
}

/// Nobody else could run what is missing here, and loading modules that the job does not name would keep it waiting.
fn only_what_it_needs(work: Work, text: &str) -> Work {
    match Job::parse(text, &Limits::default()) {
        Ok(job) => work.only(job.tasks().iter().map(|task| task.module().to_string())),
        // It was let in, so this does not happen.
        Err(_) => work,
    }
}

async fn end_of(
    hub: &dyn Hub,
    id: JobId,
    args: &RunArgs,
    output: &Output,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let limit = args.wait_limit.map(Duration::from_secs_f64);
    let followed = tokio::select! {
        followed = commands::follow(hub, id, limit, output) => followed,
        () = signals.next() => {
            hub.cancel(id).await?;
            output.record(&hub.job(id, None).await?)?;
            output.say("interrupted: the job was cancelled");
            return Ok(Exit::Interrupted);
        }
    };
    match followed {
        Ok(()) => commands::show_end(hub, id, None, View::whole(), output).await,
        Err(failure) => {
            // Out of time: here nothing goes on behind the user's back.
            hub.cancel(id).await?;
            output.record(&hub.job(id, None).await?)?;
            Err(Failure::new(Exit::JobFailed, "the job took too long and was cancelled").because(failure.to_string()))
        }
    }
}
