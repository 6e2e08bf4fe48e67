//! Server-sent events, as a client of the control socket reads them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| testsmith_control::fuzzing::event_stream(data));
