//! Runs a round: the bound, then each of the selected workloads.

use super::bound::{self, Bound};
use super::cost::{ProcessGroup, Role, between};
use super::processes::Scope;
use super::round::Round;
use super::run::Bench;
use super::settle::quiet;
use super::workloads::Workload;

/// Runs one round. The bound is measured before and after each workload on the broker, because a shared machine may be twice
/// as fast in one minute as in the next.
pub(super) fn run(bench: &Bench, workloads: &[&Workload]) -> Round {
    let (mut round, mut is_fresh) = (Round::default(), false);
    for workload in workloads {
        if workload.needs_broker && !is_fresh {
            measure_bound(bench, &mut round);
        }
        eprintln!("  {}: {}", workload.name, workload.about);
        (workload.run)(bench, &mut round);
        if workload.needs_broker {
            measure_bound(bench, &mut round);
        }
        is_fresh = workload.needs_broker;
    }
    round
}

/// Measures the broker alone.
fn measure_bound(bench: &Bench, round: &mut Round) {
    let (echoes, round_trips) = (bench.size(20_000, 200), bench.size(400, 20));
    let address = bench.broker().address();
    let processes = ProcessGroup::default().with(Role::Client, std::process::id(), Scope::Own).with(
        Role::Broker,
        bench.broker_pid(),
        Scope::Tree,
    );
    quiet(bench, &processes);
    let before = processes.used();
    let echoes_per_second = bound::echoes_per_second(&bench.threads, &address, echoes);
    quiet(bench, &processes);
    if round.bounds.is_empty() {
        round.cost("bound", echoes, between(&before, &processes.used()));
    }
    let round_trip = bound::round_trip(&bench.threads, &address, round_trips);
    eprintln!("  bound: {echoes_per_second:.0} echoes a second, a round trip in {round_trip:?}");
    round.bounds.push(Bound { echoes_per_second, round_trip });
}
