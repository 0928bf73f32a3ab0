//! A process of the simulation: it can be killed between any two of its steps.
//!
//! A step is an externally visible action of a process: a message to the broker, a commit, the start or the end of a run. After a
//! kill, the connections of the process are closed, and its next step never returns. So kills between steps cover all relevant
//! times of a crash.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::event::Event;
use super::socket::Socket;
use super::world::World;

/// A process.
pub struct Process {
    /// Its name in the trace.
    pub name: Arc<str>,
    /// Whether it is a dispatcher.
    pub is_dispatcher: bool,
    world: Arc<World>,
    dead: CancellationToken,
    stopping: CancellationToken,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Number of steps until it is killed.
    fuse: Option<u64>,
    cut_off_until: Option<Instant>,
    sockets: Vec<Weak<Socket>>,
}

impl Process {
    /// Starts a process.
    #[must_use]
    pub fn begin(world: &Arc<World>, kind: &str) -> Arc<Self> {
        let is_dispatcher = kind == "dispatcher";
        let steps = if is_dispatcher { world.weather.dispatcher_steps } else { world.weather.worker_steps };
        let fuse = steps.filter(|_| !world.is_calm()).map(|steps| world.dice.between(1, 2 * steps));
        let process = Arc::new(Self {
            name: format!("{kind}-{}", world.number()).into(),
            is_dispatcher,
            world: Arc::clone(world),
            dead: CancellationToken::new(),
            stopping: CancellationToken::new(),
            state: Mutex::new(State { fuse, ..State::default() }),
        });
        world.tell(Event::Began(Arc::clone(&process.name)));
        process
    }

    /// Its world.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// A point between two steps, where the process may be killed. A killed process never continues.
    pub async fn step(&self) {
        if self.burn() {
            self.kill();
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    fn burn(&self) -> bool {
        match &mut self.state().fuse {
            Some(fuse) => {
                *fuse = fuse.saturating_sub(1);
                *fuse == 0
            }
            None => false,
        }
    }

    /// Kills the process.
    pub fn kill(&self) {
        if self.dead.is_cancelled() {
            return;
        }
        self.dead.cancel();
        self.world.tell(Event::Died(Arc::clone(&self.name)));
        self.cut();
    }

    /// Asks it to stop normally.
    pub fn ask_to_stop(&self) {
        if !self.stopping.is_cancelled() && !self.is_dead() {
            self.world.tell(Event::Stopping(Arc::clone(&self.name)));
            self.stopping.cancel();
        }
    }

    /// Waits until it is asked to stop.
    pub async fn is_asked_to_stop(&self) {
        self.stopping.cancelled().await;
    }

    /// Marks it as ended by itself.
    pub fn end(&self) {
        if !self.is_dead() {
            self.world.tell(Event::Stopped(Arc::clone(&self.name)));
        }
        self.dead.cancel();
        self.cut();
    }

    /// Whether it is dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Waits for its death.
    pub async fn died(&self) {
        self.dead.cancelled().await;
    }

    /// The result of `work`, or `None` if the process is killed first.
    pub async fn unless_killed<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.dead.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// Breaks its connections.
    pub fn cut(&self) {
        let sockets = std::mem::take(&mut self.state().sockets);
        sockets.iter().filter_map(Weak::upgrade).for_each(|socket| socket.cut());
    }

    /// Disconnects it from the broker for this time.
    pub fn cut_off(&self, time: Duration) {
        self.world.tell(Event::Fault(format!("{} is cut off for {} ms", self.name, time.as_millis())));
        self.state().cut_off_until = Some(Instant::now() + time);
        self.cut();
    }

    /// Whether it is disconnected from the broker.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.state().cut_off_until.is_some_and(|until| until > Instant::now())
    }

    /// Ends its faults.
    pub fn heal(&self) {
        let mut state = self.state();
        state.fuse = None;
        state.cut_off_until = None;
    }

    /// Adds a connection.
    pub fn add_socket(&self, socket: &Arc<Socket>) {
        let mut state = self.state();
        state.sockets.retain(|other| other.strong_count() > 0);
        state.sockets.push(Arc::downgrade(socket));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
