//! Tasks that wait in simulated jobs: random waits, what clients send to them, and the expected outcomes.

use serde_json::{Value, json};

use super::dice::Dice;
use crate::evaluator::Outcome;

/// A random wait of the task at `at`. `message` is the question of an approval.
pub(super) fn draw(dice: &Dice, at: usize, message: Value) -> Value {
    match dice.between(0, 3) {
        0 => json!({"until": format!("{}ms", dice.between(1, 10_000))}),
        1 => {
            let choices = if dice.falls(0.7) { ["approve", "reject"] } else { ["reject", "approve"] };
            json!({"approval": {"message": message, "choices": choices}})
        }
        _ => json!({"signal": format!("s{at}"), "count": dice.between(1, 3)}),
    }
}

/// How a wait ends whose task has this data in its record: its clients choose the first choice, and send the data of its signal.
pub(super) fn outcome(wait: &Value, recorded: Option<Value>) -> Outcome {
    if let Some(name) = wait["signal"].as_str() {
        let each = data(name);
        let count = count(wait);
        return Outcome::Success(if count == 1 { each } else { Value::Array(vec![each; count]) });
    }
    let Some(choice) = first_choice(wait) else { return Outcome::Success(Value::Null) };
    if choice == "reject" {
        return Outcome::Failed(Some("REJECTED"));
    }
    // The data has the time of the answer, which the record knows.
    let recorded = recorded.filter(|data| data["choice"] == choice && data["by"] == "client");
    Outcome::Success(recorded.unwrap_or_else(|| json!({"choice": choice, "by": "client"})))
}

/// Number of signals that a wait needs.
pub(super) fn count(wait: &Value) -> usize {
    wait["count"].as_u64().unwrap_or(1) as usize
}

/// The answer that clients give.
pub(super) fn first_choice(wait: &Value) -> Option<&str> {
    wait["approval"]["choices"][0].as_str()
}

/// The data of every signal with this name.
pub(super) fn data(name: &str) -> Value {
    let v = name.len();
    json!({"v": v, "list": [v, {"deep": v}, null]})
}
