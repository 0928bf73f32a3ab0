//! The task modules of random jobs. They record the id of each run of a task.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::Programs;

/// The variable with the path of the file of runs. (Hub hides its own variables from tasks.)
const RUNS: &str = "CHAOS_RUNS";

/// Shared code of the modules. A small `write` to a file opened for appending is atomic.
const NOTE: &str = r#"
import os

def note(task_id):
    file = os.open(os.environ["CHAOS_RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, (task_id + "\n").encode())
    os.close(file)
"#;

/// The name and the function after its `def`. `expected.rs` defines what each returns.
const FUNCTIONS: [(&str, &str); 10] = [
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
    (
        "flaky",
        "flaky(times, value):\n    note(flaky.state.id)\n    \
         if flaky.state.attempt <= times:\n        raise ValueError('not yet')\n    return value",
    ),
    ("add", "add(a, b):\n    note(add.state.id)\n    return a + b"),
    ("multiply", "multiply(a, b):\n    note(multiply.state.id)\n    return a * b"),
];

/// A coroutine module.
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

/// Like `flaky`. The module sets four attempts.
const PERSISTENT: &str = r#"
from hub.lib.api import task
from _note import note

@task(retry={"maximum_attempts": 4, "initial_interval": "50ms"})
def persistent(times, value):
    note(persistent.state.id)
    if persistent.state.attempt <= times:
        raise ValueError('not yet')
    return value
"#;

/// An executable that returns its request.
const MIRROR: &str = r#"#!/bin/sh
read -r request
id=${request#*\"id\":\"}
echo "${id%%\"*}" >> "$CHAOS_RUNS"
printf '%s\n' "$request"
"#;

/// Writes the modules to the programs' directory `tasks`. Returns the programs with a file of runs.
///
/// # Panics
/// If they cannot be written.
#[must_use]
pub fn write_task_modules(programs: Programs) -> (Programs, Runs) {
    let head = "import os, time\nfrom hub.lib.api import task\nfrom _note import note\n\n@task\ndef ";
    let texts = FUNCTIONS.map(|(name, body)| (format!("{name}.py"), format!("{head}{body}\n")));
    let mut modules: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
    modules.extend([("_note.py", NOTE), ("awaits.py", AWAITS), ("persistent.py", PERSISTENT), ("mirror.sh", MIRROR)]);
    programs.write_modules(&modules);
    let executable = programs.directory().join("tasks/mirror.sh");
    std::fs::set_permissions(executable, PermissionsExt::from_mode(0o755)).expect("a file can be made executable");
    let runs = Runs(programs.directory().join("runs"));
    (programs.with(RUNS, &runs.0.to_string_lossy()), runs)
}

/// The file with the started runs of tasks.
pub struct Runs(PathBuf);

impl Runs {
    /// Number of started runs of each task.
    #[must_use]
    pub fn count(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for id in std::fs::read_to_string(&self.0).unwrap_or_default().lines() {
            *counts.entry(id.to_owned()).or_default() += 1;
        }
        counts
    }
}
