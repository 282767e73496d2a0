//! Residual blocks with neighbouring pixels in the lanes of vectors.
//!
//! Each block halves the number of pixels, and a vector that skips every second pixel would be slow.
//! So the spectrum of 2^n pixels a tile is taken apart into 2^n phases, one plane each: plane p
//! has the pixels p, p + 2^n, p + 2 * 2^n, ... A convolution then reads whole vectors of some
//! planes, shifted by one at most, and a pool merges pairs of planes. All planes of all blocks have
//! the same length. The digits of a value depend on neither its lane nor its row.

#![expect(clippy::inline_always, reason = "only what is inlined is compiled for the processor")]

use pulp::{Arch, Simd, WithSimd};

/// Weights [outputs, inputs, taps].
pub(super) struct Convolution {
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) taps: usize,
    pub(super) weight: Vec<f32>,
}

impl Convolution {
    fn is(&self, outputs: usize, inputs: usize, taps: usize) -> bool {
        (self.outputs, self.inputs, self.taps) == (outputs, inputs, taps)
            && self.weight.len() == outputs * inputs * taps
    }
}

/// One block: `second(relu(first(x))) + shortcut(x)`, the pool folded into both terms.
pub(super) struct BlockWeights {
    pub(super) first: Convolution,
    pub(super) first_bias: Vec<f32>,
    pub(super) second: Convolution,
    pub(super) shortcut: Convolution,
    pub(super) bias: Vec<f32>,
}

/// All blocks of a net for spectra of one width.
pub(super) struct Blocks {
    pixels: usize,
    /// Pixels of a plane.
    length: usize,
    /// From a plane to the next.
    stride: usize,
    planes: usize,
    layers: Vec<Layer>,
}

/// Zeros before and behind a plane, which stand for what is beyond the ends of the spectrum.
const MARGIN: usize = 16;

/// Vectors of neighbouring pixels in hand at once.
const VECTORS: usize = 3;

/// The widest tile: `VECTORS` of 16 lanes. Narrower ones divide it.
const WIDEST: usize = VECTORS * 16;

/// A convolution, or the sum of two, on planes.
struct Layer {
    /// For each phase that it makes: its first plane's place, and where each tap reads.
    phases: Vec<(usize, Vec<usize>)>,
    groups: Vec<Group>,
    relu: bool,
}

/// Some output channels at once, so that what is read serves them all.
struct Group {
    /// The number of the first channel.
    first: usize,
    bias: Vec<f32>,
    /// For each tap one weight a channel.
    weight: Vec<f32>,
}

/// Planes of one tensor: `phases` x `channels`, from the place `first` on.
#[derive(Clone, Copy)]
struct Planes {
    first: usize,
    phases: usize,
    channels: usize,
    stride: usize,
}

impl Planes {
    /// Where the plane of a channel begins at a position relative to the tile, beyond it if need be.
    fn place(&self, position: isize, channel: usize) -> usize {
        let phases = self.phases.cast_signed();
        let shift = position.div_euclid(phases);
        let phase = position.rem_euclid(phases).cast_unsigned();
        let plane = self.first + phase * self.channels + channel;
        (plane * self.stride + MARGIN).strict_add_signed(shift)
    }

    /// Where each tap of a convolution reads whose first one is at `position`.
    fn taps(self, position: isize, taps: usize) -> impl Iterator<Item = usize> {
        (0..self.channels).flat_map(move |channel| {
            (0..taps.cast_signed()).map(move |tap| self.place(position + tap, channel))
        })
    }
}

