//! The Gaussian normalisation of Ho et al. 2017, which Ting et al. 2017 (section 3) follow, applied
//! alike to data and model.
//!
//! There spectra are divided by themselves smoothed with a Gaussian of 5 nm FWHM. Masked and noisy
//! pixels change the smoothed data, so the model has to be smoothed with the same weights: `S` is the
//! mean under the kernel with the weights of the data. Data `d / S(d)` are compared with `m / S(m)`:
//! that is to say `d` with `m S(d) / S(m)`, the model times a smooth continuum. A model that was
//! normalised before is not hurt: whatever smooth curve it was divided by cancels.
//!
//! A continuum that falls within the kernel favours the lines at its upper end. So the data are
//! first divided by its broad shape, a polynomial of one degree for every ten FWHM through `S(d) /
//! S(m)` of the starting point. It must not follow anything as narrow as the kernel: that would
//! distort the lines instead.
//!
//! `S(d) / S(m)` holds nothing narrower than the kernel, so it is computed at nodes, four to each
//! FWHM, and interpolated between them with cubic polynomials. The weights' own sums cancel in it.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::lanes::{LANES, Lanes, dot_double, in_vectors, sum};

/// Nodes in the full width at half maximum of the kernel.
const NODES_IN_FWHM: f64 = 4.0;
/// Where the kernel ends, in standard deviations.
const REACH: f64 = 4.0;
/// Widths of the kernel for each degree of the broad shape, and the most degrees.
const FWHM_IN_DEGREE: f64 = 10.0;
const MOST_DEGREES: usize = 12;

/// Sums under the kernel for the pixels of one grid of wavelengths.
#[derive(Debug, Clone)]
pub(super) struct Smoother {
    wave: Vec<f64>,
    /// The wavelengths of the nodes.
    nodes: Vec<f64>,
    fwhm: f64,
    kernels: Vec<Kernel>,
    /// The first of the four nodes around each pixel, and their weights.
    around: Vec<(usize, [f64; 4])>,
}

/// The kernel of a node, at the pixels that it reaches.
#[derive(Debug, Clone)]
struct Kernel {
    first_pixel: usize,
    weights: Vec<f32>,
}

