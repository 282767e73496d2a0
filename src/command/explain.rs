//! `starmill explain`.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;

use starmill_onnx::AnyModel;

use super::catalogue::with_columns_of;
use super::{Exit, inspect};
use crate::catalogue::{
    CatalogueError, Comparison, Located, Manifest, compare, create_folders, look_up, replace,
};
use crate::cli::ExplainArgs;
use crate::config::Config;
use crate::explain::{
    Answer, Explanation, ModelFit, Pair, Pictures, Replay, Templates, Which, lines, page, replay,
    respond, sensitivity_words,
};
use crate::input::Reader;
use crate::plot::{self, Point, Strip};
use crate::setup::{Ready, models_dir};
use crate::survey::Take;

pub(super) fn explain(mut config: Config, args: &ExplainArgs) -> anyhow::Result<Exit> {
    let sealed = args.catalogue.as_deref().map(manifest).transpose()?;
    if let Some(sealed) = &sealed {
        config = with_columns_of(&config, sealed);
        config.input.spectra = taken(sealed).unwrap_or(config.input.spectra);
    }
    let located = locate(args)?;
    let file = located.as_ref().map_or(&args.file, |located| &located.file);
    let which = match args.exposure {
        _ if located.is_some() => Which::Index(located.as_ref().map_or(0, |found| found.index)),
        Some(lmjm) if !config.input.spectra.exposures() => {
            config.input.spectra = Take::Both;
            Which::Exposure(lmjm)
        }
        Some(lmjm) => Which::Exposure(lmjm),
        None => Which::Index(args.index.unwrap_or(0)),
    };
    let of_catalogue = sealed.as_ref().and_then(|sealed| sealed.made_with.get("model").cloned());
    let name = match args.model.clone().or(of_catalogue) {
        Some(name) => name,
        None => only_model(&config, file)?,
    };
    let ready = Ready::open(&config, &name)?;
    let replay = replay(&config, &ready, file, which)?;
    if let Some(located) = &located {
        check_bytes(located, &replay)?;
    }
    let explanation = Explanation::of(&ready, &replay, templates(&ready)?.as_ref());
    let mut explanation = explanation.with_sensitivity(respond(&config, &ready, &replay)?);
    if let Some(folder) = &args.catalogue {
        explanation.catalogue = Some(compare(folder, &ready.schema(), &replay.outcome)?);
    }
    let json = serde_json::to_string_pretty(&explanation)?;
    if args.json {
        println!("{json}");
    } else {
        for line in lines(&explanation) {
            println!("{line}");
        }
    }
    if let Some(folder) = &args.out {
        for path in write(folder, &ready, &replay, &explanation, &json)? {
            // Standard output is the object's alone.
            tracing::info!(path = %path.display(), "written");
        }
    }
    let says_otherwise =
        explanation.catalogue.is_some_and(|found| !matches!(found, Comparison::Equal { .. }));
    let failed = explanation.reject.is_some() || says_otherwise;
    Ok(if failed { Exit::Rejects } else { Exit::Success })
}

/// Where the catalogue has the spectrum, if it is no file that is named.
fn locate(args: &ExplainArgs) -> anyhow::Result<Option<Located>> {
    if args.file.exists() {
        return Ok(None);
    }
    let name = args.file.to_string_lossy();
    let Some(folder) = &args.catalogue else {
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        anyhow::ensure!(
            !(is_number || name.contains(':') && !name.contains('/')),
            "there is no file {name}; if it is an obsid or a spectrum_id, name its catalogue with \
             --catalogue"
        );
        return Ok(None);
    };
    anyhow::ensure!(
        args.index.is_none() && args.exposure.is_none(),
        "there is no file {name}; if it is an obsid or a spectrum_id, leave --index and --exposure out"
    );
    let located = look_up(folder, &name)?;
    anyhow::ensure!(
        located.file.exists(),
        "{} is not there any more, or the run was started in another folder; its spectrum {} can be \
         explained there, or from the file itself where that lies now",
        located.file.display(),
        located.index
    );
    Ok(Some(located))
}

/// Holds the file against the one of which the catalogue's row was made.
fn check_bytes(located: &Located, replay: &Replay) -> anyhow::Result<()> {
    let now = replay.outcome.origin.file.digest.to_string();
    let is_same = located.blake3.as_ref().is_none_or(|then| *then == now);
    anyhow::ensure!(
        is_same,
        "{} has other bytes than when the catalogue's {} was made of it (BLAKE3 {now}, then {}); bring \
         that file back, or give this one by its name to explain what it holds now",
        located.file.display(),
        located.spectrum_id,
        located.blake3.as_deref().unwrap_or("unknown")
    );
    Ok(())
}

/// The manifest of a sealed catalogue.
fn manifest(folder: &Path) -> anyhow::Result<Manifest> {
    Manifest::read(folder)?.with_context(|| {
        format!(
            "{}: it is no sealed catalogue; let its run end, or run again with the same --out",
            folder.display()
        )
    })
}

