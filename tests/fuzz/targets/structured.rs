//! Files that are nearly sound: blocks and cards are right, values and sizes lie.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use starmill_fuzz::{arms, hostile, layouts, structure};

#[derive(Debug, Arbitrary)]
enum File {
    OneSpectrum(hostile::File),
    TwoArms(arms::File),
}

libfuzzer_sys::fuzz_target!(|file: File| {
    let bytes = match file {
        File::OneSpectrum(file) => file.to_bytes(),
        File::TwoArms(file) => file.to_bytes(),
    };
    structure::check(&bytes);
    layouts::check(&bytes);
});
