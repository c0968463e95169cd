//! Metrics for Prometheus at `/metrics`: of this web process, and of every worker of the pipeline as it speaks of itself.
//!
//! Counters of workers are not added up: each is a series of its own, so that a worker that goes does not look like a counter
//! that went back.

mod exposition;
mod requests;

use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use http::{HeaderValue, header};
use model::{
    event::Rejection,
    health::{Health, Status},
    ledger::{Book, Ledger},
    live::WorkerLive,
    metric::GoldTable,
    topic::Topic,
};

use crate::{events::door::Door, openapi::Refusals, parameters::Parameters, problem::Problem, routes::WebState};
use exposition::{CONTENT_TYPE, Exposition};

pub use exposition::Family;
pub use requests::{Requests, count};

/// How the states of a component are called.
const STATES: [(Status, &str); 4] =
    [(Status::Ok, "ok"), (Status::Starting, "starting"), (Status::Degraded, "degraded"), (Status::Down, "down")];

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: "gauge", help, labels }
}
const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: "counter", help, labels }
}

const WORKER: &[&str] = &["worker"];
const TOPIC: &[&str] = &["worker", "topic"];
const STAGE: &[&str] = &["worker", "topic", "stage"];

const BUILD: Family = gauge("streamlinehub_build_info", &["version"], "Always 1; the label says which version runs.");
const MEMORY: Family =
    gauge("process_resident_memory_bytes", &[], "Resident memory of the web process, its pipeline included.");
const REQUESTS: Family = counter(
    "streamlinehub_http_requests_total",
    &["method", "route", "status"],
    "Requests by the pattern of their route; none where a file, or nothing, was asked for.",
);
const DURATIONS: Family = Family {
    name: "streamlinehub_http_request_duration_seconds",
    kind: "histogram",
    help: "From a request to the beginning of its answer.",
    labels: &["method", "route"],
};
const COMPONENTS: Family = gauge(
    "streamlinehub_component_status",
    &["component", "status"],
    "1 for the status that the component has, 0 for the others.",
);
const SOCKETS: Family = gauge("streamlinehub_dashboard_sockets", &[], "Sockets at /ws/dashboard that are open.");
const ACCEPTED: Family = counter(
    "streamlinehub_http_events_accepted_total",
    &["topic"],
    "Events that came over HTTP and that Kafka has acknowledged.",
);
const REFUSED: Family = counter(
    "streamlinehub_http_events_rejected_total",
    &["topic", "fault"],
    "Events that came over HTTP and are no events of their topic.",
);
const UNACKNOWLEDGED: Family = counter(
    "streamlinehub_http_events_failed_total",
    &["topic"],
    "Events that came over HTTP and that Kafka did not acknowledge.",
);
const HELD: Family = gauge(
    "streamlinehub_http_events_held_bytes",
    &[],
    "Bytes of requests with events that are under way; without room for more they are refused with 429.",
);
const ROWS: Family = gauge("streamlinehub_warehouse_rows", &["table"], "Rows of a Gold table that are held in memory.");
const WORKERS: Family = gauge("streamlinehub_pipeline_workers", &[], "Workers that reported within the last seconds.");
const STARTED: Family =
    gauge("streamlinehub_pipeline_start_time_seconds", WORKER, "When the worker started, in seconds since 1970.");
const WORKER_MEMORY: Family =
    gauge("streamlinehub_pipeline_resident_memory_bytes", WORKER, "Resident memory of the worker's process.");
const DELAY: Family = gauge(
    "streamlinehub_pipeline_event_to_gold_seconds",
    WORKER,
    "From Kafka to Gold, for the slowest event of the last batch.",
);
const COMMITTED: Family = gauge(
    "streamlinehub_pipeline_gold_commit_timestamp_seconds",
    WORKER,
    "When the worker last committed to Gold, in seconds since 1970: time() minus it is how fresh the numbers are.",
);
const LAG: Family = gauge("streamlinehub_pipeline_lag_events", TOPIC, "Events in Kafka that are not yet in Bronze.");
const BUFFERED: Family =
    gauge("streamlinehub_pipeline_buffered_events", TOPIC, "Events that wait in the Redis buffer.");
