//! Labels of stars: as a survey meets them, or anywhere in the trained box.

use starmill_onnx::ForwardLabel;

use super::Survey;
use super::dice::Dice;

/// How labels are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// On the giant branch and in the red clump, with dwarfs where the model knows them; alpha
    /// elements rise as iron falls.
    Survey,
    /// Evenly in what the model was trained on.
    Even,
}

/// In stars cooler than this (K) molecules tie carbon and oxygen together.
const COOL: f64 = 5300.0;

/// Largest [C/O] of cool stars that the models know, dex.
const MOST_CARBON: f64 = 0.2;

/// The labels of a star, in the order of the model's.
pub(super) fn draw(
    labels: Labels,
    survey: Survey,
    dice: &mut Dice,
    model: &[ForwardLabel],
) -> Vec<f64> {
    let mut values = vec![0.0; model.len()];
    // Each draw is a carbon star, which no model knows, with a chance of a third at most.
    for _ in 0..64 {
        values = match labels {
            Labels::Survey => survey_star(dice, model),
            Labels::Even => even(survey, dice, model),
        };
        if !is_carbon_star(model, &values) {
            break;
        }
    }
    values
}

fn of(model: &[ForwardLabel], values: &[f64], name: &str) -> Option<f64> {
    model.iter().position(|label| label.name == name).map(|at| values[at])
}

fn is_carbon_star(model: &[ForwardLabel], values: &[f64]) -> bool {
    let of = |name| of(model, values, name);
    match (of("teff"), of("c_h"), of("o_h")) {
        (Some(teff), Some(carbon), Some(oxygen)) => teff < COOL && carbon - oxygen > MOST_CARBON,
        _ => false,
    }
}

fn is_alpha(name: &str) -> bool {
    ["o_h", "mg_h", "si_h", "s_h", "ca_h", "ti_h"].contains(&name)
}

/// A star as a survey of the Galaxy meets it.
fn survey_star(dice: &mut Dice, model: &[ForwardLabel]) -> Vec<f64> {
    let fe_h = dice.normal(-0.25, 0.3).clamp(-1.6, 0.4);
    let knows_dwarfs = model.iter().any(|label| label.name == "logg" && label.valid[1] > 4.5);
    let (teff, logg) = if knows_dwarfs && dice.happens(0.4) {
        let teff = dice.uniform(4600.0, 6300.0);
        (teff, 4.6 - 0.25 * (teff - 4600.0) / 1700.0 + dice.normal(0.0, 0.05))
    } else if dice.happens(0.35) {
        (dice.normal(4800.0 - 150.0 * fe_h, 90.0), dice.normal(2.45, 0.1))
    } else {
        let logg = 3.3 - 2.4 * dice.uniform(0.0, 1.0).powi(2);
        (3650.0 + 470.0 * logg - 200.0 * fe_h + dice.normal(0.0, 70.0), logg)
    };
    let alpha = (-0.3 * fe_h).clamp(0.0, 0.3);
    let mut value = |label: &ForwardLabel| {
        let value = match label.name.as_str() {
            "teff" => teff,
            "logg" => logg,
            "fe_h" => fe_h,
            // The first dredge-up turns carbon into nitrogen.
            "c_h" => fe_h - 0.1 + dice.normal(0.0, 0.05),
            "n_h" => fe_h + 0.2 + dice.normal(0.0, 0.05),
            name if is_alpha(name) => fe_h + alpha + dice.normal(0.0, 0.04),
            name if name.ends_with("_h") => fe_h + dice.normal(0.0, 0.05),
            _ => label.default,
        };
        value.clamp(label.valid[0], label.valid[1])
    };
    model.iter().map(&mut value).collect()
}

