use super::*;

/// Numbers that look random, between -1 and 1.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f32::from((state >> 16) as u16) / 32768.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn weights(channels: &[usize]) -> Vec<BlockWeights> {
    let mut inputs = 1;
    let mut seed = 0;
    let mut convolution = |outputs, inputs, taps| {
        seed += 1;
        Convolution { outputs, inputs, taps, weight: noise(outputs * inputs * taps, seed) }
    };
    let mut block = |&outputs| {
        let block = BlockWeights {
            first: convolution(outputs, inputs, 3),
            first_bias: noise(outputs, 100),
            second: convolution(outputs, outputs, 4),
            shortcut: convolution(outputs, inputs, 2),
            bias: noise(outputs, 200),
        };
        inputs = outputs;
        block
    };
    channels.iter().map(&mut block).collect()
}

/// `source` and the result are [channels, pixels]; in f64, one sum after another.
fn convolve(weights: &Convolution, source: &[f64], stride: usize, before: isize) -> Vec<f64> {
    let pixels = source.len() / weights.inputs;
    let mut result = Vec::new();
    for output in 0..weights.outputs {
        for pixel in (0..pixels).step_by(stride) {
            let mut sum = 0.0;
            for input in 0..weights.inputs {
                for tap in 0..weights.taps {
                    let at = (pixel + tap).checked_add_signed(-before);
                    if let Some(at) = at.filter(|&at| at < pixels) {
                        let weight = (output * weights.inputs + input) * weights.taps + tap;
                        sum += f64::from(weights.weight[weight]) * source[input * pixels + at];
                    }
                }
            }
            result.push(sum);
        }
    }
    result
}

fn reference(blocks: &[BlockWeights], spectrum: &[f32]) -> Vec<f64> {
    let mut value: Vec<f64> = spectrum.iter().map(|&pixel| f64::from(pixel)).collect();
    for block in blocks {
        let inputs = block.first.inputs;
        let pixels = value.len() / inputs;
        let mut inner = convolve(&block.first, &value, 1, 1);
        for (index, value) in inner.iter_mut().enumerate() {
            *value = (*value + f64::from(block.first_bias[index / pixels])).max(0.0);
        }
        let straight = convolve(&block.shortcut, &value, 2, 0);
        value = convolve(&block.second, &inner, 2, 1);
        for (index, (value, straight)) in value.iter_mut().zip(straight).enumerate() {
            *value += straight + f64::from(block.bias[index / (pixels / 2)]);
        }
    }
    let channels = blocks[blocks.len() - 1].first.outputs;
    let length = value.len() / channels;
    let place = |index| value[index % channels * length + index / channels];
    (0..value.len()).map(|index| f64::max(place(index), 0.0)).collect()
}

#[test]
fn planes_give_what_convolutions_give() {
    let shapes: [(&[usize], usize); 6] = [
        (&[4, 8, 16], 7200),
        (&[4, 8, 16], 80),
        (&[4, 8, 16], 8),
        (&[3, 13], 4 * 48),
        (&[2, 2, 2, 5], 16 * 49),
        (&[1], 2),
    ];
    for (channels, pixels) in shapes {
        let blocks = weights(channels);
        let kernel = Blocks::new(pixels, &blocks).unwrap();
        let [length, width] = kernel.output_shape();
        let spectra = noise(3 * pixels, 7);
        let mut workspace = Vec::new();
        let mut found = vec![f32::NAN; 3 * length * width];
        // Twice, so that what the first run leaves behind would show.
        for _ in 0..2 {
            kernel.run(&mut workspace, &spectra, &mut found).unwrap();
        }
        let rows = spectra.chunks(pixels).zip(found.chunks(length * width));
        for (spectrum, found) in rows {
            let expected = reference(&blocks, spectrum);
            let largest = expected.iter().fold(1.0, |most, value| f64::max(most, *value));
            for (index, (&ours, theirs)) in found.iter().zip(expected).enumerate() {
                let difference = (f64::from(ours) - theirs).abs();
                assert!(difference < 1e-5 * largest, "{channels:?} {pixels} at {index}");
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_among_others_and_keeps_what_is_no_number() {
    let blocks = weights(&[4, 8, 16]);
    let kernel = Blocks::new(240, &blocks).unwrap();
    let mut workspace = Vec::new();
    let spectrum = noise(240, 3);
    let mut alone = vec![0.0; 30 * 16];
    kernel.run(&mut workspace, &spectrum, &mut alone).unwrap();
    let dirty = [noise(240, 4), spectrum, vec![f32::NAN; 240]].concat();
    let mut together = vec![0.0; 3 * 30 * 16];
    for _ in 0..2 {
        kernel.run(&mut workspace, &dirty, &mut together).unwrap();
    }
    assert_eq!(together[480..960], alone);
    assert!(together[960..].iter().all(|value| value.is_nan()));
}

#[test]
fn weights_that_do_not_belong_together_are_refused() {
    assert!(Blocks::new(80, &[]).is_err());
    assert!(Blocks::new(81, &weights(&[4])).is_err());
    let mut blocks = weights(&[4, 8]);
    blocks[1].shortcut.weight.pop();
    assert!(Blocks::new(80, &blocks).is_err());
    assert!(Blocks::new(80, &weights(&[4, 8])[1..]).is_err());
    let kernel = Blocks::new(80, &weights(&[4, 8])).unwrap();
    assert!(kernel.run(&mut Vec::new(), &[0.0; 79], &mut [0.0; 160]).is_err());
}
