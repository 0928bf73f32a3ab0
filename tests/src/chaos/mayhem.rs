//! Who torments: kills programs, restarts the broker, cuts and stalls connections, fills the broker's memory, in an
//! order that comes from a seed.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use super::{Chance, Relay};
use crate::{Broker, Daemon, Programs, rest};

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// `kill -9` of the dispatcher.
    KillDispatcher,
    /// `kill -9` of one worker.
    KillWorker,
    /// The broker is stopped and started, or killed and started.
    RestartBroker,
    /// One connection is cut.
    CutOne,
    /// All connections are cut.
    CutAll,
    /// For a moment nothing passes to and from the broker.
    Stall,
    /// For a moment the broker takes no messages.
    MemoryAlarm,
}

impl Trouble {
    /// All that a Hub must bear, in the proportion in which it comes.
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

/// A Hub of several programs, and what is done to it.
pub struct Mayhem<'a> {
    broker: &'a Broker,
    relay: &'a Relay,
    programs: &'a Programs,
    dispatcher: Option<Daemon>,
    workers: Vec<Daemon>,
    chance: Chance,
    deck: Vec<Trouble>,
    done: BTreeMap<Trouble, u64>,
    began: Instant,
}

/// How many workers there are, each with [`SLOTS`].
const WORKERS: usize = 3;
const SLOTS: &str = "3";

impl<'a> Mayhem<'a> {
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

    /// Makes one trouble, after a pause. Each kind comes once before one comes again.
    pub fn trouble(&mut self) {
        rest(Duration::from_millis(self.chance.between(100, 1500)));
        if self.deck.is_empty() {
            self.deck = Trouble::all();
            self.chance.shuffle(&mut self.deck);
        }
        if let Some(trouble) = self.deck.pop() {
            self.make(trouble);
        }
    }

    /// Makes this trouble. When it returns, everything that should be there is there, or on its way.
    ///
    /// # Panics
    /// Where a program has died of something else.
    pub fn make(&mut self, trouble: Trouble) {
        self.nobody_has_died();
        let began = self.began.elapsed();
        match trouble {
            Trouble::KillDispatcher => {
                drop(self.dispatcher.take());
                self.dispatcher = Some(start_dispatcher(self.programs));
            }
            Trouble::KillWorker => {
                let at = self.chance.below(self.workers.len());
                drop(self.workers.remove(at));
                if self.chance.one_in(2) {
                    rest(self.moment());
                }
                self.workers.insert(at, start_worker(self.programs, at));
            }
            Trouble::RestartBroker if self.chance.one_in(2) => self.broker.crash(),
            Trouble::RestartBroker => self.broker.restart(),
            Trouble::CutOne => self.relay.cut(self.chance.below(1000)),
            Trouble::CutAll => self.relay.cut_all(),
            Trouble::Stall => {
                self.relay.stall(true);
                rest(self.moment());
                self.relay.stall(false);
            }
            Trouble::MemoryAlarm => {
                self.broker.block();
                rest(self.moment());
                self.broker.unblock();
            }
        }
        self.note(&format!("{began:.1?} to {:.1?} {trouble:?}", self.began.elapsed()));
        *self.done.entry(trouble).or_default() += 1;
    }

    /// Leaves a line among the programs' logs.
    fn note(&self, line: &str) {
        let log = self.programs.directory().join("mayhem.log");
        let file = std::fs::File::options().create(true).append(true).open(log);
        writeln!(file.expect("a log can be written"), "{line}").expect("a log can be written");
    }

    fn moment(&mut self) -> Duration {
        Duration::from_millis(self.chance.between(200, 3000))
    }

    fn nobody_has_died(&mut self) {
        for daemon in self.dispatcher.iter_mut().chain(&mut self.workers) {
            assert!(daemon.is_alive(), "a program has died by itself:\n{}", daemon.log_end());
        }
    }

    /// Ends the programs as one should.
    pub fn end(mut self) {
        self.nobody_has_died();
        for worker in self.workers.drain(..) {
            worker.stop();
        }
        if let Some(dispatcher) = self.dispatcher.take() {
            dispatcher.stop();
        }
    }
}

/// What has been done.
impl fmt::Display for Mayhem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (trouble, times) in &self.done {
            write!(f, "{comma}{trouble:?} {times}")?;
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