impl Blocks {
    pub(super) fn new(pixels: usize, blocks: &[BlockWeights]) -> Result<Self, &'static str> {
        let tile = 1usize << blocks.len().min(16);
        if blocks.is_empty() || pixels == 0 || !pixels.is_multiple_of(tile) {
            return Err("the number of pixels cannot be halved once a block");
        }
        let mut channels = 1;
        for block in blocks {
            let outputs = block.first.outputs;
            let fits = block.first.is(outputs, channels, 3)
                && block.second.is(outputs, outputs, 4)
                && block.shortcut.is(outputs, channels, 2)
                && [&block.first_bias, &block.bias].iter().all(|bias| bias.len() == outputs);
            if !fits || outputs == 0 {
                return Err("the weights of a block do not belong together");
            }
            channels = outputs;
        }
        let length = pixels / tile;
        let stride = length.next_multiple_of(WIDEST) + 2 * MARGIN;
        // What goes into a block and what leaves it take turns in two regions; the third is within.
        let phases = |block: usize| tile >> block;
        let outer = |block: usize| phases(block) / 2 * blocks[block].first.outputs;
        let region = (0..blocks.len()).map(outer).max().unwrap_or(0).max(tile);
        let within = (0..blocks.len()).map(|block| 2 * outer(block)).max().unwrap_or(0);
        let mut layers = Vec::with_capacity(2 * blocks.len());
        let mut source = Planes { first: 0, phases: tile, channels: 1, stride };
        for (index, block) in blocks.iter().enumerate() {
            let channels = block.first.outputs;
            let phases = phases(index);
            let inner = Planes { first: 2 * region, phases, channels, stride };
            let first = if source.first == 0 { region } else { 0 };
            let target = Planes { first, phases: phases / 2, channels, stride };
            layers.push(Layer {
                phases: (0..phases.cast_signed())
                    .map(|phase| (inner.place(phase, 0), source.taps(phase - 1, 3).collect()))
                    .collect(),
                groups: groups(&[&block.first], &block.first_bias),
                relu: true,
            });
            layers.push(Layer {
                phases: (0..phases.cast_signed() / 2)
                    .map(|phase| {
                        let taps = inner.taps(2 * phase - 1, 4).chain(source.taps(2 * phase, 2));
                        (target.place(phase, 0), taps.collect())
                    })
                    .collect(),
                groups: groups(&[&block.second, &block.shortcut], &block.bias),
                relu: index + 1 == blocks.len(),
            });
            source = target;
        }
        Ok(Self { pixels, length, stride, planes: 2 * region + within, layers })
    }

    /// Pixels and channels of what leaves the last block.
    pub(super) fn output_shape(&self) -> [usize; 2] {
        [self.length, self.layers.last().map_or(1, Layer::channels)]
    }

    /// From spectra [rows, pixels] to [rows, pixels of a plane, channels].
    pub(super) fn run(
        &self,
        workspace: &mut Vec<f32>,
        spectra: &[f32],
        output: &mut [f32],
    ) -> Result<(), &'static str> {
        let [length, channels] = self.output_shape();
        let rows = spectra.len() / self.pixels;
        if spectra.len() != rows * self.pixels || output.len() != rows * length * channels {
            return Err("spectra of another width");
        }
        if workspace.len() != self.planes * self.stride {
            workspace.clear();
            workspace.resize(self.planes * self.stride, 0.0);
        }
        let rows =
            spectra.chunks_exact(self.pixels).zip(output.chunks_exact_mut(length * channels));
        for (spectrum, output) in rows {
            Arch::new().dispatch(Row { blocks: self, planes: workspace, spectrum, output });
        }
        Ok(())
    }
}

impl Layer {
    fn channels(&self) -> usize {
        self.groups.iter().map(|group| group.bias.len()).sum()
    }
}

/// The channels of a sum of convolutions, as many at a time as registers allow.
fn groups(terms: &[&Convolution], bias: &[f32]) -> Vec<Group> {
    let widest = Arch::new().dispatch(WidestGroup);
    let mut groups = Vec::new();
    let mut first = 0;
    while first < bias.len() {
        let left = widest.min(bias.len() - first);
        let width = [8, 4].into_iter().find(|&width| width <= left).unwrap_or(1);
        let mut weight = Vec::new();
        for term in terms {
            let taps = term.inputs * term.taps;
            for tap in 0..taps {
                weight.extend((first..first + width).map(|row| term.weight[row * taps + tap]));
            }
        }
        groups.push(Group { first, bias: bias[first..first + width].to_vec(), weight });
        first += width;
    }
    groups
}

