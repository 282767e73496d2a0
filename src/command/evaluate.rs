//! `starmill evaluate`.

use std::io::{ErrorKind, Write};

use anyhow::Context;

use super::Exit;
use crate::catalogue::replace;
use crate::cli::EvaluateArgs;
use crate::config::Config;
use crate::evaluate::{Request, evaluate, lines};

pub(super) fn run(config: &Config, args: &EvaluateArgs) -> anyhow::Result<Exit> {
    let request = Request {
        catalogue: args.catalogue.clone(),
        reference: args.reference.clone(),
        maps: args.map.clone(),
        bins: args.bin.clone(),
        repeats: args.repeats,
        selection: args.selection(),
        how: args.how(config.report.match_arcsec),
    };
    let findings = evaluate(&request)?;
    let mut text = if args.json {
        serde_json::to_string_pretty(&findings.evaluation)?
    } else {
        lines(&findings.evaluation).join("\n")
    };
    text.push('\n');
    match std::io::stdout().write_all(text.as_bytes()) {
        // Who reads the first lines alone, as head does, has what was wanted.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.context("standard output; write to a file with room")?,
    }
    if let Some(path) = &args.html {
        replace(path, findings.page().as_bytes())?;
        // Standard output is the numbers' alone.
        tracing::info!(path = %path.display(), "written");
    }
    Ok(Exit::Success)
}
