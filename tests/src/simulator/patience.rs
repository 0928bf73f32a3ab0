//! When simulated clients repeat a request.

use std::time::Duration;

use hub_engine::operations::RequestErrorKind;

/// Delay before a client repeats a request.
pub(super) const AGAIN: Duration = Duration::from_millis(700);

/// Whether a retry can succeed.
pub(super) const fn is_passing(kind: RequestErrorKind) -> bool {
    matches!(kind, RequestErrorKind::Unavailable | RequestErrorKind::Internal)
}
