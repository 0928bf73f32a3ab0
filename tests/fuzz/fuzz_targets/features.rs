//! Any bytes as a row of events for the machine, with jobs that use every feature.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hub_fuzz::fuzzing::check("features", bytes);
});
