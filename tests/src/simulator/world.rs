//! The shared state of a simulation: random generator, time, broker, contents of the store, and the oracle.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_core::{Issue, Now, Steady, TaskId, Timestamp};
use hub_engine::operations::RequestError;
use hub_engine::store::MemoryStore;
use hub_transport::memory::MemoryBroker;
use tokio::time::Instant;

use super::dice::Dice;
use super::event::Event;
use super::note::Note;
use super::oracle::Oracle;
use super::plans::{self, Plan};
use super::sabotage::{self, Sabotage};
use super::trace::Trace;
use super::weather::Weather;

/// Start of the wall clock: 2026-01-01T00:00:00Z.
const BEGINNING_MS: u64 = 1_767_225_600_000;
/// Start of the steady clock.
const STEADY_BEGINNING_MS: u64 = 1_000_000_000;

/// The shared state of a simulation.
pub struct World {
    /// The random generator.
    pub dice: Dice,
    /// The faults.
    pub weather: Weather,
    /// The sabotage, if there is one.
    pub sabotage: Option<Sabotage>,
    /// The jobs.
    pub plans: Vec<Plan>,
    /// The broker, which is never replaced.
    pub broker: MemoryBroker,
    /// The contents of the store.
    pub kept: MemoryStore,
    began: Instant,
    clock_ahead_ms: Arc<AtomicI64>,
    has_no_faults: AtomicBool,
    numbers: AtomicU64,
    state: Mutex<State>,
}

struct State {
    oracle: Oracle,
    trace: Trace,
    latest: BTreeMap<TaskId, Issue>,
}

impl World {
    /// The world of `seed`.
    #[must_use]
    pub fn new(seed: u64, sabotage: Option<Sabotage>, whole_trace: bool) -> Arc<Self> {
        let dice = Dice::new(seed);
        let weather = Weather::draw(&dice);
        let plans = plans::draw(&dice, weather.lasts);
        let mut trace = Trace::new(whole_trace);
        trace.add(Duration::ZERO, format_args!("{weather:?}"));
        plans.iter().for_each(|plan| trace.add(plan.after, format_args!("plan: {plan}")));
        let oracle = Oracle::new(&plans);
        let state = State { oracle, trace, latest: BTreeMap::new() };
        Arc::new(Self {
            dice,
            weather,
            sabotage,
            plans,
            broker: MemoryBroker::new(),
            kept: MemoryStore::new(),
            began: Instant::now(),
            clock_ahead_ms: Arc::default(),
            has_no_faults: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            state: Mutex::new(state),
        })
    }

    /// The clock of this world.
    pub fn clock(&self) -> impl Fn() -> Now + use<> {
        let (began, ahead, sabotage) = (self.began, Arc::clone(&self.clock_ahead_ms), self.sabotage);
        move || {
            let since = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let ahead = ahead.load(Ordering::Relaxed);
            sabotage::clock(
                sabotage,
                Now {
                    wall: Timestamp::from_millis((BEGINNING_MS + since).saturating_add_signed(ahead)),
                    steady: Steady::from_millis(STEADY_BEGINNING_MS + since),
                },
                Steady::from_millis((STEADY_BEGINNING_MS + since).saturating_add_signed(ahead)),
            )
        }
    }

    /// Sets the offset of the wall clock.
    pub fn set_clock_ahead(&self, by_ms: i64) {
        self.clock_ahead_ms.store(by_ms, Ordering::Relaxed);
    }

    /// The simulated time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep_until(Instant::now() + time).await;
    }

    /// Reports an event.
    pub fn tell(&self, event: Event) {
        let mut state = self.state();
        let state = &mut *state;
        state.trace.add(self.began.elapsed(), &event);
        if let Event::Took(_, _, Note::Task(issue)) = &event {
            state.latest.insert(issue.task, issue.issue());
        }
        if let Some(violation) = state.oracle.see(&event) {
            state.trace.add(self.began.elapsed(), violation);
        }
    }

    /// Number of events.
    #[must_use]
    pub fn happened(&self) -> u64 {
        self.state().trace.fingerprint().1
    }

    /// The latest published issue of a task.
    #[must_use]
    pub fn latest_issue(&self, task: TaskId) -> Option<Issue> {
        self.state().latest.get(&task).copied()
    }

    /// Whether a fault with this probability occurs now.
    pub fn falls(&self, probability: f64) -> bool {
        !self.is_calm() && self.dice.falls(probability)
    }

    /// Whether the fault phase has ended.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.has_no_faults.load(Ordering::Relaxed)
    }

    /// Ends the fault phase.
    pub fn end_faults(&self) {
        self.has_no_faults.store(true, Ordering::Relaxed);
        self.tell(Event::Calm);
    }

    /// A random latency of a message, often very small.
    pub fn latency(&self) -> Duration {
        if self.dice.falls(0.5) { Duration::ZERO } else { self.dice.millis(0, self.weather.latency_ms) }
    }

    /// A unique number.
    pub fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Reports that a valid request of a client was refused.
    pub fn refused(&self, what: &str, error: &RequestError) {
        self.with_oracle(|oracle| oracle.accuse("valid_requests_are_accepted", format!("{what} was refused: {error}")));
    }

    /// Calls `look` with the oracle.
    pub fn with_oracle<T>(&self, look: impl FnOnce(&mut Oracle) -> T) -> T {
        look(&mut self.state().oracle)
    }

    /// Takes the trace of events.
    pub fn take_trace(&self) -> Trace {
        std::mem::take(&mut self.state().trace)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
