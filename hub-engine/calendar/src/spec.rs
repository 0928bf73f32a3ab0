//! What a schedule says about its times.

use std::time::Duration;

/// What a schedule says about its times. Exactly one of `cron` and `every` must be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalendarSpec {
    /// Cron expressions, at most 100 with at most 256 bytes each. The schedule fires when one of them does; times that
    /// several have in common fire once.
    pub cron: Vec<String>,
    /// The interval between two firings: whole milliseconds, from one second to ten years (3,653 days).
    pub every: Option<Duration>,
    /// A time at which `every` fires, in milliseconds since 1970. It is required with `every` and refused with `cron`.
    pub anchor: Option<i64>,
    /// The name of a time zone in the IANA database, such as `Europe/Berlin`. Upper and lower case matter.
    pub timezone: String,
}

impl Default for CalendarSpec {
    /// No times, in UTC.
    fn default() -> Self {
        Self { cron: Vec::new(), every: None, anchor: None, timezone: "UTC".to_owned() }
    }
}
