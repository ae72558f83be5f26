//! See `entry::frame`.
#![no_main]

#[allow(dead_code)] // each target runs one entry
#[path = "../entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::frame(data));
