//! Consumes one topic from Kafka in a thread of its own, and hands chunks to the topic's task.
//!
//! librdkafka calls back from within `poll`, so assignments are answered here, synchronously: the task says from which
//! offset each partition is read, which is the one after the last in Bronze. The offsets that are committed to Kafka
//! serve lag monitoring only.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hashbrown::HashMap;
use rdkafka::{
    ClientContext, Message, Offset, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::chunk::{Chunk, ChunkBuilder};
use crate::{
    chaos,
    kafka::{self, Cluster},
    live::TopicStats,
};

/// A chunk is handed on when it has this many events, ...
const CHUNK_ROWS: usize = 8000;
/// ... or this many bytes, ...
const CHUNK_BYTES: usize = 1 << 20;
/// ... or is this old.
const CHUNK_AGE: Duration = Duration::from_millis(50);
/// Messages that are taken one after the other before anything else is looked at.
const BURST: usize = 256;
/// A hand-over that waits longer than this pauses the partitions, so that the group does not think us dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the consumer tells the topic's task.
pub(super) enum FromConsumer {
    Assigned { partitions: Vec<i32>, reply: std_mpsc::Sender<Vec<Start>> },
    Revoked { partitions: Vec<i32>, reply: std_mpsc::Sender<()> },
    Chunk(Chunk),
    Failed(String),
}

/// Where to begin with a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) partition: i32,
    /// `None`: the oldest event that Kafka still has.
    pub(super) offset: Option<i64>,
    pub(super) epoch: u64,
}

/// What the topic's task tells the consumer.
pub(super) enum ToConsumer {
    /// Read again from here.
    Seek(Start),
    /// Offsets to be committed: of the next event to be read.
    Commit(Vec<(i32, i64)>),
    Stop,
}

/// Called by librdkafka from within `poll`.
struct GroupContext {
    topic: &'static str,
    task: mpsc::Sender<FromConsumer>,
    builders: Arc<Mutex<HashMap<i32, ChunkBuilder>>>,
    stats: Arc<TopicStats>,
    /// Since when the group has not said which partitions are ours, none included.
    left_out: Arc<Mutex<Option<Instant>>>,
}

impl GroupContext {
    fn set_left_out(&self, since: Option<Instant>) {
        *self.left_out.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn partitions(&self, list: &TopicPartitionList) -> Vec<i32> {
        list.elements_for_topic(self.topic)
            .iter()
            .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
            .collect()
    }

    fn start_list(&self, starts: &[Start]) -> TopicPartitionList {
        let mut builders = self.builders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = TopicPartitionList::new();
        for start in starts {
            builders.insert(start.partition, ChunkBuilder::new(start.partition, start.epoch, start.offset));
            let offset = start.offset.map_or(Offset::Beginning, Offset::Offset);
            if let Err(error) = list.add_partition_offset(self.topic, start.partition, offset) {
                error!(topic = self.topic, start.partition, %error, "partition cannot be assigned");
            }
        }
        list
    }
}

impl ClientContext for GroupContext {
    fn stats(&self, statistics: Statistics) {
        let Some(topic) = statistics.topics.get(self.topic) else { return };
        for (&partition, of_partition) in &topic.partitions {
            if of_partition.hi_offset >= 0 {
                self.stats.set_high_watermark(partition, of_partition.hi_offset);
            }
        }
    }

    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        warn!(topic = self.topic, %error, reason, "Kafka");
        let _ = self.task.try_send(FromConsumer::Failed(format!("Kafka: {}", kafka::explain(reason))));
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = self.partitions(list);
        let result = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.set_left_out(None);
                let (reply, answer) = std_mpsc::channel();
                let sent = self.task.blocking_send(FromConsumer::Assigned { partitions, reply });
                match sent.ok().and_then(|()| answer.recv().ok()) {
                    Some(starts) => consumer.assign(&self.start_list(&starts)),
                    // The task is stopping.
                    None => consumer.assign(&TopicPartitionList::new()),
                }
            }
            _ => {
                self.set_left_out(Some(Instant::now()));
                let (reply, answer) = std_mpsc::channel();
                self.builders.lock().unwrap_or_else(PoisonError::into_inner).clear();
                if self.task.blocking_send(FromConsumer::Revoked { partitions, reply }).is_ok() {
                    let _ = answer.recv();
                }
                consumer.unassign()
            }
        };
        if let Err(error) = result {
            error!(topic = self.topic, %error, "rebalance failed");
        }
    }
}

