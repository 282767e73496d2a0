//! What `starmill models` says of a forward model.

use starmill_onnx::Normalisation;

use super::{Exit, origin};
use crate::config::Config;
use crate::setup::{ReadyForward, load_runtime};

pub(super) fn show(ready: &ReadyForward) -> Exit {
    let (manifest, wavelength) = (&ready.model.manifest, &ready.wavelength);
    println!("{}\n{}\n{}", ready.id(), manifest.title, manifest.paper);
    println!("kind         forward: from labels to spectra");
    println!("licence      {}", manifest.license);
    if !manifest.surveys.is_empty() {
        println!("surveys      {}", manifest.surveys.join(", "));
    }
    println!("trained on   {:?} spectra", manifest.trained_on);
    println!(
        "network      {}, sha256 {}",
        manifest.files.onnx.path.display(),
        ready.model.onnx_sha256()
    );
    println!(
        "output       {} values, {:.1} to {:.1} A (vacuum, rest frame)",
        wavelength.len(),
        wavelength[0],
        wavelength[wavelength.len() - 1]
    );
    println!("normalised   by {}", normalisation(manifest.spectrum.normalisation));
    match manifest.spectrum.resolving_power {
        Some(power) => println!("resolution   R = {power}"),
        None => println!("resolution   the label resolution"),
    }
    println!("error        {} of the normalised flux", manifest.spectrum.model_error);
    let derivatives = if manifest.output.jacobian.is_some() { "given" } else { "not given" };
    println!("derivatives  {derivatives}");
    println!("\nlabels");
    for label in &manifest.labels {
        let [low, high] = label.valid;
        println!(
            "  {:<10} {:<4} {low} to {high}, else {}  {}",
            label.name, label.unit, label.default, label.description
        );
    }
    origin(&manifest.provenance, &ready.model.dir.join(&manifest.files.card.path));
    Exit::Success
}

/// What the flux was divided by, in words.
fn normalisation(normalisation: Normalisation) -> String {
    match normalisation {
        Normalisation::Gaussian { fwhm } => {
            format!("itself, smoothed with a Gaussian of {fwhm} A at half maximum")
        }
        Normalisation::Continuum {} => "the true continuum".into(),
    }
}

pub(super) fn verify(config: &Config, ready: &ReadyForward) -> anyhow::Result<Exit> {
    let mut engine = ready.proven_engine(load_runtime(config)?, config)?;
    let golden = ready.model.golden()?;
    let worst = engine.verify(&golden)?;
    println!(
        "{}: files sound, {} golden spectra reproduced on {} (largest difference in {}, {:.1} % of what is allowed)",
        ready.id(),
        golden.cases.len(),
        engine.provider(),
        worst.label,
        100.0 * worst.share
    );
    Ok(Exit::Success)
}
