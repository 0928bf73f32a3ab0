//! Runs tests that need a broker in sequence. Without a broker, they are shown as ignored.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::{Broker, broker};

/// A test that needs a broker, or another shared resource.
pub type BrokerTest<B = Broker> = Box<dyn FnOnce(&B) + Send>;

/// A test that needs a broker, as a plain function.
pub type PlainTest<B = Broker> = fn(&B);

/// A test with its name.
pub struct BrokerTrial<B = Broker> {
    name: String,
    test: BrokerTest<B>,
    ignored: bool,
}

impl<B> BrokerTrial<B> {
    /// A test with this name.
    #[must_use]
    pub fn new(name: impl Into<String>, test: impl FnOnce(&B) + Send + 'static) -> Self {
        Self { name: name.into(), test: Box::new(test), ignored: false }
    }

    /// Marks a test that takes too long for the gate. It runs only with `--ignored`.
    #[must_use]
    pub fn on_demand(mut self) -> Self {
        self.ignored = true;
        self
    }

    /// Shows the test as ignored if it does not apply.
    #[must_use]
    pub fn ignored_unless(mut self, applies: bool) -> Self {
        self.ignored |= !applies;
        self
    }
}

/// Runs tests on one broker in sequence. Without Docker or the image, they are shown as ignored. With `HUB_REQUIRE_BROKER=1`, which the
/// gate sets, they fail.
#[must_use]
pub fn broker_tests<const N: usize>(tests: [(&str, PlainTest); N]) -> ExitCode {
    trials_on(Broker::start, tests.into_iter().map(|(name, test)| BrokerTrial::new(name, test)).collect())
}

/// Runs tests that share the resource that `start` creates. The first test creates it.
#[must_use]
pub fn trials_on<B: Send + 'static>(start: fn() -> B, tests: Vec<BrokerTrial<B>>) -> ExitCode {
    trials_beside(Vec::new(), start, tests)
}

/// Like [`trials_on`], with additional trials that do not need the resource.
#[must_use]
pub fn trials_beside<B: Send + 'static>(plain: Vec<Trial>, start: fn() -> B, tests: Vec<BrokerTrial<B>>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The tests share one broker, and some of them restart it.
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
    // Remove the container before the process ends.
    drop(shared.lock().unwrap_or_else(PoisonError::into_inner).take());
    conclusion.exit_code()
}
