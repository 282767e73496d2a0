//! Names of files: a list on a stream, and how a name is written into the catalogue.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use starmill::catalogue::path_text;
use starmill::input::{MAX_NAME, Names};
use starmill_fuzz::budget::{self, SLACK};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = path_text(Path::new(OsStr::from_bytes(bytes)));
    assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
    assert_eq!(unescaped(&text), bytes, "{text:?} is no single name");

    budget::within(8 * bytes.len() + 4 * MAX_NAME + SLACK, || {
        // A buffer of one byte is the hardest to read from.
        let small = std::io::BufReader::with_capacity(1, bytes);
        let mut expected = bytes
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty());
        for (name, again) in Names::new(bytes).zip(Names::new(small)) {
            assert_eq!(name, again);
            let line = expected.next().expect("no more names than lines");
            match name {
                Ok(name) => assert_eq!(name.as_os_str().as_bytes(), line),
                Err(reject) => assert!(line.len() > MAX_NAME, "{reject}"),
            }
        }
        assert_eq!(expected.next(), None, "a line is lost");
    });
});

/// What the documentation of the column says: `%` and two digits stand for a byte.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut name = Vec::new();
    while let Some(byte) = bytes.next() {
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        name.push(match byte {
            b'%' => {
                let (high, low) = (digit().expect("two digits"), digit().expect("two digits"));
                u8::try_from(16 * high + low).expect("two digits make a byte")
            }
            byte => byte,
        });
    }
    name
}
