//! `starmill backfill merge`.

use anyhow::Context;

use super::super::Exit;
use crate::backfill::{Campaign, Plan};
use crate::cli::MergeArgs;
use crate::config::Config;
use crate::interrupt::Interrupt;
use crate::release::{self, ReleaseError, Request};
use crate::setup::Ready;

pub(super) fn merge(config: &Config, args: MergeArgs) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen().context("signals cannot be heard")?;
    let campaign = Campaign::look(&args.shards, Plan::read(&args.plan)?);
    let origin = campaign.origin()?.context("no shard was begun; run them first")?;
    // The columns are those of the model, whose name is the first word of its id.
    let name = origin.model.split_whitespace().next().unwrap_or_default();
    let model = Ready::open(config, name)?;
    let folder = args.out.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = args.name.or(folder).unwrap_or_default();
    let made = release::make(&Request {
        campaign: &campaign,
        schema: &model.schema(),
        model: &model.id_with_hash(),
        out: &args.out,
        name: &name,
        partition_rows: args.partition_rows,
        fits: !args.no_fits,
        give_up: &|| interrupt.is_asked(),
    });
    match made {
        Ok(made) => {
            println!("{}", args.out.display());
            println!(
                "rows={} rejects={} partitions={}",
                made.rows,
                made.rejects,
                made.partitions.len()
            );
            Ok(Exit::Success)
        }
        Err(error @ (ReleaseError::Stopped | ReleaseError::Missing { .. })) => {
            tracing::error!(%error, "no release was made");
            Ok(Exit::TryAgain)
        }
        Err(error) => Err(error.into()),
    }
}
