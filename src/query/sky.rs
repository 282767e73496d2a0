//! The part of the sky to which a table is restricted.

use moc::moc::range::RangeMOC;
use moc::qty::Hpx;
use moc::ranges::SNORanges;

use super::prune::{Bound, Key, Test};
use crate::backfill::Region;

/// A region, and the cells of HEALPix that cover it.
#[derive(Debug)]
pub(super) struct Sky {
    region: Region,
    cells: RangeMOC<u64, Hpx<u64>>,
}

impl Sky {
    pub(super) fn of(region: Region) -> Self {
        let cells = region.cells();
        Self { region, cells }
    }

    /// Whether a place in these cells of the finest order, both ends included, might be in it.
    pub(super) fn meets(&self, low: i64, high: i64) -> bool {
        match (u64::try_from(low), u64::try_from(high)) {
            (Ok(low), Ok(high)) => {
                self.cells.moc_ranges().intersects_range(&(low..high.saturating_add(1)))
            }
            _ => true,
        }
    }

    /// Whether a place, in degrees, is in it.
    pub(super) fn contains(&self, ra: f64, dec: f64) -> bool {
        self.region.contains(ra, dec)
    }

    /// What it says of the column of declinations.
    pub(super) fn declinations(&self, column: usize) -> [Bound; 2] {
        let (south, north) = self.region.declinations();
        // Rounding may put a place of the edge a little beyond it.
        let (south, north) = (Key::Real(south - 1e-9), Key::Real(north + 1e-9));
        [Test::AtLeast(south), Test::AtMost(north)].map(|test| Bound { column, test })
    }
}

#[cfg(test)]
mod tests {
    use cdshealpix::nested;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_cells_of_a_cone_hold_all_of_it(
            ra in 0.0..360.0_f64, sine in -1.0..1.0_f64, radius in 1e-4..120.0_f64,
            angle in 0.0..360.0_f64, part in 0.0..1.0_f64,
        ) {
            let dec = sine.asin().to_degrees();
            let cone = format!("{ra} {dec} {radius}").parse().unwrap();
            let sky = Sky::of(Region::Cone(cone));
            // A place at a part of the radius from the centre, in some direction.
            let (distance, angle) = ((radius * part).to_radians(), angle.to_radians());
            let (sin, cos) = dec.to_radians().sin_cos();
            let there = sin * distance.cos() + cos * distance.sin() * angle.cos();
            let there = there.clamp(-1.0, 1.0).asin();
            let east = (angle.sin() * distance.sin() * cos)
                .atan2(distance.cos() - sin * there.sin());
            let place = (ra + east.to_degrees()).rem_euclid(360.0);
            let cell = nested::hash(29, place.to_radians(), there).cast_signed();
            prop_assert!(sky.meets(cell, cell));
            if part < 0.999 {
                prop_assert!(sky.contains(place, there.to_degrees()));
            }
        }
    }
}