/// One spectrum through all layers.
struct Row<'a> {
    blocks: &'a Blocks,
    planes: &'a mut [f32],
    spectrum: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { blocks, planes, spectrum, output } = self;
        let (length, stride) = (blocks.length, blocks.stride);
        let tile = spectrum.len() / length;
        for (phase, plane) in planes.chunks_exact_mut(stride).take(tile).enumerate() {
            let pixels = spectrum[phase..].iter().step_by(tile);
            plane[MARGIN..MARGIN + length]
                .iter_mut()
                .zip(pixels)
                .for_each(|(to, from)| *to = *from);
        }
        for layer in &blocks.layers {
            run_layer(simd, layer, planes, length, stride);
        }
        let [_, channels] = blocks.output_shape();
        let Some(first) = blocks.layers.last().map(|layer| layer.phases[0].0) else { return };
        for channel in 0..channels {
            let plane = &planes[first + channel * stride..][..length];
            let values = output[channel..].iter_mut().step_by(channels);
            values.zip(plane).for_each(|(to, from)| *to = *from);
        }
    }
}

#[inline(always)]
fn run_layer<S: Simd>(simd: S, layer: &Layer, planes: &mut [f32], length: usize, stride: usize) {
    for start in (0..length).step_by(VECTORS * S::F32_LANES) {
        for (target, taps) in &layer.phases {
            for group in &layer.groups {
                let target = target + group.first * stride + start;
                let tile = Tile { group, taps, start, target, stride, relu: layer.relu };
                match group.bias.len() {
                    8 => tile.run::<S, 8>(simd, planes),
                    4 => tile.run::<S, 4>(simd, planes),
                    _ => tile.run::<S, 1>(simd, planes),
                }
            }
        }
    }
    // The last tile reaches beyond the spectrum, where the next layer has to find zeros.
    for (target, _) in &layer.phases {
        for channel in 0..layer.channels() {
            let end = target + channel * stride + length;
            planes[end..][..stride - MARGIN - length].fill(0.0);
        }
    }
}

/// Some channels of one phase over some vectors of pixels: sums that fit into registers.
struct Tile<'a> {
    group: &'a Group,
    taps: &'a [usize],
    start: usize,
    target: usize,
    stride: usize,
    relu: bool,
}

impl Tile<'_> {
    #[inline(always)]
    fn run<S: Simd, const CHANNELS: usize>(self, simd: S, planes: &mut [f32]) {
        let width = VECTORS * S::F32_LANES;
        let zero = simd.splat_f32s(0.0);
        let mut sums = [[zero; VECTORS]; CHANNELS];
        for (sums, &bias) in sums.iter_mut().zip(&self.group.bias) {
            *sums = [simd.splat_f32s(bias); VECTORS];
        }
        let (weights, _) = self.group.weight.as_chunks::<CHANNELS>();
        for (&tap, weights) in self.taps.iter().zip(weights) {
            let (pixels, _) = S::as_simd_f32s(&planes[tap + self.start..][..width]);
            let pixels: [S::f32s; VECTORS] = std::array::from_fn(|vector| pixels[vector]);
            for (sums, &weight) in sums.iter_mut().zip(weights) {
                let weight = simd.splat_f32s(weight);
                for (sum, &pixels) in sums.iter_mut().zip(&pixels) {
                    *sum = simd.mul_add_e_f32s(pixels, weight, *sum);
                }
            }
        }
        for (channel, sums) in sums.iter().enumerate() {
            let target = &mut planes[self.target + channel * self.stride..][..width];
            let (target, _) = S::as_mut_simd_f32s(target);
            for (to, &sum) in target.iter_mut().zip(sums) {
                // In this order, so that what is no number stays so.
                *to = if self.relu { simd.max_f32s(zero, sum) } else { sum };
            }
        }
    }
}

/// How many channels' sums the processor's registers hold beside what is read.
struct WidestGroup;

impl WithSimd for WidestGroup {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        if S::REGISTER_COUNT >= 32 { 8 } else { 4 }
    }
}

#[cfg(test)]
mod tests;
