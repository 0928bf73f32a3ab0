//! Any bytes as a job.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hub_fuzz::fuzzing::check("job", bytes);
});
