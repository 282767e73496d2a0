//! Thin adaptors between the science of this crate and the flow of `starmill_actors`.

mod counters;
mod desk;
mod infer;
mod list;
mod parts;
mod persevere;
mod prepare;
mod rack;
mod read;
mod reading;
mod write;

pub use counters::{Counters, Tally};
pub use desk::Desk;
pub use infer::Infer;
pub use list::{FileTask, List};
pub use persevere::Persevere;
pub use prepare::{Prepare, check_survey};
pub use rack::{OpenCatalogue, Opened, Rack, Taken};
pub use read::{NightOf, Promote, Read};
pub use reading::{MEASURED, Reading, Source};
pub use write::{CommitRule, Witness, Write};

use starmill_actors::Payload;

use crate::outcome::{Estimate, Item};
use crate::prep::Prepared;
use crate::reject::Code;
use crate::spectrum::Spectrum;

/// Bytes that a content keeps alive beside the item itself.
trait HeapBytes {
    fn heap_bytes(&self) -> usize;
}

impl HeapBytes for Spectrum {
    fn heap_bytes(&self) -> usize {
        self.bytes()
    }
}

impl HeapBytes for Prepared {
    fn heap_bytes(&self) -> usize {
        (self.input.len() + self.native.len()) * size_of::<f32>()
    }
}

impl HeapBytes for Estimate {
    fn heap_bytes(&self) -> usize {
        let Self { values, errors, vectors, .. } = self;
        (values.len() + errors.len() + vectors.len()) * size_of::<f32>()
    }
}

/// What an identity and the file's name take, roughly: a dozen short strings.
const IDENTITY_BYTES: usize = 1024;

/// What an item takes beside its content.
pub const ITEM_BYTES: usize = size_of::<Item<Prepared>>() + IDENTITY_BYTES;

impl<T: HeapBytes + Send + 'static> Payload for Item<T> {
    fn bytes(&self) -> usize {
        let content = self.content.as_ref().map_or(0, HeapBytes::heap_bytes);
        size_of::<Self>() + IDENTITY_BYTES + content
    }
}

/// What stands for an item at which a worker panicked: a reject, so that it is accounted for.
fn poisoned<T, U>(item: &Item<T>, panic: &str) -> Item<U> {
    item.rejected(Code::POISON.because(format!("a worker panicked: {panic}")))
}
