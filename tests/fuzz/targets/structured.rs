//! Files that are nearly sound: blocks and cards are right, values and sizes lie.
#![no_main]

use starmill_fuzz::{hostile, layouts, structure};

libfuzzer_sys::fuzz_target!(|file: hostile::File| {
    let bytes = file.to_bytes();
    structure::check(&bytes);
    layouts::check(&bytes);
});
