//! Any bytes as a row of facts for the machine.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hub_fuzz::fuzzing::check("machine", bytes);
});
