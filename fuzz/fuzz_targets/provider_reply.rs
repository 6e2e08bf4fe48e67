//! What a model server replies, streams that nobody asked for included.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| testsmith_llm::fuzzing::provider_reply(data));
