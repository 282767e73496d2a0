//! From a model's outputs to the values and quality bits of a row.

use ndarray::{ArrayView1, ArrayView2, Axis};
use starmill_onnx::Outputs;

use crate::outcome::{Estimate, Identity};
use crate::prep::Prepared;
use crate::quality::Quality;
use crate::reject::{Code, Reject};

/// What a network gives for one spectrum, in the manifest's order and units.
#[derive(Debug, Clone, Copy)]
pub struct Predicted<'a> {
    /// The labels.
    pub labels: &'a [f32],
    /// How unlike the training spectra the input is, if the model says so; above 1 is outside.
    pub novelty: Option<f32>,
    /// The errors of the labels, one standard deviation each, if the model has them.
    pub sigma: Option<ArrayView1<'a, f32>>,
    /// The factor F of their covariance, shape `[rank, labels]`: the covariance is
    /// `F^T F + diag(sigma^2 - sum over rows of F^2)`.
    pub factor: Option<ArrayView2<'a, f32>>,
    /// The values of further columns, one column after the other.
    pub columns: &'a [f32],
}

/// How a model's outputs become a row: what its manifest says of labels, in plain form.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelRule {
    /// Trained range of each label.
    pub valid: Vec<[f64; 2]>,
    /// Derived labels, each the sum of the labels at these positions: [X/H] = [X/Fe] + [Fe/H]
    /// (Li et al. 2025, section 4.2).
    pub derived: Vec<Vec<usize>>,
    /// S/N in g, or in the worse of two arms, below which a row is flagged.
    pub min_snr: f64,
    /// Which of the model's further columns are written, by their position.
    pub columns: Vec<usize>,
}

impl LabelRule {
    /// Judges what a run of the network gave for the spectrum in this row.
    ///
    /// # Errors
    /// Those of [`LabelRule::judge`].
    pub fn conclude(
        &self,
        identity: &Identity,
        prepared: &Prepared,
        outputs: &Outputs,
        row: usize,
    ) -> Result<Estimate, Reject> {
        let labels = outputs.labels.row(row).to_vec();
        let column = |&index: &usize| outputs.columns[index].row(row).to_vec();
        let columns: Vec<f32> = self.columns.iter().flat_map(column).collect();
        let predicted = Predicted {
            labels: &labels,
            novelty: outputs.novelty.as_ref().map(|novelty| novelty[row]),
            sigma: outputs.sigma.as_ref().map(|sigma| sigma.row(row)),
            factor: outputs.factor.as_ref().map(|factor| factor.index_axis(Axis(0), row)),
            columns: &columns,
        };
        self.judge(identity, prepared, &predicted)
    }

    /// Judges the outputs for one spectrum.
    ///
    /// # Errors
    /// [`Code::MODEL_OUTPUT`] when an output is not finite, or an error negative.
    pub fn judge(
        &self,
        identity: &Identity,
        prepared: &Prepared,
        predicted: &Predicted<'_>,
    ) -> Result<Estimate, Reject> {
        let &Predicted { labels, novelty, sigma, factor, columns } = predicted;
        let sigmas = || sigma.iter().flatten().copied();
        let all = labels.iter().copied().chain(novelty).chain(sigmas());
        let all = all.chain(factor.iter().flatten().copied()).chain(columns.iter().copied());
        if let Some(output) = all.into_iter().find(|output| !output.is_finite()) {
            return Err(Code::MODEL_OUTPUT.because(format!("an output is {output}")));
        }
        if let Some(negative) = sigmas().find(|&sigma| sigma < 0.0) {
            return Err(Code::MODEL_OUTPUT.because(format!("an error is {negative}")));
        }
        let mut quality = prepared.quality;
        let outside =
            |(label, [low, high]): (&f32, &[f64; 2])| !(*low..=*high).contains(&f64::from(*label));
        quality.set_if(labels.iter().zip(&self.valid).any(outside), Quality::LABEL_RANGE);
        quality.set_if(novelty.is_some_and(|novelty| novelty > 1.0), Quality::EXTRAPOLATION);
        match identity.meta.limiting_snr() {
            Some(snr) => quality.set_if(f64::from(snr) < self.min_snr, Quality::LOW_SNR),
            None => quality.set_if(true, Quality::SNR_UNKNOWN),
        }
        match identity.meta.class.as_deref() {
            None | Some("Unknown") => quality.set_if(true, Quality::CLASS_UNKNOWN),
            Some(class) => quality.set_if(class != "STAR", Quality::NOT_A_STAR),
        }
        quality.set_if(identity.name.is_none(), Quality::NO_IDENTITY);
        let sum = |positions: &Vec<usize>| positions.iter().map(|&position| labels[position]).sum();
        let derived = self.derived.iter().map(sum);
        let derived_error = |positions: &Vec<usize>| {
            let sigma = sigma.unwrap_or_else(|| ArrayView1::from(&[]));
            error_of_sum(positions, &sigma, factor)
        };
        let errors = match sigma {
            Some(_) => sigmas().chain(self.derived.iter().map(derived_error)).collect(),
            None => Vec::new(),
        };
        Ok(Estimate {
            values: labels.iter().copied().chain(derived).collect(),
            errors,
            vectors: factor.iter().flatten().copied().chain(columns.iter().copied()).collect(),
            novelty: novelty.unwrap_or(f32::NAN),
            quality,
            pixels: prepared.pixels,
            bad_pixels: prepared.bad_pixels,
            empty_bins: prepared.empty_bins,
        })
    }
}

