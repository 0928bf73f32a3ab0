//! Runs the fuzz targets on the inputs in the repository, complete and truncated at every byte.

use std::collections::BTreeSet;
use std::path::Path;

use hub_tests::fuzzing::{TARGETS, check};
use hub_tests::root;

/// Maximum size of inputs that are truncated.
const LONGEST_CUT: usize = 1500;

/// The files of a folder, sorted.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// Runs a target on all its inputs. Returns the numbers of accepted and refused inputs.
fn try_all(target: &str, inputs: &[(String, Vec<u8>)]) -> (usize, usize) {
    let (mut understood, mut refused) = (0, 0);
    for (name, bytes) in inputs {
        // If the target panics, the captured output shows the input.
        println!("{target}/{name}");
        *if check(target, bytes) { &mut understood } else { &mut refused } += 1;
        let cuts = if bytes.len() > LONGEST_CUT { 0 } else { bytes.len() };
        for cut in 0..cuts {
            check(target, &bytes[..cut]);
        }
    }
    (understood, refused)
}

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    files(&root().join("tests/fuzz/corpus").join(target))
}

/// If all inputs were accepted or all refused, only half of the target would be tested.
#[track_caller]
fn holds(target: &str, least: usize) {
    let (understood, refused) = try_all(target, &seeds(target));
    assert!(understood >= least && refused >= least, "{target}: {understood} understood, {refused} refused");
}

#[test]
fn jobs() {
    holds("job", 5);
}

#[test]
fn references() {
    holds("reference", 5);
}

#[test]
fn messages() {
    holds("wire", 2);
}

#[test]
fn rows_of_facts() {
    holds("machine", 2);
}

#[test]
fn events_for_jobs_with_every_feature() {
    holds("features", 2);
}

/// A fuzzer needs long to find sequences of events with an effect, so random ones are tried too. `HUB_FUZZ_INPUTS` is their number.
#[test]
fn random_events_for_jobs_with_every_feature() {
    let count =
        std::env::var("HUB_FUZZ_INPUTS").map_or(1000, |count| count.parse().expect("HUB_FUZZ_INPUTS is a number"));
    let mut understood = 0;
    for seed in 0..count {
        let mut bytes = vec![0; 100 + seed % 500];
        let mut state = seed as u64;
        for byte in &mut bytes {
            // The generator SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (mixed ^ mixed >> 27).to_le_bytes()[7];
        }
        // If the target panics, the captured output shows the seed.
        println!("seed {seed}");
        understood += usize::from(check("features", &bytes));
    }
    assert!(understood * 10 >= count * 8, "only {understood} of {count} ended a job");
}

#[test]
fn the_examples_are_jobs() {
    let examples = files(&root().join("etc/jobs"));
    assert_eq!(try_all("job", &examples), (examples.len(), 0));
}

#[test]
fn every_target_has_seeds_and_a_program() {
    let known: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let fuzz = root().join("tests/fuzz");
    let folders = std::fs::read_dir(fuzz.join("corpus")).unwrap();
    let folders: BTreeSet<String> =
        folders.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(folders, known, "folders of seeds");
    for name in &known {
        let program = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("check({name:?}, bytes)")), "{name}.rs tries another target");
    }
}