/// Which spectra the catalogue's run took of files with several.
fn taken(sealed: &Manifest) -> Option<Take> {
    match sealed.settings.get("input.spectra")?.as_str() {
        "coadd" => Some(Take::Coadd),
        "exposures" => Some(Take::Exposures),
        "both" => Some(Take::Both),
        _ => None,
    }
}

/// The model for the survey of the file, if there is one alone.
fn only_model(config: &Config, file: &Path) -> anyhow::Result<String> {
    let mut reader = Reader::new(config.limits());
    reader.read(file, &mut thread::sleep)?;
    let reading = inspect::reading(config)?;
    let survey = match reading.open(&mut reader, &mut thread::sleep) {
        Ok((layout, _)) => layout.survey(),
        Err(reject) => anyhow::bail!("{}: {reject}", file.display()),
    };
    let models = starmill_onnx::list(&models_dir(config)?)?;
    let manifests = models.into_iter().filter_map(|model| match model.ok()? {
        AnyModel::Regressor(model) => Some(model.manifest),
        AnyModel::Forward(_) => None,
    });
    let suited = manifests.filter(|manifest| manifest.surveys.iter().any(|name| name == survey));
    let mut names: Vec<String> = suited.map(|manifest| manifest.name).collect();
    match names.len() {
        1 => Ok(names.remove(0)),
        0 => anyhow::bail!("no model is for {survey} spectra; see starmill models list"),
        _ => anyhow::bail!(
            "for {survey} spectra there are {}; name one with --model",
            names.join(", ")
        ),
    }
}

/// The templates of the model, if it has any.
fn templates(ready: &Ready) -> anyhow::Result<Option<Templates>> {
    let model = &ready.model;
    let Some(entry) = &model.manifest.files.templates else { return Ok(None) };
    let labels: Vec<&str> = model.manifest.labels.iter().map(|label| label.name.as_str()).collect();
    let templates = Templates::read(&model.read(entry)?, &labels, model.manifest.input.pixels);
    let path = || model.dir.join(&entry.path).display().to_string();
    Ok(Some(templates.with_context(path)?))
}

/// Draws a star beside the model spectrum at its labels.
fn draw_model(fit: &ModelFit) -> anyhow::Result<Vec<u8>> {
    let point = |pair: &Pair| {
        let &Pair { wave, flux, sigma, model } = pair;
        Point { wave, flux, model, residual: (flux - model) / sigma }
    };
    let points: Vec<Point> = fit.pairs.iter().map(point).collect();
    let features: Vec<(&str, f64)> =
        fit.features.iter().map(|feature| (feature.name, feature.wave)).collect();
    let title = format!(
        "data (dark) and {} (red) by the continuum; residual in units of the noise",
        fit.model
    );
    plot::model(&title, &points, &features)
        .map_err(|error| anyhow::anyhow!("the picture cannot be drawn: {error}; report the file"))
}

/// Draws the star above what each label makes of each region.
fn draw_sensitivity(ready: &Ready, explanation: &Explanation) -> Option<anyhow::Result<Vec<u8>>> {
    let (found, star) = (explanation.sensitivity.as_ref()?, explanation.star()?);
    let drawn = plot::sensitivity(&plot::Sensitivity {
        title: sensitivity_words(found).replace(" A ", " \u{c5} "),
        star: (ready.recipe.grid(), star),
        regions: found.regions.iter().map(|region| [region.from, region.to]).collect(),
        strips: found
            .labels
            .iter()
            .map(|Answer { name, unit, change, .. }| Strip { name, unit, values: change })
            .collect(),
        features: &found.features,
    });
    let failed = |error| anyhow::anyhow!("the picture cannot be drawn: {error}; report the file");
    Some(drawn.map_err(failed))
}

/// Writes the files and says which.
fn write(
    folder: &Path,
    ready: &Ready,
    replay: &Replay,
    explanation: &Explanation,
    json: &str,
) -> anyhow::Result<Vec<PathBuf>> {
    create_folders(folder)?;
    let mut written = Vec::new();
    let mut put = |name: &str, bytes: &[u8]| -> Result<(), CatalogueError> {
        replace(&folder.join(name), bytes)?;
        written.push(folder.join(name));
        Ok(())
    };
    let png = replay.spectrum.as_ref().map(|spectrum| {
        plot::steps(spectrum, ready.recipe.grid(), &explanation.panels()).map_err(|error| {
            anyhow::anyhow!("the picture cannot be drawn: {error}; report the file")
        })
    });
    let png = png.transpose()?;
    if let Some(png) = &png {
        put("explain.png", png)?;
    }
    let model = explanation.model_fit.as_ref().map(draw_model).transpose()?;
    if let Some(model) = &model {
        put("model.png", model)?;
    }
    let sensitivity = draw_sensitivity(ready, explanation).transpose()?;
    if let Some(sensitivity) = &sensitivity {
        put("sensitivity.png", sensitivity)?;
    }
    let pictures = Pictures {
        steps: png.as_deref(),
        model: model.as_deref(),
        sensitivity: sensitivity.as_deref(),
    };
    let page = page(explanation, pictures);
    put("explain.html", page.into_string().as_bytes())?;
    put("explain.json", json.as_bytes())?;
    Ok(written)
}
