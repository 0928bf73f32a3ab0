//! Processor time and memory of processes, read from `/proc`.

use std::collections::HashMap;
use std::fs;

/// The unit of processor time in `/proc`: a hundredth of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// The resource usage of one or several processes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Usage {
    /// Processor time, in seconds.
    pub(super) cpu: f64,
    /// Peak memory, in bytes. For several processes, the sum of their peaks.
    pub(super) peak: f64,
}

/// The scope of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The process alone.
    Own,
    /// All descendants, including those that have ended.
    Below,
    /// Both.
    Tree,
}

#[derive(Clone, Copy)]
struct Stat {
    parent: u32,
    cpu: f64,
    /// The processor time of ended children.
    reaped: f64,
}

/// The usage of a process. A process that does not exist has used nothing.
pub(super) fn usage(pid: u32, scope: Scope) -> Usage {
    let own = || stat(pid).map_or_else(Usage::default, |stat| Usage { cpu: stat.cpu, peak: peak(pid) });
    match scope {
        Scope::Own => own(),
        Scope::Below => below(pid),
        Scope::Tree => {
            let (own, below) = (own(), below(pid));
            Usage { cpu: own.cpu + below.cpu, peak: own.peak + below.peak }
        }
    }
}

/// The current memory of a process, in bytes.
pub(super) fn resident(pid: u32) -> f64 {
    status(pid, "VmRSS:")
}

/// The child processes of this process.
pub(super) fn children() -> Vec<u32> {
    let own = std::process::id();
    pids().filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == own)).collect()
}

fn below(root: u32) -> Usage {
    let all: HashMap<u32, Stat> = pids().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut usage = Usage { cpu: all.get(&root).map_or(0.0, |stat| stat.reaped), peak: 0.0 };
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for (pid, stat) in all.iter().filter(|(_, stat)| stat.parent == parent) {
            usage.cpu += stat.cpu + stat.reaped;
            usage.peak += peak(*pid);
            parents.push(*pid);
        }
    }
    usage
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("the system lists its processes").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may contain parentheses.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        cpu: (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND,
        reaped: (ticks(13)? + ticks(14)?) / TICKS_PER_SECOND,
    })
}

fn peak(pid: u32) -> f64 {
    status(pid, "VmHWM:")
}

fn status(pid: u32, line: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let found = text.lines().find_map(|own| own.strip_prefix(line)?.trim().strip_suffix(" kB")?.trim().parse().ok());
    found.map_or(0.0, |kilobytes: f64| kilobytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_found_with_what_it_has_used() {
        let own = usage(std::process::id(), Scope::Own);
        assert!(own.peak > 1e6 && own.peak >= resident(std::process::id()) * 0.9, "{own:?}");
        let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut child = child.expect("cat runs");
        let tree = usage(std::process::id(), Scope::Tree);
        assert!(children().contains(&child.id()));
        assert!(tree.peak > own.peak && usage(child.id(), Scope::Own).peak > 0.0, "{tree:?}");
        drop(child.stdin.take());
        child.wait().expect("it ends");
        assert_eq!(usage(child.id(), Scope::Own), Usage::default());
    }
}