const PAUSED: Family =
    gauge("streamlinehub_pipeline_paused", TOPIC, "1 while the buffer is full and nothing is consumed.");
const EVENTS: Family = counter("streamlinehub_pipeline_events_total", STAGE, "Events that passed the stage.");
const BATCHES: Family = counter("streamlinehub_pipeline_batches_total", STAGE, "Batches that passed the stage.");
const BATCH_EVENTS: Family = gauge("streamlinehub_pipeline_last_batch_events", STAGE, "Events of the last batch.");
const BATCH_SECONDS: Family =
    gauge("streamlinehub_pipeline_last_batch_seconds", STAGE, "How long the last batch took.");
const REJECTED: Family = counter("streamlinehub_pipeline_rejected_total", STAGE, "Events that became dead letters.");
const DUPLICATES: Family =
    counter("streamlinehub_pipeline_duplicates_total", STAGE, "Events that were there already and were dropped.");
const ERRORS: Family =
    counter("streamlinehub_pipeline_errors_total", STAGE, "Attempts that failed and were made again.");

const PARTITION: &[&str] = &["topic", "partition", "count"];
const LEDGER: Family = gauge(
    "streamlinehub_ledger_events",
    PARTITION,
    "What became of the events of a partition: waiting, bronze, dead_letters, no_event, silver, duplicates, rejected, quarantined, dropped.",
);
const GOLD: Family = gauge("streamlinehub_ledger_gold_events", &["topic"], "Events in Gold's sums.");
const OFF: Family = gauge(
    "streamlinehub_ledger_discrepancies",
    &["book"],
    "Places where the book does not balance; anything above 0 is an alarm.",
);

/// Every family, in the order in which they come.
pub const FAMILIES: [Family; 29] = [
    BUILD,
    MEMORY,
    REQUESTS,
    DURATIONS,
    COMPONENTS,
    SOCKETS,
    ACCEPTED,
    REFUSED,
    UNACKNOWLEDGED,
    HELD,
    ROWS,
    WORKERS,
    STARTED,
    WORKER_MEMORY,
    DELAY,
    COMMITTED,
    LAG,
    BUFFERED,
    PAUSED,
    EVENTS,
    BATCHES,
    BATCH_EVENTS,
    BATCH_SECONDS,
    REJECTED,
    DUPLICATES,
    ERRORS,
    LEDGER,
    GOLD,
    OFF,
];

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/metrics", get(metrics))]
}

/// Metrics for Prometheus
///
/// In Prometheus' text format; docs/metrics.md lists them. Workers speak at most five seconds late.
#[utoipa::path(
    get, path = "/metrics", tag = "Operation", operation_id = "metrics",
    responses(
        (status = 200, description = "The metrics.", body = String, content_type = "text/plain",
            example = "streamlinehub_pipeline_workers 1"),
        Refusals,
    ),
)]
pub(crate) async fn metrics(State(state): State<WebState>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[], &[])?;
    let mut text = Exposition::default();
    write_process(&mut text);
    write_requests(&mut text, &state.parts.requests);
    write_health(&mut text, &state.dashboard.health().await);
    text.begin(&SOCKETS);
    text.sample(&SOCKETS, &[], state.parts.channels.open());
    write_events(&mut text, state.parts.events.get().map(AsRef::as_ref));
    text.begin(&ROWS);
    if let Some(warehouse) = state.parts.warehouse.get() {
        for table in GoldTable::ALL {
            text.sample(&ROWS, &[table.name()], warehouse.rows(table));
        }
    }
    write_pipeline(&mut text, &state.parts.live.workers());
    write_ledger(&mut text, state.parts.ledger.now().as_deref());
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, text.finish()).into_response())
}

fn write_process(text: &mut Exposition) {
    text.begin(&BUILD);
    text.sample(&BUILD, &[env!("CARGO_PKG_VERSION")], 1);
    text.begin(&MEMORY);
    if let Some(bytes) = etl::memory::resident_bytes() {
        text.sample(&MEMORY, &[], bytes);
    }
}

