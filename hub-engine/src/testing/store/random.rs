//! Compares random batches with the same changes, one by one, in the store in memory.

use std::sync::Arc;

use hub_core::action::Change;
use hub_core::cache::KeptResult;
use hub_core::digest::Digest;
use hub_core::job_details::PauseRecord;
use hub_core::schedule::ScheduleState;
use hub_core::state::JobSnapshot;
use hub_core::{JobId, JobStatus, TaskStatus};

use super::Fixture;
use super::rows::{
    NOW, alias_changed, commit, definition_added, ended, id, job, job_added, job_changed, job_removed, pool_changed,
    result_kept, running, schedule_changed, schedule_removed, schedule_set, task_changed, task_state,
};
use super::steps::ok;
use crate::operations::{DefinitionSummary, JobFilter};
use crate::store::{MemoryStore, Store};

/// Number of jobs that are changed.
const JOBS: u128 = 4;
/// Number of tasks in each.
const TASKS: u32 = 3;
/// Number of batches.
const BATCHES: usize = 60;
/// Maximum number of changes in a batch.
const MAXIMUM_CHANGES: u64 = 12;

pub(super) async fn batches_have_the_effect_of_their_changes_one_by_one(fixture: &dyn Fixture) {
    let (store, reference) = (fixture.open().await, MemoryStore::new());
    let mut rng = Rng(1);
    let mut history = Vec::new();
    for _ in 0..BATCHES {
        let batch: Vec<Change> = (0..rng.below(MAXIMUM_CHANGES) + 1).map(|_| change(&mut rng)).collect();
        history.push(batch.clone());
        for change in &batch {
            commit(&reference, vec![change.clone()]).await;
        }
        commit(&*store, batch).await;
        let (found, expected) = (contents(&*store).await, contents(&reference).await);
        assert!(found == expected, "the store has\n{found:#?}\ninstead of\n{expected:#?}\nafter\n{history:#?}");
    }
}

/// A random change. Each job has its own key.
fn change(rng: &mut Rng) -> Change {
    let number = u128::from(rng.below(JOBS as u64)) + 1;
    match rng.below(18) {
        0 | 1 => job_added(number, job(&format!("j{}", rng.below(3)), TASKS as usize, Some(&format!("k{number}")))),
        2 => job_removed(number),
        3 => job_changed(number, running()),
        4 => job_changed(number, ended(JobStatus::Success)),
        5 => pool_changed(
            ["default", "gpu"][usize::from(rng.below(2) == 0)],
            (rng.below(2) == 0).then_some(number as u64),
        ),
        7 => {
            let name = ["a", "b"][usize::from(rng.below(2) == 0)];
            definition_added(name, number as u32, &format!("{}", rng.below(100)))
        }
        8 => alias_changed("a", "prod", (rng.below(3) > 0).then_some(number as u32)),
        9 => schedule_set("s", number, rng.below(3) + 1),
        10 => schedule_removed("s"),
        11 => schedule_changed("s", ScheduleState { skipped: rng.below(9), ..ScheduleState::default() }),
        6 => result_kept(rng.below(2) as u8, (rng.below(2) == 0).then_some(number as u64)),
        _ => {
            let index = u32::try_from(rng.below(TASKS.into())).unwrap_or_default();
            let mut state = task_state(TaskStatus::Running);
            state.deaths = u32::try_from(rng.below(1000)).unwrap_or_default();
            task_changed(number, index, state)
        }
    }
}

/// The contents of a store in a comparable form.
async fn contents(store: &dyn Store) -> Contents {
    let mut jobs = Vec::new();
    for number in 1..=JOBS {
        jobs.push(ok(store.get(id(number))).await.map(whole));
        let by_family = ok(store.find_family(id(number).family())).await;
        let by_key = ok(store.find_key(&format!("k{number}"))).await;
        for found in [by_family, by_key] {
            jobs.push(found.map(whole));
        }
    }
    let listed = ok(store.list(&JobFilter { sub_jobs: true, ..JobFilter::default() }, NOW)).await.jobs;
    let unfinished = ok(store.load_unfinished()).await;
    Contents {
        jobs,
        listed: listed.iter().map(|job| (job.id, job.status)).collect(),
        unfinished: unfinished.iter().map(|job| job.id).collect(),
        paused_pools: ok(store.paused_pools()).await,
        kept_results: ok(store.kept_results()).await,
        definitions: definitions(store).await,
        schedules: format!("{:?}", ok(store.schedules()).await),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    /// Each job by its id, by its family and by its key.
    jobs: Vec<Option<String>>,
    listed: Vec<(JobId, JobStatus)>,
    unfinished: Vec<JobId>,
    paused_pools: Vec<(Arc<str>, PauseRecord)>,
    kept_results: Vec<(Digest, KeptResult)>,
    /// The newest version of each definition, and what references stand for.
    definitions: (Vec<DefinitionSummary>, Vec<Option<String>>),
    schedules: String,
}

async fn definitions(store: &dyn Store) -> (Vec<DefinitionSummary>, Vec<Option<String>>) {
    let mut texts = Vec::new();
    for reference in ["a", "a@prod", "a@1", "a@2", "b", "b@prod"] {
        let reference = reference.parse().unwrap_or_else(|error| panic!("{error}"));
        texts.push(ok(store.definition(&reference)).await.map(|found| format!("{} {}", found.pin, found.text)));
    }
    (ok(store.definitions(None, 10)).await.definitions, texts)
}

fn whole(job: JobSnapshot) -> String {
    format!("{} {} {:?} {:?}", job.id, job.job.source(), job.state, job.tasks)
}

/// A deterministic random generator: SplitMix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
