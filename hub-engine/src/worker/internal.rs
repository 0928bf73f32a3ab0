//! What the tasks of the runtime that the worker's loop has started tell it.

use hub_transport::supervisor::DeliveryRef;

use super::attempts::Key;
use crate::runner::TaskReport;
use crate::wire::{Span, TaskMessage};

/// What they tell.
#[derive(Debug)]
pub(super) enum Internal {
    /// An issue has ended, its slot is free.
    Ended(Key, TaskReport, Span),
    /// An issue was started, but has not begun.
    NotBegun(TaskMessage),
    /// Issues are over and their report confirmed.
    Finished(Vec<Key>),
    /// The dispatcher's queue holds the report that these started: a lease holds them now.
    Leased(Vec<Key>),
    /// These went back to the dispatcher.
    GivenBack(DeliveryRef),
}
