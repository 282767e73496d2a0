//! What the service shows: it keeps the board up to date and serves it.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use starmill_actors::Monitor;

use super::board::{About, Board, Inbox, NightPhase, NightSummary};
use super::maker::Maker;
use super::nights::Nights;
use super::volume::Volume;
use crate::catalogue::Manifest;
use crate::config::Config;
use crate::http::{self, Server};
use crate::stage::Counters;
use crate::watch::InboxState;

/// The board of a service that has not loaded its model yet.
pub(super) fn board(config: &Config, folder: &Path) -> Board {
    let board = Board::new(About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        model: config.serve.model.clone(),
        provider: String::new(),
        started: SystemTime::now(),
        longitude: config.night.longitude,
        match_arcsec: config.report.match_arcsec,
        folder: folder.to_owned(),
        labels: Vec::new(),
        drift: config.report.drift_rule(),
    });
    board.remember(SystemTime::now());
    board
}

/// Serves the board, if an address is configured.
pub(super) fn open(config: &Config, board: &Arc<Board>) -> anyhow::Result<Option<Server>> {
    if config.http.address.is_empty() {
        return Ok(None);
    }
    let server = http::start(&config.http, Arc::clone(board))?;
    tracing::info!(address = %server.address(), "the night can be seen");
    Ok(Some(server))
}

/// A flow with this model runs.
pub(super) fn show_flow(
    board: &Board,
    config: &Config,
    maker: &Maker,
    folder: &Path,
    monitor: Monitor,
    counters: Arc<Counters>,
) {
    board.set_about(About::of(&maker.model, &maker.provider, config, folder.to_owned()));
    board.attach(monitor, counters);
    board.set_ready(true);
}

/// What waits, and the nights that are open.
pub(super) fn show_state(board: &Board, inboxes: Vec<InboxState>, nights: &Nights) {
    let inbox = |state: InboxState| Inbox {
        name: state.name,
        waiting: state.waiting as u64,
        settling: state.settling as u64,
        oldest_s: state.oldest.map(|age| age.as_secs_f64()),
    };
    board.inboxes(inboxes.into_iter().map(inbox).collect());
    nights.summaries().into_iter().for_each(|summary| board.night(summary));
}

/// A night that is closed.
pub(super) fn show_closed(board: &Board, volume: Volume, folder: &Path, manifest: &Manifest) {
    let report = folder.join("report.html");
    board.night(NightSummary {
        name: volume.to_string(),
        phase: NightPhase::Closed,
        files: manifest.inputs,
        rows: manifest.rows,
        rejects: manifest.rejects,
        folder: folder.display().to_string(),
        report: report.exists().then(|| report.display().to_string()),
    });
}
