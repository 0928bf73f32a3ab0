//! The task modules of random jobs, and what they write down: every run of a task leaves its id behind.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::Programs;

/// The variable that names the file of runs. (Those of Hub's own are hidden from tasks.)
const RUNS: &str = "CHAOS_RUNS";

/// What all modules share. One `write` of few bytes to a file opened for appending is never torn.
const NOTE: &str = r#"
import os

def note(task_id):
    file = os.open(os.environ["CHAOS_RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, (task_id + "\n").encode())
    os.close(file)
"#;

/// Name, and the function after its `def`. `expected.rs` says what each returns.
const FUNCTIONS: [(&str, &str); 9] = [
    ("total", "total(*values):\n    note(total.state.id)\n    return sum(values) % 1000003"),
    (
        "wrap",
        "wrap(value, **more):\n    note(wrap.state.id)\n    \
         return {'value': value, 'list': [value, [value]], 'more': more}",
    ),
    ("spell", "spell(word, times):\n    note(spell.state.id)\n    return (word + '/' + str(times))[:40]"),
    ("moment", "moment(value):\n    note(moment.state.id)\n    time.sleep(0.02)\n    return value"),
    ("long", "long(value):\n    note(long.state.id)\n    time.sleep(1.5)\n    return value"),
    ("fails", "fails(value):\n    note(fails.state.id)\n    raise ValueError('as it should')"),
    ("dies", "dies(value):\n    note(dies.state.id)\n    os.kill(os.getpid(), 9)"),
    ("add", "add(a, b):\n    note(add.state.id)\n    return a + b"),
    ("multiply", "multiply(a, b):\n    note(multiply.state.id)\n    return a * b"),
];

/// A coroutine, many of which run in one process.
const AWAITS: &str = r#"
import asyncio
from hub.lib.api import task
from _note import note

@task
async def awaits(value):
    note(awaits.state.id)
    await asyncio.sleep(0.05)
    return value
"#;

/// An executable: it gives back the request it was given.
const MIRROR: &str = r#"#!/bin/sh
read -r request
id=${request#*\"id\":\"}
echo "${id%%\"*}" >> "$CHAOS_RUNS"
printf '%s\n' "$request"
"#;

/// Writes the modules into the programs' `tasks`; returns the programs with a file for runs.
///
/// # Panics
/// Where they cannot be written.
#[must_use]
pub fn write_task_modules(programs: Programs) -> (Programs, Runs) {
    let head = "import os, time\nfrom hub.lib.api import task\nfrom _note import note\n\n@task\ndef ";
    let texts = FUNCTIONS.map(|(name, body)| (format!("{name}.py"), format!("{head}{body}\n")));
    let mut modules: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
    modules.extend([("_note.py", NOTE), ("awaits.py", AWAITS), ("mirror.sh", MIRROR)]);
    programs.write_modules(&modules);
    let executable = programs.directory().join("tasks/mirror.sh");
    std::fs::set_permissions(executable, PermissionsExt::from_mode(0o755)).expect("a file can be made executable");
    let runs = Runs(programs.directory().join("runs"));
    (programs.with(RUNS, &runs.0.to_string_lossy()), runs)
}

/// The runs of tasks that have begun.
pub struct Runs(PathBuf);

impl Runs {
    /// How often each task has begun.
    #[must_use]
    pub fn count(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for id in std::fs::read_to_string(&self.0).unwrap_or_default().lines() {
            *counts.entry(id.to_owned()).or_default() += 1;
        }
        counts
    }
}
