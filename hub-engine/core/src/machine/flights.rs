//! The tasks with a cache that are handed out, and those that wait for an equal one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::JobId;
use crate::digest::Digest;

/// A task: its job and its position.
pub(super) type TaskAt = (JobId, u32);

/// Tasks with a cache that are ready and have not been looked at, that are handed out, or that wait for an equal one. The key of
/// a task does not depend on the content of its module.
///
/// When a task lands, thousands may wait for it, and only one of them can be handed out next. So one of each pool is chosen, since a
/// pool may have no worker, and the others go on waiting. When that one is given up, the next of its pool is chosen.
#[derive(Debug, Default)]
pub(super) struct Flights {
    /// Tasks to look at, in the order in which they became ready.
    unchecked: VecDeque<TaskAt>,
    /// The task with each key that is handed out.
    leaders: HashMap<Digest, TaskAt>,
    /// The tasks that are handed out, with what is known of them.
    out: HashMap<TaskAt, Out>,
    /// The tasks that wait, by key and pool, those of high priority first.
    followers: HashMap<Digest, BTreeMap<Arc<str>, BTreeSet<Rank>>>,
    waiting: BTreeMap<TaskAt, Wait>,
    /// The tasks that were chosen to be handed out next, by key and pool.
    chosen: HashMap<Digest, BTreeMap<Arc<str>, TaskAt>>,
    chosen_for: HashMap<TaskAt, (Digest, Arc<str>)>,
    /// Tasks that were handed out or chosen, and have been withdrawn since.
    left: Vec<TaskAt>,
}

/// The place of a task among those that wait: its priority when it began to wait, and the task.
type Rank = (Reverse<i32>, TaskAt);

/// Where a task waits.
#[derive(Debug)]
struct Wait {
    key: Digest,
    pool: Arc<str>,
    priority: i32,
}

/// A task that is handed out.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) key: Digest,
    /// The content of the module that has launched it.
    pub(super) content: Option<Digest>,
}

impl Flights {
    /// Adds a task to look at.
    pub(super) fn push_unchecked(&mut self, task: TaskAt) {
        self.unchecked.push_back(task);
    }

    /// The next task to look at.
    pub(super) fn pop_unchecked(&mut self) -> Option<TaskAt> {
        self.unchecked.pop_front()
    }

    pub(super) fn is_checking(&self) -> bool {
        !self.unchecked.is_empty() || !self.left.is_empty()
    }

    /// The task with this key that is handed out.
    pub(super) fn leader(&self, key: Digest) -> Option<TaskAt> {
        self.leaders.get(&key).copied()
    }

    /// The task for whose end a task waits. It is handed out, or will be.
    pub(super) fn leader_of(&self, task: TaskAt) -> Option<TaskAt> {
        let key = self.waiting.get(&task)?.key;
        self.leader(key).or_else(|| self.chosen.get(&key)?.values().next().copied())
    }

    /// A task is handed out. It leads unless another one does.
    pub(super) fn hand_out(&mut self, task: TaskAt, key: Digest, content: Option<Digest>) {
        self.unchoose(task);
        self.leaders.entry(key).or_insert(task);
        self.out.insert(task, Out { key, content });
    }

    /// What is known of a task that is handed out.
    pub(super) fn out_mut(&mut self, task: TaskAt) -> Option<&mut Out> {
        self.out.get_mut(&task)
    }

    /// A task of this pool and priority waits for the one that leads.
    pub(super) fn follow(&mut self, task: TaskAt, key: Digest, pool: &Arc<str>, priority: i32) {
        self.unchoose(task);
        let of_pool = self.followers.entry(key).or_default().entry(Arc::clone(pool)).or_default();
        of_pool.insert((Reverse(priority), task));
        self.waiting.insert(task, Wait { key, pool: Arc::clone(pool), priority });
    }

    /// A task does not wait any more.
    pub(super) fn stop_following(&mut self, task: TaskAt) {
        let Some(Wait { key, pool, priority }) = self.waiting.remove(&task) else { return };
        let of_key = self.followers.get_mut(&key).expect("the tasks that wait for a key");
        let of_pool = of_key.get_mut(&pool).expect("the tasks of a pool that wait for a key");
        of_pool.remove(&(Reverse(priority), task));
        if of_pool.is_empty() {
            of_key.remove(&pool);
        }
        if of_key.is_empty() {
            self.followers.remove(&key);
        }
    }

    /// Whether a task was chosen to be handed out next.
    pub(super) fn is_chosen(&self, task: TaskAt) -> bool {
        self.chosen_for.contains_key(&task)
    }

    /// A task is not chosen any more. Returns its key if it was.
    fn unchoose(&mut self, task: TaskAt) -> Option<Digest> {
        let (key, pool) = self.chosen_for.remove(&task)?;
        let of_key = self.chosen.get_mut(&key).expect("the tasks that were chosen for a key");
        of_key.remove(&pool);
        if of_key.is_empty() {
            self.chosen.remove(&key);
        }
        Some(key)
    }

    /// Chooses the next task of each pool, unless one leads. They have to be looked at.
    fn choose(&mut self, key: Digest) {
        if self.leaders.contains_key(&key) {
            return;
        }
        let chosen = self.chosen.get(&key);
        let of_key = self.followers.get(&key).into_iter().flatten();
        let next: Vec<(Arc<str>, TaskAt)> = of_key
            .filter(|(pool, _)| chosen.is_none_or(|chosen| !chosen.contains_key(*pool)))
            .filter_map(|(pool, ranks)| Some((Arc::clone(pool), ranks.first()?.1)))
            .collect();
        for (pool, task) in next {
            self.stop_following(task);
            self.chosen.entry(key).or_default().insert(Arc::clone(&pool), task);
            self.chosen_for.insert(task, (key, pool));
            self.push_unchecked(task);
        }
    }

    /// A task that was chosen is not handed out. If it has taken a result, all that wait for it are looked at, otherwise the next one.
    pub(super) fn give_up(&mut self, task: TaskAt, has_result: bool) {
        let Some(key) = self.unchoose(task) else { return };
        if !has_result {
            return self.choose(key);
        }
        let mut ranks: Vec<Rank> =
            self.followers.get(&key).into_iter().flat_map(BTreeMap::values).flatten().copied().collect();
        ranks.sort_unstable();
        for (_, task) in ranks {
            self.stop_following(task);
            self.push_unchecked(task);
        }
    }

    /// A task was taken from where it was. Whether it is handed out, or will be, nevertheless shows when all is done that follows
    /// from it.
    pub(super) fn note_left(&mut self, task: TaskAt) {
        if self.out.contains_key(&task) || self.is_chosen(task) {
            self.left.push(task);
        }
    }

    /// The tasks that were handed out or chosen, and were taken from where they were since the last call.
    pub(super) fn take_left(&mut self) -> Vec<TaskAt> {
        std::mem::take(&mut self.left)
    }

    /// A task is not handed out any more. The next ones of those that waited for it have to be looked at.
    pub(super) fn land(&mut self, task: TaskAt) {
        let Some(Out { key, .. }) = self.out.remove(&task) else { return };
        if self.leaders.get(&key) == Some(&task) {
            self.leaders.remove(&key);
            self.choose(key);
        }
    }
}
