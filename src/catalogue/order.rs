//! In which order a merged segment got the contents of a path that changed. Of several contents the
//! newest counts, and a ledger that is rebuilt knows of them what the segments say.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::input::Digest;
use crate::ledger::Input;

/// An input of a path that had several contents.
#[derive(Serialize, Deserialize, PartialEq, Eq, Hash)]
struct Changed {
    path: String,
    blake3: String,
    first: usize,
}

impl Changed {
    fn of(input: &Input) -> Self {
        let Input { path, digest, first, .. } = input;
        Self { path: path.clone(), blake3: digest.to_string(), first: *first }
    }
}

/// What a segment of these inputs, in the order of their commits, has to note; `None` if no path of
/// them changed, which is the common case.
pub(super) fn note(committed: &[Input]) -> Option<String> {
    let mut contents: HashMap<&str, Digest> = HashMap::new();
    let mut changed: HashSet<&str> = HashSet::new();
    for Input { path, digest, .. } in committed {
        if contents.insert(path, *digest).is_some_and(|before| before != *digest) {
            changed.insert(path);
        }
    }
    let inputs = committed.iter().filter(|input| changed.contains(input.path.as_str()));
    let inputs: Vec<Changed> = inputs.map(Changed::of).collect();
    (!inputs.is_empty()).then(|| serde_json::to_string(&inputs).unwrap_or_default())
}

/// Brings inputs into the order of a note; `None` if it is none.
pub(super) fn restore(inputs: &mut [Input], note: &str) -> Option<()> {
    let changed: Vec<Changed> = serde_json::from_str(note).ok()?;
    let places: HashMap<Changed, usize> =
        changed.into_iter().enumerate().map(|(place, input)| (input, place)).collect();
    // Inputs that are not named come first: their order means nothing.
    inputs.sort_by_cached_key(|input| places.get(&Changed::of(input)).copied());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(path: &str, content: &[u8], first: usize) -> Input {
        Input { path: path.into(), digest: Digest::of(content), first, spectra: 1, total: 2 }
    }

    #[test]
    fn paths_that_never_changed_need_no_note() {
        assert_eq!(note(&[]), None);
        assert_eq!(note(&[input("a", b"a", 0), input("a", b"a", 1), input("b", b"b", 0)]), None);
    }

    #[test]
    fn the_order_of_contents_comes_back() {
        let committed = [
            input("a", b"new", 0),
            input("b", b"b", 0),
            input("a", b"old", 1),
            input("a", b"old", 0),
        ];
        let note = note(&committed).unwrap();
        for mut inputs in [committed.clone(), { committed.clone() }.map(|input| input)] {
            inputs.sort();
            restore(&mut inputs, &note).unwrap();
            let order = [1, 0, 2, 3].map(|place| committed[place].clone());
            assert_eq!(inputs, order);
        }
        assert!(restore(&mut [], "no note").is_none());
    }
}
