//! A configuration file.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| testsmith_config::fuzzing::configuration(data));
