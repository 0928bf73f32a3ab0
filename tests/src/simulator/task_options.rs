//! Random options and arguments of tasks.

use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::work::Module;

/// The pools of tasks and workers.
pub const POOLS: [&str; 2] = ["default", "gpu"];

/// The same task with further options, which may refer to the first `before` tasks.
pub(super) fn with_options(dice: &Dice, module: Module, mut task: Map<String, Value>, before: usize) -> Value {
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
pub(super) fn for_each(dice: &Dice, before: usize) -> Value {
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
pub(super) fn condition(dice: &Dice, before: usize, depth: u32) -> Value {
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
pub(super) fn retry(dice: &Dice) -> Value {
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
pub(super) fn generous_timeout(dice: &Dice) -> Value {
    let limits = ["start_to_close", "schedule_to_start", "schedule_to_close"].into_iter().filter(|_| dice.falls(0.7));
    limits.map(|limit| (limit.to_owned(), json!("30d"))).collect::<Map<_, _>>().into()
}

/// A word of a command: a string, a number, or a reference to one of the first `before` tasks.
pub(super) fn word(dice: &Dice, before: usize) -> Value {
    if before == 0 || dice.falls(0.3) {
        return if dice.falls(0.5) { json!("__literal") } else { json!(dice.between(0, 100)) };
    }
    json!(format!("_t{}.{}", dice.index(before), dice.pick(&["data.v", "status", "id", "name", "data.nowhere"])))
}

/// A recovery with references to the first `before` tasks.
pub(super) fn recover(dice: &Dice, before: usize) -> Value {
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
pub(super) fn part(dice: &Dice, before: usize, depth: u32) -> Value {
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
