//! What the control socket is asked.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| testsmith_control::fuzzing::control_request(data));
