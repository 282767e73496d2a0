//! Any bytes as FITS: headers, images, tables.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| starmill_fuzz::structure::check(bytes));
