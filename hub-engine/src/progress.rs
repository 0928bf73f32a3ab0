//! The bounds of the progress that tasks report.

use hub_core::Json;
use hub_core::machine::{MAXIMUM_PROGRESS, OutOfBounds};

/// Why a value cannot be a progress, as the end of a sentence. `None` if it can.
pub(crate) fn flaw(value: &Json) -> Option<String> {
    OutOfBounds::check(value, MAXIMUM_PROGRESS).err().map(|why| match why {
        OutOfBounds::TooLarge { bytes, limit } => format!("it has {bytes} bytes, the limit is {limit}"),
        OutOfBounds::TooDeep => format!("it is nested more than {} levels deep", Json::MAX_DEPTH),
        OutOfBounds::Unreadable(why) => format!("it has {why}"),
    })
}
