//! Explanations of jobs, for people.

use std::collections::BTreeMap;

use hub_core::Json;
use hub_core::text::{Shown, ShownLines};
use serde::Deserialize;

use super::style::Style;
use crate::exit::{Exit, Failure};

/// The explanation of a job. Unknown keys and words are accepted, since the dispatcher may be newer.
#[derive(Deserialize)]
pub(super) struct Explanation {
    id: String,
    name: String,
    status: String,
    text: String,
    #[serde(default)]
    commands: Vec<String>,
    #[serde(default)]
    counts: BTreeMap<String, u64>,
    tasks: Vec<Group>,
    #[serde(default)]
    more: u64,
}

/// Tasks with the same explanation.
#[derive(Deserialize)]
struct Group {
    count: usize,
    names: Vec<String>,
    status: String,
    text: String,
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    reason: Reason,
    #[serde(default)]
    gates: Vec<GateReport>,
    #[serde(default)]
    limits: Vec<Limit>,
    #[serde(default)]
    commands: Vec<String>,
}

/// The part of a reason that its sentence does not have.
#[derive(Default, Deserialize)]
struct Reason {
    #[serde(default)]
    error: Option<LastError>,
    /// The tasks that it waits for.
    #[serde(default)]
    open: Option<OpenTasks>,
    /// The number of upstream tasks that have ended.
    #[serde(default)]
    ended: u64,
}

/// The first of some tasks that have not ended, and the number of the others.
#[derive(Deserialize)]
struct OpenTasks {
    first: Vec<TaskNow>,
    more: u64,
}

/// A task and its status.
#[derive(Deserialize)]
struct TaskNow {
    name: String,
    status: String,
}

/// The newest failure of a task.
#[derive(Deserialize)]
struct LastError {
    #[serde(default, rename = "type")]
    type_name: Option<String>,
    msg: String,
}

/// A gate, and what it says.
#[derive(Deserialize)]
struct GateReport {
    gate: String,
    state: String,
}

/// A time limit.
#[derive(Deserialize)]
struct Limit {
    timeout: String,
    ms: u64,
    #[serde(default)]
    until: Option<String>,
}

impl Explanation {
    /// Reads an explanation.
    ///
    /// # Errors
    /// If the text is not an explanation.
    pub(super) fn read(text: &Json) -> Result<Self, Failure> {
        serde_json::from_str(text.get()).map_err(|error| {
            let message = "cannot read the dispatcher's explanation; -o json prints it unchanged";
            Failure::new(Exit::Refused, message).because(error)
        })
    }

    /// The explanation as text.
    pub(super) fn shown(&self, style: Style) -> String {
        let Self { id, name, status, text, commands, counts, tasks, more } = self;
        let mut lines = vec![format!("{}  {}  {}", Shown(name), Shown(id), style.status(status))];
        lines.push(ShownLines(text).to_string());
        let counts: Vec<String> = counts.iter().map(|(status, count)| format!("{count} {}", Shown(status))).collect();
        lines.push(format!("tasks: {}", counts.join(", ")));
        lines.extend(commands.iter().map(|command| format!("  {}", Shown(command))));
        for group in tasks {
            lines.push(String::new());
            group.show(style, &mut lines);
        }
        if *more > 0 {
            lines.push(format!(
                "\n{more} more tasks are not listed: hub-client explain {} TASK explains one",
                Shown(id)
            ));
        }
        lines.join("\n")
    }
}

impl Group {
    fn show(&self, style: Style, lines: &mut Vec<String>) {
        let others = self.count - self.names.len().min(self.count);
        let mut names = self.names.join(", ");
        if others > 0 {
            names.push_str(&format!(" and {others} more"));
        }
        let since = self.since.as_ref().map(|since| format!("  since {}", Shown(since))).unwrap_or_default();
        lines.push(format!("{}  {}{since}", Shown(names), style.status(&self.status)));
        lines.push(format!("  {}", Shown(&self.text)));
        if let Some(OpenTasks { first, more }) = &self.reason.open {
            let open: Vec<String> = first.iter().map(|task| format!("{} {}", task.name, task.status)).collect();
            let more = if *more > 0 { format!(" and {more} more") } else { String::new() };
            lines.push(format!("  not ended: {}{more}; ended: {}", Shown(open.join(", ")), self.reason.ended));
        }
        if let Some(error) = &self.reason.error {
            let type_name = error.type_name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
            lines.push(format!("  last error: {}{}", Shown(type_name), Shown(&error.msg)));
        }
        let gates = self.gates.iter().filter(|report| report.state != "absent");
        let gates: Vec<String> =
            gates.map(|report| format!("{} {}", plain(&report.gate), plain(&report.state))).collect();
        if !gates.is_empty() {
            lines.push(format!("  gates: {}", Shown(gates.join(", "))));
        }
        for Limit { timeout, ms, until } in &self.limits {
            let until = until.as_ref().map(|until| format!(", until {until}")).unwrap_or_default();
            lines.push(format!("  timeout {}: {} s{}", Shown(timeout), *ms as f64 / 1000.0, Shown(until)));
        }
        lines.extend(self.commands.iter().map(|command| format!("  {}", Shown(command))));
    }
}

fn plain(word: &str) -> String {
    word.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_shown_with_their_gates_and_commands() {
        let text = r#"{"id": "1", "name": "j", "status": "RUNNING", "text": "nothing holds the job as a whole", "reasons": [],
            "counts": {"PENDING": 4, "SUCCESS": 1}, "more": 2, "new": 1, "tasks": [
            {"count": 3, "names": ["a", "b"], "status": "PENDING", "text": "is held", "gate": "retry", "since": "T",
             "reason": {"kind": "held", "open": {"first": [{"name": "c", "status": "RUNNING"}], "more": 4}, "ended": 2, "error": {"type": "E", "msg": "no\u001b"}}, "commands": ["hub-client retry 1.a"],
             "gates": [{"gate": "when", "state": "absent"}, {"gate": "trigger_rule", "state": "passed"},
                       {"gate": "pool", "state": "not_reached"}],
             "limits": [{"timeout": "heartbeat", "ms": 1500, "until": "U"}]}]}"#;
        let shown = Explanation::read(&Json::parse(text).unwrap()).unwrap();
        let expected = "j  1  RUNNING\nnothing holds the job as a whole\ntasks: 4 PENDING, 1 SUCCESS\n\n\
            a, b and 1 more  PENDING  since T\n  is held\n  not ended: c RUNNING and 4 more; ended: 2\n  last error: E: no\\u{1b}\n  \
            gates: trigger rule passed, pool not reached\n  timeout heartbeat: 1.5 s, until U\n  hub-client retry 1.a\n\n\
            2 more tasks are not listed: hub-client explain 1 TASK explains one";
        assert_eq!(shown.shown(Style { has_colors: false, width: None }), expected);
    }
}
