//! The times that this crate handles.

/// The last second of 29 December 9999 in UTC, in seconds since 1970. It is the maximum time of a firing. The time-zone
/// library does not handle the rest of the year, since local times may be ahead of UTC.
pub(crate) const MAXIMUM_SECOND: i64 = 253_402_127_999;
/// The last millisecond of 29 December 9999 in UTC, in milliseconds since 1970.
pub(crate) const MAXIMUM_MS: i64 = MAXIMUM_SECOND * 1000 + 999;
