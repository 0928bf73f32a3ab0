//! Hub's programs on a RabbitMQ cluster of three nodes: nodes are killed, cut off and come back under five hundred jobs.
//! Every job ends once with the right output, and nothing is left in any queue.

use std::process::ExitCode;
use std::time::Instant;

use hub_tests::{BrokerTrial, Client, ClientPool, Cluster, Daemon, Programs, eventually, trials_on};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let both =
        BrokerTrial::new("five_hundred_jobs_survive_the_loss_of_nodes_with_both_clients", |cluster: &Cluster| {
            let clients = Clients { dispatcher: Client::Amqprs, workers: [Client::Lapin, Client::Amqprs] };
            survive(cluster, "both", clients, &[(Loss::Kill, Program::Dispatcher), (Loss::Cut, Program::Dispatcher)]);
        });
    let alone = [Client::Lapin, Client::Amqprs].map(|client| {
        let name = format!("every_program_loses_its_node_in_turn_with_{client}");
        let trial = BrokerTrial::new(name, move |cluster: &Cluster| {
            let losses = [Loss::Kill, Loss::Cut]
                .map(|loss| [Program::Dispatcher, Program::Worker].map(|program| (loss, program)));
            let losses = losses.concat().repeat(2);
            survive(cluster, client.name(), Clients { dispatcher: client, workers: [client; 2] }, &losses);
        });
        trial.on_demand()
    });
    trials_on(Cluster::start, std::iter::once(both).chain(alone).collect())
}

/// The kind of node failure.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Kill,
    Cut,
}

/// The program whose node fails.
#[derive(Clone, Copy, Debug)]
enum Program {
    Dispatcher,
    Worker,
}

/// The AMQP client of each program.
struct Clients {
    dispatcher: Client,
    workers: [Client; 2],
}

/// Number of jobs that are submitted before a node failure, and again directly after it.
const HALF: usize = 125;
/// A task that takes some time, so that it is running when a fault occurs, and records its end.
const MOMENT: (&str, &str) = (
    "moment.py",
    "import time\n\ndef moment(value, path=None):\n    time.sleep(0.1)\n    if path:\n        \
     with open(path, 'a') as ended:\n            ended.write('x')\n    return value\n",
);

fn survive(cluster: &Cluster, name: &str, clients: Clients, losses: &[(Loss, Program)]) {
    let with = |client: Client| {
        let programs = Programs::new(&cluster.address(), client.name(), &format!("cluster-{name}"));
        programs.write_modules(&[MOMENT]);
        programs
    };
    let dispatching = with(clients.dispatcher);
    let mut dispatcher = dispatching.start("hub-dispatcher", &[]);
    dispatcher.wait_for("listening for jobs and results");
    let working = clients.workers.map(with);
    let workers = working.each_ref().map(|programs| {
        let worker = programs.start("hub-worker", &["--slots", "2", "--tasks-dir", "tasks"]);
        worker.wait_for("waiting for tasks");
        worker
    });

    let ended = dispatching.directory().join("ended");
    let job = |at: usize| {
        let tasks = json!([
            {"name": "first", "task_name": "moment", "args": [at]},
            {"name": "second", "task_name": "moment", "args": ["_first.data", ended]}]);
        json!({"name": format!("job {at}"), "tasks": tasks, "output": "_second.data"}).to_string()
    };
    let pool = ClientPool::connect_to(&cluster.address(), dispatching.prefix());
    let count = || std::fs::metadata(&ended).map_or(0, |file| file.len() as usize);
    let more_than = |least: usize| {
        eventually("more jobs end", || match count() {
            some if some >= least => Ok(()),
            some => Err(some),
        });
    };
    let mut ids = Vec::new();
    for (at, (loss, program)) in losses.iter().enumerate() {
        let program = match program {
            Program::Dispatcher => format!("hub-dispatcher {}", dispatcher.pid()),
            Program::Worker => format!("hub-worker {}", workers[at % 2].pid()),
        };
        let lost = cluster.node_of(&program, 0);
        let other = (lost + 1) % cluster.len();
        let before = count();
        ids.extend(pool.submit((ids.len()..ids.len() + HALF).map(job)));
        more_than(before + HALF / 10);
        let (at_loss, since) = (count(), Instant::now());
        assert!(at_loss < ids.len(), "all jobs had ended before {loss:?}: make them longer");
        match loss {
            Loss::Kill => cluster.kill(lost),
            Loss::Cut => cluster.cut(lost),
        }
        ids.extend(pool.submit((ids.len()..ids.len() + HALF).map(job)));
        let submitted = since.elapsed();
        eventually("the program is on another node", || match cluster.node_of(&program, other) {
            node if node == lost => Err(node),
            _ => Ok(()),
        });
        let moved = since.elapsed();
        more_than(at_loss + HALF);
        let going = since.elapsed();
        eprintln!(
            "{name}: {loss:?} of the node of {program}: jobs taken after {submitted:.1?}, on another node after {moved:.1?}, \
             {HALF} jobs ended after {going:.1?}"
        );
        match loss {
            Loss::Kill => cluster.start_again(lost),
            Loss::Cut => cluster.heal(lost),
        }
    }
    for (at, id) in ids.iter().enumerate() {
        let record: Value = pool.ended(id);
        assert_eq!((&record["status"], &record["output"]), (&json!("SUCCESS"), &json!(at)), "{record:#}");
    }
    assert!(dispatcher.is_alive());
    workers.into_iter().for_each(Daemon::stop);
    dispatcher.stop();
    cluster.wait_until_queues_are_empty(dispatching.prefix());
}