fn write_requests(text: &mut Exposition, requests: &Requests) {
    let counts = requests.counts();
    text.begin(&REQUESTS);
    for ((method, route, status), count) in &counts.requests {
        text.sample(&REQUESTS, &[method, route, &status.to_string()], count);
    }
    text.begin(&DURATIONS);
    for ((method, route), durations) in &counts.durations {
        let sum = durations.sum.as_secs_f64();
        text.histogram(&DURATIONS, &[method, route], &durations.cumulated(), sum, durations.count);
    }
}

fn write_health(text: &mut Exposition, health: &Health) {
    text.begin(&COMPONENTS);
    for component in &health.components {
        for (status, name) in STATES {
            text.sample(&COMPONENTS, &[&component.name, name], u8::from(component.status == status));
        }
    }
}

/// What came over HTTP, as far as anything can.
fn write_events(text: &mut Exposition, door: Option<&Door>) {
    let topics = || door.into_iter().flat_map(|door| Topic::ALL.map(|topic| (topic, &door.counts)));
    text.begin(&ACCEPTED);
    for (topic, counts) in topics() {
        text.sample(&ACCEPTED, &[topic.name()], counts.accepted(topic));
    }
    text.begin(&REFUSED);
    for (topic, counts) in topics() {
        for fault in Rejection::ALL {
            text.sample(&REFUSED, &[topic.name(), fault.name()], counts.rejected(topic, fault));
        }
    }
    text.begin(&UNACKNOWLEDGED);
    for (topic, counts) in topics() {
        text.sample(&UNACKNOWLEDGED, &[topic.name()], counts.failed(topic));
    }
    text.begin(&HELD);
    if let Some(door) = door {
        text.sample(&HELD, &[], door.held_bytes());
    }
}

fn write_pipeline(text: &mut Exposition, workers: &[WorkerLive]) {
    text.begin(&WORKERS);
    text.sample(&WORKERS, &[], workers.len());
    let mut each = |family: &Family, value: &dyn Fn(&WorkerLive) -> Option<f64>| {
        text.begin(family);
        for worker in workers {
            if let Some(value) = value(worker) {
                text.sample(family, &[&worker.worker], value);
            }
        }
    };
    each(&STARTED, &|worker| Some(seconds(worker.started_at.timestamp_millis())));
    each(&WORKER_MEMORY, &|worker| Some(number(worker.memory_bytes)));
    each(&DELAY, &|worker| worker.event_to_gold_ms.map(|milliseconds| milliseconds / 1000.0));
    each(&COMMITTED, &|worker| worker.gold_committed_at.map(|at| seconds(at.timestamp_millis())));
    let topics = || workers.iter().flat_map(|worker| worker.topics.iter().map(move |topic| (worker, topic)));
    for (family, value) in [
        (&LAG, (|topic| topic.lag) as fn(&model::live::TopicLive) -> u64),
        (&BUFFERED, |topic| topic.buffered),
        (&PAUSED, |topic| u64::from(topic.paused)),
    ] {
        text.begin(family);
        for (worker, topic) in topics() {
            text.sample(family, &[&worker.worker, &topic.topic], value(topic));
        }
    }
    for (family, value) in [
        (&EVENTS, (|stage| number(stage.events_total)) as fn(&model::live::StageLive) -> f64),
        (&BATCHES, |stage| number(stage.batches_total)),
        (&BATCH_EVENTS, |stage| number(stage.last_batch_events)),
        (&BATCH_SECONDS, |stage| stage.last_batch_ms / 1000.0),
        (&REJECTED, |stage| number(stage.rejected_total)),
        (&DUPLICATES, |stage| number(stage.duplicates_total)),
        (&ERRORS, |stage| number(stage.errors_total)),
    ] {
        text.begin(family);
        for (worker, topic) in topics() {
            for stage in &topic.stages {
                text.sample(family, &[&worker.worker, &topic.topic, stage.stage.name()], value(stage));
            }
        }
    }
}

