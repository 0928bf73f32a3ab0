//! Random jobs: their JSON, and the actions of clients on them.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use hub_core::{JobId, RetryFrom};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::dice::Dice;
use super::sub_jobs;
use super::task_options::{condition, for_each, part, recover, retry, with_options, word};
use super::waits;
use super::work::Module;

/// A job with the actions of its client.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its id, chosen by the client.
    pub id: JobId,
    /// The job.
    pub job: Value,
    /// Whether the job is defined first, and submitted as the start of the definition. When it is accepted, the definition changes.
    pub is_defined: bool,
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

impl Plan {
    /// A sub-job as a job. No client acts on it.
    ///
    /// # Panics
    /// If the text is no JSON.
    #[must_use]
    pub fn of_sub_job(id: JobId, text: &str) -> Self {
        Self {
            id,
            job: serde_json::from_str(text).expect("a job is JSON"),
            is_defined: false,
            after: Duration::ZERO,
            over_broker: false,
            again: 0,
            pause: None,
            cancel_after: None,
            cancel_now: false,
            retry_of: None,
        }
    }
}

impl Plan {
    /// The text that is submitted.
    #[must_use]
    pub fn text(&self) -> String {
        if !self.is_defined {
            return self.job.to_string();
        }
        let mut start = json!({"definition": format!("{}@prod", self.name())});
        if let Some(key) = self.job.get("key") {
            start["key"] = key.clone();
        }
        start.to_string()
    }

    /// The text of its definition, or of a later version of it, whose output is another one.
    #[must_use]
    pub fn definition(&self, is_later: bool) -> String {
        let mut job = self.job.clone();
        if let Some(job) = job.as_object_mut() {
            job.remove("key");
            if is_later {
                job.insert("output".to_owned(), json!("of a later version"));
            }
        }
        job.to_string()
    }

    /// The name of the job.
    #[must_use]
    pub fn name(&self) -> &str {
        self.job["name"].as_str().unwrap_or_default()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.over_broker { "over the broker" } else { "over HTTP" };
        let what = if self.is_defined { "defined and started" } else { "submitted" };
        write!(f, "{what} {way}, again {} times", self.again)?;
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
                is_defined: dice.falls(0.2),
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
            2 => *dice.pick(&[Module::Flaky, Module::Persistent]),
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
        9..=12 => Module::Flaky,
        13 => Module::Persistent,
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
        // The words of a command are texts.
        let seen =
            dice.pick(&["name", "status", "id", "data", "error.kind"][..if module == Module::Command { 3 } else { 5 }]);
        let seen = if rule == "always" { "early".to_owned() } else { format!("_.first.{seen}") };
        if module == Module::Command {
            task.insert("command".to_owned(), json!(["sum", seen]));
        } else {
            task.insert("args".to_owned(), json!([seen]));
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
    if dice.falls(0.08) {
        return sub_jobs::task(dice, at, task);
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
