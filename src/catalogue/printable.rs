//! Texts in a form that FITS can hold, printable ASCII, from which they can be had back.

use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A file name as text: whatever its bytes, two different names stay different.
pub fn path_text(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes(), |_| true)
}

/// The file name that [`path_text`] wrote; `None` if it did not.
pub fn path_of_text(text: &str) -> Option<PathBuf> {
    unescape(text.as_bytes(), |_| None).map(|bytes| OsString::from_vec(bytes).into())
}

/// A sentence as text. It is for people, so a per cent sign stays what it is unless two digits
/// behind it would make it look like an escaped byte.
pub(crate) fn note_text(note: &str) -> String {
    escape(note.as_bytes(), |after| byte_of(after).is_some())
}

/// The sentence that `note_text` wrote, or that earlier versions did, which escaped every per cent
/// sign.
pub fn note_of_text(text: &str) -> String {
    let bytes = unescape(text.as_bytes(), Some).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes what is not printable as `%XX`, and a per cent sign if what follows it asks for that.
fn escape(bytes: &[u8], is_mistaken: impl Fn(&[u8]) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for (place, &byte) in bytes.iter().enumerate() {
        let is_plain = match byte {
            b'%' => !is_mistaken(&bytes[place + 1..]),
            _ => (b' '..=b'~').contains(&byte),
        };
        if is_plain {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The bytes of a text. `lone` says what to make of a per cent sign without two digits.
fn unescape(mut text: &[u8], lone: impl Fn(u8) -> Option<u8>) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    while let [first, after @ ..] = text {
        let escaped = if *first == b'%' { byte_of(after) } else { None };
        text = &after[if escaped.is_some() { 2 } else { 0 }..];
        bytes.push(match escaped {
            Some(byte) => byte,
            None if *first == b'%' => lone(*first)?,
            None => *first,
        });
    }
    Some(bytes)
}

/// The byte that two digits in front stand for.
fn byte_of(digits: &[u8]) -> Option<u8> {
    let digits = digits.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_files_become_printable_and_stay_different() {
        let text = |name: &str| path_text(Path::new(name));
        assert_eq!(text("a[1].fits"), "a[1].fits");
        assert_eq!(text("a\nb%.fits"), "a%0Ab%25.fits");
        assert_eq!(text("\u{e9}.fits"), "%C3%A9.fits");
        for name in ["a[1].fits", "a\nb%.fits", "\u{e9}.fits", ""] {
            assert_eq!(path_of_text(&text(name)).as_deref(), Some(Path::new(name)));
        }
        for text in ["a%", "a%zz", "a%+1"] {
            assert_eq!(path_of_text(text), None);
        }
    }

    #[test]
    fn a_per_cent_sign_of_a_sentence_is_readable() {
        let allowed = "812 of 3900 pixels are unusable, the recipe allows 20 %";
        assert_eq!(note_text(allowed), allowed);
        assert_eq!(note_text("name%20with\n5%, %"), "name%2520with%0A5%, %");
        // As earlier versions wrote it.
        assert_eq!(note_of_text("the recipe allows 20 %25"), "the recipe allows 20 %");
    }

    proptest! {
        #[test]
        fn a_sentence_comes_back(note in "[%0-9A-Fa-f\n\u{e9} ]{0,12}") {
            let text = note_text(&note);
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(note_of_text(&text), note);
        }
    }
}
