//! The templates, in Fourier space.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::bins::{ARMS, CONTINUUM, Span};
use crate::prep::Basis;

/// Made by `onnx/export/train-rrnet.sh templates`, whose `velocity_templates.py` describes the bytes.
pub(super) const BYTES: &[u8] = include_bytes!("templates.bin");
/// What a flux of one is written as.
const SCALE: f64 = 40_000.0;
/// teff, logg, `m_h` and vsini, before the flux.
const LABELS: usize = 4;
/// Length of the transforms, which holds the templates of either arm.
pub(super) const LENGTH: usize = 2048;

/// A real array in Fourier space.
pub(super) type Transform = Vec<Complex<f64>>;

/// What a star's spectrum is expected to look like.
pub(super) struct Template {
    /// Effective temperature, logarithm of gravity, metallicity, projected rotation in km/s.
    pub labels: [f32; LABELS],
    /// Blue and red.
    pub arms: [ArmTemplate; 2],
}

/// The lines of a template in one arm, and their squares.
pub(super) struct ArmTemplate {
    pub depth: Transform,
    pub square: Transform,
}

/// Both directions of the transform.
pub(super) struct Fourier {
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

impl Fourier {
    pub(super) fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        Self {
            forward: planner.plan_fft_forward(LENGTH),
            inverse: planner.plan_fft_inverse(LENGTH),
        }
    }

    /// The transform of values, with zeros behind them.
    pub(super) fn transform(&self, values: impl Iterator<Item = f64>) -> Transform {
        let mut padded = self.forward.make_input_vec();
        for (place, value) in padded.iter_mut().zip(values) {
            *place = value;
        }
        let mut transform = self.forward.make_output_vec();
        self.forward.process(&mut padded, &mut transform).expect("both arrays are of its length");
        transform
    }

    /// The inverse, times the length.
    pub(super) fn back(&self, transform: &mut Transform, values: &mut [f64]) {
        self.inverse.process(transform, values).expect("a product of transforms of real arrays");
    }
}

/// All templates of a file.
pub(super) fn read(bytes: &[u8], fourier: &Fourier) -> Vec<Template> {
    let bases = ARMS.map(Span::basis);
    let pixels: usize = ARMS.iter().map(|span| span.bins).sum();
    let (labels_bytes, flux_bytes) = (4 * LABELS, 2 * pixels);
    let record = |record: &[u8]| {
        let (labels, flux) = record.split_at(labels_bytes);
        let mut flux = flux
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&value| f64::from(u16::from_le_bytes(value)) / SCALE);
        let mut arm = |span: Span, basis: &Basis| {
            let mut depth: Vec<f64> = flux.by_ref().take(span.bins).collect();
            CONTINUUM
                .divide(basis, &mut depth, &mut Vec::new())
                .expect("the templates have lines and a continuum");
            for depth in &mut depth {
                *depth -= 1.0;
            }
            ArmTemplate {
                depth: fourier.transform(depth.iter().copied()),
                square: fourier.transform(depth.iter().map(|depth| depth * depth)),
            }
        };
        let arms = [arm(ARMS[0], &bases[0]), arm(ARMS[1], &bases[1])];
        let labels = labels.as_chunks::<4>().0;
        Template { labels: std::array::from_fn(|at| f32::from_le_bytes(labels[at])), arms }
    };
    bytes.chunks_exact(labels_bytes + flux_bytes).map(record).collect()
}
