//! What a row gives depends neither on the other rows of its batch nor on its position.

use ndarray::{Array2, ArrayView1, Axis, s};
use proptest::prelude::*;
use starmill_onnx::{Engine, Outputs};

use crate::fixture::{PIXELS, cpu, open, runtime, spectra};

/// The labels and the novelty of one row, bit by bit; NaN equals itself here.
fn bits(outputs: &Outputs, row: usize) -> Vec<u32> {
    let novelty = outputs.novelty.as_ref().unwrap()[row];
    outputs.labels.row(row).iter().chain([&novelty]).map(|value| value.to_bits()).collect()
}

fn alone(engine: &mut Engine, row: &ArrayView1<'_, f32>) -> Vec<u32> {
    bits(&engine.run(row.view().insert_axis(Axis(0))).unwrap(), 0)
}

#[test]
fn a_row_alone_equals_the_same_row_at_every_position() {
    let Some(runtime) = runtime() else { return };
    for batch in [1, 2, 3, 4, 7, 8, 16, 33, 64] {
        let mut engine = open(runtime, &[], &cpu(batch)).unwrap();
        let row = spectra(1, 11);
        let expected = alone(&mut engine, &row.row(0));
        for position in 0..batch {
            for rows in [position + 1, batch] {
                let mut input = spectra(rows, 12);
                input.row_mut(position).assign(&row.row(0));
                let outputs = engine.run(input.view()).unwrap();
                assert_eq!(
                    bits(&outputs, position),
                    expected,
                    "row {position} of {rows} in {batch}"
                );
            }
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let Some(runtime) = runtime() else { return };
    let input = spectra(64, 13);
    let run = |threads| {
        let options = starmill_onnx::EngineOptions { threads, ..cpu(64) };
        open(runtime, &[], &options).unwrap().run(input.view()).unwrap()
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn values_that_are_not_finite_stay_in_their_row() {
    let Some(runtime) = runtime() else { return };
    let mut engine = open(runtime, &[], &cpu(8)).unwrap();
    let clean = spectra(8, 14);
    let expected = engine.run(clean.view()).unwrap();
    let mut dirty = clean.clone();
    dirty.row_mut(3).fill(f32::NAN);
    dirty.row_mut(5).fill(f32::INFINITY);
    let outputs = engine.run(dirty.view()).unwrap();
    for row in [0, 1, 2, 4, 6, 7] {
        assert_eq!(bits(&outputs, row), bits(&expected, row), "row {row}");
    }
    assert!(outputs.labels.slice(s![3..6;2, ..]).iter().any(|value| !value.is_finite()));
    assert!(!outputs.novelty.unwrap()[3].is_finite());
    // The next, smaller batch sees nothing of what the buffer held.
    assert_eq!(alone(&mut engine, &clean.row(0)), bits(&expected, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_batch_equals_its_rows_one_by_one(batch in 1_usize..48, share in 0.0..1.0_f64, seed: u64) {
        let Some(runtime) = runtime() else { return Ok(()) };
        let mut engine = open(runtime, &[], &cpu(batch)).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below batch")]
        let rows = 1 + (share * batch as f64) as usize;
        let input: Array2<f32> = spectra(rows, seed);
        prop_assert_eq!(input.ncols(), PIXELS);
        let together = engine.run(input.view()).unwrap();
        for (index, row) in input.outer_iter().enumerate() {
            prop_assert_eq!(alone(&mut engine, &row), bits(&together, index));
        }
    }
}
