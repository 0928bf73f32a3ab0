//! The tasks with a cache that are handed out, and those that wait for an equal one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::JobId;
use crate::digest::Digest;

/// A task: its job and its position.
pub(super) type TaskAt = (JobId, u32);

/// Tasks with a cache that are ready and have not been looked at, that are handed out, or that wait for an equal one. The key of
/// a task does not depend on the content of its module.
#[derive(Debug, Default)]
pub(super) struct Flights {
    /// Tasks to look at, in the order in which they became ready.
    unchecked: VecDeque<TaskAt>,
    /// The task with each key that is handed out.
    leaders: HashMap<Digest, TaskAt>,
    /// The tasks that are handed out, with what is known of them.
    out: HashMap<TaskAt, Out>,
    /// The tasks that wait for each leader.
    followers: HashMap<Digest, BTreeSet<TaskAt>>,
    waiting: BTreeMap<TaskAt, Digest>,
    /// Tasks that were handed out and have been withdrawn since.
    left: Vec<TaskAt>,
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

    /// The task for whose end a task waits.
    pub(super) fn leader_of(&self, task: TaskAt) -> Option<TaskAt> {
        self.leader(*self.waiting.get(&task)?)
    }

    /// A task is handed out. It leads unless another one does.
    pub(super) fn hand_out(&mut self, task: TaskAt, key: Digest, content: Option<Digest>) {
        self.leaders.entry(key).or_insert(task);
        self.out.insert(task, Out { key, content });
    }

    /// What is known of a task that is handed out.
    pub(super) fn out_mut(&mut self, task: TaskAt) -> Option<&mut Out> {
        self.out.get_mut(&task)
    }

    /// A task waits for the one that leads.
    pub(super) fn follow(&mut self, task: TaskAt, key: Digest) {
        self.followers.entry(key).or_default().insert(task);
        self.waiting.insert(task, key);
    }

    /// A task does not wait any more.
    pub(super) fn stop_following(&mut self, task: TaskAt) {
        let Some(key) = self.waiting.remove(&task) else { return };
        if let Some(followers) = self.followers.get_mut(&key) {
            followers.remove(&task);
            if followers.is_empty() {
                self.followers.remove(&key);
            }
        }
    }

    /// A task was taken from the broker or a worker. Whether it is handed out nevertheless shows when all is done that follows
    /// from it.
    pub(super) fn note_left(&mut self, task: TaskAt) {
        if self.out.contains_key(&task) {
            self.left.push(task);
        }
    }

    /// The tasks that were taken from the broker or a worker since the last call.
    pub(super) fn take_left(&mut self) -> Vec<TaskAt> {
        std::mem::take(&mut self.left)
    }

    /// A task is not handed out any more. Returns the tasks that waited for it.
    pub(super) fn land(&mut self, task: TaskAt) -> Vec<TaskAt> {
        let Some(Out { key, .. }) = self.out.remove(&task) else { return Vec::new() };
        if self.leaders.get(&key) != Some(&task) {
            return Vec::new();
        }
        self.leaders.remove(&key);
        let followers = self.followers.remove(&key).unwrap_or_default();
        for follower in &followers {
            self.waiting.remove(follower);
        }
        followers.into_iter().collect()
    }
}
