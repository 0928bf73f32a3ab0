//! The environment of a measurement: machine, versions and revision.

use std::process::Command;

use serde_json::{Value, json};

use super::run::Bench;
use crate::root;

/// Maximum load of the processors by other programs.
const BUSY: f64 = 0.25;

/// The facts, for the report.
pub(super) fn facts(bench: &Bench) -> Value {
    json!({
        "processor": line_of("/proc/cpuinfo", "model name"),
        "processors": processors(),
        "memory": line_of("/proc/meminfo", "MemTotal"),
        "kernel": said("uname", &["-sr"]),
        "file_system": said("stat", &["--file-system", "--format", "%T", &std::env::temp_dir().to_string_lossy()]),
        "hub": env!("CARGO_PKG_VERSION"),
        "revision": revision(),
        "profile": profile(),
        "client": bench.client.name(),
        "rustc": said("rustc", &["--version"]),
        "python": said("python3", &["--version"]),
        "rabbitmq": bench.broker_version(),
        "lapin": locked("lapin"),
        "amqprs": locked("amqprs"),
        "at": said("date", &["--utc", "+%Y-%m-%dT%H:%MZ"]),
    })
}

/// The build profile of this program, from its directory.
fn profile() -> Option<String> {
    let own = std::env::current_exe().ok()?;
    Some(own.parent()?.file_name()?.to_string_lossy().into_owned())
}

/// A warning if the load by other programs is too high.
pub(super) fn disturbance() -> Option<String> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split(' ').next()?.parse().ok()?;
    let busy = load > BUSY * processors() as f64;
    busy.then(|| format!("load {load} before the beginning: something else runs here, and the figures are its too"))
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn revision() -> Option<String> {
    let git = |arguments: &[&str]| {
        let directory = root().to_string_lossy().into_owned();
        said("git", &[&["-C", &directory], arguments].concat())
    };
    let revision = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some();
    Some(if changed { format!("{revision} with changes") } else { revision })
}

/// The version of a package, as in Cargo.lock.
fn locked(package: &str) -> Option<String> {
    let text = std::fs::read_to_string(root().join("Cargo.lock")).ok()?;
    let after = text.split_once(&format!("name = \"{package}\"\nversion = \""))?.1;
    Some(after.split('"').next()?.to_owned())
}

fn line_of(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The output of a program. `None` if it is empty or the program is missing.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}
