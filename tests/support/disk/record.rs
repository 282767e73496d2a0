//! The record that `layer.c` writes.

use std::fs;
use std::path::Path;

/// One change that a program made below the recorded folder, or a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was changed, relative to the recorded folder; empty for that folder itself.
    pub path: String,
    /// How.
    pub change: Change,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An empty file came to be.
    Create,
    /// A file got this size.
    Truncate(usize),
    /// Bytes were written at an offset.
    Write(usize, Vec<u8>),
    /// The file or folder was synced, and the sync has returned.
    Sync,
    /// It got another name in the same folder.
    Rename(String),
    /// It was removed.
    Remove,
    /// An empty folder came to be.
    MakeFolder,
}

/// Reads a whole record. A program that was killed may leave half a step at the end.
pub fn read(log: &Path) -> Vec<Step> {
    let bytes = fs::read(log).expect("the record");
    let mut rest = bytes.as_slice();
    let mut steps = Vec::new();
    while let Some(step) = next(&mut rest) {
        steps.push(step);
    }
    steps
}

fn next(rest: &mut &[u8]) -> Option<Step> {
    let kind = *rest.first()?;
    let path_length = u32::from_le_bytes(rest.get(1..5)?.try_into().ok()?) as usize;
    let number = |at: usize| -> Option<usize> {
        usize::try_from(u64::from_le_bytes(rest.get(at..at + 8)?.try_into().ok()?)).ok()
    };
    let (offset, length) = (number(5)?, number(13)?);
    let path = rest.get(21..21 + path_length)?;
    let data = rest.get(21 + path_length..21 + path_length + length)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a plain name");
    let change = match kind {
        b'c' => Change::Create,
        b't' => Change::Truncate(offset),
        b'w' => Change::Write(offset, data.to_vec()),
        b's' => Change::Sync,
        b'r' => Change::Rename(text(data)),
        b'u' => Change::Remove,
        b'm' => Change::MakeFolder,
        _ => panic!("{} of {}: the model does not know this change", text(data), text(path)),
    };
    let step = Step { path: text(path), change };
    *rest = &rest[21 + path_length + length..];
    Some(step)
}
