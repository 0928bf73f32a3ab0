//! Any bytes as the body of a message.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hub_fuzz::fuzzing::check("wire", bytes);
});
