//! `starmill generate`.

use std::time::Instant;

use starmill_onnx::{ForwardEngine, Normalisation, Runtime};

use super::{Exit, choose_device};
use crate::catalogue::{Provenance, sha256_of_file};
use crate::cli::GenerateArgs;
use crate::config::Config;
use crate::generate::{Format, Pattern, Refused, Request, SHOWN, Source, generate, survey};
use crate::setup::{ReadyForward, load_runtime};

/// Rows that go through the network together: their spectra stay in the processor's cache.
const BATCH: usize = 32;

/// What the generator's paper needs for one spectrum, milliseconds, and what SYNSPEC does, minutes.
const PAPER: &str = "the generator's paper: 9 ms, and 3 minutes with SYNSPEC";

pub(super) fn run(mut config: Config, args: GenerateArgs) -> anyhow::Result<Exit> {
    // A name that tells no format is found before a million labels are read.
    Format::of(&args.out)?;
    choose_device(&mut config, args.device.device.clone());
    let ready = ReadyForward::open(&config, &args.model)?;
    let source = source(&ready, &args)?;
    say(&source);
    let refused = survey(&source)?;
    let runtime = load_runtime(&config)?;
    let mut engine = ready.proven_spectra(runtime, &config, BATCH)?;
    let provenance = provenance(&ready, &source, &args, runtime, &engine)?;
    let request = Request {
        out: args.out,
        snr: args.snr,
        velocity: args.rv,
        seed: args.seed,
        skip_outside: args.skip_outside,
    };
    let first = first_left_out(&refused);
    let begin = Instant::now();
    let wavelength = &ready.wavelength;
    let written = generate(&source, &mut engine, wavelength, &provenance, &request, refused)?;
    let seconds = begin.elapsed().as_secs_f64();
    for line in first {
        println!("left out: {line}");
    }
    if written.left_out > 0 {
        println!("left out: listed in {}.left-out.csv", request.out.display());
    }
    if written.spectra > 0 {
        println!(
            "{} pixels, {:.3} ms a spectrum with its writing ({PAPER})",
            wavelength.len(),
            1e3 * seconds / written.spectra as f64
        );
    }
    println!(
        "spectra={} left_out={} seconds={seconds:.3} spectra_per_second={:.0}",
        written.spectra,
        written.left_out,
        written.spectra as f64 / seconds.max(1e-9)
    );
    Ok(if written.left_out > 0 { Exit::Rejects } else { Exit::Success })
}

fn source(ready: &ReadyForward, args: &GenerateArgs) -> anyhow::Result<Source> {
    let manifest = &ready.model.manifest;
    let pattern = match (args.grid, args.sobol) {
        (true, _) => Pattern::Grid,
        (false, Some(points)) => Pattern::Sobol { points, seed: args.seed },
        (false, None) => {
            let table = args.labels.as_ref().ok_or_else(|| {
                anyhow::anyhow!("no labels; give --labels FILE, --grid or --sobol N")
            })?;
            return Ok(Source::table(manifest, table, &args.set)?);
        }
    };
    Ok(Source::pattern(manifest, pattern, &args.range, &args.set)?)
}

/// States what nobody said.
fn say(source: &Source) {
    for column in source.columns().iter().filter(|column| column.is_default) {
        println!(
            "{} = {} {} in all rows, the model's default",
            column.name, column.value, column.unit
        );
    }
    if !source.ignored().is_empty() {
        println!("columns that are no labels are ignored: {}", source.ignored().join(", "));
    }
}

fn first_left_out(refused: &Refused) -> Vec<String> {
    let mut lines: Vec<String> = refused.first.iter().map(ToString::to_string).collect();
    if refused.rows > SHOWN as u64 {
        lines.push(format!("{} rows in all", refused.rows));
    }
    lines
}

/// What made the spectra. It holds nothing that differs between two runs with the same arguments.
fn provenance(
    ready: &ReadyForward,
    source: &Source,
    args: &GenerateArgs,
    runtime: &Runtime,
    engine: &ForwardEngine,
) -> anyhow::Result<Provenance> {
    let manifest = &ready.model.manifest;
    let mut entries = Vec::new();
    let mut add = |keyword: &str, value: String, comment: &str| {
        entries.push((keyword.to_owned(), value, comment.to_owned()));
    };
    add("CREATOR", concat!("starmill ", env!("CARGO_PKG_VERSION")).into(), "software");
    add("MODEL", manifest.name.clone(), "forward model");
    add("MODELVER", manifest.version.clone(), "version of the model");
    add("MODELSHA", ready.model.onnx_sha256().into(), "");
    add("ORTVER", runtime.version().into(), "version of ONNX Runtime");
    add("ORTSHA", runtime.sha256().into(), "");
    add("PROVIDER", engine.provider().into(), "where the model ran");
    let normalisation = match manifest.spectrum.normalisation {
        Normalisation::Continuum {} => "continuum".into(),
        Normalisation::Gaussian { fwhm } => format!("gaussian, FWHM {fwhm} A"),
    };
    add("NORM", normalisation, "what the flux was divided by");
    if let Some(power) = manifest.spectrum.resolving_power {
        add("RESPOWER", power.to_string(), "resolving power");
    }
    add("MODELERR", manifest.spectrum.model_error.to_string(), "rms error of the flux");
    add("RV", args.rv.to_string(), "radial velocity, km/s");
    if let Some(table) = &args.labels {
        add("LABELSHA", sha256_of_file(table)?, "SHA-256 of the labels");
    }
    let ranges = args.range.iter().map(|axis| {
        let step = axis.step.map(|step| format!(":{step}")).unwrap_or_default();
        format!("{}={}:{}{step}", axis.label, axis.low, axis.high)
    });
    let ranges: Vec<String> = ranges.collect();
    match (args.grid, args.sobol) {
        (true, _) => add("GRID", ranges.join(" "), "ranges"),
        (false, Some(points)) => {
            add("SOBOL", format!("{points} {}", ranges.join(" ")), "points and ranges");
        }
        (false, None) => {}
    }
    let defaults = source.columns().iter().filter(|column| column.is_default);
    let defaults: Vec<_> =
        defaults.map(|column| format!("{}={}", column.name, column.value)).collect();
    if !defaults.is_empty() {
        add("DEFAULTS", defaults.join(" "), "labels that nobody gave");
    }
    if let Some(snr) = args.snr {
        add("SNR", snr.to_string(), "signal to noise at flux 1");
    }
    if args.snr.is_some() || args.sobol.is_some() {
        add("SEED", args.seed.to_string(), "of what is random");
    }
    Ok(Provenance { entries })
}
