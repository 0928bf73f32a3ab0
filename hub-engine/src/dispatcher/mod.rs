//! The dispatcher: takes jobs and results from the broker, has the core decide, and carries out what it
//! decided, in the order that loses nothing.
//!
//! Everything that comes in is handled by one loop (`driver`). What an input causes is gathered in a
//! `batch`: changes for the store, tasks for the workers, answers for clients. A batch is committed and
//! its tasks are published side by side; the deliveries that it came from are acknowledged when both are
//! done, so that a crash at any point has them delivered again. What would not come again (a request, a
//! timer) is committed before anything is published.

mod batch;
mod batches;
mod desk;
mod discard;
mod driver;
mod inputs;
mod intake;
mod lately;
mod local;
mod open_answers;
mod publish;
mod records;
mod replies;
mod room;
mod settings;
mod submissions;

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

/// How long the acknowledgement of what is kept waits for others. What is delivered again because a dispatcher died meanwhile
/// is recognised as long as the store has it.
const GATHER: Duration = Duration::from_millis(50);

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
    /// The broker cannot keep a second dispatcher out, and the settings do not say that there is none.
    #[error(
        "{broker} cannot keep a second dispatcher out, and two dispatchers take each other's results: make sure that only one serves \
         this Hub, and set `only_dispatcher`"
    )]
    NoLock {
        /// The transport.
        broker: String,
    },
}

impl Dispatcher {
    /// Takes up what the store has, and starts to serve; goes on through every loss of the broker until
    /// [`Dispatcher::stop`].
    ///
    /// # Errors
    /// Where the store cannot be read or written, or the broker cannot keep a second dispatcher out.
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
                "the broker cannot count the messages of a queue: a task that it loses is not handed out again by itself"
            );
        }
        let incarnation = store.begin_incarnation().await?;
        let max_message_bytes = capabilities.max_message_bytes;
        let mut machine = Machine::new(settings.machine(incarnation, max_message_bytes));
        let unfinished = store.load_unfinished().await?;
        if !unfinished.is_empty() {
            tracing::info!(jobs = unfinished.len(), "taking up unfinished jobs");
        }
        for mut job in unfinished {
            if settings.broker_forgets || !capabilities.durable {
                job.tasks.iter_mut().for_each(|task| Arc::make_mut(task).confirmed = false);
            }
            machine.restore(job, now());
        }
        let unique = Uuid::new_v4();
        let plan = settings.plan(unique, &capabilities);
        let acks = Acks::new(&plan, GATHER);
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
        // The sender goes away only when the dispatcher has stopped; then there is nothing to wait for.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }

    /// The Hub that this dispatcher serves, for the same process.
    #[must_use]
    pub fn hub(&self) -> Arc<dyn Hub> {
        Arc::clone(&self.hub) as Arc<dyn Hub>
    }

    /// How the connection is.
    #[must_use]
    pub fn link_health(&self) -> watch::Receiver<LinkHealth> {
        self.link.health()
    }

    /// Returns when the dispatcher has given up because its store is of no use, and why. What remains is to stop it.
    pub async fn broken(&self) -> Arc<StoreError> {
        let mut broken = self.broken.clone();
        match broken.wait_for(Option::is_some).await.ok().and_then(|error| error.clone()) {
            Some(error) => error,
            // It has stopped in good order, and will not break any more.
            None => std::future::pending().await,
        }
    }

    /// Takes in nothing more, brings to an end what it has begun (within `grace`), disconnects, and closes the store.
    pub async fn stop(self, grace: Duration) {
        let _ = self.inputs.send(Input::Stop(grace));
        if let Err(error) = self.driving.await {
            tracing::error!(%error, "the dispatcher's loop ended in a panic");
        }
        self.store.close().await;
    }
}
