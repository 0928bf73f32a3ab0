//! Tests of the permissions that docs/operations.md lists for each program, on a real RabbitMQ. With them, everything works
//! with both AMQP clients, and a client can neither read nor damage data of others.

use std::process::ExitCode;

use futures_util::StreamExt;
use hub_tests::{
    Broker, BrokerTrial, Client, DEADLINE, Daemon, Programs, check_manual_record, eventually, example, root, trials_on,
};
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// The users, with the names of the documentation.
const USERS: [&str; 3] = ["hub-dispatcher", "hub-worker", "hub-client"];
const PASSWORD: &str = "secret";
/// Queues that only the dispatcher and workers may use.
const QUEUES: [&str; 7] =
    ["hub.jobs.0", "hub.results.0", "hub.requests", "hub.tasks.default", "hub.unrouted", "hub.dead", "hub.dispatcher"];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for client in [Client::Lapin, Client::Amqprs] {
        trials.push(BrokerTrial::new(
            format!("without_a_dispatcher_it_is_said_with_{client}"),
            move |broker: &Broker| {
                alone(broker, client);
            },
        ));
    }
    for client in [Client::Lapin, Client::Amqprs] {
        trials.push(BrokerTrial::new(format!("everything_works_with_{client}"), move |broker: &Broker| {
            works(broker, client);
        }));
    }
    trials.push(BrokerTrial::new("a_client_cannot_touch_queues_and_exchanges", touch));
    trials.push(BrokerTrial::new("a_client_cannot_speak_for_others", forge));
    trials.push(BrokerTrial::new("answers_do_not_go_into_foreign_queues", reply));
    trials.push(BrokerTrial::new("a_worker_cannot_do_a_clients_or_dispatchers_work", worker_rights));
    trials_on(start, trials)
}

