//! See `entry::packed`.
#![no_main]

#[allow(dead_code)] // each target runs one entry
#[path = "../entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::packed(data));
