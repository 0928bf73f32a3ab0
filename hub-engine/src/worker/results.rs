//! Gathers results into messages: under load one message for many, when idle one for each at once.

use crate::bundle::Bounds;
use crate::wire::TaskEnded;

/// A message has so many results at most.
const MOST: usize = 128;
/// What a result takes beside what the task returned, raised and printed.
const FRAME: usize = 256;

/// Results that are not on their way yet.
///
/// Those of all slots go together, since one partition holds them all: see [`crate::wire::Names::result_key`].
#[derive(Debug)]
pub(super) struct Results {
    ended: Vec<TaskEnded>,
    bounds: Bounds,
}

impl Results {
    /// `max_message_bytes`: what the broker takes at most, where that is known.
    pub(super) fn new(max_message_bytes: Option<usize>) -> Self {
        Self { ended: Vec::new(), bounds: Bounds::new(MOST, max_message_bytes) }
    }

    /// Adds one.
    pub(super) fn push(&mut self, ended: TaskEnded) {
        self.ended.push(ended);
    }

    /// Takes all, message by message.
    pub(super) fn take(&mut self) -> Vec<Vec<TaskEnded>> {
        self.bounds.divide(std::mem::take(&mut self.ended), size)
    }
}

/// About how many bytes it takes in a message.
fn size(ended: &TaskEnded) -> usize {
    let texts =
        [ended.msg.as_deref(), ended.log.as_deref(), ended.error.as_ref().and_then(|error| error.traceback.as_deref())];
    FRAME
        + ended.data.as_ref().map_or(0, |data| data.get().len())
        + texts.into_iter().flatten().map(str::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use hub_core::machine::Outcome;
    use hub_core::{Attempt, JobId, Json, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::wire::Span;

    fn ended(task: u32, data: String) -> TaskEnded {
        let key = (JobId::new(Uuid::from_u128(1 << 64)).task(task), Attempt { attempt: 1, incarnation: 1 });
        let at = Timestamp::from_millis(0);
        let outcome = Outcome::Success { data: Json::from_checked(data) };
        TaskEnded::new(key, outcome, None, Span { started_at: at, ended_at: at })
    }

    #[test]
    fn what_a_task_returned_counts_for_the_size_of_a_message() {
        let mut results = Results::new(Some(2 * FRAME + 100));
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
