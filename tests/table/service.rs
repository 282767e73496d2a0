//! A table in an inbox: it is a file of the night in which it came, in several parts.

use starmill::ledger::Ledger;

use crate::support;
use crate::support::service::{Place, wait_until};
use crate::support::xp::{stars, to_fits};
use crate::{Desk, runs};

#[test]
fn a_table_in_an_inbox_is_done_once() {
    if !support::has_library("a table in an inbox") {
        return;
    }
    let desk = Desk::new();
    let models = desk.path("models");
    let place = Place::new(&format!("serve.model = \"xp\"\nmodels.dir = '{}'", models.display()));
    let totals = || -> Vec<(u64, u64)> {
        let nights = std::fs::read_dir(place.path("state/nights")).into_iter().flatten();
        let ledgers = nights.map(|night| night.unwrap().path().join("ledger.sqlite"));
        let open = |path: std::path::PathBuf| Ledger::open_reader(&path).ok()?.totals().ok();
        ledgers.filter_map(open).collect()
    };
    let service = place.start_ready();
    place.put("t.fits", &to_fits(&runs::table()));
    wait_until("600 outcomes", || totals() == [(1, u64::from(runs::ROWS))]);
    service.stop();
    // What was done comes again to the next service, which knows it.
    let service = place.start_ready();
    place.put("u.fits", &to_fits(&stars(2)));
    wait_until("both files", || totals() == [(2, u64::from(runs::ROWS) + 2)]);
    service.stop();
}
