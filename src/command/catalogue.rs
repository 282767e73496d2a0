//! `starmill catalogue`.

use super::Exit;
use crate::catalogue::{glossary, show};
use crate::cli::CatalogueCommand;
use crate::config::Config;
use crate::setup::Ready;

pub(super) fn catalogue(config: &Config, command: CatalogueCommand) -> anyhow::Result<Exit> {
    match command {
        CatalogueCommand::Show { folder, rows } => {
            let shown = show(&folder, rows)?;
            for line in &shown.lines {
                println!("{line}");
            }
            let printed = shown.lines.len().saturating_sub(1);
            if printed < shown.total {
                println!("... {} more", shown.total - printed);
            }
        }
        CatalogueCommand::Columns { model, markdown } => {
            let schema = Ready::open(config, &model)?.schema();
            if markdown {
                print!("{}", glossary(&schema));
            } else {
                for column in schema.rows() {
                    let unit = if column.unit.is_empty() { "-" } else { &column.unit };
                    println!(
                        "{:<14} {:<8} {unit:<4} {}",
                        column.name,
                        format!("{:?}", column.kind),
                        column.description
                    );
                }
            }
        }
    }
    Ok(Exit::Success)
}
