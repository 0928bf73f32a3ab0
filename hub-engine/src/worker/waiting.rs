//! The issues of a worker that wait for a slot.

use std::collections::VecDeque;

use hub_core::{IdSet, IssueId};
use hub_transport::supervisor::DeliveryRef;

use crate::wire::TaskMessage;

/// An issue that waits for a slot.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) task: Box<TaskMessage>,
    pub(super) delivery: DeliveryRef,
}

/// The issues that wait for a slot, in the order in which they start.
#[derive(Debug, Default)]
pub(super) struct WaitingIssues {
    queue: VecDeque<Waiting>,
    /// The issues in `queue`, so that it is not searched for each delivery.
    ids: IdSet<IssueId>,
}

impl WaitingIssues {
    /// Adds an issue as the last one.
    pub(super) fn push_back(&mut self, waiting: Waiting) {
        self.ids.insert(waiting.task.issue);
        self.queue.push_back(waiting);
    }

    /// Adds an issue as the next one.
    pub(super) fn push_front(&mut self, waiting: Waiting) {
        self.ids.insert(waiting.task.issue);
        self.queue.push_front(waiting);
    }

    /// The next one.
    pub(super) fn next(&self) -> Option<&TaskMessage> {
        self.queue.front().map(|waiting| &*waiting.task)
    }

    /// Removes and returns the next one.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.queue.pop_front()?;
        self.ids.remove(&waiting.task.issue);
        Some(waiting)
    }

    /// The delivery of an issue, if it waits.
    pub(super) fn delivery_mut(&mut self, id: IssueId) -> Option<&mut DeliveryRef> {
        if !self.ids.contains(&id) {
            return None;
        }
        self.queue.iter_mut().find(|waiting| waiting.task.issue == id).map(|waiting| &mut waiting.delivery)
    }

    /// Removes and returns an issue, if it waits.
    pub(super) fn remove(&mut self, id: IssueId) -> Option<Waiting> {
        if !self.ids.remove(&id) {
            return None;
        }
        let at = self.queue.iter().position(|waiting| waiting.task.issue == id)?;
        self.queue.remove(at)
    }

    /// Removes and returns all.
    pub(super) fn take_all(&mut self) -> Vec<Waiting> {
        self.ids.clear();
        self.queue.drain(..).collect()
    }

    /// The issues in their order.
    pub(super) fn ids(&self) -> impl Iterator<Item = IssueId> + '_ {
        self.queue.iter().map(|waiting| waiting.task.issue)
    }

    /// Number of issues.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}
