//! The load of the raw client.

/// A message body of 250 bytes, as for a task with two numbers.
pub(super) const BODY: [u8; 250] = [b'x'; 250];
/// Maximum number of unconfirmed publishes and of unacknowledged deliveries, as in Hub.
pub(super) const WINDOW: u16 = 1024;
