//! `starmill catalogue`.

mod query;

use std::path::Path;

use super::Exit;
use crate::catalogue::{
    MANIFEST, Manifest, Provenance, Rebuild, Request, Schema, glossary, show, verify,
};
use crate::cli::CatalogueCommand;
use crate::config::Config;
use crate::setup::Ready;

pub(super) fn catalogue(config: &Config, command: CatalogueCommand) -> anyhow::Result<Exit> {
    match command {
        CatalogueCommand::Show { folder, rows } => {
            let shown = show(&folder, rows)?;
            if !folder.join(MANIFEST).exists() {
                tracing::warn!("sealing was interrupted, run again with the same --out");
            }
            for line in &shown.lines {
                println!("{line}");
            }
            let printed = shown.lines.len().saturating_sub(1);
            if printed < shown.total {
                println!("... {} more", shown.total - printed);
            }
        }
        CatalogueCommand::Verify { folder, inputs, rebuild } => {
            return verify_catalogue(config, &folder, inputs, rebuild);
        }
        CatalogueCommand::Query(args) => return query::query(&args),
        CatalogueCommand::Columns { model, markdown } => {
            let schema = Ready::open(config, &model)?.schema();
            if markdown {
                print!("{}", glossary(&schema));
            } else {
                for column in schema.rows() {
                    let unit = if column.unit.is_empty() { "-" } else { &column.unit };
                    let kind = format!("{:?}", column.kind);
                    let published = match column.alias.as_str() {
                        "" => String::new(),
                        alias => format!(" (published as {alias})"),
                    };
                    let (name, meaning) = (&column.name, &column.description);
                    println!("{name:<14} {kind:<8} {unit:<4} {meaning}{published}");
                }
            }
        }
    }
    Ok(Exit::Success)
}

fn verify_catalogue(
    config: &Config,
    folder: &Path,
    inputs: bool,
    rebuild: bool,
) -> anyhow::Result<Exit> {
    let remake = if rebuild { remake(config, folder)? } else { None };
    let rebuild = remake.as_ref().map(|(schema, provenance)| Rebuild { schema, provenance });
    let well = verify(folder, &Request { inputs, rebuild }, &mut |check| println!("{check}"))?;
    Ok(if well { Exit::Success } else { Exit::Rejects })
}

/// The configuration with the columns and the forward model that a catalogue was made with.
pub(super) fn with_columns_of(config: &Config, manifest: &Manifest) -> Config {
    let mut config = config.clone();
    let columns = manifest.made_with.get("columns").map_or("", String::as_str).split(',');
    let columns = columns.filter(|name| !name.is_empty());
    config.models.columns = columns.map(str::to_owned).collect();
    config.models.consistency = manifest.made_with.contains_key("forward");
    config.models.spectra = manifest.made_with.contains_key("spectra");
    config
}

/// Columns and headers as the model of the manifest gives them; `None` without a manifest, which is
/// a finding of its own.
fn remake(config: &Config, folder: &Path) -> anyhow::Result<Option<(Schema, Provenance)>> {
    let Ok(Some(manifest)) = Manifest::read(folder) else { return Ok(None) };
    let made_with = |key: &str| manifest.made_with.get(key).map_or("", String::as_str);
    let ready = Ready::open(&with_columns_of(config, &manifest), made_with("model"))?;
    let provenance =
        ready.provenance_with(made_with("ortver"), made_with("ortsha"), made_with("provider"));
    Ok(Some((ready.schema(), provenance)))
}
