//! Maps by ids and sets of ids, with a hash function that takes a tenth of the time of the default one.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

/// A map by ids.
pub type IdMap<Id, Value> = HashMap<Id, Value, IdHashing>;

/// A set of ids.
pub type IdSet<Id> = HashSet<Id, IdHashing>;

/// Hashes ids with random keys, because clients choose ids and could choose those with the same hash.
#[derive(Clone, Debug)]
pub struct IdHashing {
    keys: [u64; 2],
}

/// The hash of one id.
#[derive(Clone, Debug)]
pub struct IdHasher {
    keys: [u64; 2],
    hash: u64,
}

impl Default for IdHashing {
    fn default() -> Self {
        let random = RandomState::new();
        Self { keys: [random.hash_one(0), random.hash_one(1)] }
    }
}

impl BuildHasher for IdHashing {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { keys: self.keys, hash: 0 }
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for block in bytes.chunks(2 * size_of::<u64>()) {
            let (first, second) = block.split_at(block.len().min(size_of::<u64>()));
            self.mix(number(first), number(second));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into(), 0);
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number, 0);
    }

    fn write_u128(&mut self, number: u128) {
        self.mix(number as u64, (number >> u64::BITS) as u64);
    }

    /// The length of an id is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.hash
    }
}

impl IdHasher {
    /// The two halves of a product of 128 bits: each bit of the numbers has an effect on all bits of the hash.
    fn mix(&mut self, first: u64, second: u64) {
        let [key, other] = self.keys;
        let product = u128::from(first ^ key ^ self.hash) * u128::from(second ^ other);
        self.hash = (product as u64) ^ (product >> u64::BITS) as u64;
    }
}

/// Up to eight bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    let mut padded = [0; size_of::<u64>()];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(padded)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::JobId;

    /// Ids that differ in a few bits at any place.
    fn similar_ids() -> Vec<JobId> {
        (0..121).flat_map(|shift| (0..128_u128).map(move |low| JobId::new(Uuid::from_u128(low << shift)))).collect()
    }

    #[test]
    fn similar_ids_have_different_hashes() {
        let hashing = IdHashing::default();
        let ids: HashSet<JobId> = similar_ids().into_iter().collect();
        let hashes: HashSet<u64> = ids.iter().map(|id| hashing.hash_one(id)).collect();
        assert_eq!(hashes.len(), ids.len());
        let families: HashSet<_> = ids.iter().map(|id| id.family()).collect();
        let hashes: HashSet<u64> = families.iter().map(|family| hashing.hash_one(family)).collect();
        assert_eq!(hashes.len(), families.len());
    }

    /// A map takes the place from the last bits of a hash, and compares the first ones.
    #[test]
    fn hashes_of_similar_ids_differ_at_both_ends() {
        let hashing = IdHashing::default();
        let ids: HashSet<JobId> = similar_ids().into_iter().collect();
        for shift in [0, u64::BITS - 10] {
            let mut counts = [0_usize; 1024];
            ids.iter().for_each(|id| counts[(hashing.hash_one(id) >> shift) as usize % 1024] += 1);
            let mean = ids.len() / counts.len();
            assert!(counts.iter().all(|count| *count < 8 * mean), "{counts:?}");
        }
    }

    #[test]
    fn each_map_has_other_keys() {
        assert_ne!(IdHashing::default().keys, IdHashing::default().keys);
    }
}
