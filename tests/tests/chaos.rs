//! The chaos test: while random jobs run, programs are killed, the broker is restarted, connections are closed and stalled, and
//! memory alarms are raised. Every job must end with the result that an independent evaluator computes, and no messages and
//! processes may remain.
//!
//! A longer run with another seed: `HUB_CHAOS_SECONDS=3600 HUB_CHAOS_SEED=7 cargo test -p hub-tests --test chaos`.

use std::process::ExitCode;
use std::time::Instant;

use hub_tests::chaos::{ChaosSettings, FaultInjector, Mark, Relay, Traffic, generate, write_task_modules};
use hub_tests::{Broker, Client, Programs, broker_tests};

fn main() -> ExitCode {
    broker_tests([
        ("chaos_with_lapin", |broker| chaos(broker, Client::Lapin)),
        ("chaos_with_amqprs", |broker| chaos(broker, Client::Amqprs)),
    ])
}

/// Number of concurrent jobs.
const LANES: u64 = 16;

fn chaos(broker: &Broker, client: Client) {
    let settings = ChaosSettings::from_environment();
    settings.run(&format!("chaos_with_{client}"), || {
        let relay = Relay::to(&broker.address());
        let mark = Mark::new(&format!("chaos-{client}"));
        let programs = Programs::new(&relay.address(), client.name(), &format!("chaos-{client}"));
        let (programs, runs) = write_task_modules(programs.with(Mark::NAME, mark.value()));

        let mut injector = FaultInjector::begin(broker, &relay, &programs, settings.seed);
        let transport = client.transport(&relay.address());
        let traffic = Traffic::start(transport, programs.prefix(), settings.seed, LANES, generate);
        traffic.operate();
        traffic.allow(u64::MAX);
        let began = Instant::now();
        while began.elapsed() < settings.time && traffic.wrong().is_none() {
            injector.inject_next();
        }
        let (during, repeated) = (traffic.ended(), traffic.repeated());
        let ended = traffic.finish();
        let tasks: usize = ended.iter().map(|job| job.record["tasks"].as_array().map_or(0, Vec::len)).sum();
        let runs = runs.count();
        println!(
            "{client}, seed {}, {:?}: {} jobs ({during} during the faults), {tasks} tasks, {} runs of {} tasks, \
             {repeated} questions repeated; {injector}",
            settings.seed,
            began.elapsed(),
            ended.len(),
            runs.values().sum::<u64>(),
            runs.len(),
        );
        broker.wait_until_queues_are_empty(programs.prefix());
        injector.end();
        mark.wait_until_no_process_remains();
    });
}
