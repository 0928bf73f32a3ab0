//! Tests that repeat one fault many times and print figures: two thousand jobs while one program is killed repeatedly, and a
//! task that runs longer than the consumer timeout of the broker. Most of them take too long for the gate. To run them: `cargo
//! test -p hub-tests --test repeated_faults -- --ignored`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hub_tests::chaos::{Chance, Fault, FaultInjector, Mark, Relay, Traffic, write_task_modules};
use hub_tests::{
    Broker, BrokerSettings, BrokerTrial, Client, DEADLINE, Programs, RawClient, eventually, eventually_within, rest,
    trials_on,
};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for client in [Client::Lapin, Client::Amqprs] {
        let kills = [
            ("kills_of_the_dispatcher", Fault::KillDispatcher, 100),
            ("kills_of_workers", Fault::KillWorker, 100),
            ("restarts_of_the_broker", Fault::RestartBroker, 10),
        ];
        for (name, fault, times) in kills {
            let name = format!("two_thousand_jobs_amid_{times}_{name}_with_{client}");
            trials.push(BrokerTrial::new(name, move |broker| amid(broker, client, fault, times)).on_demand());
        }
        let name = format!("a_task_outlives_the_consumer_timeout_and_the_broker_with_{client}");
        trials.push(BrokerTrial::new(name, move |_| long_task(client, &SHORT)));
        let name = format!("a_task_of_three_minutes_outlives_a_consumer_timeout_of_one_with_{client}");
        trials.push(BrokerTrial::new(name, move |_| long_task(client, &LONG)).on_demand());
    }
    trials_on(Broker::start, trials)
}

/// Number of jobs in a test.
const JOBS: u64 = 2000;

fn sum_product(_: &mut Chance, number: u64) -> Value {
    json!({"name": format!("sum_product {number}"), "tasks": [
        {"name": "add", "args": [1, 2], "task_name": "add"},
        {"name": "multiply_this", "task_name": "multiply", "args": ["_add.data", 2], "depends": ["add"]}],
        "output": ["_multiply_this.data"]})
}

/// Injects the same fault repeatedly, each time at a random time while the latest jobs are running.
fn amid(broker: &Broker, client: Client, fault: Fault, times: u64) {
    let group = JOBS / times;
    let relay = Relay::to(&broker.address());
    let test = format!("repeated-{client}-{fault:?}").to_lowercase();
    let mark = Mark::new(&test);
    let programs = Programs::new(&relay.address(), client.name(), &test);
    let (programs, runs) = write_task_modules(programs.with(Mark::NAME, mark.value()));
    let mut injector = FaultInjector::begin(broker, &relay, &programs, 1);
    // One lane for each job of a group, so that all jobs of a group run concurrently.
    let traffic = Traffic::start(client.transport(&relay.address()), programs.prefix(), 1, group, sum_product);
    let (began, mut chance) = (Instant::now(), Chance::new(1));
    for round in 1..=times {
        traffic.allow(group * round);
        rest(Duration::from_millis(chance.between(0, 400)));
        injector.inject(fault);
        // All except the last groups have ended, so the faults do not prevent progress.
        eventually("the jobs before these end", || match (traffic.ended() as u64, traffic.wrong()) {
            (_, Some(wrong)) => panic!("{wrong}"),
            (ended, None) if ended >= group * (round - 1) => Ok(()),
            (ended, None) => Err(ended),
        });
    }
    let during = traffic.ended();
    eventually("all jobs end", || match traffic.ended() as u64 {
        JOBS => Ok(()),
        ended => Err(ended),
    });
    let (took, repeated) = (began.elapsed(), traffic.repeated());
    let ended = traffic.finish();
    assert!(ended.iter().all(|job| job.record["status"] == "SUCCESS" && job.record["output"] == json!([6])));
    let runs = runs.count();
    let beyond: u64 = runs.values().map(|times| times - 1).sum();
    assert_eq!(runs.len() as u64, 2 * JOBS, "each task has run");
    println!(
        "{JOBS} jobs ({during} during the faults) in {took:?}, all [6]; {beyond} task executions beyond one each, at \
         most {} of one task; {repeated} questions repeated; {injector}",
        runs.values().max().unwrap_or(&0)
    );
    broker.wait_until_queues_are_empty(programs.prefix());
    injector.end();
    mark.wait_until_no_process_remains();
}

