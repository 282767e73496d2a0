//! `starmill inspect`.

mod json;

use std::thread;

use super::Exit;
use crate::cli::InspectArgs;
use crate::config::Config;
use crate::fits::{Fits, Value};
use crate::input::{Reader, Unread};
use crate::outcome::{Estimate, Identity};
use crate::plot;
use crate::reject::Reject;
use crate::setup::{Ready, load_runtime};
use crate::spectrum::Spectrum;
use crate::stage::{Reading, check_survey};
use crate::survey::{LAMOST_MRS, LAYOUTS};

pub(super) fn inspect(config: &Config, args: &InspectArgs) -> anyhow::Result<Exit> {
    if args.json {
        return inspect_json(config, args);
    }
    let mut reader = Reader::new(config.limits());
    println!("file      {}", args.file.display());
    let digest = match reader.read(&args.file, &mut thread::sleep) {
        Ok(digest) => digest,
        Err(Unread::Reject(reject)) => return Ok(rejected(&reject)),
        Err(error) => return Err(error.into()),
    };
    let bytes = match reader.inflate(&mut thread::sleep) {
        Ok(bytes) => bytes,
        Err(reject) => return Ok(rejected(&reject)),
    };
    println!("blake3    {digest}\nbytes     {} when inflated", bytes.len());
    let fits = match Fits::parse(bytes) {
        Ok(fits) => fits,
        Err(error) => return Ok(rejected(&error.into())),
    };
    describe_structure(&fits);
    let mut taker = None;
    for layout in LAYOUTS {
        match layout.recognise(&fits) {
            Ok(()) => {
                println!("reader    {} takes it: {}", layout.name(), layout.summary());
                taker = Some(layout);
            }
            Err(why) => println!("          not {}: {why}", layout.name()),
        }
    }
    let Some(layout) = taker else {
        println!("reader    none; a new survey needs a reader");
        return Ok(Exit::Rejects);
    };
    let layout = layout.taking(config.input.spectra).unwrap_or(*layout);
    let count = layout.count(&fits);
    println!("spectra   {count}");
    if args.index >= count {
        anyhow::bail!("--index {} is beyond the {count} spectra of the file", args.index);
    }
    let mut spectrum = match layout.read(&fits, args.index) {
        Ok(spectrum) => spectrum,
        Err(reject) => return Ok(rejected(&reject)),
    };
    reading(config)?.complete(&args.file, &mut spectrum);
    describe_spectrum(&spectrum);
    let result = args.model.as_ref().map(|name| estimate(config, name, &spectrum)).transpose()?;
    if let Some((ready, result)) = &result {
        describe_result(ready, result);
    }
    if let Some(path) = &args.plot {
        let shown = result.as_ref().and_then(|(ready, result)| {
            // The input of a fit is the flux itself, which is drawn in any case.
            let result = result.as_ref().ok().filter(|_| ready.fit.is_none());
            result.map(|(prepared, estimate)| plot::Result {
                model: ready.id(),
                grid: ready.recipe.grid(),
                input: prepared,
                labels: label_lines(ready, estimate),
            })
        });
        plot::spectrum(path, &spectrum, shown.as_ref())?;
        println!("plot      {}", path.display());
    }
    let failed = result.is_some_and(|(_, result)| result.is_err());
    Ok(if failed { Exit::Rejects } else { Exit::Success })
}

/// What a model of medium-resolution spectra would be given, whether there is one or not.
pub(super) fn reading(config: &Config) -> anyhow::Result<Reading> {
    Ok(Reading::of(config, &[LAMOST_MRS.to_owned()])?)
}

fn inspect_json(config: &Config, args: &InspectArgs) -> anyhow::Result<Exit> {
    let (mut reader, reading) = (Reader::new(config.limits()), reading(config)?);
    let digest = match reader.read(&args.file, &mut thread::sleep) {
        Ok(digest) => digest,
        Err(Unread::Reject(reject)) => {
            println!("{}", json::rejected(&reject));
            return Ok(Exit::Rejects);
        }
        Err(error) => return Err(error.into()),
    };
    match reading.open(&mut reader, &mut thread::sleep) {
        Ok((layout, fits)) => {
            println!("{}", json::file(layout, &fits, digest, (&args.file, &reading)));
            Ok(Exit::Success)
        }
        Err(reject) => {
            println!("{}", json::rejected(&reject));
            Ok(Exit::Rejects)
        }
    }
}

fn rejected(reject: &Reject) -> Exit {
    println!("reject    {reject}");
    Exit::Rejects
}

fn describe_structure(fits: &Fits) {
    for hdu in &fits.hdus {
        let name = hdu.header.text("EXTNAME").unwrap_or_else(|| "-".into());
        let kind = hdu.header.text("XTENSION").unwrap_or_else(|| "PRIMARY".into());
        print!("HDU {:<5} {kind:<9} {name:<12} {} bytes", hdu.number, hdu.data.len());
        if let Ok(table) = hdu.table() {
            let column =
                |c: &crate::fits::Column| format!("{} {}{}", c.name, c.repeat, char::from(c.kind));
            let columns: Vec<_> = table.columns().iter().map(column).collect();
            print!(", {} rows of {}", table.rows, columns.join(", "));
        } else if let Some((width, height)) = hdu.float_image_shape() {
            print!(", image {width} x {height}");
        }
        println!();
    }
    if let Some((_, Value::Text(rows))) =
        fits.primary().header.entries().find(|(key, _)| key == "EXTEN0")
    {
        println!("          rows are said to be: {rows}");
    }
}

