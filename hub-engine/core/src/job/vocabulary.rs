//! The keys of the job format.

/// Which keys an object of the format can have, and what is known of others.
pub(super) struct Vocabulary {
    /// Keys of the format.
    pub(super) known: &'static [&'static str],
    /// Keys that Hub sets in status records.
    pub(super) reserved: &'static [&'static str],
    /// Keys whose meaning is settled but not built yet. Ignoring them would run a job otherwise than its
    /// author meant.
    pub(super) planned: &'static [&'static str],
    /// Keys of the other object of the format.
    pub(super) misplaced: &'static [&'static str],
    /// Where the misplaced ones belong.
    pub(super) place: &'static str,
}

/// The keys of a job.
pub(super) const JOB: Vocabulary = Vocabulary {
    known: &["name", "tasks", "output", "key", "priority", "meta"],
    reserved: &[
        "id",
        "status",
        "data",
        "parent_id",
        "task_name",
        "msg",
        "error",
        "submitted_at",
        "started_at",
        "ended_at",
    ],
    planned: &["deadline", "concurrency", "on_failure", "schedule", "start_at", "inputs", "retry", "timeout"],
    misplaced: &["args", "kwargs", "depends", "pool", "trigger_rule", "when", "for_each"],
    place: "it belongs in a task",
};

/// The keys of a task.
pub(super) const TASK: Vocabulary = Vocabulary {
    known: &["name", "task_name", "args", "kwargs", "depends", "pool", "priority", "meta"],
    reserved: &[
        "id",
        "status",
        "data",
        "parent_id",
        "msg",
        "error",
        "log",
        "attempt",
        "worker",
        "waiting_reason",
        "submitted_at",
        "started_at",
        "ended_at",
    ],
    planned: &["retry", "timeout", "trigger_rule", "when", "for_each", "job", "on_failure", "deadline", "concurrency"],
    misplaced: &["tasks", "output", "key", "schedule", "start_at", "inputs"],
    place: "it belongs to the job, beside \"tasks\"",
};

/// Whether a key is the user's own, whatever its value.
pub(super) fn is_own(key: &str) -> bool {
    key.starts_with("x-")
}
