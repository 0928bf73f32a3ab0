//! The slots and task modules of the live workers, by pool. The totals are maintained incrementally, because they are
//! read for every task that is handed out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::types::WorkerReport;

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
    /// The number of workers on which each module fails to load.
    broken: BTreeMap<Arc<str>, u32>,
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
        }
    }

    /// The number of slots in a pool. `None` if the pool has no worker.
    pub(super) fn slots(&self, pool: &str) -> Option<u32> {
        self.pools.get(pool).map(|served| served.slots)
    }

    /// Whether a worker of the pool has the module. A broken module counts, because its worker reports the error.
    pub(super) fn knows(&self, pool: &str, module: &str) -> bool {
        self.pools
            .get(pool)
            .is_some_and(|served| served.working.contains_key(module) || served.broken.contains_key(module))
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

#[cfg(test)]
mod tests {
    use super::*;

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
            broken: broken.iter().map(|module| (Arc::from(*module), Arc::from("no"))).collect(),
            shortage: None,
            held: Vec::new(),
            present: Vec::new(),
        }
    }

    #[test]
    fn removing_a_worker_reverts_adding_it() {
        let mut catalogue = Catalogue::default();
        let first = report(&["a", "b", "a"], 2, &["x", "y"], &["z"]);
        let second = report(&["a"], 3, &["y"], &[]);
        catalogue.add(&first);
        catalogue.add(&second);
        assert_eq!((catalogue.slots("a"), catalogue.slots("b"), catalogue.slots("c")), (Some(5), Some(2), None));
        assert!(catalogue.knows("a", "z") && !catalogue.knows("c", "x"));
        assert_eq!(catalogue.modules("a").collect::<Vec<_>>(), ["x", "y"]);
        catalogue.remove(&first);
        assert_eq!((catalogue.slots("a"), catalogue.slots("b")), (Some(3), None));
        assert!(catalogue.knows("a", "y") && !catalogue.knows("a", "x") && !catalogue.knows("a", "z"));
        catalogue.remove(&second);
        assert!(catalogue.pools.is_empty());
    }
}
