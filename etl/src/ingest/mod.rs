//! From Kafka through Redis to Bronze: one task for each topic.
//!
//! * [`consume`]: polls Kafka in a thread and builds chunks
//! * [`chunk`]: events as Arrow columns
//! * [`buffer`]: the lists of chunks in Redis
//! * [`bronze`]: what waits in Redis becomes a Delta commit
//! * [`task`]: ties them together

mod bronze;
pub mod buffer;
mod chunk;
mod consume;
mod ends;
mod task;

use std::sync::{Arc, mpsc as std_mpsc};

use anyhow::{Context, Result};
use model::topic::Topic;
use redis::aio::ConnectionManager;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(crate) use self::bronze::{ingest_date, same_text};
use self::{bronze::BronzeWriter, buffer::Buffer, consume::ConsumerSettings, task::Task};
use crate::{kafka::Cluster, lake::Lake, live::WorkerStats, settings::Settings};

/// Chunks on their way from the consumer to the task.
const HAND_OVER: usize = 4;

/// What a topic's task runs on.
#[derive(Clone)]
pub struct Ingest {
    pub topic: Topic,
    pub settings: Arc<Settings>,
    pub cluster: Cluster,
    pub redis: ConnectionManager,
    pub lake: Lake,
    pub stats: Arc<WorkerStats>,
    /// Told the version of Bronze after each commit.
    pub committed: watch::Sender<i64>,
    pub stop: CancellationToken,
}

impl Ingest {
    /// Runs until it is told to stop and the buffer is drained.
    ///
    /// # Errors
    /// When the topic's tables cannot be opened or the consumer cannot be made.
    pub async fn run(self) -> Result<()> {
        let topic = self.topic;
        let buffer = Buffer::new(self.redis.clone(), self.stats.worker(), topic.name());
        let writer = BronzeWriter::open(topic, buffer.clone(), &self.lake).await?;
        let (to_task, from_consumer) = mpsc::channel(HAND_OVER);
        let (to_consumer, commands) = std_mpsc::channel();
        let consumer_settings = ConsumerSettings {
            cluster: self.cluster.clone(),
            group: self.settings.group_of(topic),
            instance: self.settings.group_instance().map(ToOwned::to_owned),
            session_timeout_ms: self.settings.kafka.session_timeout_ms,
            max_event_bytes: self.settings.ingest.max_event_bytes,
        };
        let stats = self.stats.topic(topic);
        let thread = std::thread::Builder::new()
            .name(format!("consume-{topic:?}").to_lowercase())
            .spawn(move || consume::run(topic.name(), &consumer_settings, &to_task, &commands, &stats))
            .context("the consumer's thread cannot be started")?;
        let task = Task::new(&self, buffer, writer, to_consumer);
        let result = task.run(from_consumer, self.stop).await;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(Ok(())))) {
            warn!(topic = topic.name(), "the consumer ended badly");
        }
        result
    }
}
