//! The shared state of all workloads: the broker, the runtimes and the sizes.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::processes::children;
use crate::{Broker, BrokerSettings, Client};

/// The exit code after an interrupt, as in shells.
const INTERRUPTED: i32 = 130;

/// The shared state of all workloads.
pub(super) struct Bench {
    /// The runtime of the client, with one thread as in Hub's programs.
    pub(super) runtime: Runtime,
    /// The runtime of the bound's clients.
    pub(super) threads: Runtime,
    /// The client library of dispatcher, worker and client.
    pub(super) client: Client,
    quick: bool,
    broker: Option<(Broker, u32)>,
}

impl Bench {
    /// Starts a broker, if one of the workloads needs it.
    pub(super) fn start(client: Client, quick: bool, with_broker: bool) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be started");
        let threads = Runtime::new().expect("threads can be started");
        let start = || {
            let broker = Broker::start_with(BrokerSettings { on_host_network: true, ..BrokerSettings::default() });
            threads.spawn(remove_when_interrupted(broker.id().to_owned()));
            let pid = broker.pid();
            (broker, pid)
        };
        let broker = with_broker.then(start);
        Self { runtime, threads, client, quick, broker }
    }

    pub(super) fn broker(&self) -> &Broker {
        &self.broker.as_ref().expect("this workload has said that it needs a broker").0
    }

    pub(super) fn broker_pid(&self) -> u32 {
        self.broker.as_ref().expect("this workload has said that it needs a broker").1
    }

    /// The broker's version, if there is one.
    pub(super) fn broker_version(&self) -> Option<String> {
        self.broker.as_ref().map(|(broker, _)| broker.control(&["version"]).trim().to_owned())
    }

    /// The size of a workload, which is small with `--quick`.
    pub(super) const fn size(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }

    /// The duration of a measurement, which is short with `--quick`.
    pub(super) const fn time(&self, full: Duration) -> Duration {
        if self.quick { Duration::from_millis(500) } else { full }
    }
}

/// Removes the broker and ends its programs when the benchmark is interrupted.
async fn remove_when_interrupted(container: String) {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened for");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be listened for");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    eprintln!("hub-bench: interrupted: ending the programs and removing the broker");
    let _ = Command::new("docker").args(["rm", "--force", "--volumes", &container]).stdout(Stdio::null()).status();
    // Last, because the measurement may have started further children until now.
    let children = children().into_iter().map(|child| child.to_string());
    let _ = Command::new("kill").args(children).stderr(Stdio::null()).status();
    std::process::exit(INTERRUPTED);
}
