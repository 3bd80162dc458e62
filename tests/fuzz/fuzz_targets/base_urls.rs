//! libFuzzer on `nomic_fuzz::base_urls`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nomic_fuzz::base_urls(data));