fn describe_spectrum(spectrum: &Spectrum) {
    let (wave, meta) = (spectrum.wave(), &spectrum.meta);
    println!(
        "name      {}",
        spectrum.name().unwrap_or_else(|| "the header names no observation".into())
    );
    let shown = |value: Option<String>| value.unwrap_or_else(|| "-".into());
    println!(
        "object    obsid {}, class {} {}, ra {}, dec {}",
        shown(meta.obsid.map(|v| v.to_string())),
        shown(meta.class.clone()),
        shown(meta.subclass.clone()),
        shown(meta.ra.map(|v| format!("{v:.5}"))),
        shown(meta.dec.map(|v| format!("{v:.5}"))),
    );
    if let Some(row) = meta.row {
        let [g, bp, rp] = meta.magnitudes.map(|value| shown(value.map(|v| format!("{v:.2}"))));
        let star = shown(meta.designation.clone());
        println!("row       {row}, star {star}, G {g}, BP {bp}, RP {rp}");
    }
    let bands = ["u", "g", "r", "i", "z"].iter().zip(meta.snr);
    let snr: Vec<_> = bands
        .map(|(band, snr)| format!("{band} {}", shown(snr.map(|v| format!("{v:.1}")))))
        .collect();
    match (meta.snr_b, meta.snr_r) {
        _ if meta.snr_median.is_some() => {
            println!(
                "S/N       median pixel {}",
                shown(meta.snr_median.map(|v| format!("{v:.1}")))
            );
        }
        (None, None) => println!("S/N       {}", snr.join(", ")),
        (blue, red) => {
            let arm = |snr: Option<f32>| shown(snr.map(|snr| format!("{snr:.1}")));
            println!("S/N       blue arm {}, red arm {}", arm(blue), arm(red));
        }
    }
    if let Some(rv) = meta.rv_kms {
        let error = meta.rv_err_kms.map_or_else(String::new, |error| format!(" +- {error}"));
        println!("rv        {rv}{error} km/s from {}", shown(meta.rv_source.clone()));
    }
    println!("pixels    {}, {:.2} to {:.2} A (vacuum)", wave.len(), wave[0], wave[wave.len() - 1]);
    let count = |bad: &mut dyn Iterator<Item = bool>| bad.filter(|&bad| bad).count();
    println!(
        "masked    {} without ivar, {} by andmask, {} by ormask, {} repaired; fibre mask {}",
        count(&mut spectrum.ivar().iter().map(|&v| v <= 0.0)),
        count(&mut spectrum.andmask().iter().map(|&v| v != 0)),
        count(&mut spectrum.ormask().iter().map(|&v| v != 0)),
        spectrum.repaired(),
        shown(meta.fibermask.map(|v| v.to_string())),
    );
}

type Estimated = Result<(Vec<f32>, Estimate), Reject>;

fn estimate(
    config: &Config,
    name: &str,
    spectrum: &Spectrum,
) -> anyhow::Result<(Ready, Estimated)> {
    let ready = Ready::open(config, name)?;
    let checked = check_survey(&ready.model.manifest.surveys, spectrum);
    let prepared = match checked.and_then(|()| ready.recipe.prepare(spectrum)) {
        Ok(prepared) => prepared,
        Err(reject) => return Ok((ready, Err(reject))),
    };
    let mut estimator = ready.estimator(load_runtime(config)?, config)?;
    let identity = Identity::of(spectrum);
    let estimates = estimator.run(&[(&identity, &prepared)])?;
    let estimate = estimates.conclude(&ready.labels, &identity, &prepared, 0);
    Ok((ready, estimate.map(|estimate| (prepared.input, estimate))))
}

fn label_lines(ready: &Ready, estimate: &Estimate) -> Vec<String> {
    let manifest = &ready.model.manifest;
    let names = manifest.labels.iter().map(|label| (&label.name, &label.unit));
    let names = names.chain(manifest.derived.iter().map(|derived| (&derived.name, &derived.unit)));
    // A model without errors has none for any label.
    let errors = estimate.errors.iter().copied().map(Some).chain(std::iter::repeat(None));
    let line = |(((name, unit), value), error): (((&String, &String), &f32), Option<f32>)| {
        let digits = if value.abs() >= 100.0 { 0 } else { 2 };
        let error = error.map_or_else(String::new, |error| format!(" +- {error:.digits$}"));
        format!("{name} = {value:.digits$}{error} {unit}")
    };
    let mut lines: Vec<String> = names.zip(&estimate.values).zip(errors).map(line).collect();
    if estimate.novelty.is_finite() {
        lines.push(format!("novelty = {:.2}", estimate.novelty));
    }
    lines.push(format!("flags = {}", estimate.quality));
    lines
}

fn describe_result(ready: &Ready, result: &Estimated) {
    println!("model     {}", ready.id());
    match result {
        Ok((_, estimate)) => {
            for line in label_lines(ready, estimate) {
                println!("          {line}");
            }
        }
        Err(reject) => println!("reject    {reject}"),
    }
}
