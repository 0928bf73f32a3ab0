//! Random jobs: their JSON, and the actions of clients on them.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use hub_core::{JobId, RetryFrom};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::dice::Dice;
use super::waits;
use super::work::Module;

/// A job with the actions of its client.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its id, chosen by the client.
    pub id: JobId,
    /// The job.
    pub job: Value,
    /// Delay before the submission.
    pub after: Duration,
    /// Whether it is submitted over the broker, or in the dispatcher's process like the HTTP API.
    pub over_broker: bool,
    /// Number of additional submissions.
    pub again: u64,
    /// Delay before it is paused, and the length of the pause.
    pub pause: Option<(Duration, Duration)>,
    /// Delay before it is cancelled.
    pub cancel_after: Option<Duration>,
    /// Whether it is cancelled without a grace period.
    pub cancel_now: bool,
    /// If it is a retry: the job that it is a retry of, and what runs again.
    pub retry_of: Option<(JobId, RetryFrom)>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.over_broker { "over the broker" } else { "over HTTP" };
        write!(f, "submitted {way}, again {} times", self.again)?;
        if let Some((when, length)) = self.pause {
            write!(f, ", paused after {} ms for {} ms", when.as_millis(), length.as_millis())?;
        }
        if let Some(when) = self.cancel_after {
            write!(f, ", cancelled after {} ms, now: {}", when.as_millis(), self.cancel_now)?;
        }
        if let Some((of, from)) = &self.retry_of {
            write!(f, ", a retry of {of:?} from {from:?}")?;
        }
        write!(f, ": {}", self.job)
    }
}

/// Trigger rules, some more frequent.
const RULES: [&str; 13] = [
    "all_done",
    "all_done",
    "all_done_min_one_success",
    "none_failed",
    "none_failed_min_one_success",
    "all_failed",
    "all_skipped",
    "none_skipped",
    "one_success",
    "one_failed",
    "one_done",
    "always",
    "all_success",
];
/// Those that do not wait for all upstream tasks.
const EARLY: [&str; 4] = ["one_success", "one_failed", "one_done", "always"];

/// The pools of tasks and workers.
pub const POOLS: [&str; 2] = ["default", "gpu"];

/// The jobs of a simulation. All are submitted during the fault phase.
#[must_use]
pub fn draw(dice: &Dice, lasts: Duration) -> Vec<Plan> {
    let most_tasks = *dice.pick(&[3, 6, 12]);
    let jobs = dice.between(1, 6);
    let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    let mut plans: Vec<Plan> = (1..=jobs)
        .map(|number| {
            let after = dice.millis(0, lasts);
            Plan {
                id: JobId::new(Uuid::from_u128(u128::from(number) << 64)),
                job: job(dice, number, most_tasks),
                after,
                over_broker: dice.falls(0.5),
                again: if dice.falls(0.3) { dice.between(1, 3) } else { 0 },
                pause: dice.falls(0.2).then(|| (after + dice.millis(0, 10_000), dice.millis(0, 60_000))),
                cancel_now: dice.falls(0.3),
                cancel_after: dice.falls(0.15).then(|| after + dice.millis(0, 20_000)),
                retry_of: None,
            }
        })
        .collect();
    let retried: Vec<Plan> = plans.iter().filter(|plan| may_be_retried(plan) && dice.falls(0.5)).cloned().collect();
    plans.extend((jobs + 1..).zip(retried).map(|(number, of)| retry_of(dice, number, of)));
    plans
}

/// Whether the expected results of a retry can be computed: the evaluator fills fallbacks again, with the ids of the retry.
fn may_be_retried(plan: &Plan) -> bool {
    let text = plan.job.to_string();
    !(text.contains("\"recover\"") && text.contains(".id\""))
}