/// The error of the sum of labels, with what is known of how their errors go together.
fn error_of_sum(
    positions: &[usize],
    sigma: &ArrayView1<'_, f32>,
    factor: Option<ArrayView2<'_, f32>>,
) -> f32 {
    let rows = || factor.iter().flat_map(|factor| factor.outer_iter());
    let common: f32 = rows()
        .map(|row| positions.iter().map(|&position| row[position]).sum::<f32>().powi(2))
        .sum();
    let own = |&position: &usize| {
        let shared: f32 = rows().map(|row| row[position].powi(2)).sum();
        // Rounding may leave the shared part a hair above the whole.
        (sigma[position].powi(2) - shared).max(0.0)
    };
    (common + positions.iter().map(own).sum::<f32>()).sqrt()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::spectrum::Meta;

    fn identity(snr_g: Option<f32>, class: &str) -> Identity {
        let meta = Meta {
            snr: [None, snr_g, None, None, None],
            class: Some(class.into()),
            ..Meta::default()
        };
        Identity { name: Some("a".into()), survey: Some("lamost-lrs"), meta }
    }

    fn conclude(identity: &Identity, labels: [f32; 2], novelty: f32) -> Result<Estimate, Reject> {
        let novelty = Some(novelty);
        let (sigma, factor) = (None, None);
        let predicted = Predicted { labels: &labels, novelty, sigma, factor, columns: &[] };
        judge(identity, &predicted)
    }

    fn judge(identity: &Identity, predicted: &Predicted<'_>) -> Result<Estimate, Reject> {
        let rule = LabelRule {
            valid: vec![[3700.0, 5900.0], [-2.0, 0.5]],
            derived: vec![vec![0, 1]],
            min_snr: 20.0,
            columns: vec![],
        };
        let prepared = Prepared {
            input: vec![],
            quality: Quality::NONE,
            pixels: 10,
            bad_pixels: 0,
            empty_bins: 0,
            native: vec![],
        };
        rule.judge(identity, &prepared, predicted)
    }

    #[test]
    fn each_finding_sets_its_bit() {
        let check = |snr, class, labels, novelty, expected| {
            let quality = conclude(&identity(snr, class), labels, novelty).unwrap().quality;
            assert_eq!(quality, expected);
        };
        let star = [5000.0, 0.0];
        check(Some(50.0), "STAR", star, 0.5, Quality::NONE);
        check(Some(19.9), "STAR", star, 0.5, Quality::LOW_SNR);
        check(None, "STAR", star, 0.5, Quality::SNR_UNKNOWN);
        check(Some(50.0), "GALAXY", star, 0.5, Quality::NOT_A_STAR);
        check(Some(50.0), "Unknown", star, 0.5, Quality::CLASS_UNKNOWN);
        check(Some(50.0), "STAR", [5901.0, 0.0], 0.5, Quality::LABEL_RANGE);
        check(Some(50.0), "STAR", star, 1.1, Quality::EXTRAPOLATION);
    }

    #[test]
    fn derived_labels_are_sums_and_outputs_must_be_finite() {
        let identity = identity(Some(50.0), "STAR");
        let estimate = conclude(&identity, [5000.0, -1.0], 0.1).unwrap();
        assert_eq!(estimate.values, [5000.0, -1.0, 4999.0]);
        let reject = conclude(&identity, [f32::NAN, 0.0], 0.1).unwrap_err();
        assert_eq!(reject.code, Code::MODEL_OUTPUT);
        assert!(conclude(&identity, [5000.0, 0.0], f32::INFINITY).is_err());
    }

    #[test]
    fn errors_of_sums_follow_the_covariance() {
        let identity = identity(Some(50.0), "STAR");
        let check = |sigma: [f32; 2], factor: Option<ndarray::Array2<f32>>, expected: f32| {
            let predicted = Predicted {
                labels: &[5000.0, -1.0],
                novelty: None,
                sigma: Some(ArrayView1::from(&sigma)),
                factor: factor.as_ref().map(|factor| factor.view()),
                columns: &[7.0],
            };
            let estimate = judge(&identity, &predicted).unwrap();
            assert_eq!(estimate.errors[..2], sigma);
            let error = estimate.errors[2];
            assert!((error - expected).abs() < 1e-5, "{error} is not {expected}");
            assert_eq!(estimate.vectors.last(), Some(&7.0));
            assert_eq!(estimate.vectors.len(), factor.map_or(0, |factor| factor.len()) + 1);
        };
        check([3.0, 4.0], None, 5.0);
        // Errors that are one: they add, or they cancel.
        check([3.0, 4.0], Some(array![[3.0, 4.0]]), 7.0);
        check([3.0, 4.0], Some(array![[3.0, -4.0]]), 1.0);
        // Two members and an error of their own: F^T F is [[2, 0], [0, 2]].
        check([3.0, 4.0], Some(array![[1.0, 1.0], [1.0, -1.0]]), 5.0);
    }

    #[test]
    fn an_error_must_be_a_number_from_0_up() {
        let identity = identity(Some(50.0), "STAR");
        for bad in [-0.1, f32::NAN, f32::INFINITY] {
            let sigma = [bad, 1.0];
            let predicted = Predicted {
                labels: &[5000.0, -1.0],
                novelty: None,
                sigma: Some(ArrayView1::from(&sigma)),
                factor: None,
                columns: &[],
            };
            assert_eq!(judge(&identity, &predicted).unwrap_err().code, Code::MODEL_OUTPUT);
        }
    }
}
