//! What a model answers in the delimiter form.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| testsmith_generate::fuzzing::delimiter_form(data));
