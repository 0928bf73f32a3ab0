//! Any text as a string in a job's arguments or output.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hub_fuzz::fuzzing::check("reference", bytes);
});