/// The books, once they were read.
fn write_ledger(text: &mut Exposition, ledger: Option<&Ledger>) {
    text.begin(&LEDGER);
    for partition in ledger.into_iter().flat_map(|ledger| &ledger.partitions) {
        let place = partition.partition.to_string();
        for (count, events) in [
            ("waiting", partition.waiting()),
            ("bronze", Some(partition.bronze)),
            ("dead_letters", Some(partition.dead_letters)),
            ("no_event", Some(partition.no_event)),
            ("silver", Some(partition.silver)),
            ("duplicates", Some(partition.duplicates)),
            ("rejected", Some(partition.rejected)),
            ("quarantined", Some(partition.quarantined)),
            ("dropped", Some(partition.dropped)),
        ] {
            if let Some(events) = events {
                text.sample(&LEDGER, &[&partition.topic, &place, count], events);
            }
        }
    }
    text.begin(&GOLD);
    for topic in ledger.into_iter().flat_map(|ledger| &ledger.topics) {
        text.sample(&GOLD, &[&topic.topic], topic.gold);
    }
    text.begin(&OFF);
    for book in ledger.into_iter().flat_map(|_| Book::ALL) {
        let off = ledger.into_iter().flat_map(|ledger| &ledger.discrepancies).filter(|found| found.book == book);
        text.sample(&OFF, &[book.name()], off.count());
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floats only")]
fn number(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floats only")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::{DateTime, Utc};
    use model::live::{Stage, StageLive, TopicLive};
    use rust_decimal::Decimal;

    use super::*;

    /// The page for those who read the metrics.
    const PAGE: &str = include_str!("../../../docs/metrics.md");

    #[test]
    fn the_page_lists_what_there_is_and_nothing_else() {
        let listed: BTreeSet<&str> = PAGE.lines().filter(|line| line.starts_with("| `")).collect();
        let lines: Vec<String> = FAMILIES
            .iter()
            .map(|Family { name, kind, help, labels }| {
                format!("| `{name}` | {kind} | {} | {help} |", labels.join(", "))
            })
            .collect();
        let expected: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(listed, expected);
    }

    #[test]
    fn names_are_by_convention() {
        for Family { name, kind, .. } in FAMILIES {
            assert!(name.starts_with("streamlinehub_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            assert!(!name.contains("_ms") && !name.contains("milli"), "{name}: seconds and bytes");
        }
    }

    #[test]
    fn each_worker_is_a_series_of_its_own() {
        let at: DateTime<Utc> = "2025-11-16T10:00:00.500Z".parse().expect("a time");
        let stage = StageLive {
            stage: Stage::Bronze,
            events_total: 12,
            events_per_second: 1.0,
            batches_total: 2,
            last_batch_events: 5,
            last_batch_ms: 250.0,
            rejected_total: 1,
            duplicates_total: 0,
            errors_total: 3,
            error: None,
        };
        let topic = TopicLive {
            topic: "transaction-events".to_owned(),
            lag: 7,
            buffered: 4,
            paused: true,
            stages: vec![stage],
        };
        let worker = |name: &str| WorkerLive {
            worker: name.to_owned(),
            at,
            started_at: at,
            memory_bytes: 1024,
            topics: vec![topic.clone()],
            orders_last_minute: 0,
            revenue_last_minute: Decimal::ZERO,
            event_to_gold_ms: Some(1500.0),
            gold_committed_at: Some(at),
        };
        let mut text = Exposition::default();
        write_pipeline(&mut text, &[worker("a"), worker("b")]);
        let text = text.finish();
        for line in [
            "streamlinehub_pipeline_workers 2",
            "streamlinehub_pipeline_event_to_gold_seconds{worker=\"a\"} 1.5",
            "streamlinehub_pipeline_gold_commit_timestamp_seconds{worker=\"b\"} 1763287200.5",
            "streamlinehub_pipeline_lag_events{worker=\"a\",topic=\"transaction-events\"} 7",
            "streamlinehub_pipeline_paused{worker=\"b\",topic=\"transaction-events\"} 1",
            "streamlinehub_pipeline_events_total{worker=\"b\",topic=\"transaction-events\",stage=\"bronze\"} 12",
            "streamlinehub_pipeline_last_batch_seconds{worker=\"a\",topic=\"transaction-events\",stage=\"bronze\"} 0.25",
            "streamlinehub_pipeline_errors_total{worker=\"a\",topic=\"transaction-events\",stage=\"bronze\"} 3",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
    }
}