/// Evenly in the trained box, as the cards of payne and payne-mrs describe it.
fn even(survey: Survey, dice: &mut Dice, model: &[ForwardLabel]) -> Vec<f64> {
    let mut within = |name: &str| {
        let label = model.iter().find(|label| label.name == name);
        label.map_or(0.0, |label| dice.uniform(label.valid[0], label.valid[1]))
    };
    let (teff, fe_h) = (within("teff"), within("fe_h"));
    let (logg, scatter, alpha) = match survey {
        // All of the box of giants, and abundances around iron's.
        Survey::Lrs => (within("logg"), 0.5, 0.0),
        // Along dwarfs and giants, and around the trend of the Galaxy.
        Survey::Mrs => (dwarf_or_giant(teff, dice), 0.42, trend(fe_h)),
    };
    let mut value = |label: &ForwardLabel| {
        let value = match label.name.as_str() {
            "teff" => teff,
            "logg" => logg,
            "fe_h" => fe_h,
            name if name.ends_with("_h") => {
                let centre = if is_alpha(name) { fe_h + alpha } else { fe_h };
                centre + dice.uniform(-scatter, scatter)
            }
            _ => dice.uniform(label.valid[0], label.valid[1]),
        };
        value.clamp(label.valid[0], label.valid[1])
    };
    model.iter().map(&mut value).collect()
}

/// The surface gravities of `RRNet`'s training set, a dex wide or less.
fn dwarf_or_giant(teff: f64, dice: &mut Dice) -> f64 {
    let is_dwarf = teff > 5600.0 || dice.happens(0.4);
    let spread = dice.uniform(-0.5, 0.5);
    if is_dwarf {
        4.45 - 0.35 * (teff - 5600.0).max(0.0) / 1400.0 + 0.65 * spread
    } else {
        (3.5 - (5100.0 - teff) / 1000.0 * 1.9 + 1.15 * spread).clamp(0.5, 4.0)
    }
}

/// [alpha/Fe] of the Galaxy on average, as `RRNet`'s training set has it.
fn trend(fe_h: f64) -> f64 {
    match fe_h {
        ..-0.8 => 0.3,
        ..-0.2 => 0.15,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn model(logg: [f64; 2]) -> Vec<ForwardLabel> {
        let ranges = [
            ("teff", [3800.0, 5950.0]),
            ("logg", logg),
            ("c_h", [-2.9, 1.0]),
            ("o_h", [-2.9, 1.0]),
            ("fe_h", [-2.4, 0.5]),
            ("ni_h", [-2.9, 1.0]),
        ];
        let label = |(name, valid): (&str, [f64; 2])| ForwardLabel {
            name: name.to_owned(),
            unit: String::new(),
            ucd: String::new(),
            description: String::new(),
            valid,
            default: 0.0,
            step: 1.0,
        };
        ranges.into_iter().map(label).collect()
    }

    proptest! {
        #[test]
        fn labels_lie_in_the_trained_box(seed in any::<u64>(), even in any::<bool>(), low in any::<bool>()) {
            let (survey, logg) = if low { (Survey::Lrs, [0.0, 3.5]) } else { (Survey::Mrs, [0.5, 4.8]) };
            let model = model(logg);
            let labels = if even { Labels::Even } else { Labels::Survey };
            let values = draw(labels, survey, &mut Dice::new(seed, 1), &model);
            for (label, value) in model.iter().zip(&values) {
                prop_assert!((label.valid[0]..=label.valid[1]).contains(value), "{} {value}", label.name);
            }
            let iron = of(&model, &values, "fe_h").unwrap();
            let nickel = of(&model, &values, "ni_h").unwrap();
            prop_assert!((nickel - iron).abs() <= 0.5 + 1e-9);
            prop_assert!(!is_carbon_star(&model, &values));
        }
    }

    #[test]
    fn even_labels_fill_the_box() {
        let model = model([0.0, 3.5]);
        let teff: Vec<f64> = (0..2000)
            .map(|star| draw(Labels::Even, Survey::Lrs, &mut Dice::new(1, star), &model)[0])
            .collect();
        let mean = teff.iter().sum::<f64>() / 2000.0;
        // Carbon stars are cool, so that a few more of the warm are left.
        assert!((mean - 4875.0).abs() < 130.0, "{mean}");
        let warmest = teff.iter().copied().fold(0.0, f64::max);
        let coolest = teff.iter().copied().fold(9999.0, f64::min);
        assert!(coolest < 3830.0 && warmest > 5920.0);
    }
}
