//! The service over HTTP: what it gives, to whom, and what it refuses.

mod access;
mod client;
mod clients;
#[path = "../dashboard/feed.rs"]
mod feed;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::{ask, get};
use serde_json::Value;
use starmill::http::{self, HttpSettings, METRICS, Server};

fn settings() -> HttpSettings {
    HttpSettings {
        address: "127.0.0.1:0".into(),
        token_file: PathBuf::new(),
        hosts: Vec::new(),
        max_connections: 64,
        max_streams: 2,
        timeout: 2.0,
    }
}

fn serve(night: &feed::Night, settings: &HttpSettings) -> Server {
    http::start(settings, Arc::clone(&night.board)).expect("the server starts")
}

/// Every path that the document names.
fn documented() -> Vec<String> {
    let document = serde_json::to_value(http::openapi()).unwrap();
    document["paths"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_route_is_documented_answers_and_is_strict() {
    let night = feed::Night::begin("a.fits");
    let server = serve(&night, &settings());
    let source = include_str!("../../src/http/api.rs");
    let routes = source.split("read(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let page = ["/", "/dashboard.css", "/icon.svg", "/{script}.js"];
    let routes: BTreeSet<&str> = routes.filter(|route| !page.contains(route)).collect();
    let paths = documented();
    assert_eq!(routes, paths.iter().map(String::as_str).collect());

    let scripts = ["/", "/dashboard.css", "/icon.svg", "/dashboard.js", "/plots.js", "/stream.js"];
    let answering = paths.iter().map(String::as_str).filter(|path| !path.ends_with("/events"));
    for path in answering.chain(scripts) {
        let answer = get(server.address(), path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(!answer.body.is_empty(), "{path}");
        if path.starts_with("/api/") {
            assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
            answer.json();
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let head = ask(server.address(), "HEAD", path, "");
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
    let page = get(server.address(), "/").body;
    assert!(!page.contains("http://") && !page.contains("https://"), "an asset from outside");
    assert_eq!(get(server.address(), "/nothing").status, 404);
    assert_eq!(get(server.address(), "/nothing.js").status, 404);
    assert_eq!(get(server.address(), "/../etc/passwd").status, 404);
}

#[test]
fn the_document_has_the_keys_that_are_given() {
    let night = feed::Night::begin("a.fits");
    let server = serve(&night, &settings());
    std::thread::sleep(Duration::from_millis(1500));
    let document = get(server.address(), "/api/v1/openapi.json").json();
    let check = |schema: &str, value: &Value| {
        let named = document["components"]["schemas"][schema]["properties"].as_object();
        let named: BTreeSet<_> = named.unwrap_or_else(|| panic!("no {schema}")).keys().collect();
        assert_eq!(value.as_object().unwrap().keys().collect::<BTreeSet<_>>(), named, "{schema}");
    };
    let status = get(server.address(), "/api/v1/status").json();
    check("Status", &status);
    check("Stage", &status["stages"][0]);
    check("Queue", &status["queues"][0]);
    check("Drift", &status["drift"][0]);
    check("Disk", &status["disk"]);
    for (schema, list) in [
        ("StarRow", "stars"),
        ("RejectRow", "rejects"),
        ("NightSummary", "nights"),
        ("Bin", "timeline"),
    ] {
        check(schema, &get(server.address(), &format!("/api/v1/{list}")).json()[0]);
    }
    assert_eq!(status["bottleneck"], "infer", "{}", status["waits"]);
    assert_eq!(status["waits"], "list, read and prepare wait for infer.");
}

#[test]
fn lists_are_bounded_and_go_on_from_a_number() {
    let night = feed::Night::begin("a.fits");
    let server = serve(&night, &settings());
    let list = |path: &str| get(server.address(), path).json().as_array().unwrap().clone();
    let stars = list("/api/v1/stars?limit=99999999");
    assert_eq!(stars.len(), 2000);
    let newest = stars[1999]["number"].as_u64().unwrap();
    let newer = list(&format!("/api/v1/stars?after={}", newest - 3));
    assert_eq!(newer, stars[1997..]);
    assert_eq!(list("/api/v1/rejects?limit=1")[0]["file"], "a.fits");
    let bins = list("/api/v1/timeline?seconds=3600");
    assert!((5..=6).contains(&bins.len()) || bins.len() <= 8, "{bins:?}");
    for wrong in ["stars?after=-1", "stars?limit=x", "stars?afetr=1", "timeline?seconds=x"] {
        let answer = get(server.address(), &format!("/api/v1/{wrong}"));
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.json()["error"].as_str().unwrap().contains("openapi.json"));
    }
}

#[test]
fn it_is_ready_when_the_service_says_so() {
    let night = feed::Night::begin("a.fits");
    let server = serve(&night, &settings());
    for (ready, status) in [(false, 503), (true, 200)] {
        night.board.set_ready(ready);
        assert_eq!(get(server.address(), "/ready").status, status);
        assert_eq!(get(server.address(), "/health").status, 200);
    }
    let address = server.address();
    server.stop();
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}

#[test]
#[expect(clippy::float_cmp, reason = "counts are whole numbers")]
fn the_metrics_are_those_of_the_documentation() {
    let night = feed::Night::begin("starmill_evil\"} 1\n.fits");
    let server = serve(&night, &settings());
    std::thread::sleep(Duration::from_millis(1500));
    let answer = get(server.address(), "/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = &answer.body;
    assert!(text.ends_with("# EOF\n") && !text.contains("evil"));
    let page = std::fs::read_to_string(support::root().join("docs/metrics.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `starmill_")).collect();
    let row = |metric: &http::Metric| {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let http::Metric { name, kind, help, .. } = metric;
        format!("| `{name}` | {kind} | {} | {help} |", labels.join(", "))
    };
    assert_eq!(rows, METRICS.iter().map(row).collect::<Vec<_>>(), "docs/metrics.md is old");

    for metric in METRICS {
        let ends =
            |name: &str| name.trim_end_matches("_total").trim_end_matches("_info").to_owned();
        let head = format!("# TYPE {} {}\n", ends(metric.name), metric.kind);
        assert!(text.contains(&head), "{head:?} is not in {text}");
        let is_histogram = metric.kind == "histogram";
        let samples = text.lines().filter(|line| {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            name == metric.name || is_histogram && name.starts_with(metric.name)
        });
        for sample in samples {
            let (name, value) = sample.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{sample}");
            let labels =
                name.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
            let labels = labels.split("\",").filter_map(|label| label.split_once('='));
            let labels: Vec<&str> = labels.map(|(label, _)| label).collect();
            assert!(
                labels == metric.labels
                    || is_histogram && labels.concat() == "le"
                    || labels.is_empty() && is_histogram,
                "{sample}"
            );
        }
    }
    let value = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim().parse().unwrap()
    };
    let status = night.board.status();
    assert_eq!(value("starmill_rows_total "), status.counts.rows as f64);
    assert_eq!(value("starmill_ready "), 1.0);
    assert_eq!(value("starmill_open_nights "), 1.0);
    assert_eq!(value("starmill_inbox_waiting{inbox=\"catch-up\"} "), 1204.0);
    let all = value("starmill_latency_seconds_bucket{le=\"+Inf\"} ");
    assert_eq!(all, value("starmill_latency_seconds_count "));
    assert!(value("starmill_latency_seconds_bucket{le=\"1.0\"} ") < all);
}
