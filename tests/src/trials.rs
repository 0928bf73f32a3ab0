//! Tests that need a broker: run one after the other, ignored where there is none.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::{Broker, broker};

/// A test that needs a broker, or what else its neighbours share with it.
pub type BrokerTest<B = Broker> = Box<dyn FnOnce(&B) + Send>;

/// The same where it is known when the tests are compiled.
pub type PlainTest<B = Broker> = fn(&B);

/// A test with its name.
pub struct BrokerTrial<B = Broker> {
    name: String,
    test: BrokerTest<B>,
    ignored: bool,
}

impl<B> BrokerTrial<B> {
    /// A test of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, test: impl FnOnce(&B) + Send + 'static) -> Self {
        Self { name: name.into(), test: Box::new(test), ignored: false }
    }

    /// A test that takes too long for the gate: it runs where `--ignored` asks for it.
    #[must_use]
    pub fn on_demand(mut self) -> Self {
        self.ignored = true;
        self
    }

    /// The same, shown as ignored where it does not apply.
    #[must_use]
    pub fn ignored_unless(mut self, applies: bool) -> Self {
        self.ignored |= !applies;
        self
    }
}

/// Runs tests on one broker, one after the other. Without Docker or the image they show as ignored; with
/// `HUB_REQUIRE_BROKER=1`, as the gate sets it, they fail.
#[must_use]
pub fn broker_tests<const N: usize>(tests: [(&str, PlainTest); N]) -> ExitCode {
    trials_on(Broker::start, tests.into_iter().map(|(name, test)| BrokerTrial::new(name, test)).collect())
}

/// The same, for tests that are made at run time and share what `start` makes: it is made for the first of them.
#[must_use]
pub fn trials_on<B: Send + 'static>(start: fn() -> B, tests: Vec<BrokerTrial<B>>) -> ExitCode {
    trials_beside(Vec::new(), start, tests)
}

/// The same, after trials that need nothing of the kind.
#[must_use]
pub fn trials_beside<B: Send + 'static>(plain: Vec<Trial>, start: fn() -> B, tests: Vec<BrokerTrial<B>>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share one broker and some of them restart it.
    arguments.test_threads = Some(1);
    let required = std::env::var_os("HUB_REQUIRE_BROKER").is_some();
    let usable = required || broker::is_usable();
    if !usable && !arguments.list {
        eprintln!("{}", broker::advice());
    }
    let shared = Arc::new(Mutex::new(None));
    let trials = tests.into_iter().map(|BrokerTrial { name, test, ignored }| {
        let shared = Arc::clone(&shared);
        let run = move || {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            test(shared.get_or_insert_with(start));
            Ok::<(), Failed>(())
        };
        Trial::test(name, run).with_ignored_flag(!usable || ignored)
    });
    let conclusion = libtest_mimic::run(&arguments, plain.into_iter().chain(trials).collect());
    // Before the process ends: nothing else would take the container away.
    drop(shared.lock().unwrap_or_else(PoisonError::into_inner).take());
    conclusion.exit_code()
}
