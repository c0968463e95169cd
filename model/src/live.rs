//! Live metrics: what the pipeline's workers publish about themselves once a second.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Stage {
    Consume,
    Buffer,
    Bronze,
    Silver,
    Gold,
}

impl Stage {
    /// The stages in the order in which an event passes them.
    pub const ALL: [Stage; 5] = [Stage::Consume, Stage::Buffer, Stage::Bronze, Stage::Silver, Stage::Gold];

    pub fn name(self) -> &'static str {
        match self {
            Stage::Consume => "consume",
            Stage::Buffer => "buffer",
            Stage::Bronze => "bronze",
            Stage::Silver => "silver",
            Stage::Gold => "gold",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Stage::Consume => "Kafka",
            Stage::Buffer => "Redis buffer",
            Stage::Bronze => "Bronze",
            Stage::Silver => "Silver",
            Stage::Gold => "Gold",
        }
    }
}

/// One stage of one topic in one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StageLive {
    pub stage: Stage,
    /// Since the worker started.
    pub events_total: u64,
    /// Over the last seconds.
    pub events_per_second: f64,
    /// Since the worker started.
    pub batches_total: u64,
    /// Events in the last batch.
    pub last_batch_events: u64,
    /// How long the last batch took, in milliseconds.
    pub last_batch_ms: f64,
    /// Since the worker started: rejected events for Bronze and Silver.
    pub rejected_total: u64,
    /// Since the worker started: duplicates dropped, for Silver.
    pub duplicates_total: u64,
    /// Attempts that failed and were tried again, since the worker started.
    pub errors_total: u64,
    /// The last failure in plain words, while it lasts.
    pub error: Option<String>,
}

/// One topic in one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TopicLive {
    /// The topic's name in Kafka.
    pub topic: String,
    /// Events in Kafka that are not yet in Bronze, over all assigned partitions (consumer lag).
    pub lag: u64,
    /// Events that wait in the Redis buffer.
    pub buffered: u64,
    /// Whether the buffer is full and consuming is paused.
    pub paused: bool,
    /// One entry per stage, in order.
    pub stages: Vec<StageLive>,
}

/// Everything one worker says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerLive {
    /// Unique per process.
    pub worker: String,
    pub at: DateTime<Utc>,
    pub started_at: DateTime<Utc>,
    /// Resident memory of the process in bytes.
    pub memory_bytes: u64,
    pub topics: Vec<TopicLive>,
    /// Orders that reached Silver and occurred within the last minute.
    pub orders_last_minute: u64,
    /// Their revenue.
    pub revenue_last_minute: Decimal,
    /// From the arrival of an event in Kafka to its commit in Gold, for the slowest event of the last Gold batch, in milliseconds.
    pub event_to_gold_ms: Option<f64>,
    /// When the last Gold commit was made.
    pub gold_committed_at: Option<DateTime<Utc>>,
}

/// What the live strip shows: all workers together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Live {
    /// When it was put together; `None` before the first time.
    pub at: Option<DateTime<Utc>>,
    /// Processes that reported within the last seconds. Zero means that the pipeline is not running.
    pub workers: u32,
    pub events_per_second: f64,
    pub events_total: u64,
    pub orders_last_minute: u64,
    pub revenue_last_minute: Decimal,
    pub lag: u64,
    pub buffered: u64,
    pub event_to_gold_ms: Option<f64>,
    pub gold_committed_at: Option<DateTime<Utc>>,
    pub rejected_total: u64,
    /// Summed over workers, one entry per topic.
    pub topics: Vec<TopicLive>,
    /// How far the replay of the demo data is.
    pub replay: crate::health::Replay,
}
