//! `starmill evaluate`.

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
        repeats: args.repeats,
        selection: args.selection(),
        how: args.how(config.report.match_arcsec),
    };
    let findings = evaluate(&request)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings.evaluation)?);
    } else {
        for line in lines(&findings.evaluation) {
            println!("{line}");
        }
    }
    if let Some(path) = &args.html {
        replace(path, findings.page().as_bytes())?;
        // Standard output is the numbers' alone.
        tracing::info!(path = %path.display(), "written");
    }
    Ok(Exit::Success)
}
