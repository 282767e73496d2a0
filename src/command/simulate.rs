//! `starmill simulate-night`.

use std::time::{Duration, Instant};

use super::{Exit, choose_device};
use crate::cli::{SimulateNightArgs, SimulatedLabels, SimulatedLayout, SimulatedSurvey};
use crate::config::Config;
use crate::setup::{ReadyForward, load_runtime};
use crate::simulate::{Labels, Release, Request, Source, Survey, TRUTH, simulate};

/// Stars that go through the network together.
const BATCH: usize = 32;

pub(super) fn run(mut config: Config, args: SimulateNightArgs) -> anyhow::Result<Exit> {
    choose_device(&mut config, args.device.device.clone());
    let runtime = load_runtime(&config)?;
    let mut sources = Vec::new();
    for survey in [SimulatedSurvey::Lrs, SimulatedSurvey::Mrs] {
        if !args.survey.contains(&survey) {
            continue;
        }
        let survey = if survey == SimulatedSurvey::Lrs { Survey::Lrs } else { Survey::Mrs };
        let ready = ReadyForward::open(&config, survey.model())?;
        let engine = ready.proven_spectra(runtime, &config, BATCH)?;
        sources.push(Source { survey, engine, wavelength: ready.wavelength });
    }
    let request = Request {
        date: args.date,
        stars: args.stars,
        seed: args.seed,
        release: match args.layout {
            SimulatedLayout::Dr7 => Release::Dr7,
            SimulatedLayout::Dr9 => Release::Dr9,
        },
        labels: match args.labels {
            SimulatedLabels::Survey => Labels::Survey,
            SimulatedLabels::Even => Labels::Even,
        },
        clean: args.clean,
        snr: args.snr,
        repeats: args.repeats,
        broken: args.broken,
        galaxies: args.galaxies,
        delay: Duration::from_secs_f64(args.delay),
        out: args.out,
    };
    let begin = Instant::now();
    let done = simulate(&request, &mut sources)?;
    println!("what is true of each file: {}", request.out.join(TRUTH).display());
    println!(
        "files={} broken={} seconds={:.3}",
        done.files,
        done.broken,
        begin.elapsed().as_secs_f64()
    );
    Ok(Exit::Success)
}
