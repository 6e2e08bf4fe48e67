//! What headers say of waiting.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| testsmith_llm::fuzzing::rate_headers(data));