impl Smoother {
    /// Prepares a kernel of this FWHM in Angstrom for increasing wavelengths.
    pub(super) fn new(wave: &[f64], fwhm: f64) -> Self {
        let spacing = fwhm / NODES_IN_FWHM;
        let sigma = fwhm / (8.0 * std::f64::consts::LN_2).sqrt();
        // Nodes are at multiples of their spacing, so that they stay where they are if the first
        // or the last pixel is taken away.
        let index = |wave: f64| (wave / spacing).floor();
        let first = index(wave[0]) - 1.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a spectrum holds at most some hundred thousand pixels in increasing order"
        )]
        let offset = |wave: f64| (index(wave) - first) as usize;
        let nodes = offset(wave[wave.len() - 1]) + 3;
        let place = |node: usize| (first + node as f64) * spacing;
        #[expect(clippy::cast_possible_truncation, reason = "weights are between 0 and 1")]
        let kernels = (0..nodes)
            .map(|node| {
                let middle = place(node);
                let start = wave.partition_point(|&w| w < middle - REACH * sigma);
                let end = wave.partition_point(|&w| w <= middle + REACH * sigma);
                let weight = |wave: &f64| {
                    let distance = (wave - middle) / sigma;
                    (-0.5 * distance * distance).exp() as f32
                };
                let weights = wave[start..end].iter().map(weight).collect();
                Kernel { first_pixel: start, weights }
            })
            .collect();
        let around = wave
            .iter()
            .map(|&wave| {
                let node = offset(wave);
                (node - 1, cubic((wave - place(node)) / spacing))
            })
            .collect();
        let nodes = (0..nodes).map(place).collect();
        Self { wave: wave.to_vec(), nodes, fwhm, kernels, around }
    }

    pub(super) fn wave(&self) -> &[f64] {
        &self.wave
    }

    /// The broad shape of a curve on nodes, at each pixel; nodes without weight or
    /// beyond the pixels do not count.
    pub(super) fn broad(&self, curve: &[f64], weights: &[f64]) -> Vec<f64> {
        let (first, last) = (self.nodes[0], self.nodes[self.nodes.len() - 1]);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number of a few"
        )]
        let degree = ((last - first) / (FWHM_IN_DEGREE * self.fwhm)).clamp(1.0, MOST_DEGREES as f64)
            as usize;
        let basis = |wave: f64| legendre(2.0 * (wave - first) / (last - first) - 1.0);
        let mut matrix = DMatrix::zeros(degree + 1, degree + 1);
        let mut vector = DVector::zeros(degree + 1);
        for ((&wave, value), &weight) in self.nodes.iter().zip(curve).zip(weights) {
            let is_inside = (self.wave[0]..=self.wave[self.wave.len() - 1]).contains(&wave);
            if is_inside && weight > 0.0 {
                let basis = DVector::from_row_slice(&basis(wave)[..=degree]);
                matrix += &basis * basis.transpose();
                vector += basis * *value;
            }
        }
        let Some(factors) = Cholesky::new(matrix) else { return vec![0.0; self.wave.len()] };
        let shape = factors.solve(&vector);
        let value = |wave: f64| basis(wave).iter().zip(&shape).map(|(a, b)| a * b).sum();
        self.wave.iter().map(|&wave| value(wave)).collect()
    }

    /// Sums of pixels under the kernel at each node.
    pub(super) fn sum(&self, pixels: &[f64], nodes: &mut Vec<f64>) {
        nodes.resize(self.kernels.len(), 0.0);
        in_vectors(|| {
            for (node, Kernel { first_pixel, weights }) in nodes.iter_mut().zip(&self.kernels) {
                *node = dot_double(weights, &pixels[*first_pixel..][..weights.len()]);
            }
        });
    }

    /// The same with the square of the kernel.
    pub(super) fn sum_squared(&self, pixels: &[f64]) -> Vec<f64> {
        let sums = self.kernels.iter().map(|Kernel { first_pixel, weights }| {
            let pairs = weights.iter().zip(&pixels[*first_pixel..]);
            pairs.map(|(&weight, pixel)| f64::from(weight * weight) * pixel).sum()
        });
        sums.collect()
    }

    /// The same of sixteen values at once, `width` such for each pixel.
    pub(super) fn sum_lanes(&self, pixels: &[Lanes], width: usize, nodes: &mut Vec<Lanes>) {
        nodes.resize(self.kernels.len() * width, [0.0; LANES]);
        in_vectors(|| {
            for (Kernel { first_pixel, weights }, nodes) in
                self.kernels.iter().zip(nodes.chunks_exact_mut(width))
            {
                for (part, node) in nodes.iter_mut().enumerate() {
                    let pixels = pixels.chunks_exact(width).skip(*first_pixel);
                    *node = sum(weights, pixels.map(|pixel| &pixel[part]));
                }
            }
        });
    }

    /// The four nodes around a pixel, by the first of them, and their weights.
    pub(super) fn around(&self, pixel: usize) -> (usize, &[f64; 4]) {
        let (node, weights) = &self.around[pixel];
        (*node, weights)
    }

    /// The value of a curve on nodes at a pixel.
    pub(super) fn at(&self, nodes: &[f64], pixel: usize) -> f64 {
        let (node, weights) = self.around(pixel);
        nodes[node..node + 4].iter().zip(weights).map(|(node, weight)| node * weight).sum()
    }
}

/// Legendre's polynomials from -1 to 1, by their degree.
fn legendre(place: f64) -> [f64; MOST_DEGREES + 1] {
    let mut values = [1.0; MOST_DEGREES + 1];
    values[1] = place;
    for n in 1..MOST_DEGREES {
        let order = n as f64;
        values[n + 1] =
            ((2.0 * order + 1.0) * place * values[n] - order * values[n - 1]) / (order + 1.0);
    }
    values
}

/// Lagrange's weights of values at -1, 0, 1, 2 for a place between 0 and 1.
fn cubic(place: f64) -> [f64; 4] {
    let (before, after, beyond) = (place + 1.0, place - 1.0, place - 2.0);
    [
        -place * after * beyond / 6.0,
        before * after * beyond / 2.0,
        -before * place * beyond / 2.0,
        before * place * after / 6.0,
    ]
}