/// A broker with the three users, and the permissions of the documented commands.
fn start() -> Broker {
    let broker = Broker::start();
    for user in USERS {
        broker.control(&["add_user", user, PASSWORD]);
    }
    let document = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let commands: Vec<&str> = document.lines().filter_map(|line| line.strip_prefix("rabbitmqctl set_")).collect();
    assert_eq!(commands.len(), 6, "the document's commands");
    for command in commands {
        // Patterns are quoted and contain no spaces.
        let words: Vec<String> =
            format!("set_{command}").split(' ').map(|word| word.trim_matches('\'').into()).collect();
        broker.control(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    broker
}

fn programs(broker: &Broker, user: &str, client: Client) -> Programs {
    Programs::new(&address(broker, user), client.name(), "hub")
}

fn address(broker: &Broker, user: &str) -> String {
    format!("amqp://{user}:{PASSWORD}@{}/", broker.address())
}

/// Hub's programs, each with a separate user.
struct Hub {
    client: Programs,
    _owners: [Programs; 2],
    dispatcher: Daemon,
    worker: Daemon,
}

impl Hub {
    fn start(broker: &Broker, client: Client) -> Self {
        let [dispatching, working, asking] = USERS.map(|user| programs(broker, user, client));
        let dispatcher = dispatching.start("hub-dispatcher", &[]);
        dispatcher.wait_for("listening for jobs and results");
        let tasks = root().join("etc/tasks");
        let worker = working.start("hub-worker", &["--slots", "2", "--tasks-dir", &tasks.to_string_lossy()]);
        worker.wait_for("waiting for tasks");
        Self { client: asking, _owners: [dispatching, working], dispatcher, worker }
    }

    /// Submits a job with an asynchronous task that waits for its result. Returns the ids of both.
    fn waiting_task(&self) -> (String, String) {
        let id = self.client.submit(&example("asynchronous.json"));
        let task = eventually("the task waits for its result", || {
            let record = self.client.record(&id);
            let task = &record["tasks"][0];
            if task["status"] == "RUNNING" { Ok(task["id"].as_str().unwrap().to_owned()) } else { Err(record) }
        });
        (id, task)
    }

    /// Checks that the task still waits and that everything works.
    fn is_unharmed(&self, (job, task): &(String, String)) {
        let again = self.client.submit(&example("sum_product.json"));
        check_manual_record(&self.client.ended(&again));
        let record = self.client.record(job);
        assert_eq!(record["tasks"][0]["status"], "RUNNING", "{record:#}\n{}", self.dispatcher.log_end());
        let workers = self.client.run("hub-client", &["workers", "-o", "json"]);
        let workers: Value = serde_json::from_slice(&workers.stdout).unwrap();
        assert_eq!(workers.as_array().map(Vec::len), Some(1), "{workers}");
        // Operations that a client may do.
        let posted = json!({"id": task, "status": "SUCCESS", "data": "posted"}).to_string();
        let output = self.client.run_reading("hub-client", &["result", task, "--data", "\"posted\""], &posted);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(self.client.ended(job)["status"], "SUCCESS");
    }

    fn stop(self) {
        self.worker.stop();
        self.dispatcher.stop();
    }
}

fn alone(broker: &Broker, client: Client) {
    let asking = programs(broker, "hub-client", client);
    let output = asking.run_reading("hub-client", &["submit", "--timeout", "10"], &example("sum_product.json"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("start the dispatcher first"), "{said}");
}

fn works(broker: &Broker, client: Client) {
    let hub = Hub::start(broker, client);
    let waiting = hub.waiting_task();
    let programs = &hub.client;
    let id = programs.submit(&example("polyglot.json"));
    assert_eq!(programs.ended(&id)["status"], "SUCCESS");
    let waited = programs.run_reading("hub-client", &["submit", "--wait", "-o", "json"], &example("sum_product.json"));
    assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stderr));
    for arguments in [&["list"][..], &["health"], &["workers"], &["status", &id], &["remove", &id]] {
        let output = programs.run("hub-client", arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let cancelled = hub.waiting_task().0;
    assert!(programs.run("hub-client", &["cancel", &cancelled]).status.success());
    assert_eq!(programs.ended(&cancelled)["status"], "CANCELLED");
    hub.is_unharmed(&waiting);
    broker.wait_until_queues_are_empty("hub.");
    hub.stop();
}

/// An attacker with the permissions of a user and an AMQP client.
struct Attacker {
    runtime: Runtime,
    connection: Connection,
}

impl Attacker {
    fn connect(broker: &Broker, user: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let uri = format!("amqp://{user}:{PASSWORD}@{}/%2f", broker.address());
        let connecting = Connection::connect(&uri, ConnectionProperties::default());
        let connection = runtime.block_on(connecting).expect("the user gets in");
        Self { runtime, connection }
    }

    /// Runs an operation on a separate channel, which the broker closes if it refuses. Returns the broker's reply code.
    fn outcome<T>(&self, act: impl AsyncFnOnce(Channel) -> lapin::Result<T>) -> Result<T, u16> {
        let acting = async {
            let channel = self.connection.create_channel().await.expect("channels are open to everyone");
            act(channel).await
        };
        let outcome = self.runtime.block_on(async { tokio::time::timeout(DEADLINE, acting).await });
        outcome.expect("the broker answers").map_err(|error| match error.kind() {
            lapin::ErrorKind::ProtocolError(amqp) => amqp.get_id(),
            other => panic!("not the broker's refusal: {other:?}"),
        })
    }

    #[track_caller]
    fn is_refused<T>(&self, what: &str, act: impl AsyncFnOnce(Channel) -> lapin::Result<T>) {
        let outcome = self.outcome(act).err();
        // 405: the queue is exclusive to another connection.
        assert!(matches!(outcome, Some(403 | 405)), "{what}: {outcome:?}");
    }

    /// Publishes a message. Returns `Err` with the reply code if the broker closed the channel.
    fn publish(&self, exchange: &str, key: &str, body: &str, properties: BasicProperties) -> Result<(), u16> {
        self.outcome(async |channel| {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            let (exchange, key, options) = (exchange.into(), key.into(), BasicPublishOptions::default());
            channel.basic_publish(exchange, key, options, body.as_bytes(), properties).await?.await?;
            // If the publish is refused, the broker closes the channel after it.
            channel.basic_qos(1, lapin::options::BasicQosOptions::default()).await
        })
    }

    #[track_caller]
    fn cannot_publish(&self, exchange: &str, key: &str, body: &str) {
        let outcome = self.publish(exchange, key, body, BasicProperties::default());
        assert_eq!(outcome, Err(403), "{exchange:?} {key:?}");
    }
}

fn table<'a>(entries: impl IntoIterator<Item = (&'a str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(ShortString::from(name), value);
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

fn list(values: Vec<AMQPValue>) -> AMQPValue {
    AMQPValue::FieldArray(values.into())
}

fn touch(broker: &Broker) {
    let hub = Hub::start(broker, Client::Lapin);
    let waiting = hub.waiting_task();
    let attacker = Attacker::connect(broker, "hub-client");
    let listed = broker.control(&["list_queues", "--no-table-headers", "name"]);
    let own = listed.lines().filter(|name| name.starts_with("hub.control.") || name.starts_with("hub.heartbeats."));
    let queues: Vec<String> = QUEUES.into_iter().map(str::to_owned).chain(own.map(str::to_owned)).collect();
    assert!(queues.len() >= QUEUES.len() + 2, "{queues:?}");
    for queue in &queues {
        let name = || ShortString::from(queue.as_str());
        attacker.is_refused(&format!("purge {queue}"), async |channel| {
            channel.queue_purge(name(), QueuePurgeOptions::default()).await
        });
        attacker.is_refused(&format!("delete {queue}"), async |channel| {
            channel.queue_delete(name(), QueueDeleteOptions::default()).await
        });
        attacker.is_refused(&format!("get from {queue}"), async |channel| {
            channel.basic_get(name(), BasicGetOptions::default()).await
        });
        attacker.is_refused(&format!("consume {queue}"), async |channel| {
            channel.basic_consume(name(), "".into(), BasicConsumeOptions::default(), FieldTable::default()).await
        });
        attacker.is_refused(&format!("declare {queue}"), async |channel| {
            channel.queue_declare(name(), QueueDeclareOptions::default(), FieldTable::default()).await
        });
    }
    for exchange in ["hub", "hub.tasks", "hub.control", "hub.events", "hub.requests", "hub.unrouted", "hub.dead"] {
        let name = || ShortString::from(exchange);
        attacker.is_refused(&format!("delete {exchange}"), async |channel| {
            channel.exchange_delete(name(), ExchangeDeleteOptions::default()).await
        });
        attacker.is_refused(&format!("declare {exchange}"), async |channel| {
            let options = ExchangeDeclareOptions::default();
            channel.exchange_declare(name(), ExchangeKind::Fanout, options, FieldTable::default()).await
        });
        attacker.is_refused(&format!("listen to {exchange}"), async |channel| {
            let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
            let own = channel.queue_declare("".into(), options, FieldTable::default()).await?;
            let (own, options) = (own.name().clone(), QueueBindOptions::default());
            channel.queue_bind(own, name(), "#".into(), options, FieldTable::default()).await
        });
    }
    // A queue whose dead-letter exchange is one that the client may not write to.
    for exchange in ["hub.tasks", "hub.events", "hub.control", "hub.dead", ""] {
        let outcome = attacker.outcome(async |channel| {
            let arguments = table([("x-dead-letter-exchange", text(exchange))]);
            channel.queue_declare("".into(), QueueDeclareOptions::default(), arguments).await
        });
        assert_eq!(outcome.err(), Some(403), "dead letters to {exchange:?}");
    }
    hub.is_unharmed(&waiting);
    hub.stop();
}

/// A result in the form of a worker's report.
fn result_of(task: &str) -> String {
    json!({
        "v": 1, "type": "results", "worker": "forger",
        "results": [{"id": task, "issue": 1, "incarnation": 1, "status": "SUCCESS", "data": "forged",
                     "started_at": 1, "ended_at": 2}]
    })
    .to_string()
}

fn forge(broker: &Broker) {
    let hub = Hub::start(broker, Client::Amqprs);
    let waiting = hub.waiting_task();
    let (job, task) = &waiting;
    let attacker = Attacker::connect(broker, "hub-client");
    let result = result_of(task);
    let issue = json!({
        "v": 1, "id": task, "parent_id": job, "name": "order_stamp", "task_name": "order_stamp", "pool": "default",
        "args": [], "kwargs": {}, "issue": 1, "incarnation": 1
    })
    .to_string();
    let heartbeat = json!({
        "v": 1, "worker": "forger", "host": "h", "pid": 1, "pools": ["default"], "slots": 9, "running": 0,
        "held": [], "present": [], "tasks": {}, "broken": {}, "leaving": false
    })
    .to_string();
    let stop = json!({"v": 1, "type": "stop", "tasks": [{"id": task, "issue": 1, "incarnation": 1}]}).to_string();
    let posted = json!({"id": task, "status": "SUCCESS", "data": "forged"}).to_string();
    for (exchange, key, body) in [
        ("hub", "results", &result),
        ("hub", "results.3", &result),
        ("hub", "results", &posted),
        ("hub", "", &result),
        ("hub.events", "heartbeat.forger", &heartbeat),
        ("hub.control", "", &stop),
        ("hub.tasks", "default", &issue),
        ("hub.dead", "", &issue),
        ("hub.unrouted", "", &issue),
        ("", "hub.results.0", &result),
        ("", "hub.tasks.default", &issue),
    ] {
        attacker.cannot_publish(exchange, key, body);
    }
    // Publishes that are allowed but must have no effect. Brokers that check CC headers refuse the additional keys.
    let keys = |name: &str, keys: &[&str]| {
        let keys = keys.iter().map(|key| text(key)).collect();
        BasicProperties::default().with_headers(table([(name, list(keys))]))
    };
    let dead = table([
        ("queue", text("hub.tasks.default")),
        ("reason", text("delivery_limit")),
        ("count", AMQPValue::LongLongInt(21)),
        ("exchange", text("hub.tasks")),
        ("routing-keys", list(vec![text("default")])),
    ]);
    let headers = || {
        table([
            ("x-death", list(vec![AMQPValue::FieldTable(dead.clone())])),
            ("x-first-death-queue", text("hub.tasks.default")),
            ("x-first-death-reason", text("delivery_limit")),
            ("x-delivery-count", AMQPValue::LongLongInt(1000)),
        ])
    };
    let plain = BasicProperties::default;
    for (exchange, key, properties) in [
        ("hub", "jobs.3", plain()),
        ("hub", "jobs.999", plain()),
        ("hub", "requests", plain()),
        ("hub.requests", "requests", plain()),
        ("hub.requests", "results.3", plain()),
        ("hub", "jobs.3", keys("CC", &["results.3", "results"])),
        ("hub", "jobs.3", keys("BCC", &["results.3"])),
        ("hub", "jobs.999", keys("BCC", &["results.3"])),
        ("hub.requests", "requests", keys("CC", &["results.3"])),
        ("hub", "jobs.3", plain().with_headers(headers())),
        ("hub", "jobs.999", plain().with_headers(headers())),
        ("hub", "jobs.999", plain().with_expiration("0".into())),
        ("hub", "jobs.3", plain().with_expiration("0".into()).with_priority(255)),
        ("hub", "jobs.3", plain().with_type("result".into()).with_app_id("hub-worker".into())),
    ] {
        for body in [&result, &issue, &heartbeat, &stop] {
            let outcome = attacker.publish(exchange, key, body, properties.clone());
            assert!(matches!(outcome, Ok(()) | Err(403)), "{exchange} {key}: {outcome:?}");
        }
    }
    let as_worker = plain().with_user_id("hub-worker".into());
    assert_eq!(attacker.publish("hub", "jobs.3", &result, as_worker), Err(406), "a name that is not its own");
    hub.is_unharmed(&waiting);
    broker.wait_until_queues_are_empty("hub.");
    hub.stop();
}

fn reply(broker: &Broker) {
    let hub = Hub::start(broker, Client::Lapin);
    let waiting = hub.waiting_task();
    let attacker = Attacker::connect(broker, "hub-client");
    let listed = broker.control(&["list_queues", "--no-table-headers", "name"]);
    broker.control(&[
        "eval",
        "rabbit_amqqueue:declare(rabbit_misc:r(<<\"/\">>, queue, <<\"victim\">>), true, false, [], none, <<\"x\">>).",
    ]);
    let foreign =
        listed.lines().filter(|name| name.starts_with("hub.")).chain(["victim", "", "amq.rabbitmq.reply-to.x"]);
    for queue in foreign {
        for (key, body) in [("requests", r#"{"v":1,"type":"health"}"#), ("requests", "none"), ("jobs", "none")] {
            let properties = BasicProperties::default().with_reply_to(queue.into()).with_correlation_id("x".into());
            assert_eq!(attacker.publish("hub", key, body, properties), Ok(()), "{queue} {key}");
        }
    }
    // A queue of the client that dead-letters replies to the exchange of results.
    let own = attacker.outcome(async |channel| {
        let arguments = table([
            ("x-dead-letter-exchange", text("hub")),
            ("x-dead-letter-routing-key", text("results.3")),
            ("x-message-ttl", AMQPValue::LongLongInt(1)),
        ]);
        channel.queue_declare("".into(), QueueDeclareOptions::default(), arguments).await
    });
    let own = own.expect("a queue of one's own is allowed").name().clone();
    let ask = json!({"v": 1, "type": "job", "id": waiting.0}).to_string();
    let properties = BasicProperties::default().with_reply_to(own.clone());
    assert_eq!(attacker.publish("hub", "requests", &ask, properties), Ok(()));
    // The replies of another client.
    let victim = Attacker::connect(broker, "hub-client");
    let theirs = victim.outcome(async |channel| {
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare("".into(), options, FieldTable::default()).await
    });
    let theirs = theirs.unwrap().name().clone();
    attacker.is_refused("read another client's answers", async |channel| {
        channel.basic_get(theirs, BasicGetOptions::default()).await
    });
    // Requests with direct reply-to are answered.
    let answer = attacker.outcome(async |channel| {
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let direct = "amq.rabbitmq.reply-to";
        let mut answers = channel.basic_consume(direct.into(), "".into(), options, FieldTable::default()).await?;
        let properties = BasicProperties::default().with_reply_to(direct.into());
        let (body, options) = (r#"{"v":1,"type":"health"}"#.as_bytes(), BasicPublishOptions::default());
        channel.basic_publish("hub".into(), "requests".into(), options, body, properties).await?;
        answers.next().await.expect("an answer comes")
    });
    let answer: Value = serde_json::from_slice(&answer.expect("it is answered").data).unwrap();
    assert_eq!(answer["ok"]["broker"], "up");
    hub.dispatcher.wait_for("answers go only to queues that the broker has named");
    assert_eq!(hub.dispatcher.log().matches("answers go only to").count(), 1, "logged once");
    hub.is_unharmed(&waiting);
    broker.wait_until_queues_are_empty("hub.");
    broker.wait_until_queues_are_empty("victim");
    let deleted = attacker.outcome(async |channel| channel.queue_delete(own, QueueDeleteOptions::default()).await);
    assert!(deleted.is_ok());
    hub.stop();
}

fn worker_rights(broker: &Broker) {
    let hub = Hub::start(broker, Client::Lapin);
    let waiting = hub.waiting_task();
    let worker = Attacker::connect(broker, "hub-worker");
    for queue in ["hub.jobs.0", "hub.results.0", "hub.requests", "hub.unrouted", "hub.dead"] {
        worker.is_refused(&format!("read {queue}"), async |channel| {
            channel.basic_get(queue.into(), BasicGetOptions::default()).await
        });
        worker.is_refused(&format!("delete {queue}"), async |channel| {
            channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await
        });
    }
    let stop = json!({"v": 1, "type": "stop", "tasks": []}).to_string();
    for (exchange, key) in [
        ("hub", "jobs"),
        ("hub", "requests"),
        ("hub.requests", "requests"),
        ("hub.control", ""),
        ("hub.events", "echo.x"),
        ("hub.tasks", "default"),
        ("", "amq.gen-x"),
    ] {
        worker.cannot_publish(exchange, key, &stop);
    }
    // A heartbeat with another worker's routing key has no effect.
    let heartbeat = json!({
        "v": 1, "worker": "other", "host": "h", "pid": 1, "pools": ["default"], "slots": 9, "running": 0,
        "held": [], "present": [], "tasks": {}, "broken": {}, "leaving": false
    });
    let outcome = worker.publish("hub.events", "heartbeat.mine", &heartbeat.to_string(), BasicProperties::default());
    assert_eq!(outcome, Ok(()));
    hub.dispatcher.wait_for("refused a heartbeat");
    hub.is_unharmed(&waiting);
    hub.stop();
}
