//! The simulator on fresh seeds, on seeds that once found something, and on a Hub that is broken on purpose.
//!
//! `HUB_SIM_SEEDS=10000` makes a long run of it, `HUB_SIM_SEED=n` replays one seed and prints what happened.

use std::sync::atomic::{AtomicU64, Ordering};

use hub_tests::simulator::{Sabotage, Verdict, run};

/// Default number of fresh seeds.
const FRESH: u64 = 300;
/// Interval of progress messages of a long run.
const PROGRESS: u64 = 1000;
/// Maximum number of seeds until each sabotage must be detected.
const NOTICED_WITHIN: u64 = 400;
/// Seeds that have detected a fault, each with a comment.
const REGRESSIONS: &str = include_str!("simulator.seeds");

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text:?}")))
}

#[track_caller]
fn demand(verdict: &Verdict) {
    if let Some(violation) = &verdict.violation {
        let (seed, trace) = (verdict.seed, verdict.trace.text());
        panic!(
            "{trace}\nseed {seed}: {violation}\n\nreplay with\n    \
             HUB_SIM_SEED={seed} cargo test -p hub-tests --test simulator fresh_seeds -- --nocapture\n"
        );
    }
}

#[test]
fn fresh_seeds() {
    if let Some(seed) = number("HUB_SIM_SEED") {
        let verdict = run(seed, None, true);
        println!("{}", verdict.trace.text());
        return demand(&verdict);
    }
    let count = number("HUB_SIM_SEEDS").unwrap_or(FRESH);
    // A random start that is short enough to type.
    let base = u64::from(uuid::Uuid::new_v4().as_fields().0) * 100_000;
    println!("seeds {base} to {}", base + count - 1);
    let next = AtomicU64::new(base);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= base + count {
                        return;
                    }
                    let verdict = run(seed, None, false);
                    if verdict.violation.is_some() {
                        next.store(base + count, Ordering::Relaxed);
                    }
                    demand(&verdict);
                    if (seed - base).is_multiple_of(PROGRESS) && seed > base {
                        println!("{} seeds", seed - base);
                    }
                }
            });
        }
    });
}

#[test]
fn seeds_that_once_found_something() {
    let seeds = REGRESSIONS.lines().filter_map(|line| line.split('#').next()).map(str::trim);
    for seed in seeds.filter(|seed| !seed.is_empty()) {
        demand(&run(seed.parse().expect("a seed"), None, false));
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        let (first, second) = (run(seed, None, true).trace, run(seed, None, true).trace);
        if first.fingerprint() != second.fingerprint() {
            let (first, second) = (first.text(), second.text());
            let differs = first.lines().zip(second.lines()).find(|(first, second)| first != second);
            panic!("seed {seed} is not the same run twice; first in {differs:#?}");
        }
    }
}

/// The number of seeds until a sabotage is detected, and the invariant that detects it.
#[track_caller]
fn noticed(sabotage: Sabotage, by: &[&str]) {
    for seed in 0..NOTICED_WITHIN {
        if let Some(violation) = run(seed, Some(sabotage), false).violation {
            println!(
                "{sabotage:?} is noticed by {} within {} seeds: {}",
                violation.invariant,
                seed + 1,
                violation.what
            );
            assert!(by.contains(&violation.invariant), "noticed by {violation}");
            // Check that the violation is caused by the sabotage.
            demand(&run(seed, None, false));
            return;
        }
    }
    panic!("{sabotage:?} is not noticed within {NOTICED_WITHIN} seeds");
}

#[test]
fn acknowledging_before_the_commit_is_detected() {
    noticed(Sabotage::AcknowledgeBeforeCommit, &["acknowledged_is_kept", "answered_is_kept"]);
}

#[test]
fn publishing_twice_is_detected() {
    noticed(Sabotage::PublishTwice, &["confirmed_goes_out_once"]);
}

#[test]
fn forgetting_a_confirm_is_detected() {
    noticed(Sabotage::ForgetConfirmed, &["confirmed_goes_out_once"]);
}

#[test]
fn accepting_a_stale_issue_is_detected() {
    noticed(Sabotage::AcceptStale, &["one_run_counts", "outputs_as_evaluated"]);
}

#[test]
fn forgetting_the_jobs_of_schedules_is_detected() {
    noticed(Sabotage::ForgetRuns, &["each_time_is_decided_once"]);
}

#[test]
fn forgetting_the_times_of_schedules_is_detected() {
    noticed(Sabotage::ForgetTimes, &["each_time_is_decided_once"]);
}

#[test]
fn skipping_a_lease_is_detected() {
    noticed(Sabotage::SkipLease, &["every_job_ends"]);
}

#[test]
fn losing_a_dead_letter_is_detected() {
    // The task is detected as lost and published again. Hub keeps running, but workers keep crashing.
    noticed(Sabotage::LoseDeadLetter, &["every_job_ends", "killers_are_stopped"]);
}

#[test]
fn losing_a_result_is_detected() {
    // The task is detected as lost and runs again. The job ends, but no fault explains the second run.
    noticed(Sabotage::LoseResult, &["repeated_for_a_reason", "every_job_ends"]);
}

#[test]
fn forgetting_which_jobs_are_sub_jobs_is_detected() {
    noticed(Sabotage::ForgetParents, &["every_job_ends", "outputs_as_evaluated"]);
}

#[test]
fn forgetting_what_a_retry_has_kept_is_detected() {
    noticed(Sabotage::ForgetKept, &["kept_tasks_stay", "ends_are_final", "repeated_for_a_reason"]);
}

#[test]
fn keeping_other_results_is_detected() {
    noticed(Sabotage::KeepOtherResults, &["results_are_of_successes"]);
}

#[test]
fn not_counting_incarnations_is_detected() {
    noticed(Sabotage::OneIncarnation, &["one_run_counts", "ends_are_final", "every_job_ends", "acknowledged_is_kept"]);
}

#[test]
fn forgetting_failures_is_detected() {
    noticed(Sabotage::ForgetFailures, &["attempts_within_maximum", "ends_are_final"]);
}

#[test]
fn forgetting_what_modules_set_is_detected() {
    noticed(Sabotage::ForgetDefaults, &["outputs_as_evaluated"]);
}

#[test]
fn forgetting_versions_of_definitions_is_detected() {
    noticed(Sabotage::ForgetPins, &["outputs_as_evaluated"]);
}

#[test]
fn forgetting_pauses_is_detected() {
    noticed(Sabotage::ForgetPauses, &["paused_jobs_issue_nothing"]);
}

#[test]
fn forgetting_phases_is_detected() {
    noticed(
        Sabotage::ForgetPhases,
        &["nothing_panics", "every_job_ends", "outputs_as_evaluated", "acknowledged_is_kept"],
    );
}

#[test]
fn forgetting_signals_is_detected() {
    // Early signals are lost, and those that clients repeat arrive twice.
    noticed(Sabotage::ForgetSignals, &["every_job_ends", "signals_arrive_once", "outputs_as_evaluated"]);
}

#[test]
fn measuring_durations_by_the_wall_clock_is_detected() {
    noticed(Sabotage::MeasureByWallClock, &["repeated_for_a_reason", "every_job_ends"]);
}
