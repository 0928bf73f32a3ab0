//! Numbers of tasks by status.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::TaskStatus;

/// Numbers of tasks by status. In JSON an object without those that are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts([u32; TaskStatus::ALL.len()]);

impl StatusCounts {
    /// Counts tasks with these statuses.
    pub fn of(statuses: impl IntoIterator<Item = TaskStatus>) -> Self {
        let mut counts = Self::default();
        statuses.into_iter().for_each(|status| counts.0[status as usize] += 1);
        counts
    }

    /// The statuses and the numbers that are not 0.
    pub fn iter(&self) -> impl Iterator<Item = (TaskStatus, u32)> + '_ {
        TaskStatus::ALL.into_iter().map(|status| (status, self.0[status as usize])).filter(|(_, count)| *count > 0)
    }
}

impl Serialize for StatusCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (status, count) in self.iter() {
            map.serialize_entry(status.as_str(), &count)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_an_object_without_zeros() {
        let counts = StatusCounts::of([TaskStatus::Success, TaskStatus::Pending, TaskStatus::Success]);
        assert_eq!(serde_json::to_string(&counts).unwrap(), r#"{"PENDING":1,"SUCCESS":2}"#);
    }
}
