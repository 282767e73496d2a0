//! The part of a graph that gives some of its outputs.
//!
//! ONNX Runtime runs every node of a graph, even those whose results nobody asked for. Of a forward
//! model the Jacobian is most of the work, so a session for spectra alone gets a graph without it.
//! Read are the wire format of Protocol Buffers and, of ONNX's messages, the few fields that say
//! what feeds what (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>); the rest is copied.

use std::collections::HashSet;

/// Numbers of the fields that are read.
mod field {
    pub(super) const MODEL_GRAPH: u64 = 7;
    pub(super) const GRAPH_NODE: u64 = 1;
    pub(super) const GRAPH_INITIALIZER: u64 = 5;
    pub(super) const GRAPH_OUTPUT: u64 = 12;
    pub(super) const GRAPH_VALUE_INFO: u64 = 13;
    pub(super) const NODE_INPUT: u64 = 1;
    pub(super) const NODE_OUTPUT: u64 = 2;
    pub(super) const NODE_ATTRIBUTE: u64 = 5;
    pub(super) const ATTRIBUTE_GRAPH: u64 = 6;
    pub(super) const ATTRIBUTE_GRAPHS: u64 = 11;
    pub(super) const TENSOR_NAME: u64 = 8;
    pub(super) const VALUE_NAME: u64 = 1;
}

/// The model with these outputs alone, without the nodes and weights that they do not need.
///
/// `None` for what cannot be cut: bytes that are no model, a graph that lacks one of the outputs,
/// and graphs with control flow, whose inner graphs use names of the outer one.
pub(crate) fn keep_outputs(model: &[u8], outputs: &[&str]) -> Option<Vec<u8>> {
    let parts = fields(model)?;
    let graph = parts.iter().find(|part| part.number == field::MODEL_GRAPH)?;
    let graph = keep_in_graph(graph.content, outputs)?;
    let mut kept = Vec::with_capacity(model.len());
    for part in parts {
        if part.number == field::MODEL_GRAPH {
            put_varint(&mut kept, field::MODEL_GRAPH << 3 | u64::from(LENGTH_DELIMITED));
            put_varint(&mut kept, graph.len() as u64);
            kept.extend_from_slice(&graph);
        } else {
            kept.extend_from_slice(part.whole);
        }
    }
    Some(kept)
}

fn keep_in_graph(graph: &[u8], outputs: &[&str]) -> Option<Vec<u8>> {
    let parts = fields(graph)?;
    let given = parts.iter().filter(|part| part.number == field::GRAPH_OUTPUT);
    let given: Vec<_> = given.map(|part| name(part, field::VALUE_NAME)).collect::<Option<_>>()?;
    if outputs.iter().any(|output| !given.contains(&output.as_bytes())) {
        return None;
    }
    let mut needed: HashSet<&[u8]> = outputs.iter().map(|name| name.as_bytes()).collect();
    let mut keep = vec![true; parts.len()];
    // ONNX demands that nodes stand in topological order.
    for (part, keep) in parts.iter().zip(&mut keep).rev() {
        if part.number == field::GRAPH_NODE {
            let node = fields(part.content)?;
            if node.iter().any(|part| part.number == field::NODE_ATTRIBUTE && has_graph(part)) {
                return None;
            }
            let names = |number| {
                node.iter().filter(move |part| part.number == number).map(|part| part.content)
            };
            *keep = names(field::NODE_OUTPUT).any(|name| needed.contains(name));
            if *keep {
                needed.extend(names(field::NODE_INPUT));
            }
        }
    }
    let mut kept = Vec::with_capacity(graph.len());
    for (part, keep) in parts.iter().zip(keep) {
        let keep = match part.number {
            field::GRAPH_INITIALIZER => needed.contains(name(part, field::TENSOR_NAME)?),
            field::GRAPH_VALUE_INFO => needed.contains(name(part, field::VALUE_NAME)?),
            field::GRAPH_OUTPUT => {
                let name = name(part, field::VALUE_NAME)?;
                outputs.iter().any(|output| output.as_bytes() == name)
            }
            _ => keep,
        };
        if keep {
            kept.extend_from_slice(part.whole);
        }
    }
    Some(kept)
}

