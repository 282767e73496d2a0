//! The board as metrics for Prometheus, in the text format of OpenMetrics.
//!
//! Every label takes values from a list that the program has: stages, codes, labels of a model,
//! inboxes of the configuration. A file's name is none.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::serve::board::{Board, LATENCY_BOUNDS, NightPhase, Status, Totals};

/// What `/metrics` is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What one metric is.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name, with the ending that its samples have.
    pub name: &'static str,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it counts, with the unit.
    pub help: &'static str,
}

type Samples = Vec<(Vec<(&'static str, String)>, f64)>;
type Read = fn(&Status, &Totals) -> Samples;

macro_rules! metrics {
    ($($name:literal, $kind:literal, [$($label:literal),*], $help:literal, $read:expr;)*) => {
        /// Every metric, in the order in which they are given.
        pub const METRICS: &[Metric] = &[
            $(Metric { name: $name, kind: $kind, labels: &[$($label),*], help: $help },)*
        ];
        const READS: &[Read] = &[$($read),*];
    };
}

metrics! {
    "starmill_build_info", "info", ["version", "model", "provider"], "What runs", build;
    "starmill_ready", "gauge", [], "1 when the models are warm and the flow runs",
        |status, _| one(f64::from(u8::from(status.ready)));
    "starmill_start_time_seconds", "gauge", [], "When the service started, seconds since 1970",
        |status, _| one(status.started);
    "starmill_memory_bytes", "gauge", [], "Resident size of the service",
        |status, _| status.memory_bytes.map_or_else(Vec::new, |bytes| one(bytes as f64));
    "starmill_files_total", "counter", ["result"], "Files whose outcomes are durable, and files that were known", files;
    "starmill_rows_total", "counter", [], "Spectra that gave a row, durable",
        |_, totals| one(totals.counts.rows as f64);
    "starmill_bad_rows_total", "counter", [], "Rows that are not for science without a further look",
        |_, totals| one(totals.counts.bad_rows as f64);
    "starmill_rejects_total", "counter", ["code"], "Spectra and files that gave no row, durable",
        |_, totals| labelled("code", &totals.by_code());
    "starmill_faults_total", "counter", ["kind"], "Faults that were mended",
        |_, totals| labelled("kind", &totals.faults);
    "starmill_latency_seconds", "histogram", [], "From the arrival in an inbox to the durable row", none;
    "starmill_queue_items", "gauge", ["from", "to"], "Items in a queue",
        |status, _| queues(status, |queue| queue.items as f64);
    "starmill_queue_capacity_items", "gauge", ["from", "to"], "The most items that it may hold",
        |status, _| queues(status, |queue| queue.capacity_items as f64);
    "starmill_queue_bytes", "gauge", ["from", "to"], "Bytes in a queue",
        |status, _| queues(status, |queue| queue.bytes as f64);
    "starmill_queue_capacity_bytes", "gauge", ["from", "to"], "The most bytes that it may hold",
        |status, _| queues(status, |queue| queue.capacity_bytes as f64);
    "starmill_stage_items_total", "counter", ["stage"], "Items that a stage sent on, or the last one received",
        |status, _| stages(status, |stage| stage.items_out.max(stage.items_in) as f64);
    "starmill_stage_busy_seconds_total", "counter", ["stage"], "Time spent in a stage's code, summed over its workers",
        |status, _| stages(status, |stage| stage.busy_s);
    "starmill_stage_oldest_work_seconds", "gauge", ["stage"], "How long the worker that is stuck most has worked without progress",
        |status, _| stages(status, |stage| stage.oldest_work_s);
    "starmill_stage_restarts_total", "counter", ["stage"], "Restarts of a stage's workers after a panic",
        |status, _| stages(status, |stage| f64::from(stage.restarts));
    "starmill_inbox_waiting", "gauge", ["inbox"], "Files that are complete and wait for the flow",
        |status, _| inboxes(status, |inbox| inbox.waiting as f64);
    "starmill_inbox_settling", "gauge", ["inbox"], "Files that are not complete yet",
        |status, _| inboxes(status, |inbox| inbox.settling as f64);
    "starmill_inbox_oldest_seconds", "gauge", ["inbox"], "How long the file that waits longest has waited; 0 if none does",
        |status, _| inboxes(status, |inbox| inbox.oldest_s.unwrap_or(0.0));
    "starmill_open_nights", "gauge", [], "Nights that are not closed",
        |status, _| one(status.nights.iter().filter(|night| night.phase != NightPhase::Closed).count() as f64);
    "starmill_disk_free_bytes", "gauge", [], "Bytes that the service may still write to the disk of its catalogues",
        |status, _| status.disk.map_or_else(Vec::new, |disk| one(disk.free_bytes as f64));
    "starmill_disk_total_bytes", "gauge", [], "The size of that disk",
        |status, _| status.disk.map_or_else(Vec::new, |disk| one(disk.total_bytes as f64));
    "starmill_label_drift", "gauge", ["label"], "Median of new less old over the last stars that were seen in an earlier night, in the unit of the label",
        |status, _| drift(status, |drift| drift.median);
    "starmill_label_drift_error", "gauge", ["label"], "Standard error of that median",
        |status, _| drift(status, |drift| drift.error);
    "starmill_label_drift_pairs", "gauge", ["label"], "Pairs that the median is over",
        |status, _| drift(status, |drift| drift.recent as f64);
    "starmill_label_drift_active", "gauge", ["label"], "1 while that median is a drift by the settings of the report",
        active_drifts;
    "starmill_label_drift_limit", "gauge", ["label"], "What a drift must exceed, in the unit of the label",
        drift_limits;
}

fn none(_: &Status, _: &Totals) -> Samples {
    Vec::new()
}

fn one(value: f64) -> Samples {
    vec![(Vec::new(), value)]
}

fn build(status: &Status, _: &Totals) -> Samples {
    let labels =
        [("version", &status.version), ("model", &status.model), ("provider", &status.provider)];
    vec![(labels.map(|(name, value)| (name, value.clone())).into(), 1.0)]
}

fn files(_: &Status, totals: &Totals) -> Samples {
    let count = |result: &str, count: u64| (vec![("result", result.to_owned())], count as f64);
    vec![count("done", totals.counts.files), count("skipped", totals.skipped)]
}

fn active_drifts(status: &Status, _: &Totals) -> Samples {
    let is_active = |label: &String| f64::from(u8::from(status.drifting.contains(label)));
    let labels = status.drift.iter().map(|drift| &drift.label);
    labels.map(|label| (vec![("label", label.clone())], is_active(label))).collect()
}

fn drift_limits(status: &Status, _: &Totals) -> Samples {
    let limits = status.drift_limits.iter();
    limits.map(|(label, limit)| (vec![("label", label.clone())], *limit)).collect()
}

fn labelled(label: &'static str, counts: &std::collections::BTreeMap<String, u64>) -> Samples {
    counts.iter().map(|(value, count)| (vec![(label, value.clone())], *count as f64)).collect()
}

macro_rules! lists {
    ($($name:ident($thing:ty) = $list:ident, $labels:expr;)*) => {
        $(fn $name(status: &Status, value: fn(&$thing) -> f64) -> Samples {
            status.$list.iter().map(|thing| ($labels(thing), value(thing))).collect()
        })*
    };
}

lists! {
    queues(crate::serve::board::Queue) = queues, |q: &crate::serve::board::Queue| {
        vec![("from", q.from.clone()), ("to", q.to.clone())]
    };
    stages(crate::serve::board::Stage) = stages, |s: &crate::serve::board::Stage| {
        vec![("stage", s.name.clone())]
    };
    inboxes(crate::serve::board::Inbox) = inboxes, |i: &crate::serve::board::Inbox| {
        vec![("inbox", i.name.clone())]
    };
    drift(crate::serve::board::Drift) = drift, |d: &crate::serve::board::Drift| {
        vec![("label", d.label.clone())]
    };
}

/// The text of all metrics.
pub(super) fn text(board: Arc<Board>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Look(board)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// The board as a collector.
struct Look(Arc<Board>);

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Look")
    }
}

impl Collector for Look {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let (status, totals) = (self.0.status(), self.0.totals());
        for (metric, read) in METRICS.iter().zip(READS) {
            let kind = match metric.kind {
                "counter" => MetricType::Counter,
                "histogram" => MetricType::Histogram,
                "info" => MetricType::Info,
                _ => MetricType::Gauge,
            };
            // The encoder adds the endings of counters and infos.
            let name = metric.name.trim_end_matches("_total").trim_end_matches("_info");
            let mut family = encoder.encode_descriptor(name, metric.help, None, kind)?;
            if matches!(kind, MetricType::Histogram) {
                histogram(family, &totals)?;
                continue;
            }
            for (labels, value) in read(&status, &totals) {
                if matches!(kind, MetricType::Info) {
                    family.encode_info(&labels)?;
                } else if labels.is_empty() {
                    sample(&mut family, kind, value)?;
                } else {
                    sample(&mut family.encode_family(&labels)?, kind, value)?;
                }
            }
        }
        Ok(())
    }
}

fn sample(encoder: &mut MetricEncoder<'_>, kind: MetricType, value: f64) -> fmt::Result {
    match kind {
        MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, f64>(&value, None),
        _ => encoder.encode_gauge(&value),
    }
}

fn histogram(mut encoder: MetricEncoder<'_>, totals: &Totals) -> fmt::Result {
    let bounds = LATENCY_BOUNDS.into_iter().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(totals.latencies).collect();
    let count = totals.latencies.iter().sum();
    encoder.encode_histogram::<NoLabelSet>(totals.latency_sum, count, &buckets, None)
}
