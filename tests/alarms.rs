//! Alert rules and the Grafana dashboard name metrics that the service has, and say what to do.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use starmill::http::{METRICS, Metric};

/// What the service exports, by the names that its samples have.
fn exported() -> BTreeSet<String> {
    let parts = |metric: &Metric| match metric.kind {
        "histogram" => {
            ["bucket", "count", "sum"].map(|part| format!("{}_{part}", metric.name)).into()
        }
        _ => vec![metric.name.to_owned()],
    };
    METRICS.iter().flat_map(parts).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(support::root().join(path)).expect("a file of the repository")
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("starmill_")).collect()
}

#[test]
fn rules_and_dashboard_name_metrics_that_exist() {
    let exported = exported();
    for path in [
        "ops/prometheus/starmill.rules.yml",
        "tests/alarms/rules_test.yml",
        "ops/grafana/starmill.json",
    ] {
        let text = read(path);
        let named = named(&text);
        assert!(named.len() > 10, "{path}: {named:?}");
        for metric in named {
            assert!(exported.contains(metric), "{path} names {metric}, which the service has not");
        }
    }
}

#[test]
fn every_panel_of_the_dashboard_asks_something_and_has_a_place() {
    let dashboard: Value = serde_json::from_str(&read("ops/grafana/starmill.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have one id");
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{}", panel["title"]);
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{}", panel["title"]);
        for target in targets {
            let asked = target["expr"].as_str().unwrap();
            assert!(asked.contains("instance=~\"$instance\""), "{asked} ignores the choice");
        }
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(x < 24 && cells.insert((x, y)), "{} covers another", panel["title"]);
            }
        }
    }
}

#[test]
fn every_alert_says_what_to_do_and_is_tested() {
    let rules = read("ops/prometheus/starmill.rules.yml");
    let tests = read("tests/alarms/rules_test.yml");
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 8);
    for alert in alerts {
        let name = alert.lines().next().unwrap_or_default();
        for part in ["expr: ", "severity: ", "summary: ", "description: ", "action: "] {
            assert!(alert.contains(part), "{name} has no {part}");
        }
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name} is in no test");
    }
}

/// promtool, of the system or as `ops/setup.sh --test` has fetched it.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn promtool() -> Option<PathBuf> {
    let places = [PathBuf::from("promtool"), support::root().join(".starmill/bin/promtool")];
    let runs = |place: &PathBuf| Command::new(place).arg("--version").output().is_ok();
    let found = places.into_iter().find(runs);
    if found.is_none() {
        println!("skipped: the rules need promtool; ops/setup.sh --test fetches it");
    }
    found
}

#[test]
fn promtool_accepts_the_rules_and_they_fire_when_they_should() {
    let Some(promtool) = promtool() else { return };
    for arguments in [
        ["check", "rules", "ops/prometheus/starmill.rules.yml"],
        ["test", "rules", "tests/alarms/rules_test.yml"],
    ] {
        let output =
            Command::new(&promtool).args(arguments).current_dir(support::root()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}
