//! A Sobol sequence: points that fill a box evenly, however many of them there are.
//!
//! Direction numbers: Joe and Kuo 2008, SIAM J. Sci. Comput. 30, 2635, their file
//! `new-joe-kuo-6.21201`, of which the first dimensions are here. The points are made in the order
//! of Antonov and Saleev. All of them are shifted by the same random bits (a digital shift, Owen
//! 2003), which keeps them as even and lets a seed choose.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The bits of a coordinate, and of the number of a point.
const BITS: usize = 32;

/// Primitive polynomial (its coefficients as bits, the constant one included) and first direction
/// numbers of each dimension after the first.
const JOE_KUO: [(u32, &[u32]); Sobol::DIMENSIONS - 1] = [
    (3, &[1]),
    (7, &[1, 3]),
    (11, &[1, 3, 1]),
    (13, &[1, 1, 1]),
    (19, &[1, 1, 3, 3]),
    (25, &[1, 3, 5, 13]),
    (37, &[1, 1, 5, 5, 17]),
    (41, &[1, 1, 5, 5, 5]),
    (47, &[1, 1, 7, 11, 19]),
    (55, &[1, 1, 5, 1, 1]),
    (59, &[1, 1, 1, 3, 11]),
    (61, &[1, 3, 5, 5, 31]),
    (67, &[1, 3, 3, 9, 7, 49]),
    (91, &[1, 1, 1, 15, 21, 21]),
    (97, &[1, 3, 1, 13, 27, 49]),
    (103, &[1, 1, 1, 15, 7, 5]),
    (109, &[1, 3, 1, 15, 13, 25]),
    (115, &[1, 1, 5, 5, 19, 61]),
    (131, &[1, 3, 7, 11, 23, 15, 103]),
    (137, &[1, 3, 7, 13, 13, 15, 69]),
    (143, &[1, 1, 3, 13, 7, 35, 63]),
    (145, &[1, 3, 5, 9, 1, 25, 53]),
    (157, &[1, 3, 1, 13, 9, 35, 107]),
    (167, &[1, 3, 1, 5, 27, 61, 31]),
    (171, &[1, 1, 5, 11, 19, 41, 61]),
    (185, &[1, 3, 5, 3, 3, 13, 69]),
    (191, &[1, 1, 7, 13, 1, 19, 1]),
    (193, &[1, 3, 7, 5, 13, 19, 59]),
    (203, &[1, 1, 3, 9, 25, 29, 41]),
    (211, &[1, 3, 5, 13, 23, 1, 55]),
    (213, &[1, 3, 7, 3, 13, 59, 17]),
];

/// The points of a sequence, one after another.
#[derive(Debug, Clone)]
pub struct Sobol {
    directions: Vec<[u32; BITS]>,
    shift: Vec<u32>,
    state: Vec<u32>,
    next: u32,
}

impl Sobol {
    /// The most dimensions.
    pub const DIMENSIONS: usize = 32;
    /// The most points.
    pub const POINTS: u64 = 1 << BITS;

    /// A sequence of so many dimensions, at most [`Self::DIMENSIONS`], with the shift of a seed.
    pub fn new(dimensions: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let dimensions = dimensions.min(Self::DIMENSIONS);
        Self {
            directions: (0..dimensions).map(directions).collect(),
            shift: (0..dimensions).map(|_| random.next_u32()).collect(),
            state: vec![0; dimensions],
            next: 0,
        }
    }

    /// The next point, each coordinate from 0 to 1 without 1.
    pub fn point(&mut self) -> impl Iterator<Item = f64> {
        if self.next > 0 {
            // The bit in which the Gray code of this number differs from that of the one before.
            let bit = self.next.trailing_zeros() as usize;
            for (state, directions) in self.state.iter_mut().zip(&self.directions) {
                *state ^= directions[bit];
            }
        }
        self.next = self.next.wrapping_add(1);
        let shifted = self.state.iter().zip(&self.shift).map(|(state, shift)| state ^ shift);
        shifted.map(|bits| f64::from(bits) / Self::POINTS as f64)
    }
}

/// The direction numbers of a dimension, each with its point before the highest bit.
fn directions(dimension: usize) -> [u32; BITS] {
    let mut numbers = [0; BITS];
    let Some(&(polynomial, first)) = dimension.checked_sub(1).and_then(|at| JOE_KUO.get(at)) else {
        return std::array::from_fn(|bit| 1 << (BITS - 1 - bit));
    };
    let degree = first.len();
    for bit in 0..BITS {
        numbers[bit] = if let Some(number) = first.get(bit) {
            number << (BITS - 1 - bit)
        } else {
            let mut number = numbers[bit - degree] ^ (numbers[bit - degree] >> degree);
            for term in 1..degree {
                if polynomial >> (degree - term) & 1 == 1 {
                    number ^= numbers[bit - term];
                }
            }
            number
        };
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unshifted(dimensions: usize) -> Sobol {
        Sobol { shift: vec![0; dimensions], ..Sobol::new(dimensions, 0) }
    }

    /// Written by `scipy.stats.qmc.Sobol(32, scramble=False, bits=32)`, times 2^32.
    #[test]
    #[expect(clippy::cast_sign_loss, reason = "coordinates are not negative")]
    fn the_points_are_those_of_scipy() {
        let mut sequence = unshifted(32);
        let points: Vec<Vec<u32>> = (0..4096)
            .map(|_| sequence.point().map(|x| (x * 4_294_967_296.0) as u32).collect())
            .collect();
        let check = |point: usize, dimensions: [usize; 5], expected: [u32; 5]| {
            assert_eq!(dimensions.map(|dimension| points[point][dimension]), expected, "{point}");
        };
        let first = [0, 1, 2, 5, 31];
        check(0, first, [0; 5]);
        check(1, first, [1 << 31; 5]);
        check(
            2,
            first,
            [3_221_225_472, 1_073_741_824, 1_073_741_824, 3_221_225_472, 1_073_741_824],
        );
        check(5, first, [3_758_096_384, 3_758_096_384, 536_870_912, 2_684_354_560, 2_684_354_560]);
        let some = [0, 1, 7, 20, 31];
        check(1000, some, [943_718_400, 415_236_096, 3_862_953_984, 2_243_952_640, 624_951_296]);
        check(4095, some, [1_048_576, 4_042_260_480, 1_678_770_176, 969_932_800, 376_438_784]);
    }

    #[test]
    #[expect(clippy::cast_sign_loss, reason = "coordinates are not negative")]
    fn every_dimension_is_filled_evenly_whatever_the_seed() {
        for seed in [0, 1, u64::MAX] {
            let mut sequence = Sobol::new(Sobol::DIMENSIONS, seed);
            let mut seen = vec![[0; 256]; Sobol::DIMENSIONS];
            for _ in 0..1024 {
                for (dimension, x) in sequence.point().enumerate() {
                    seen[dimension][(x * 256.0) as usize] += 1;
                }
            }
            assert!(seen.iter().flatten().all(|&count| count == 4), "{seed}");
        }
    }

    #[test]
    fn a_seed_chooses_the_points() {
        let first = |seed| Sobol::new(3, seed).point().collect::<Vec<_>>();
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }
}
