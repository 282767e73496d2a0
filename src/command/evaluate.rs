//! `starmill evaluate`.

use super::Exit;
use crate::cli::EvaluateArgs;
use crate::config::Config;
use crate::evaluate::{Request, evaluate, lines};

pub(super) fn run(config: &Config, args: &EvaluateArgs) -> anyhow::Result<Exit> {
    let request = Request {
        catalogue: args.catalogue.clone(),
        repeats: args.repeats,
        selection: args.selection(),
        how: args.how(config.report.match_arcsec),
    };
    let evaluation = evaluate(&request)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&evaluation)?);
    } else {
        for line in lines(&evaluation) {
            println!("{line}");
        }
    }
    Ok(Exit::Success)
}
