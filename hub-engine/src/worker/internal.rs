//! Messages to the worker's loop from the tasks of the async runtime that it has started.

use hub_core::IssueId;
use hub_transport::supervisor::DeliveryRef;

use crate::runner::TaskReport;
use crate::wire::{Span, TaskMessage};

/// A message to the loop.
#[derive(Debug)]
pub(super) enum Internal {
    /// An issue has ended, and its slot is free.
    Ended(IssueId, TaskReport, Span),
    /// An issue was passed to the runner, which did not start it.
    NotBegun(Box<TaskMessage>),
    /// The reports of issues that have ended are confirmed.
    Finished(Vec<IssueId>),
    /// The report that these issues have started is confirmed: they are under a lease now.
    Leased(Vec<IssueId>),
    /// This delivery was returned to the dispatcher.
    GivenBack(DeliveryRef),
}
