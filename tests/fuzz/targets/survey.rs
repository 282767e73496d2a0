//! Any bytes as a survey's file: recognise, count, read, prepare.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| starmill_fuzz::layouts::check(bytes));
