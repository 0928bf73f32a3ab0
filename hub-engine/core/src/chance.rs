//! Chance that a replay repeats: a hash of what is decided.

use crate::TaskId;

/// A number from 0 to 1, excluding 1, for the decision `purpose` about a task that has failed `failures` times. Evenly
/// distributed over tasks, failures and purposes.
pub(crate) fn chance(task: TaskId, failures: u32, purpose: &str) -> f64 {
    let id = task.uuid();
    let bytes = id.as_bytes().iter().copied().chain(failures.to_be_bytes()).chain(purpose.bytes());
    // The 53 bits that a fraction has.
    (hash(bytes) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A hash that is the same in every version of Hub.
pub(crate) fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    // FNV-1a, whose upper bits depend little on the last bytes: the finalizer of SplitMix64 mixes them.
    let mut hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::JobId;

    #[test]
    fn chance_is_even_and_repeatable() {
        let job = JobId::new(Uuid::from_u128(7));
        let drawn: Vec<f64> = (0..10_000).map(|index| chance(job.task(index % 100), index / 100, "retry")).collect();
        assert!(drawn.iter().all(|number| (0.0..1.0).contains(number)));
        for tenth in 0..10 {
            let count = drawn.iter().filter(|number| (*number * 10.0) as i32 == tenth).count();
            assert!((850..1150).contains(&count), "{count} of 10,000 in tenth {tenth}");
        }
        assert_eq!(drawn[0].to_bits(), chance(job.task(0), 0, "retry").to_bits());
        assert_ne!(drawn[0].to_bits(), chance(job.task(0), 0, "other").to_bits());
    }
}
