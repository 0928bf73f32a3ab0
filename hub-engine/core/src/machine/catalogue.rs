//! The slots, the task modules and the allowed kinds of tasks of the live workers, by pool. The totals are maintained incrementally, because they are
//! read for every task that is handed out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::types::WorkerReport;
use crate::TaskKind;
use crate::digest::Digest;
use crate::job::{ModuleDefaults, Need};

/// The pools that live workers serve.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    pools: BTreeMap<Arc<str>, Served>,
}

/// The totals of one pool.
#[derive(Debug, Default)]
struct Served {
    workers: u32,
    slots: u32,
    /// The number of workers that have loaded each module.
    working: BTreeMap<Arc<str>, u32>,
    /// The number of workers that have each content of each module, by module.
    contents: BTreeMap<Arc<str>, BTreeMap<Digest, u32>>,
    /// The defaults of modules that have some.
    defaults: BTreeMap<Arc<str>, ByContent>,
    /// The number of workers on which each module fails to load.
    broken: BTreeMap<Arc<str>, u32>,
    /// The number of workers that allow each kind of tasks.
    allowing: [u32; TaskKind::ALL.len()],
}

/// The defaults of a module, by its content.
type ByContent = BTreeMap<Option<Digest>, Reported>;

/// The defaults of a module, as its workers have reported them.
#[derive(Debug, Default)]
struct Reported {
    defaults: Arc<ModuleDefaults>,
    workers: u32,
}

impl Catalogue {
    /// Adds a worker.
    pub(super) fn add(&mut self, report: &WorkerReport) {
        for pool in pools_of(report) {
            let served = self.pools.entry(Arc::clone(pool)).or_default();
            served.workers += 1;
            served.slots = served.slots.saturating_add(report.slots);
            report.tasks.keys().for_each(|module| count(&mut served.working, module));
            report.broken.keys().for_each(|module| count(&mut served.broken, module));
            for (module, content) in &report.contents {
                *served.contents.entry(Arc::clone(module)).or_default().entry(*content).or_default() += 1;
            }
            for (module, defaults) in &report.defaults {
                let of_module = served.defaults.entry(Arc::clone(module)).or_default();
                let reported = of_module.entry(report.contents.get(module).copied()).or_default();
                // They may come from a helper or the environment, so the newest report counts.
                reported.defaults = Arc::clone(defaults);
                reported.workers += 1;
            }
            report.allow.iter().for_each(|kind| served.allowing[kind as usize] += 1);
        }
    }

    /// Removes a worker that was added with the same report.
    pub(super) fn remove(&mut self, report: &WorkerReport) {
        for pool in pools_of(report) {
            let Some(served) = self.pools.get_mut(pool) else {
                continue;
            };
            served.workers -= 1;
            if served.workers == 0 {
                self.pools.remove(pool);
                continue;
            }
            served.slots = served.slots.saturating_sub(report.slots);
            report.tasks.keys().for_each(|module| discount(&mut served.working, module));
            report.broken.keys().for_each(|module| discount(&mut served.broken, module));
            report
                .contents
                .iter()
                .for_each(|(module, content)| discount_content(&mut served.contents, module, *content));
            for module in report.defaults.keys() {
                discount_defaults(&mut served.defaults, module, report.contents.get(module).copied());
            }
            report.allow.iter().for_each(|kind| served.allowing[kind as usize] -= 1);
        }
    }

    /// The number of slots in a pool. `None` if the pool has no worker.
    pub(super) fn slots(&self, pool: &str) -> Option<u32> {
        self.pools.get(pool).map(|served| served.slots)
    }

    /// The number of workers of a pool.
    pub(super) fn workers(&self, pool: &str) -> u32 {
        self.pools.get(pool).map_or(0, |served| served.workers)
    }

    /// Whether a worker of the pool has what a task needs. A broken module counts, because its worker reports the error.
    pub(super) fn has(&self, pool: &str, need: &Need) -> bool {
        self.pools.get(pool).is_some_and(|served| match need {
            Need::Module(module) => served.working.contains_key(module) || served.broken.contains_key(module),
            Need::Kind(kind) => served.allowing[*kind as usize] > 0,
        })
    }

    /// The contents of a module on the workers of a pool. There are several while the workers are updated.
    pub(super) fn digests(&self, pool: &str, module: &str) -> impl Iterator<Item = Digest> {
        let contents = self.pools.get(pool).and_then(|served| served.contents.get(module));
        contents.into_iter().flat_map(|contents| contents.keys().copied())
    }

