//! Collects results into messages: many results per message under load, one per message when idle.

use crate::bundle::Bounds;
use crate::wire::TaskEnded;

/// Maximum number of results in a message.
const MAXIMUM_RESULTS: usize = 128;
/// Size of a result without its value, error and log, in bytes.
const OVERHEAD_BYTES: usize = 256;

/// Results that are not published yet.
///
/// Results for all slots of job ids share messages, because there is only one partition: see
/// [`crate::wire::Names::result_key`].
#[derive(Debug)]
pub(super) struct Results {
    ended: Vec<TaskEnded>,
    bounds: Bounds,
}

impl Results {
    /// `max_message_bytes` is the maximum message size of the broker, if known.
    pub(super) fn new(max_message_bytes: Option<usize>) -> Self {
        Self { ended: Vec::new(), bounds: Bounds::new(MAXIMUM_RESULTS, max_message_bytes) }
    }

    /// Adds a result.
    pub(super) fn push(&mut self, ended: TaskEnded) {
        self.ended.push(ended);
    }

    /// Removes all results, divided among messages.
    pub(super) fn take(&mut self) -> Vec<Vec<TaskEnded>> {
        self.bounds.divide(std::mem::take(&mut self.ended), size)
    }
}

/// The approximate size of a result in a message in bytes.
fn size(ended: &TaskEnded) -> usize {
    let texts =
        [ended.msg.as_deref(), ended.log.as_deref(), ended.error.as_ref().and_then(|error| error.traceback.as_deref())];
    OVERHEAD_BYTES
        + ended.data.as_ref().map_or(0, |data| data.get().len())
        + texts.into_iter().flatten().map(str::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use hub_core::machine::Outcome;
    use hub_core::{Issue, JobId, Json, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::wire::Span;

    fn ended(task: u32, data: String) -> TaskEnded {
        let issue = Issue { number: 1, incarnation: 1 }.of(JobId::new(Uuid::from_u128(1 << 64)).task(task));
        let at = Timestamp::from_millis(0);
        let outcome = Outcome::Success { data: Json::from_checked(data) };
        TaskEnded::new(issue, outcome, None, Span { started_at: at, ended_at: at })
    }

    #[test]
    fn returned_values_count_for_the_size_of_a_message() {
        let mut results = Results::new(Some(2 * OVERHEAD_BYTES + 100));
        results.push(ended(0, "1".to_owned()));
        results.push(ended(1, format!("{:?}", "x".repeat(100))));
        (2..4).for_each(|task| results.push(ended(task, "1".to_owned())));
        let ids: Vec<Vec<_>> =
            results.take().into_iter().map(|message| message.into_iter().map(|ended| ended.id).collect()).collect();
        let id = |task| ended(task, "0".to_owned()).id;
        assert_eq!(ids, [vec![id(0)], vec![id(1)], vec![id(2), id(3)]]);
        assert!(results.take().is_empty());
    }
}
