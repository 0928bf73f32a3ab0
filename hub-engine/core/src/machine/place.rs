//! The place of a task in the machine.

/// The place of a task in the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Waits for other tasks, or is between two places.
    Blocked,
    /// Waits to be looked up among the kept results, or for an equal task that is handed out.
    Cache,
    /// In its pool's queue.
    Queued,
    /// Could be in its pool's queue, but its job is paused.
    Suspended,
    /// Waits for a worker that has its module.
    Parked,
    /// Delayed before it is handed out again.
    Resting,
    /// Delayed because a policy of the broker has removed its message.
    Removed,
    /// Waits for an operator, since its attempts have failed.
    Held,
    /// Waits for a time, signals or an approval, or will begin to wait in this turn.
    Waiting,
    /// On the broker or with a worker, in its pool's window.
    Window,
    /// Held by the lease of the worker that its state names.
    Leased,
    /// Launched; waits for its result from outside.
    Launched,
    /// Runs a job, or will begin it: in this turn or a later one, or when the one before has ended and was read.
    SubJob,
    /// Its items are in other places.
    Items,
    /// Ended.
    Ended,
}

impl Place {
    /// Whether an issue of the task is on the broker or with a worker.
    pub(super) const fn is_out(self) -> bool {
        matches!(self, Self::Window | Self::Leased)
    }
}
