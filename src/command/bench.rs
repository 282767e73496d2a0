//! `starmill bench`: one stage alone, for `ops/bench.sh` and for the curious.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ndarray::{Array2, ArrayView1};
use serde_json::json;

use super::Exit;
use crate::catalogue::{Made, Store, path_text};
use crate::cli::{BenchArgs, BenchStage};
use crate::config::Config;
use crate::estimate::Predicted;
use crate::input::{Digest, Found, Limits, Listing, Reader, Unread};
use crate::ledger::Input;
use crate::outcome::{Identity, Item, Origin, Outcome, SourceFile};
use crate::prep::{Prepared, Workspace};
use crate::setup::{Ready, load_runtime};
use crate::spectrum::Spectrum;
use crate::stage::Reading;

/// Stages that work from memory go over their input again until they have run for so long.
const LEAST: Duration = Duration::from_secs(1);
/// What is held in memory at most, so that a bench of an archive does not exhaust the machine.
const MOST_HELD: usize = 20_000;

pub(super) fn bench(config: &Config, args: &BenchArgs) -> anyhow::Result<Exit> {
    let listing = Listing::start(args.paths.clone(), std::io::empty())?;
    let files: Vec<PathBuf> = listing
        .filter_map(|found| match found {
            Found::File(path) => Some(path),
            Found::Rows(..) | Found::Missing(..) => None,
        })
        .take(MOST_HELD)
        .collect();
    ensure!(!files.is_empty(), "no files found; name FITS files or a folder of them");
    ensure!(args.workers >= 1, "--workers must be at least 1");
    let limits = config.limits();
    // As for a model of one survey, so that input.whole_file shows.
    let (take, whole_file) = (config.input.spectra, config.input.whole_file);
    let reading = Reading { take, whole_file, velocities: Vec::new() };
    let (items, wall) = match args.stage {
        BenchStage::Inflate => bench_inflate(&files, limits, args.workers)?,
        BenchStage::Read => repeat(
            args.workers,
            files.len(),
            || Reader::new(limits),
            |reader, index| read_spectra(reader, &reading, &files[index]).map(drop),
        )?,
        BenchStage::Prepare => {
            let ready = Ready::open(config, &args.model)?;
            let spectra = read_all(&files, &reading, limits)?;
            repeat(args.workers, spectra.len(), Workspace::default, |workspace, index| {
                // A reject is work done as well.
                std::hint::black_box(ready.recipe.prepare_in(workspace, &spectra[index]).is_ok());
                Ok(())
            })?
        }
        BenchStage::Infer => bench_infer(config, args, &read_all(&files, &reading, limits)?)?,
        BenchStage::Write => bench_write(config, args, &files)?,
    };
    println!(
        "{}",
        json!({
            "stage": format!("{:?}", args.stage).to_lowercase(),
            "workers": args.workers,
            "files": files.len(),
            "spectra": items,
            "wall_s": wall.as_secs_f64(),
            "per_s": items as f64 / wall.as_secs_f64(),
        })
    );
    Ok(Exit::Success)
}

/// Calls `work` for every index from `workers` threads, each with a state of its own.
fn parallel<S>(
    workers: usize,
    count: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let next = AtomicUsize::new(0);
    let worker = || -> anyhow::Result<()> {
        let mut state = state();
        loop {
            match next.fetch_add(1, Relaxed) {
                index if index < count => work(&mut state, index)?,
                _ => return Ok(()),
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a bench thread panicked"),
        })
    })
}

