//! The newest ids of those that a worker has to recognise.

use std::collections::VecDeque;
use std::hash::Hash;

use hub_core::IdSet;

/// Maximum number of members. More than a broker delivers again at once.
const MAXIMUM_MEMBERS: usize = 16_384;

/// A set of ids that forgets its oldest members.
#[derive(Debug)]
pub(super) struct Recent<T> {
    members: IdSet<T>,
    order: VecDeque<T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { members: IdSet::default(), order: VecDeque::new() }
    }
}

impl<T: Copy + Eq + Hash> Recent<T> {
    /// Adds an id.
    pub(super) fn insert(&mut self, member: T) {
        if self.members.insert(member) {
            self.order.push_back(member);
        }
        while self.order.len() > MAXIMUM_MEMBERS {
            if let Some(oldest) = self.order.pop_front() {
                self.members.remove(&oldest);
            }
        }
    }

    /// Whether it has this id.
    pub(super) fn contains(&self, member: &T) -> bool {
        self.members.contains(member)
    }
}
