//! What the tasks of the runtime that the worker's loop has started tell it.

use hub_core::IssueId;
use hub_transport::supervisor::DeliveryRef;

use crate::runner::TaskReport;
use crate::wire::{Span, TaskMessage};

/// What they tell.
#[derive(Debug)]
pub(super) enum Internal {
    /// An issue has ended, its slot is free.
    Ended(IssueId, TaskReport, Span),
    /// An issue was started, but has not begun.
    NotBegun(TaskMessage),
    /// Issues are over and their report confirmed.
    Finished(Vec<IssueId>),
    /// The dispatcher's queue holds the report that these started: a lease holds them now.
    Leased(Vec<IssueId>),
    /// These went back to the dispatcher.
    GivenBack(DeliveryRef),
}
