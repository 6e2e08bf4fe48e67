//! A test file in JavaScript, and what is written into it.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| testsmith_lang::fuzzing::blocks_javascript(data));
