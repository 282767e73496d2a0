//! gzip and zstd: bytes as they are, and files compressed from a description, then damaged.
#![no_main]

use libfuzzer_sys::arbitrary::Unstructured;
use starmill_fuzz::compressed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((b'd', description)) => {
            if let Ok(file) = Unstructured::new(description).arbitrary() {
                compressed::check(&file);
            }
        }
        _ => {
            let _ = compressed::read_twice(bytes);
        }
    }
});
