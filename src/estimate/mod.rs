//! From a model's outputs to the values and quality bits of a row.

use crate::outcome::{Estimate, Identity};
use crate::prep::Prepared;
use crate::quality::Quality;
use crate::reject::{Code, Reject};

/// How a point regressor's outputs become a row: what its manifest says of labels, in plain form.
#[derive(Debug, Clone, PartialEq)]
pub struct PointLabels {
    /// Trained range of each label.
    pub valid: Vec<[f64; 2]>,
    /// Derived labels, each the sum of the labels at these positions: [X/H] = [X/Fe] + [Fe/H]
    /// (Li et al. 2025, section 4.2).
    pub derived: Vec<Vec<usize>>,
    /// S/N in g below which a row is flagged.
    pub min_snr_g: f64,
}

impl PointLabels {
    /// Judges the outputs for one spectrum: `labels` in the manifest's order and units, and how
    /// unlike the training spectra the input is, if the model says so.
    ///
    /// # Errors
    /// [`Code::MODEL_OUTPUT`] when an output is not finite.
    pub fn conclude(
        &self,
        identity: &Identity,
        prepared: &Prepared,
        labels: &[f32],
        novelty: Option<f32>,
    ) -> Result<Estimate, Reject> {
        let all = labels.iter().copied().chain(novelty);
        if let Some(output) = all.clone().find(|output| !output.is_finite()) {
            return Err(Code::MODEL_OUTPUT.because(format!("an output is {output}")));
        }
        let mut quality = prepared.quality;
        let outside =
            |(label, [low, high]): (&f32, &[f64; 2])| !(*low..=*high).contains(&f64::from(*label));
        quality.set_if(labels.iter().zip(&self.valid).any(outside), Quality::LABEL_RANGE);
        quality.set_if(novelty.is_some_and(|novelty| novelty > 1.0), Quality::EXTRAPOLATION);
        match identity.meta.snr[1] {
            Some(snr_g) => quality.set_if(f64::from(snr_g) < self.min_snr_g, Quality::LOW_SNR),
            None => quality.set_if(true, Quality::SNR_UNKNOWN),
        }
        match identity.meta.class.as_deref() {
            None | Some("Unknown") => quality.set_if(true, Quality::CLASS_UNKNOWN),
            Some(class) => quality.set_if(class != "STAR", Quality::NOT_A_STAR),
        }
        quality.set_if(identity.name.is_none(), Quality::NO_IDENTITY);
        let sum = |positions: &Vec<usize>| positions.iter().map(|&position| labels[position]).sum();
        let derived = self.derived.iter().map(sum);
        Ok(Estimate {
            values: labels.iter().copied().chain(derived).collect(),
            novelty: novelty.unwrap_or(f32::NAN),
            quality,
            pixels: prepared.pixels,
            bad_pixels: prepared.bad_pixels,
            empty_bins: prepared.empty_bins,
        })
    }
}

#[cfg(test)]
mod tests {
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
        let rule = PointLabels {
            valid: vec![[3700.0, 5900.0], [-2.0, 0.5]],
            derived: vec![vec![0, 1]],
            min_snr_g: 20.0,
        };
        let prepared = Prepared {
            input: vec![],
            quality: Quality::NONE,
            pixels: 10,
            bad_pixels: 0,
            empty_bins: 0,
        };
        rule.conclude(identity, &prepared, &labels, Some(novelty))
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
}
