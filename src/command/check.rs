//! `starmill check`.

use super::Exit;
use starmill_onnx::{AnyModel, Runtime};

use crate::config::{Config, workers_or_cores};
use crate::memory::{Bound, Measured};
use crate::setup::{Ready, ReadyForward, SetupError, load_runtime, model_dir, models_dir};

/// Looks at everything that a run needs, and says all that is wrong, not only the first.
pub(super) fn check(config: &Config) -> anyhow::Result<Exit> {
    println!("configuration  ok");
    let device: starmill_onnx::Device =
        config.onnx.device.parse().map_err(crate::setup::SetupError::Device)?;
    let mut exit = Exit::Success;
    let mut say = |what: &str, result: Result<String, String>| match result {
        Ok(detail) => println!("{what:<14} ok: {detail}"),
        Err(problem) => {
            println!("{what:<14} FAILED: {problem}");
            exit = Exit::Failure;
        }
    };
    let runtime = load_runtime(config);
    say(
        "library",
        match &runtime {
            Ok(runtime) => {
                Ok(format!("ONNX Runtime {} from {}", runtime.version(), runtime.path().display()))
            }
            Err(error) => Err(error.to_string()),
        },
    );
    match models_dir(config).map_err(|error| error.to_string()).and_then(|dir| names(&dir)) {
        Err(problem) => say("models", Err(problem)),
        Ok(names) => {
            for name in names {
                let opened = model(config, &name, runtime.as_ref().ok().copied());
                say(&format!("model {name}"), opened.map_err(|error| error.to_string()));
            }
        }
    }
    if config.inbox.is_empty() {
        println!("service        not set up: no [[inbox]] is configured");
    } else {
        say("service", service(config));
    }
    let readers = workers_or_cores(config.read.workers);
    println!("device         {device}");
    println!(
        "workers        {readers} reading, {} preparing, {} inferring",
        workers_or_cores(config.prepare.workers),
        workers_or_cores(config.infer.workers)
    );
    Ok(exit)
}

/// Opens a model of either kind, and runs it where there is a library.
fn model(config: &Config, name: &str, runtime: Option<&Runtime>) -> Result<String, SetupError> {
    let runs = |id: String, provider: &str| format!("{id} runs on {provider}");
    let not_run = |id: String| format!("{id}, files sound, not run without the library");
    match AnyModel::open(model_dir(config, name)?)? {
        AnyModel::Regressor(_) => {
            let ready = Ready::open(config, name)?;
            let Some(runtime) = runtime else { return Ok(not_run(ready.id())) };
            let engine = ready.proven_engine(runtime, config)?;
            Ok(runs(ready.id(), engine.provider()) + &memory(config, &ready, runtime)?)
        }
        AnyModel::Forward(_) => {
            let ready = ReadyForward::open(config, name)?;
            let Some(runtime) = runtime else { return Ok(not_run(ready.id())) };
            Ok(runs(ready.id(), ready.proven_engine(runtime, config)?.provider()))
        }
    }
}

/// Whether `starmill serve` could begin, as far as its configuration tells.
fn service(config: &Config) -> Result<String, String> {
    config.watch_settings().check().map_err(|error| error.to_string())?;
    crate::serve::folder(config).map_err(|error| error.to_string())?;
    let model = Ready::open(config, &config.serve.model).map_err(|error| error.to_string())?;
    Ok(format!("{} over {} inboxes", model.id(), config.inbox.len()))
}

/// The bounds on the memory of a run and of a service with this model, part by part.
fn memory(config: &Config, ready: &Ready, runtime: &Runtime) -> Result<String, SetupError> {
    let measured = Measured::of(ready, runtime, config)?;
    let pixels = ready.prepared_width();
    let mebibytes = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
    let mut text = String::new();
    let mut say = |of: &str, bound: &Bound| {
        text += &format!("\n               {of} at most {}", mebibytes(bound.total()));
        for (name, bytes) in &bound.parts {
            text += &format!("\n                 {name:<28} {:>9}", mebibytes(*bytes));
        }
    };
    say("memory", &Bound::of(config, pixels, measured));
    if !config.inbox.is_empty() {
        say("memory of a service", &Bound::of_service(config, pixels, measured));
    }
    Ok(text)
}

fn names(dir: &std::path::Path) -> Result<Vec<String>, String> {
    let models = starmill_onnx::list(dir).map_err(|error| error.to_string())?;
    let folder = |model: &AnyModel| {
        model.dir().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    models.iter().map(|model| model.as_ref().map(folder).map_err(ToString::to_string)).collect()
}