/// A retry of a job, which begins when that has ended.
fn retry_of(dice: &Dice, number: u64, of: Plan) -> Plan {
    let tasks = of.job["tasks"].as_array().map_or(0, Vec::len);
    let from = match dice.between(0, 9) {
        0 => RetryFrom::Start,
        1..=5 => RetryFrom::Tasks(vec![format!("t{}", dice.index(tasks))]),
        _ => RetryFrom::Failure,
    };
    Plan {
        id: JobId::new(Uuid::from_u128(u128::from(number) << 64)),
        again: u64::from(dice.falls(0.3)),
        pause: None,
        cancel_after: None,
        retry_of: Some((of.id, from)),
        ..of
    }
}

fn job(dice: &Dice, number: u64, most_tasks: u64) -> Value {
    let count = usize::try_from(dice.between(1, most_tasks)).unwrap_or(1);
    let mut tasks: Vec<Value> = (0..count).map(|at| task(dice, at)).collect();
    wrap_answers(&mut tasks);
    let handlers = ["on_failure", "finally"].map(|list| (list, handlers(dice, list, count)));
    // Shuffle the tasks, since their order in the job must not matter.
    for at in (1..count).rev() {
        tasks.swap(at, dice.index(at + 1));
    }
    let mut job = Map::new();
    job.insert("name".to_owned(), json!(format!("J{number}")));
    job.insert("tasks".to_owned(), Value::Array(tasks));
    // If a clock is set ahead and a dispatcher starts anew, less of a duration is left.
    if handlers.iter().any(|(_, handlers)| !handlers.is_empty()) {
        job.insert("handler_deadline".to_owned(), json!("30d"));
    }
    for (list, handlers) in handlers.into_iter().filter(|(_, handlers)| !handlers.is_empty()) {
        job.insert(list.to_owned(), json!(handlers));
    }
    if dice.falls(0.9) {
        let parts: Vec<Value> = (0..dice.between(1, 4)).map(|_| part(dice, count, 0)).collect();
        job.insert("output".to_owned(), json!({"parts": parts}));
    }
    if dice.falls(0.3) {
        job.insert("priority".to_owned(), json!(dice.between(0, 5)));
    }
    if dice.falls(0.2) {
        job.insert("retry".to_owned(), retry(dice));
    }
    if dice.falls(0.1) {
        job.insert("start_at".to_owned(), json!(dice.between(1, 20)));
    }
    // Of a deadline that passes, it would depend on chance what has ended by then.
    if dice.falls(0.1) {
        job.insert("deadline".to_owned(), json!("30d"));
    }
    if dice.falls(0.2) {
        job.insert("key".to_owned(), json!(format!("key of J{number}")));
    }
    Value::Object(job)
}

/// The handlers of a list, which may refer to the `count` tasks of the job and to how it ended.
fn handlers(dice: &Dice, list: &str, count: usize) -> Vec<Value> {
    if !dice.falls(0.15) {
        return Vec::new();
    }
    let first = format!("{list} 0");
    let handlers = (0..dice.between(1, 3)).map(|at| {
        let module = match dice.between(0, 9) {
            0 => Module::Kill,
            1 => Module::Fail,
            2 => Module::Flaky,
            3 => Module::Slow,
            4 => Module::Launch,
            _ => Module::Sum,
        };
        let mut task = Map::new();
        task.insert("name".to_owned(), json!(format!("{list} {at}")));
        task.insert("task_name".to_owned(), json!(module.name()));
        let failure = dice.pick(&["status", "count", "tasks.0.name", "tasks.1.status"]);
        let seen = if dice.falls(0.5) { json!(format!("_.failure.{failure}")) } else { part(dice, count, 0) };
        task.insert("args".to_owned(), json!([seen, part(dice, count, 0)]));
        if at > 0 && dice.falls(0.5) {
            task.insert("depends".to_owned(), json!([first]));
            if dice.falls(0.5) {
                task.insert("trigger_rule".to_owned(), json!("all_done"));
            }
        }
        if dice.falls(0.2) {
            task.insert("when".to_owned(), condition(dice, count, 0));
        }
        if dice.falls(0.2) {
            task.insert("for_each".to_owned(), for_each(dice, if module.is_slow() { 0 } else { count }));
        }
        with_options(dice, module, task, count)
    });
    handlers.collect()
}

