//! The wavelengths of a model's input.

use std::ops::Range;

/// More bins than any model takes: what asks for more is a slip in a manifest.
pub(super) const MAX_BINS: usize = 100_000;

/// The bins of a model's input, in one window or in several with gaps between them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grid {
    centres: Vec<f64>,
    edges: Vec<f64>,
    /// Bins of each window.
    windows: Vec<usize>,
}

impl Grid {
    /// One window of bins that touch: `edges` has one more entry than `centres`.
    pub(super) fn contiguous(centres: Vec<f64>, edges: Vec<f64>) -> Self {
        let windows = vec![centres.len()];
        Self { centres, edges, windows }
    }

    /// Adds a window behind those that are there.
    pub(super) fn extend(&mut self, window: &Self) {
        self.centres.extend(&window.centres);
        self.edges.extend(&window.edges);
        self.windows.extend(&window.windows);
    }

    /// Number of bins in all windows.
    pub fn bins(&self) -> usize {
        self.centres.len()
    }

    /// Centres, vacuum Angstrom.
    pub fn centres(&self) -> &[f64] {
        &self.centres
    }

    /// Edges, one more than bins in each window, vacuum Angstrom.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Each window: which bins it has, and their edges.
    pub fn windows(&self) -> impl Iterator<Item = (Range<usize>, &[f64])> {
        let mut first = 0;
        self.windows.iter().enumerate().map(move |(number, &bins)| {
            let range = first..first + bins;
            first += bins;
            // Each window before this one has one edge more than it has bins.
            (range.clone(), &self.edges[range.start + number..=range.end + number])
        })
    }
}
