//! How much of a file must be inflated when only the sum of its exposures is taken: in LAMOST's
//! medium-resolution files both arms of it lie in the first fifth.

use super::lamost_mrs::{Held, held};
use crate::fits::{Extent, Value};
use crate::input::Need;

/// Bytes in which the next header, of some ninety cards, should end.
const HEADER: usize = 24 << 10;

/// What a file must show before the sum can be read from it: both arms to their last byte, or one where
/// `COMBIN_B` or `COMBIN_R` is F, so that there is no other. Of any other file all is needed.
pub fn need_of_coadd(bytes: &[u8]) -> Need {
    // Whether nothing more is to come of this arm.
    let (mut blue, mut red) = (false, false);
    let mut start = 0_usize;
    for hdu in 0.. {
        let Some(rest) = bytes.get(start..).filter(|rest| !rest.is_empty()) else {
            return Need::Bytes(start.saturating_add(HEADER));
        };
        let extent = match Extent::of(rest, hdu) {
            Ok(Some(extent)) => extent,
            Ok(None) => return Need::Bytes(bytes.len() + HEADER),
            Err(_) => return Need::Whole,
        };
        start = start.saturating_add(extent.length);
        if hdu == 0 {
            let lacks = |keyword| extent.header.value(keyword) == Some(Value::Logical(false));
            (blue, red) = (lacks("COMBIN_B"), lacks("COMBIN_R"));
            continue;
        }
        let name = extent.header.text("EXTNAME").unwrap_or_default();
        if held(&name) != Some(Held::Coadd) {
            return Need::Whole;
        }
        let arm = if name.ends_with('B') { &mut blue } else { &mut red };
        *arm = true;
        if blue && red {
            return if start <= bytes.len() { Need::Enough(start) } else { Need::Bytes(start) };
        }
    }
    Need::Whole
}