/// Lets no task run for the keys of an answer, whose order the reference evaluator does not know. It runs for the answer as one item.
fn wrap_answers(tasks: &mut [Value]) {
    let is_answer = |task: &Value| task["wait"].get("approval").is_some();
    let answers: Vec<Value> = tasks.iter().filter(|task| is_answer(task)).map(|task| task["name"].clone()).collect();
    for answer in answers.iter().filter_map(Value::as_str) {
        let data = json!(format!("_{answer}.data"));
        for list in tasks.iter_mut().filter_map(|task| task.get_mut("for_each")) {
            let list = if list.is_object() { &mut list["in"] } else { list };
            if *list == data {
                *list = json!([data]);
            }
        }
    }
}

/// A task that may depend on the first `at` tasks.
fn task(dice: &Dice, at: usize) -> Value {
    let module = match dice.between(0, 99) {
        0..=2 => Module::Kill,
        3..=4 => Module::KillSlow,
        5..=8 => Module::Fail,
        9..=13 => Module::Flaky,
        14..=17 => Module::Launch,
        18 => Module::Abandon,
        19..=30 => Module::Slow,
        31..=37 => Module::Rare,
        38..=44 => Module::Command,
        _ => Module::Sum,
    };
    let mut task = Map::new();
    task.insert("name".to_owned(), json!(format!("t{at}")));
    if module != Module::Command {
        task.insert("task_name".to_owned(), json!(module.name()));
    }
    let rule = if at > 0 && dice.falls(0.3) { *dice.pick(&RULES) } else { "all_success" };
    if EARLY.contains(&rule) {
        // Such a task cannot refer to what may not be there yet.
        let before: BTreeSet<String> = (0..dice.between(1, 3)).map(|_| format!("t{}", dice.index(at))).collect();
        task.insert("depends".to_owned(), json!(before));
        task.insert("trigger_rule".to_owned(), json!(rule));
        if module == Module::Command {
            task.insert("command".to_owned(), json!(["sum"]));
        }
        return with_options(dice, module, task, 0);
    }
    if module == Module::Command {
        let words = (0..dice.between(0, 3)).map(|_| word(dice, at));
        task.insert("command".to_owned(), [json!("sum")].into_iter().chain(words).collect());
    } else {
        let mut args: Vec<Value> = (0..dice.between(0, 3)).map(|_| part(dice, at, 0)).collect();
        if dice.falls(0.08) {
            args.push(json!(dice.pick(&["_.item", "_.index", "_.item.v", "_.item.deep"])));
            // Hundreds of slow items one after the other would take longer than a simulation.
            task.insert("for_each".to_owned(), for_each(dice, if module.is_slow() { 0 } else { at }));
        }
        task.insert("args".to_owned(), Value::Array(args));
    }
    if rule != "all_success" || dice.falls(0.1) {
        let before: BTreeSet<String> =
            (0..dice.between(1, 3).min(at as u64)).map(|_| format!("t{}", dice.index(at))).collect();
        task.insert("depends".to_owned(), json!(before));
        task.insert("trigger_rule".to_owned(), json!(rule));
    }
    if dice.falls(0.15) {
        return wait(dice, at, task);
    }
    if at > 0 && dice.falls(0.15) {
        task.insert("when".to_owned(), condition(dice, at, 0));
    }
    if dice.falls(0.3) {
        let (key, value) =
            if module == Module::Command { ("env", word(dice, at)) } else { ("kwargs", part(dice, at, 0)) };
        task.insert(key.to_owned(), json!({"with": value}));
    }
    if at > 0 && !task.contains_key("depends") && dice.falls(0.3) {
        task.insert("depends".to_owned(), json!([format!("t{}", dice.index(at))]));
    }
    with_options(dice, module, task, at)
}

