//! Says when a schedule fires. The crate is pure: it uses no clock and no files. Time is an argument, and the time-zone
//! database is part of the program.
//!
//! ```
//! use hub_calendar::{Calendar, CalendarSpec};
//!
//! let spec = CalendarSpec {
//!     cron: vec!["30 2 * * *".to_owned()],
//!     timezone: "Europe/Berlin".to_owned(),
//!     ..CalendarSpec::default()
//! };
//! let calendar = Calendar::new(&spec).unwrap();
//! // 29 March 2026, 01:00 in Berlin. 02:30 does not exist on this day.
//! let next = calendar.next_after(1_774_742_400_000).unwrap();
//! assert_eq!(calendar.local(next), "2026-03-29T03:00:00+02:00");
//! ```
//!
//! # Cron expressions
//!
//! An expression has five fields (minute, hour, day of month, month, day of week) or six (second first). Fields are
//! separated by spaces or tabs. A field is a list of items separated by commas:
//!
//! | item | meaning |
//! |---|---|
//! | `*` | all values |
//! | `5`, `mon`, `JAN` | one value. Sunday is 0 or 7. Names have three letters |
//! | `9-17`, `fri-mon`, `22-2` | a range. A range may continue after the greatest value: `22-2` is 22, 23, 0, 1, 2 |
//! | `*/15`, `8-18/2` | each n-th value of the range, from its first value |
//! | `L` (day of month) | the last day of the month |
//! | `mon#2` (day of week) | the second Monday of the month |
//! | `friL` (day of week) | the last Friday of the month |
//!
//! The names `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` and `@annually` stand for expressions.
//! All other forms are refused with the place, the reason and, where there is one, a replacement.
//!
//! **Day of month and day of week** follow Vixie cron. If one of the fields begins with `*`, a day must match both
//! fields. Otherwise a day matches if it matches either field. `*/2` begins with `*`.
//!
//! # Daylight saving
//!
//! The hour field decides. It is a wildcard if it begins with `*` or selects all 24 hours.
//!
//! - *Fixed hours* (all other fields) fire when the local clock first reaches or passes the time. A time that the clock
//!   skips fires at the first instant after the gap; several such times fire together, once. A time that occurs twice
//!   fires in the first pass only.
//! - *Wildcard hours* fire at each instant at which the local clock shows a matching time. They fire in both passes of
//!   a repeated hour and not for times that do not exist. `*/30 * * * *` therefore fires each half hour of elapsed time.
//!
//! # Intervals
//!
//! `every` fires at `anchor + n * every` for each whole number n, also a negative one. The time zone has no effect.
//!
//! # Range
//!
//! Times are milliseconds since 1970-01-01T00:00:00Z. Firings lie between 1970 and the end of 29
//! December 9999 (UTC).

mod calendar;
mod cron;
mod date;
mod error;
mod interval;
mod range;
mod spec;
mod zone;

pub use calendar::Calendar;
pub use error::{CalendarError, CalendarField};
pub use spec::CalendarSpec;
