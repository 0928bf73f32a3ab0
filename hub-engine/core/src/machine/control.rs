//! What operators ask of live jobs.

use std::sync::Arc;

/// A request to cancel a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cancel {
    /// Whether running tasks are killed without a grace period.
    pub now: bool,
    /// Whether the handlers of the job are stopped too, or do not run.
    pub handlers: bool,
    /// Who asks for it.
    pub by: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// Who asks for something, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remark {
    /// Who asks for it.
    pub by: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
}