    /// The defaults of a module. While the workers of the pool are updated, those of the content with the greatest digest. The
    /// outer `None`: no worker of the pool has the module, or all of them fail to load it.
    pub(super) fn defaults(&self, pool: &str, module: &str) -> Option<Option<&Arc<ModuleDefaults>>> {
        let served = self.pools.get(pool)?;
        if !served.working.contains_key(module) {
            return None;
        }
        Some(served.defaults.get(module).and_then(|of_module| {
            let content = served.contents.get(module).and_then(|contents| contents.keys().next_back().copied());
            of_module.get(&content).map(|reported| &reported.defaults)
        }))
    }

    /// The working modules of a pool, sorted.
    pub(super) fn modules(&self, pool: &str) -> impl Iterator<Item = &str> + Clone {
        self.pools.get(pool).into_iter().flat_map(|served| served.working.keys().map(|module| &**module))
    }
}

/// The pools that a worker serves, without duplicates.
fn pools_of(report: &WorkerReport) -> impl Iterator<Item = &Arc<str>> {
    let pools = &report.pools;
    pools.iter().enumerate().filter(|(at, pool)| !pools[..*at].contains(pool)).map(|(_, pool)| pool)
}

fn count(modules: &mut BTreeMap<Arc<str>, u32>, module: &Arc<str>) {
    *modules.entry(Arc::clone(module)).or_default() += 1;
}

fn discount(modules: &mut BTreeMap<Arc<str>, u32>, module: &str) {
    if let Some(workers) = modules.get_mut(module) {
        *workers -= 1;
        if *workers == 0 {
            modules.remove(module);
        }
    }
}

fn discount_content(contents: &mut BTreeMap<Arc<str>, BTreeMap<Digest, u32>>, module: &str, content: Digest) {
    let Some(of_module) = contents.get_mut(module) else { return };
    if let Some(workers) = of_module.get_mut(&content) {
        *workers -= 1;
        if *workers == 0 {
            of_module.remove(&content);
        }
    }
    if of_module.is_empty() {
        contents.remove(module);
    }
}

fn discount_defaults(all: &mut BTreeMap<Arc<str>, ByContent>, module: &str, content: Option<Digest>) {
    let Some(of_module) = all.get_mut(module) else { return };
    if let Some(reported) = of_module.get_mut(&content) {
        reported.workers -= 1;
        if reported.workers == 0 {
            of_module.remove(&content);
        }
    }
    if of_module.is_empty() {
        all.remove(module);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TaskKinds;

    fn report(pools: &[&str], slots: u32, working: &[&str], broken: &[&str]) -> WorkerReport {
        WorkerReport {
            progress: Vec::new(),
            id: "w".into(),
            host: "here".into(),
            pid: 1,
            pools: pools.iter().map(|pool| Arc::from(*pool)).collect(),
            slots,
            running: 0,
            tasks: working.iter().map(|module| (Arc::from(*module), None)).collect(),
            contents: working.iter().map(|module| (Arc::from(*module), Digest::of(&slots.to_be_bytes()))).collect(),
            defaults: [].into(),
            broken: broken.iter().map(|module| (Arc::from(*module), Arc::from("no"))).collect(),
            allow: TaskKinds::default(),
            shortage: None,
            held: Vec::new(),
            present: Vec::new(),
        }
    }

    #[test]
    fn removing_a_worker_reverts_adding_it() {
        let mut catalogue = Catalogue::default();
        let first = report(&["a", "b", "a"], 2, &["x", "y"], &["z"]);
        let second = WorkerReport { allow: TaskKinds::all(), ..report(&["a"], 3, &["y"], &[]) };
        let (module, http) = (|name: &str| Need::Module(name.into()), Need::Kind(TaskKind::Http));
        catalogue.add(&first);
        catalogue.add(&second);
        assert_eq!((catalogue.slots("a"), catalogue.slots("b"), catalogue.slots("c")), (Some(5), Some(2), None));
        assert_eq!(["a", "b", "c"].map(|pool| catalogue.workers(pool)), [2, 1, 0]);
        assert!(catalogue.has("a", &module("z")) && !catalogue.has("c", &module("x")));
        assert!(catalogue.has("a", &http) && !catalogue.has("b", &http));
        assert_eq!(catalogue.modules("a").collect::<Vec<_>>(), ["x", "y"]);
        catalogue.remove(&first);
        assert_eq!((catalogue.slots("a"), catalogue.slots("b")), (Some(3), None));
        assert_eq!(["x", "y", "z"].map(|name| catalogue.has("a", &module(name))), [false, true, false]);
        catalogue.remove(&second);
        assert!(catalogue.pools.is_empty());
    }
}
