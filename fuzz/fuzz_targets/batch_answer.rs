//! What a model answers to a batch.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| testsmith_generate::fuzzing::batch_answer(data));
