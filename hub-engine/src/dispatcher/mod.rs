//! The dispatcher: takes jobs and results from the broker, passes them to the core, and executes its actions in an
//! order that loses nothing in a crash.
//!
//! One loop (`driver`) handles all inputs. Their effects are collected in a `batch`: changes for the store, tasks for
//! the workers, answers for clients. A batch is committed while its tasks are published. Its deliveries are
//! acknowledged when both have finished, so after a crash the broker delivers them again. Inputs that are not delivered
//! again (a request, a timer) are committed before their effects are published.

mod apart;
mod batch;
mod batches;
mod definition_hints;
mod definitions;
mod desk;
mod discard;
mod driver;
mod explain;
mod found;
mod inputs;
mod intake;
mod lately;
mod local;
mod open_answers;
mod publish;
mod records;
mod replies;
mod retries;
mod room;
mod schedules;
mod settings;
mod submissions;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use hub_core::machine::Machine;
use hub_transport::Transport;
use hub_transport::supervisor::{Link, LinkHealth};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::acks::Acks;
use crate::clock::now;
use crate::events::Events;
use crate::operations::Hub;
use crate::store::{Store, StoreError};
use desk::FrontDesk;
use driver::Driver;
use inputs::Input;
use intake::{Intake, STORE_READS};
use lately::Lookups;
use local::LocalHub;
use open_answers::OpenAnswers;
use replies::Replier;
use room::Room;

pub use settings::DispatcherSettings;

/// Delay of acknowledgements, so that they are sent together. If the dispatcher dies before, the messages are delivered
/// again and recognised from the store.
const ACK_DELAY: Duration = Duration::from_millis(50);

/// A running dispatcher.
#[derive(Debug)]
pub struct Dispatcher {
    link: Link,
    hub: Arc<LocalHub>,
    inputs: mpsc::UnboundedSender<Input>,
    ready: watch::Receiver<bool>,
    broken: watch::Receiver<Option<Arc<StoreError>>>,
    store: Arc<dyn Store>,
    driving: JoinHandle<()>,
}

/// Why a dispatcher could not start.
#[derive(Debug, thiserror::Error)]
pub enum DispatcherError {
    /// The store could not be read or written.
    #[error("failed to start from the store")]
    Store(#[from] StoreError),
    /// The broker cannot exclude a second dispatcher, and the settings do not guarantee that there is none.
    #[error(
        "{broker} cannot exclude a second dispatcher, and two dispatchers would consume each other's results: ensure that only one \
         serves this Hub, and set `only_dispatcher`"
    )]
    NoLock {
        /// The transport.
        broker: String,
    },
}

impl Dispatcher {
    /// Restores the unfinished jobs from the store and starts to serve. Reconnects to the broker until
    /// [`Dispatcher::stop`].
    ///
    /// # Errors
    /// If the store cannot be read or written, or the broker cannot exclude a second dispatcher.
    pub async fn start(
        transport: Arc<dyn Transport>,
        store: Arc<dyn Store>,
        settings: DispatcherSettings,
    ) -> Result<Self, DispatcherError> {
        let capabilities = transport.capabilities();
        if !capabilities.exclusive && !settings.only_dispatcher {
            return Err(DispatcherError::NoLock { broker: transport.describe() });
        }
        if !capabilities.counts {
            tracing::info!(
                "the broker cannot count the messages of a queue, so tasks that it loses are not handed out again"
            );
        }
        let incarnation = store.begin_incarnation().await?;
        let max_message_bytes = capabilities.max_message_bytes;
        let mut machine = Machine::new(settings.machine(incarnation, max_message_bytes));
        for schedule in store.schedules().await? {
            machine.restore_schedule(schedule, now());
        }
        for (pool, pause) in store.paused_pools().await? {
            machine.restore_paused_pool(pool, pause);
        }
        machine.restore_kept_results(store.kept_results().await?, now());
        let unfinished = store.load_unfinished().await?;
        if !unfinished.is_empty() {
            tracing::info!(jobs = unfinished.len(), "restoring unfinished jobs");
        }
        for mut job in unfinished {
            if settings.broker_forgets || !capabilities.durable {
                job.tasks.iter_mut().for_each(|task| Arc::make_mut(task).confirmed = false);
            }
            machine.restore(job, now());
        }
        let unique = Uuid::new_v4();
        let plan = settings.plan(unique, &capabilities);
        let acks = Acks::new(&plan, ACK_DELAY);
        let (link, events) = Link::start(transport, plan);
        let replier = Replier::start(link.clone(), max_message_bytes);
        let (inputs, from_inputs) = mpsc::unbounded_channel();
        let (announce_ready, ready) = watch::channel(false);
        let (give_up, broken) = watch::channel(None);
        let lookups = Lookups::default();
        let intake = Intake {
            inputs: inputs.clone(),
            store: Arc::clone(&store),
            lookups: lookups.clone(),
            limits: settings.limits.clone(),
            store_reads: Semaphore::new(STORE_READS),
            defining: Arc::default(),
            schemas: Arc::clone(&settings.inputs),
            room: Arc::new(Room::new()),
        };
        let room = Arc::clone(&intake.room);
        let open_answers = OpenAnswers::new(settings.answer_bytes);
        let largest_answer = replier.largest().unwrap_or(usize::MAX);
        let events_of_jobs = Events::new(incarnation);
        let health = link.health();
        let hub = LocalHub::new(intake, health, incarnation, events_of_jobs.clone(), open_answers, largest_answer);
        let hub = Arc::new(hub);
        let desk = FrontDesk::new(Arc::clone(&hub), replier, inputs.clone());
        let driver = Driver::new(
            machine,
            Arc::clone(&store),
            link.clone(),
            acks,
            settings,
            capabilities,
            desk,
            events_of_jobs,
            inputs.clone(),
            announce_ready,
            give_up,
            lookups,
            room,
            &unique.simple().to_string(),
        );
        let driving = tokio::spawn(driver.run(events, from_inputs));
        Ok(Self { link, hub, inputs, ready, broken, store, driving })
    }

    /// Waits until the dispatcher is connected and listens for jobs and results.
    pub async fn ready(&self) {
        // The sender is dropped only when the dispatcher has stopped; then there is nothing to wait for.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }

    /// The operations of this dispatcher's Hub, for use in the same process.
    #[must_use]
    pub fn hub(&self) -> Arc<dyn Hub> {
        Arc::clone(&self.hub) as Arc<dyn Hub>
    }

    /// The state of the connection to the broker.
    #[must_use]
    pub fn link_health(&self) -> watch::Receiver<LinkHealth> {
        self.link.health()
    }

    /// Waits until the dispatcher fails because its store cannot be used, and returns the error. The caller then stops
    /// it.
    pub async fn broken(&self) -> Arc<StoreError> {
        let mut broken = self.broken.clone();
        match broken.wait_for(Option::is_some).await.ok().and_then(|error| error.clone()) {
            Some(error) => error,
            // The dispatcher has stopped normally and cannot fail any more.
            None => std::future::pending().await,
        }
    }

    /// Stops accepting inputs, completes work in progress within `grace`, disconnects, and closes the store.
    pub async fn stop(self, grace: Duration) {
        let _ = self.inputs.send(Input::Stop(grace));
        if let Err(error) = self.driving.await {
            tracing::error!(%error, "the dispatcher's loop panicked");
        }
        self.store.close().await;
    }
}