/// Goes over all indices again and again for at least [`LEAST`]; returns items and time.
fn repeat<S>(
    workers: usize,
    count: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<(usize, Duration)> {
    let begin = Instant::now();
    let mut items = 0;
    while items == 0 || begin.elapsed() < LEAST {
        parallel(workers, count, &state, &work)?;
        items += count;
    }
    Ok((items, begin.elapsed()))
}

fn failed(path: &Path, error: &Unread) -> anyhow::Error {
    anyhow::anyhow!("{}: {error}", path.display())
}

fn bench_inflate(
    files: &[PathBuf],
    limits: Limits,
    workers: usize,
) -> anyhow::Result<(usize, Duration)> {
    let mut reader = Reader::new(limits);
    let raw: Vec<Vec<u8>> = files
        .iter()
        .map(|path| match reader.read(path, &mut thread::sleep) {
            Ok(_) => Ok(reader.raw().to_vec()),
            Err(error) => Err(failed(path, &error)),
        })
        .collect::<Result<_, _>>()?;
    ensure!(raw.iter().all(|raw| raw.starts_with(&[0x1f, 0x8b])), "inflate needs .gz files");
    let inflater = || (libdeflater::Decompressor::new(), Vec::new());
    repeat(workers, raw.len(), inflater, |(inflater, inflated), index| {
        let raw = &raw[index];
        let size = raw.last_chunk().map_or(0, |size| u32::from_le_bytes(*size)) as usize;
        inflated.resize(size, 0);
        inflater
            .gzip_decompress(raw, inflated)
            .with_context(|| format!("{}", files[index].display()))?;
        std::hint::black_box(&inflated);
        Ok(())
    })
}

fn read_spectra(
    reader: &mut Reader,
    reading: &Reading,
    path: &Path,
) -> anyhow::Result<(Digest, Vec<Spectrum>)> {
    let mut read = || -> Result<_, Unread> {
        let digest = reader.read(path, &mut thread::sleep)?;
        let (layout, fits) = reading.open(reader, &mut thread::sleep)?;
        let spectra = (0..layout.count(&fits)).map(|index| layout.read(&fits, index));
        Ok((digest, spectra.collect::<Result<_, _>>()?))
    };
    read().map_err(|error| failed(path, &error))
}

fn read_all(files: &[PathBuf], reading: &Reading, limits: Limits) -> anyhow::Result<Vec<Spectrum>> {
    let mut reader = Reader::new(limits);
    let mut spectra = Vec::new();
    for path in files {
        spectra.extend(read_spectra(&mut reader, reading, path)?.1);
    }
    Ok(spectra)
}

fn prepared(ready: &Ready, spectra: &[Spectrum]) -> anyhow::Result<Vec<Prepared>> {
    let prepared: Vec<_> = spectra.iter().filter_map(|s| ready.recipe.prepare(s).ok()).collect();
    ensure!(!prepared.is_empty(), "the recipe rejects every spectrum");
    Ok(prepared)
}

fn bench_infer(
    config: &Config,
    args: &BenchArgs,
    spectra: &[Spectrum],
) -> anyhow::Result<(usize, Duration)> {
    let ready = Ready::open(config, &args.model)?;
    let prepared = prepared(&ready, spectra)?;
    let runtime = load_runtime(config)?;
    let batch = config.infer.batch;
    let inputs =
        Array2::from_shape_fn((batch, ready.model.manifest.input.pixels), |(row, pixel)| {
            prepared[row % prepared.len()].input[pixel]
        });
    let runs = AtomicUsize::new(0);
    let begin = Instant::now();
    // One session a worker, as in the flow.
    parallel(
        args.workers,
        args.workers,
        || (),
        |(), _| {
            let mut engine = ready.engine(runtime, config)?;
            let begin = Instant::now();
            while begin.elapsed() < LEAST {
                std::hint::black_box(engine.run(inputs.view())?);
                runs.fetch_add(1, Relaxed);
            }
            Ok(())
        },
    )?;
    // Opening sessions is not part of the rate.
    Ok((runs.into_inner() * batch, begin.elapsed().min(LEAST)))
}

fn bench_write(
    config: &Config,
    args: &BenchArgs,
    files: &[PathBuf],
) -> anyhow::Result<(usize, Duration)> {
    let ready = Ready::open(config, &args.model)?;
    let outcomes = outcomes(&ready, files, config.limits())?;
    let folder = std::env::temp_dir().join(format!("starmill-bench-{}", std::process::id()));
    let begin = Instant::now();
    let mut store = Store::open(&folder, &ready.id_with_hash(), ready.schema())?;
    for outcomes in outcomes.chunks(config.write.segment_spectra) {
        let inputs: Vec<Input> = outcomes
            .iter()
            .map(|outcome| &outcome.origin.file)
            .map(|file| Input {
                digest: file.digest,
                path: path_text(&file.path),
                first: 0,
                spectra: 1,
                total: 1,
            })
            .collect();
        store.commit(outcomes, &inputs)?;
    }
    store.seal(&Made::default(), &|| false)?;
    let wall = begin.elapsed();
    drop(store);
    std::fs::remove_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    Ok((outcomes.len(), wall))
}

/// Outcomes as the flow would hand them over, with labels in the middle of their ranges.
fn outcomes(ready: &Ready, files: &[PathBuf], limits: Limits) -> anyhow::Result<Vec<Outcome>> {
    let middle: Vec<f32> = {
        #[expect(clippy::cast_possible_truncation, reason = "labels are single precision")]
        let middle = |[low, high]: &[f64; 2]| (0.5 * (low + high)) as f32;
        ready.labels.valid.iter().map(middle).collect()
    };
    let manifest = &ready.model.manifest;
    let sigma = vec![1.0; middle.len()];
    let width = |&index: &usize| manifest.output.columns[index].width();
    let columns = vec![0.0; ready.labels.columns.iter().map(width).sum()];
    let rank = manifest.output.covariance.as_ref().map(|covariance| covariance.rank);
    let factor = rank.map(|rank| Array2::zeros((rank, middle.len())));
    let predicted = Predicted {
        labels: &middle,
        novelty: Some(0.5),
        sigma: manifest.output.sigma.as_ref().map(|_| ArrayView1::from(&sigma)),
        factor: factor.as_ref().map(|factor| factor.view()),
        columns: &columns,
    };
    let mut outcomes = Vec::new();
    let mut reader = Reader::new(limits);
    for path in files {
        let (digest, spectra) = read_spectra(&mut reader, &ready.reading, path)?;
        let Some(spectrum) = spectra.first() else {
            continue;
        };
        let file = SourceFile::whole(outcomes.len() as u64, path.clone(), digest, 1);
        let identity = Identity::of(spectrum);
        let content = ready
            .recipe
            .prepare(spectrum)
            .and_then(|prepared| ready.labels.judge(&identity, &prepared, &predicted));
        let origin = Origin { file: Arc::new(file), index: 0 };
        outcomes.push(Item { origin, identity: Arc::new(identity), content });
    }
    Ok(outcomes)
}