/// What a consumer needs to know.
pub(super) struct ConsumerSettings {
    pub(super) cluster: Cluster,
    pub(super) group: String,
    /// The static member of the group that this process is.
    pub(super) instance: Option<String>,
    /// Milliseconds after which the group takes a silent member for dead.
    pub(super) session_timeout_ms: u32,
    pub(super) max_event_bytes: usize,
}

/// Runs until it is told to stop or its task is gone.
///
/// # Errors
/// When the client cannot be made at all; everything later is tried again.
pub(super) fn run(
    topic: &'static str,
    settings: &ConsumerSettings,
    task: &mpsc::Sender<FromConsumer>,
    commands: &std_mpsc::Receiver<ToConsumer>,
    stats: &Arc<TopicStats>,
) -> Result<()> {
    let mut config = settings.cluster.config();
    config
        .set("group.id", &settings.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", settings.session_timeout_ms.to_string())
        .set("heartbeat.interval.ms", (settings.session_timeout_ms / 4).clamp(100, 3000).to_string())
        .set("statistics.interval.ms", "1000")
        .set("allow.auto.create.topics", "false");
    for (name, value) in kafka::FETCHING {
        config.set(name, value);
    }
    if let Some(instance) = &settings.instance {
        config.set("group.instance.id", instance);
    }
    loop {
        let builders = Arc::new(Mutex::new(HashMap::new()));
        let left_out = Arc::new(Mutex::new(Some(Instant::now())));
        let context = GroupContext {
            topic,
            task: task.clone(),
            builders: builders.clone(),
            stats: Arc::clone(stats),
            left_out: left_out.clone(),
        };
        let consumer: BaseConsumer<GroupContext> =
            config.create_with_context(context).context("the Kafka consumer cannot be made")?;
        consumer.subscribe(&[topic]).with_context(|| format!("subscribing to {topic}"))?;
        info!(topic, "consuming");
        let consuming = Consuming {
            topic,
            consumer,
            task: task.clone(),
            builders,
            stats: Arc::clone(stats),
            left_out,
            opened: Instant::now(),
            max_event_bytes: settings.max_event_bytes,
        };
        match consuming.run(commands)? {
            End::Stopped => return Ok(()),
            End::LeftOut => {
                warn!(topic, "the consumer group gives out no partitions; joining it anew");
                stats.consume.failed("The consumer group gives out no partitions; joining it anew.");
            }
        }
    }
}

/// Why consuming came to an end.
enum End {
    Stopped,
    /// The group has forgotten us, or waits for somebody who does not come: after a computer has slept, for example. A new
    /// client is taken in.
    LeftOut,
}

/// A group that says nothing for so long is given up; a rebalance takes seconds.
const GIVE_UP_AFTER: Duration = Duration::from_secs(20);

struct Consuming {
    topic: &'static str,
    consumer: BaseConsumer<GroupContext>,
    task: mpsc::Sender<FromConsumer>,
    builders: Arc<Mutex<HashMap<i32, ChunkBuilder>>>,
    stats: Arc<TopicStats>,
    left_out: Arc<Mutex<Option<Instant>>>,
    /// When the oldest unfinished chunk was begun.
    opened: Instant,
    max_event_bytes: usize,
}

impl Consuming {
    fn run(mut self, commands: &std_mpsc::Receiver<ToConsumer>) -> Result<End> {
        loop {
            let left_out = *self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
            if left_out.is_some_and(|since| since.elapsed() > GIVE_UP_AFTER) {
                return Ok(End::LeftOut);
            }
            loop {
                match commands.try_recv() {
                    Ok(ToConsumer::Seek(start)) => self.seek(start),
                    Ok(ToConsumer::Commit(offsets)) => self.commit(&offsets),
                    Ok(ToConsumer::Stop) | Err(std_mpsc::TryRecvError::Disconnected) => return Ok(End::Stopped),
                    Err(std_mpsc::TryRecvError::Empty) => break,
                }
            }
            // Only the first of a burst is waited for.
            let mut patience = CHUNK_AGE / 2;
            let mut taken = 0;
            while taken < BURST
                && let Some(polled) = self.consumer.poll(patience)
            {
                patience = Duration::ZERO;
                taken += 1;
                match polled {
                    Ok(message) => {
                        if !self.take(&message)? {
                            return Ok(End::Stopped);
                        }
                    }
                    Err(error) => {
                        debug!(topic = self.topic, %error, "poll");
                        let _ = self.task.try_send(FromConsumer::Failed(format!("Kafka: {error}")));
                    }
                }
            }
            self.stats.consume.events(taken as u64);
            if self.opened.elapsed() >= CHUNK_AGE && !self.hand_over_all()? {
                return Ok(End::Stopped);
            }
        }
    }

    /// Puts a message into its partition's chunk, which goes on when it is full; false when nobody takes it any more.
    fn take(&self, message: &BorrowedMessage<'_>) -> Result<bool> {
        let mut builders = self.builders.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(builder) = builders.get_mut(&message.partition()) else { return Ok(true) };
        chaos::point(format_args!("poll"))?;
        builder.push(message, self.max_event_bytes);
        if builder.rows() < CHUNK_ROWS && builder.bytes() < CHUNK_BYTES {
            return Ok(true);
        }
        let chunk = builder.finish()?;
        drop(builders);
        Ok(self.hand_over(chunk))
    }

    /// Hands over what is begun; false when nobody takes it any more.
    fn hand_over_all(&mut self) -> Result<bool> {
        self.opened = Instant::now();
        let mut chunks = Vec::new();
        {
            let mut builders = self.builders.lock().unwrap_or_else(PoisonError::into_inner);
            for builder in builders.values_mut().filter(|builder| builder.rows() > 0) {
                chunks.push(builder.finish()?);
            }
        }
        Ok(chunks.into_iter().all(|chunk| self.hand_over(chunk)))
    }

    /// Waits for the task to take the chunk: that is the back-pressure. While it waits long, the partitions are paused
    /// and Kafka is polled for the sake of the group alone.
    fn hand_over(&self, chunk: Chunk) -> bool {
        let mut message = FromConsumer::Chunk(chunk);
        let waiting = Instant::now();
        let mut paused = None;
        loop {
            match self.task.try_send(message) {
                Ok(()) => break,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(back)) => message = back,
            }
            if waiting.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            }
            if paused.is_none() {
                paused = self.consumer.assignment().ok();
                if let Some(list) = &paused {
                    warn!(topic = self.topic, "the buffer stays full: partitions paused");
                    let _ = self.consumer.pause(list);
                }
            }
            // Nothing can arrive from paused partitions; what was on its way is sought again on resuming.
            if let Some(Ok(stray)) = self.consumer.poll(Duration::from_millis(100)) {
                let _ = self.consumer.seek(
                    self.topic,
                    stray.partition(),
                    Offset::Offset(stray.offset()),
                    Duration::from_secs(5),
                );
            }
        }
        if let Some(list) = paused {
            info!(topic = self.topic, "consuming again");
            let _ = self.consumer.resume(&list);
        }
        true
    }

    fn seek(&self, start: Start) {
        let offset = start.offset.map_or(Offset::Beginning, Offset::Offset);
        self.builders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(start.partition, ChunkBuilder::new(start.partition, start.epoch, start.offset));
        if let Err(error) = self.consumer.seek(self.topic, start.partition, offset, Duration::from_secs(10)) {
            // The builder goes, so that nothing is read past the gap; a new assignment begins at the right place.
            error!(topic = self.topic, start.partition, %error, "seeking failed; joining the group anew");
            self.builders.lock().unwrap_or_else(PoisonError::into_inner).remove(&start.partition);
            self.consumer.unsubscribe();
            if let Err(error) = self.consumer.subscribe(&[self.topic]) {
                error!(topic = self.topic, %error, "subscribing failed");
            }
        }
    }

    fn commit(&self, offsets: &[(i32, i64)]) {
        let mut list = TopicPartitionList::new();
        for &(partition, offset) in offsets {
            let _ = list.add_partition_offset(self.topic, partition, Offset::Offset(offset));
        }
        let committed = chaos::point(format_args!("offsets.before"))
            .and_then(|()| Ok(self.consumer.commit(&list, CommitMode::Async)?))
            .and_then(|()| chaos::point(format_args!("offsets.after")));
        if let Err(error) = committed {
            debug!(topic = self.topic, %error, "offsets not committed; the next commit makes up for it");
        }
    }
}