/// The same task as one that waits.
fn wait(dice: &Dice, at: usize, mut task: Map<String, Value>) -> Value {
    for key in ["task_name", "args", "command", "for_each"] {
        task.remove(key);
    }
    task.insert("wait".to_owned(), waits::draw(dice, at, part(dice, at, 0)));
    if at > 0 && !task.contains_key("depends") && dice.falls(0.5) {
        task.insert("depends".to_owned(), json!([format!("t{}", dice.index(at))]));
    }
    if at > 0 && dice.falls(0.15) {
        task.insert("when".to_owned(), condition(dice, at, 0));
    }
    if dice.falls(0.2) {
        task.insert("recover".to_owned(), recover(dice, at));
    }
    if dice.falls(0.2) {
        task.insert("delay".to_owned(), json!(format!("{}ms", dice.between(0, 5_000))));
    }
    Value::Object(task)
}

/// The same task with further options, which may refer to the first `before` tasks.
fn with_options(dice: &Dice, module: Module, mut task: Map<String, Value>, before: usize) -> Value {
    if dice.falls(0.05) {
        task.insert("delay".to_owned(), json!(format!("{}ms", dice.between(0, 5_000))));
    }
    if dice.falls(if module == Module::Flaky { 0.8 } else { 0.2 }) {
        task.insert("retry".to_owned(), retry(dice));
    }
    if module == Module::Abandon {
        let limit = dice.pick(&["start_to_close", "heartbeat"]);
        task.insert("timeout".to_owned(), json!({*limit: format!("{}ms", dice.between(1, 20_000))}));
    } else if dice.falls(0.1) {
        task.insert("timeout".to_owned(), generous_timeout(dice));
    }
    if dice.falls(if module == Module::Fail { 0.4 } else { 0.1 }) {
        task.insert("recover".to_owned(), recover(dice, before));
    }
    if dice.falls(0.2) {
        task.insert("pool".to_owned(), json!(dice.pick(&POOLS)));
    }
    // Other modules fail at some attempts, so it would depend on chance whether a task takes a result instead.
    if matches!(module, Module::Sum | Module::Slow | Module::Rare | Module::Command) && dice.falls(0.3) {
        // A duration that is longer than the clocks are wrong.
        task.insert("cache".to_owned(), json!({"ttl": "30d", "refresh": dice.falls(0.1)}));
    }
    Value::Object(task)
}

/// Items from the first `before` tasks or without them.
fn for_each(dice: &Dice, before: usize) -> Value {
    let source = match dice.between(0, if before == 0 { 1 } else { 4 }) {
        0 => json!(dice.between(0, 6)),
        1 => json!((0..dice.between(0, 4)).map(|_| part(dice, before, 1)).collect::<Vec<_>>()),
        _ => json!(format!("_t{}.data{}", dice.index(before), dice.pick(&["", ".list", ".v"]))),
    };
    if dice.falls(0.4) && !source.is_object() {
        return source;
    }
    let mut options = Map::new();
    options.insert("in".to_owned(), source);
    if dice.falls(0.5) {
        options.insert("parallel".to_owned(), json!(dice.between(1, 3)));
    }
    if dice.falls(0.5) {
        options.insert(
            "tolerated_failures".to_owned(),
            dice.pick(&[json!(0), json!(1), json!("50%"), json!("100%")]).clone(),
        );
    }
    if dice.falls(0.2) {
        options.insert("batch".to_owned(), json!(dice.between(1, 3)));
    }
    if dice.falls(0.3) {
        options.insert("when".to_owned(), json!({"lt": ["_.index", dice.between(0, 4)]}));
    }
    Value::Object(options)
}