/// A long task, and a broker with a short consumer timeout.
struct Patience {
    /// The consumer timeout.
    consumer_timeout: Duration,
    /// The interval at which the broker checks the timeout.
    looks_every: Duration,
    /// Minimum duration of the task, which ends when the broker has restarted.
    task: Duration,
}

/// A short timeout, with a broker that checks it more often than by default.
const SHORT: Patience = Patience {
    consumer_timeout: Duration::from_secs(3),
    looks_every: Duration::from_secs(1),
    task: Duration::from_secs(10),
};
/// The shortest supported timeout, with the default check interval of one minute.
const LONG: Patience = Patience {
    consumer_timeout: Duration::from_secs(60),
    looks_every: Duration::from_secs(60),
    task: Duration::from_secs(180),
};

/// A task that runs for a minimum time and then waits for a file.
const PATIENT: &str = "import os, time\nfrom hub.lib.api import task\nfrom _note import note\n\n@task\n\
    def patient(seconds, path):\n    note(patient.state.id)\n    time.sleep(seconds)\n    \
    while not os.path.exists(path):\n        time.sleep(0.01)\n    return seconds\n";

fn long_task(client: Client, patience: &Patience) {
    let configuration = format!(
        "[{{rabbit, [{{consumer_timeout, {}}}, {{channel_tick_interval, {}}}]}}].\n",
        patience.consumer_timeout.as_millis(),
        patience.looks_every.as_millis()
    );
    let files = vec![("/etc/rabbitmq/advanced.config".to_owned(), configuration)];
    let broker = Broker::start_with(BrokerSettings { files, ..BrokerSettings::default() });
    let (programs, runs) = write_task_modules(Programs::new(&broker.address(), client.name(), "patient"));
    programs.write_modules(&[("patient.py", PATIENT)]);
    let dispatcher = programs.start("hub-dispatcher", &[]);
    dispatcher.wait_for("listening for jobs and results");
    let worker = programs.start("hub-worker", &["--slots", "1", "--tasks-dir", "tasks"]);
    worker.wait_for("waiting for tasks");

    // Some tasks are prefetched by the worker, whose only slot runs the long task.
    let (seconds, open) = (patience.task.as_secs(), programs.directory().join("open"));
    let mut tasks = vec![json!({"name": "long", "task_name": "patient", "args": [seconds, open], "priority": 1})];
    tasks.extend((0..10).map(|at| json!({"name": format!("short{at}"), "task_name": "moment", "args": [at]})));
    let id = programs.submit(&json!({"name": "patience", "tasks": tasks, "output": "_long.data"}).to_string());
    eventually("the task runs", || {
        let record = programs.record(&id);
        if record["tasks"][0]["status"] == "RUNNING" { Ok(()) } else { Err(record) }
    });
    // Check that the broker enforces the timeout.
    let raw = RawClient::connect(&broker);
    raw.expect_consumer_timeout(patience.consumer_timeout + patience.looks_every * 2 + DEADLINE);
    broker.restart();
    let record = programs.record(&id);
    assert_eq!(record["tasks"][0]["status"], "RUNNING", "{record:#}");
    std::fs::write(open, "").unwrap();
    let record = eventually_within(patience.task + DEADLINE, "the job ends", || {
        let record = programs.record(&id);
        if record["ended_at"].is_string() { Ok(record) } else { Err(record) }
    });
    assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!(seconds)), "{record:#}");
    let runs: BTreeMap<String, u64> = runs.count();
    let long = record["tasks"][0]["id"].as_str().unwrap();
    assert_eq!(runs[long], 1, "the long task ran more than once: {runs:?}");
    assert_eq!(runs.len(), 11, "{runs:?}");
    println!("a task of {:?}, a timeout of {:?}: one execution", patience.task, patience.consumer_timeout);
    broker.wait_until_queues_are_empty("patient");
    worker.stop();
    dispatcher.stop();
}