/// Whether an attribute holds a graph; one that cannot be read counts as such.
fn has_graph(attribute: &Field<'_>) -> bool {
    let is_graph =
        |part: &Field<'_>| matches!(part.number, field::ATTRIBUTE_GRAPH | field::ATTRIBUTE_GRAPHS);
    fields(attribute.content).is_none_or(|parts| parts.iter().any(is_graph))
}

fn name<'a>(message: &Field<'a>, number: u64) -> Option<&'a [u8]> {
    let parts = fields(message.content)?;
    parts.iter().find(|part| part.number == number).map(|part| part.content)
}

/// The wire type of texts, bytes and messages.
const LENGTH_DELIMITED: u8 = 2;

/// One field of a message.
struct Field<'a> {
    number: u64,
    /// With its tag and length, as it stands in the message.
    whole: &'a [u8],
    /// Its bytes, if it is a text, bytes or a message; else empty.
    content: &'a [u8],
}

/// The fields of a message, in order.
fn fields(message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let begin = rest;
        let tag = take_varint(&mut rest)?;
        let content = match tag & 7 {
            0 => {
                take_varint(&mut rest)?;
                &[]
            }
            1 => skip(&mut rest, 8)?,
            2 => {
                let length = take_varint(&mut rest)?;
                take(&mut rest, usize::try_from(length).ok()?)?
            }
            5 => skip(&mut rest, 4)?,
            _ => return None,
        };
        let whole = &begin[..begin.len() - rest.len()];
        fields.push(Field { number: tag >> 3, whole, content });
    }
    Some(fields)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// Passes over a number of fixed width.
fn skip<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    take(rest, length).map(|_| [].as_slice())
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push((value & 0x7f) as u8);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn forward_model() -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/forward.onnx");
        std::fs::read(path).unwrap()
    }

    fn names(model: &[u8], text: &str) -> bool {
        model.windows(text.len()).any(|window| window == text.as_bytes())
    }

    #[test]
    fn the_jacobian_is_cut_out_and_the_flux_stays() {
        let whole = forward_model();
        let cut = keep_outputs(&whole, &["flux"]).unwrap();
        assert!(cut.len() < whole.len());
        for gone in ["jacobian", "slope", "tangent"] {
            assert!(names(&whole, gone) && !names(&cut, gone), "{gone}");
        }
        for stays in ["flux", "Gemm", "Sigmoid", "labels"] {
            assert!(names(&cut, stays), "{stays}");
        }
        assert_eq!(keep_outputs(&cut, &["flux"]).unwrap(), cut);
    }

    #[test]
    fn a_graph_of_which_all_is_wanted_stays_as_it_is() {
        let whole = forward_model();
        assert_eq!(keep_outputs(&whole, &["flux", "jacobian"]).unwrap(), whole);
    }

    #[test]
    fn what_is_cut_off_is_no_model() {
        let whole = forward_model();
        for length in [1, 40, whole.len() / 2, whole.len() - 1] {
            assert!(keep_outputs(&whole[..length], &["flux"]).is_none(), "{length}");
        }
    }

    #[test]
    fn a_graph_without_the_output_is_left_to_others_to_refuse() {
        assert!(keep_outputs(&forward_model(), &["spectrum"]).is_none());
    }

    proptest! {
        #[test]
        fn a_number_is_read_as_it_was_written(value: u64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_varint(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn changed_bytes_are_no_reason_to_panic(at in 0..2000usize, byte: u8) {
            let mut model = forward_model();
            let at = at % model.len();
            model[at] = byte;
            let _ = keep_outputs(&model, &["flux"]);
        }
    }
}
