//! `starmill models`.

mod forward;

use std::collections::BTreeMap;
use std::path::Path;

use starmill_onnx::AnyModel;

use super::{Exit, choose_device};
use crate::cli::ModelsCommand;
use crate::config::Config;
use crate::setup::{Ready, ReadyForward, load_runtime, model_dir, models_dir};

pub(super) fn models(mut config: Config, command: ModelsCommand) -> anyhow::Result<Exit> {
    match command {
        ModelsCommand::List => list(&config),
        ModelsCommand::Show { name } => match AnyModel::open(model_dir(&config, &name)?)? {
            AnyModel::Regressor(_) => Ok(show(&Ready::open(&config, &name)?)),
            AnyModel::Forward(_) => Ok(forward::show(&ReadyForward::open(&config, &name)?)),
        },
        ModelsCommand::Verify { name, device } => {
            choose_device(&mut config, device.device);
            let names = match name {
                Some(name) => vec![name],
                None => starmill_onnx::list(&models_dir(&config)?)?
                    .into_iter()
                    .map(|model| model.map(|model| folder_name(&model)))
                    .collect::<Result<_, _>>()?,
            };
            names.iter().try_fold(Exit::Success, |_, name| verify(&config, name))
        }
    }
}

fn list(config: &Config) -> anyhow::Result<Exit> {
    let mut exit = Exit::Success;
    for model in starmill_onnx::list(&models_dir(config)?)? {
        match model {
            Ok(AnyModel::Regressor(model)) => {
                let manifest = &model.manifest;
                let surveys = manifest.surveys.join(", ");
                println!("{} {}  {surveys}  {}", manifest.name, manifest.version, manifest.title);
            }
            Ok(AnyModel::Forward(model)) => {
                let manifest = &model.manifest;
                println!("{} {}  (forward)  {}", manifest.name, manifest.version, manifest.title);
            }
            Err(error) => {
                println!("broken: {error}");
                exit = Exit::Failure;
            }
        }
    }
    Ok(exit)
}

fn show(ready: &Ready) -> Exit {
    let manifest = &ready.model.manifest;
    println!("{}\n{}\n{}", ready.id(), manifest.title, manifest.paper);
    println!("licence      {}", manifest.license);
    println!("surveys      {}", manifest.surveys.join(", "));
    println!("trained on   {:?} spectra", manifest.trained_on);
    println!(
        "network      {}, sha256 {}",
        manifest.files.onnx.path.display(),
        ready.model.onnx_sha256()
    );
    let grid = ready.recipe.grid();
    let centres = grid.centres();
    println!(
        "input        {} values, {:.1} to {:.1} A",
        grid.bins(),
        centres[0],
        centres[centres.len() - 1]
    );
    println!("S/N limit    {} {}", manifest.quality.min_snr, ready.snr_name());
    println!("\nrecipe");
    for (number, step) in (1..).zip(&manifest.recipe) {
        let parameters = step.iter().filter(|(key, _)| key.as_str() != "step");
        let parameters: Vec<_> =
            parameters.map(|(key, value)| format!("{key} = {value}")).collect();
        let name = step.get("step").and_then(toml::Value::as_str).unwrap_or("?");
        println!("  {number}. {name}  {}", parameters.join(", "));
    }
    println!("\nlabels");
    for label in &manifest.labels {
        let [low, high] = label.valid;
        let published = label.alias.as_ref().map(|alias| format!(" (published as {alias})"));
        println!(
            "  {:<8} {:<4} {low} to {high}  {}{}",
            label.name,
            label.unit,
            label.description,
            published.unwrap_or_default()
        );
    }
    if !manifest.output.columns.is_empty() {
        println!("\nfurther columns");
        for column in &manifest.output.columns {
            let when = if column.on_request { " (on request: models.columns)" } else { "" };
            println!("  {:<8} {:?}  {}{when}", column.name, column.shape, column.description);
        }
    }
    for derived in &manifest.derived {
        println!("  {:<8} {:<4} {}", derived.name, derived.unit, derived.description);
    }
    origin(&manifest.provenance, &ready.model.dir.join(&manifest.files.card.path));
    Exit::Success
}

fn origin(provenance: &BTreeMap<String, String>, card: &Path) {
    println!("\norigin");
    for (key, value) in provenance {
        println!("  {key}: {value}");
    }
    println!("\ncard         {}", card.display());
}

/// The name by which a model is asked for.
fn folder_name(model: &AnyModel) -> String {
    model.dir().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn verify(config: &Config, name: &str) -> anyhow::Result<Exit> {
    if let AnyModel::Forward(_) = AnyModel::open(model_dir(config, name)?)? {
        return forward::verify(config, &ReadyForward::open(config, name)?);
    }
    let ready = Ready::open(config, name)?;
    let runtime = load_runtime(config)?;
    let mut engine = ready.engine(runtime, config)?;
    let golden = ready.model.golden()?;
    let worst = engine.verify(&golden, &ready.model.manifest.tolerances())?;
    println!(
        "{}: files sound, {} golden rows reproduced on {} (largest difference {:.2e} in {}, {:.1} % of what is allowed)",
        ready.id(),
        golden.cases.len(),
        engine.provider(),
        worst.difference,
        worst.label,
        100.0 * worst.share
    );
    Ok(Exit::Success)
}