/// A condition on the first `before` tasks.
fn condition(dice: &Dice, before: usize, depth: u32) -> Value {
    let task = format!("_t{}", dice.index(before));
    match dice.between(0, if depth < 2 { 11 } else { 7 }) {
        0 => json!(dice.falls(0.5)),
        1 => json!({"eq": [format!("{task}.status"), dice.pick(&["SUCCESS", "FAILED", "SKIPPED"])]}),
        2 => {
            json!({dice.pick(&["lt", "le", "gt", "ge"]).to_string(): [format!("{task}.data.v"), dice.between(0, 300)]})
        }
        3 => json!({"exists": format!("{task}.data.{}", dice.pick(&["v", "nowhere", "list.2"]))}),
        4 => json!({"empty": format!("{task}.{}", dice.pick(&["data", "error", "data.list"]))}),
        5 => json!({"in": [null, format!("{task}.data.list")]}),
        6 => json!({"ne": [format!("{task}.error"), null]}),
        7 => json!(format!("{task}.data.v")),
        8 => json!({"not": condition(dice, before, depth + 1)}),
        word => {
            let parts: Vec<Value> = (0..dice.between(1, 3)).map(|_| condition(dice, before, depth + 1)).collect();
            json!({if word == 9 { "all" } else { "any" }: parts})
        }
    }
}

/// A retry policy with one to four attempts.
fn retry(dice: &Dice) -> Value {
    let attempts = dice.between(1, 4);
    if dice.falls(0.3) {
        return json!(attempts);
    }
    json!({
        "maximum_attempts": attempts,
        "initial_interval": format!("{}ms", dice.between(1, 3_000)),
        "backoff_coefficient": dice.pick(&[1.0, 1.5, 2.0, 10.0]),
        "jitter": dice.pick(&[0.0, 0.2, 1.0])
    })
}

/// Time limits that no run of the simulation reaches.
fn generous_timeout(dice: &Dice) -> Value {
    let limits = ["start_to_close", "schedule_to_start", "schedule_to_close"].into_iter().filter(|_| dice.falls(0.7));
    limits.map(|limit| (limit.to_owned(), json!("30d"))).collect::<Map<_, _>>().into()
}

/// A word of a command: a string, a number, or a reference to one of the first `before` tasks.
fn word(dice: &Dice, before: usize) -> Value {
    if before == 0 || dice.falls(0.3) {
        return if dice.falls(0.5) { json!("__literal") } else { json!(dice.between(0, 100)) };
    }
    json!(format!("_t{}.{}", dice.index(before), dice.pick(&["data.v", "status", "id", "name", "data.nowhere"])))
}

/// A recovery with references to the first `before` tasks.
fn recover(dice: &Dice, before: usize) -> Value {
    let fallback = match dice.between(0, 9) {
        0..=2 => json!({"v": 5, "failed": "_.failure.kind"}),
        3 => json!("_.failure.nowhere"),
        _ => part(dice, before, 0),
    };
    match dice.between(0, 3) {
        0 => json!({"fallback": fallback, "match": ["TASK_FAILED", "BAD_CONDITION"]}),
        1 => json!({"fallback": fallback, "match": ["WORKER_LOST"]}),
        _ => json!({"fallback": fallback}),
    }
}

/// A part of arguments or of an output, with references to the first `before` tasks.
fn part(dice: &Dice, before: usize, depth: u32) -> Value {
    if depth < 2 && dice.falls(0.2) {
        let inner = part(dice, before, depth + 1);
        return if dice.falls(0.5) { json!([1, inner]) } else { json!({"inner": inner}) };
    }
    if before == 0 || dice.falls(0.25) {
        return match dice.between(0, 3) {
            0 => json!("__literal"),
            1 => json!(null),
            _ => json!(dice.between(0, 100)),
        };
    }
    let path = match dice.between(0, 99) {
        0..=1 => "data.nowhere",
        2..=5 => "status",
        6..=8 => "id",
        9..=11 => "name",
        12..=14 => "error",
        15..=40 => "data.v",
        41..=55 => "data.list.1.deep",
        56..=60 => "data.list.2",
        _ => "data",
    };
    json!(format!("_t{}.{path}", dice.index(before)))
}
