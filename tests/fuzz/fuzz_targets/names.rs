//! libFuzzer on `nomic_fuzz::names`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nomic_fuzz::names(data));
