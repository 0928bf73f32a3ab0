//! Injects faults: kills programs, restarts the broker, cuts and stalls connections, and fills the broker's memory, in an
//! order that a seed decides.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use super::{Chance, Relay};
use crate::{Broker, Daemon, Programs, rest};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `kill -9` of the dispatcher.
    KillDispatcher,
    /// `kill -9` of one worker.
    KillWorker,
    /// The broker is stopped or killed, and started again.
    RestartBroker,
    /// One connection is closed.
    CutOne,
    /// All connections are closed.
    CutAll,
    /// Connections to the broker are stalled for some time.
    Stall,
    /// The broker blocks publishing for some time.
    MemoryAlarm,
}

impl Fault {
    /// All faults, as often as they occur in a round.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![
            Self::KillDispatcher,
            Self::KillDispatcher,
            Self::KillWorker,
            Self::KillWorker,
            Self::RestartBroker,
            Self::CutOne,
            Self::CutOne,
            Self::CutAll,
            Self::Stall,
            Self::MemoryAlarm,
        ]
    }
}

/// A Hub of several programs, with fault injection.
pub struct FaultInjector<'a> {
    broker: &'a Broker,
    relay: &'a Relay,
    programs: &'a Programs,
    dispatcher: Option<Daemon>,
    workers: Vec<Daemon>,
    chance: Chance,
    deck: Vec<Fault>,
    done: BTreeMap<Fault, u64>,
    began: Instant,
}

/// Number of workers, each with [`SLOTS`].
const WORKERS: usize = 3;
const SLOTS: &str = "3";

impl<'a> FaultInjector<'a> {
    /// Starts the programs and waits until they serve.
    #[must_use]
    pub fn begin(broker: &'a Broker, relay: &'a Relay, programs: &'a Programs, seed: u64) -> Self {
        let dispatcher = start_dispatcher(programs);
        dispatcher.wait_for("listening for jobs and results");
        let workers: Vec<Daemon> = (0..WORKERS).map(|at| start_worker(programs, at)).collect();
        for worker in &workers {
            worker.wait_for("waiting for tasks");
        }
        Self {
            broker,
            relay,
            programs,
            dispatcher: Some(dispatcher),
            workers,
            chance: Chance::new(seed),
            deck: Vec::new(),
            done: BTreeMap::new(),
            began: Instant::now(),
        }
    }

    /// Injects one fault, after a pause. Faults come in shuffled rounds of [`Fault::all`].
    pub fn inject_next(&mut self) {
        rest(Duration::from_millis(self.chance.between(100, 1500)));
        if self.deck.is_empty() {
            self.deck = Fault::all();
            self.chance.shuffle(&mut self.deck);
        }
        if let Some(fault) = self.deck.pop() {
            self.inject(fault);
        }
    }

    /// Injects a fault. When it returns, all programs are running or starting.
    ///
    /// # Panics
    /// If a program has ended for another reason.
    pub fn inject(&mut self, fault: Fault) {
        self.check_programs();
        let began = self.began.elapsed();
        match fault {
            Fault::KillDispatcher => {
                drop(self.dispatcher.take());
                self.dispatcher = Some(start_dispatcher(self.programs));
            }
            Fault::KillWorker => {
                let at = self.chance.below(self.workers.len());
                drop(self.workers.remove(at));
                if self.chance.one_in(2) {
                    rest(self.moment());
                }
                self.workers.insert(at, start_worker(self.programs, at));
            }
            Fault::RestartBroker if self.chance.one_in(2) => self.broker.crash(),
            Fault::RestartBroker => self.broker.restart(),
            Fault::CutOne => self.relay.cut(self.chance.below(1000)),
            Fault::CutAll => self.relay.cut_all(),
            Fault::Stall => {
                self.relay.stall(true);
                rest(self.moment());
                self.relay.stall(false);
            }
            Fault::MemoryAlarm => {
                self.broker.block();
                rest(self.moment());
                self.broker.unblock();
            }
        }
        self.note(&format!("{began:.1?} to {:.1?} {fault:?}", self.began.elapsed()));
        *self.done.entry(fault).or_default() += 1;
    }

    /// Writes a line to the log of faults.
    fn note(&self, line: &str) {
        let log = self.programs.directory().join("faults.log");
        let file = std::fs::File::options().create(true).append(true).open(log);
        writeln!(file.expect("a log can be written"), "{line}").expect("a log can be written");
    }

    fn moment(&mut self) -> Duration {
        Duration::from_millis(self.chance.between(200, 3000))
    }

    fn check_programs(&mut self) {
        for daemon in self.dispatcher.iter_mut().chain(&mut self.workers) {
            assert!(daemon.is_alive(), "a program has died by itself:\n{}", daemon.log_end());
        }
    }

    /// Stops the programs.
    pub fn end(mut self) {
        self.check_programs();
        for worker in self.workers.drain(..) {
            worker.stop();
        }
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.stop();
        }
    }
}

/// The faults that were injected.
impl fmt::Display for FaultInjector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (fault, times) in &self.done {
            write!(f, "{comma}{fault:?} {times}")?;
            comma = ", ";
        }
        Ok(())
    }
}

fn start_dispatcher(programs: &Programs) -> Daemon {
    programs.start("hub-dispatcher", &["--retain-jobs", "1000000"])
}

fn start_worker(programs: &Programs, at: usize) -> Daemon {
    programs.start_as(&format!("hub-worker-{at}"), "hub-worker", &["--slots", SLOTS, "--tasks-dir", "tasks"])
}
