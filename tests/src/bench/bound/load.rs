//! The load of the raw client.

/// The size of a message, in bytes: as of a task with two numbers.
pub(super) const BODY: [u8; 250] = [b'x'; 250];
/// How many publishes may be without a confirm, and how many deliveries unacknowledged: as in Hub.
pub(super) const WINDOW: u16 = 1024;
