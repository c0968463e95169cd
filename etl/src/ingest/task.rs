//! The task of one topic: it takes chunks as long as there is room, starts a batch when one is due, and goes on taking chunks
//! while the batch is written. Redis is trimmed and offsets are committed to Kafka only after the Delta commit. Whatever goes
//! wrong with a batch, its events are still in Redis or in Kafka, and are tried again.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc as std_mpsc},
    time::Duration,
};

use anyhow::{Context, Result};
use model::topic::Topic;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, info_span, warn};

use super::{
    Ingest,
    bronze::{BronzeWriter, Fault, Waiting, Written},
    buffer::Buffer,
    chunk::Chunk,
    consume::{FromConsumer, Start, ToConsumer},
    ends::Ends,
};
use crate::{
    kafka::{Cluster, Watermarks},
    lake::table::is_conflict,
    live::TopicStats,
    settings::Settings,
};

/// Pause before a failed attempt is made again; doubled up to the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// How long a stop waits for what is in the buffer.
const DRAIN: Duration = Duration::from_secs(20);

/// A partition that Kafka assigned to this worker.
struct Partition {
    epoch: u64,
    /// The chunks in Redis, oldest first: rows and bytes of each, and the offset of its last event.
    chunks: Vec<(usize, usize, i64)>,
    /// The offset that Bronze takes next: the one after its last, or the first that Kafka had when the partition was assigned.
    next: Option<i64>,
}

#[derive(Clone, Copy, Default)]
struct Depth {
    events: usize,
    bytes: usize,
}

/// A batch under way gives the writer back when it ends.
type Writing = JoinHandle<(BronzeWriter, Vec<Waiting>, Result<Written, Fault>, Duration)>;

/// A topic on its way to Bronze.
pub(super) struct Task {
    topic: Topic,
    cluster: Cluster,
    settings: Arc<Settings>,
    buffer: Buffer,
    /// `None` while a batch is under way.
    writer: Option<BronzeWriter>,
    partitions: BTreeMap<i32, Partition>,
    waiting: Depth,
    epoch: u64,
    /// When the oldest event in the buffer came.
    oldest: Option<Instant>,
    retry: Duration,
    /// After a failure no batch is begun before this.
    not_before: Instant,
    to_consumer: std_mpsc::Sender<ToConsumer>,
    stats: Arc<TopicStats>,
    committed: watch::Sender<i64>,
}

impl Task {
    pub(super) fn new(
        ingest: &Ingest,
        buffer: Buffer,
        writer: BronzeWriter,
        to_consumer: std_mpsc::Sender<ToConsumer>,
    ) -> Task {
        Task {
            topic: ingest.topic,
            cluster: ingest.cluster.clone(),
            settings: Arc::clone(&ingest.settings),
            buffer,
            writer: Some(writer),
            partitions: BTreeMap::new(),
            waiting: Depth::default(),
            epoch: 0,
            oldest: None,
            retry: RETRY.0,
            not_before: Instant::now(),
            to_consumer,
            stats: ingest.stats.topic(ingest.topic),
            committed: ingest.committed.clone(),
        }
    }

    /// Runs until it is told to stop and the buffer is drained.
    pub(super) async fn run(
        mut self,
        mut from_consumer: mpsc::Receiver<FromConsumer>,
        stop: CancellationToken,
    ) -> Result<()> {
        let mut writing: Option<Writing> = None;
        loop {
            let room = self.waiting.events < self.settings.buffer.capacity
                && self.waiting.bytes < self.settings.buffer.capacity_bytes;
            self.stats.set_buffered(self.waiting.events, !room);
            let due = self.due();
            tokio::select! {
                () = stop.cancelled() => break,
                ended = finished(&mut writing), if writing.is_some() => self.finish(ended).await,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if writing.is_none() && due.is_some() => writing = self.begin(),
                message = from_consumer.recv(), if room => match message {
                    Some(message) => self.receive(message, &mut writing, &stop).await,
                    None => anyhow::bail!("the consumer of {} ended", self.topic.name()),
                },
            }
        }
        info!(topic = self.topic.name(), events = self.waiting.events, "draining");
        let _ = self.to_consumer.send(ToConsumer::Stop);
        drop(from_consumer);
        let drained = tokio::time::timeout(DRAIN, self.drain(&mut writing)).await;
        if drained.is_err() {
            warn!(
                topic = self.topic.name(),
                events = self.waiting.events,
                "not drained in time; the events are still in Kafka"
            );
        }
        for &partition in self.partitions.keys() {
            if let Err(error) = self.buffer.clear(partition).await {
                debug!(%error, "the buffer is left to expire");
            }
        }
        Ok(())
    }

    /// When the next batch is due, if anything waits for one.
    fn due(&self) -> Option<Instant> {
        let (oldest, buffer) = (self.oldest?, &self.settings.buffer);
        // Large events fill the buffer before they are many; half of it is for those that come while the batch is written.
        let enough = self.waiting.events >= buffer.threshold || self.waiting.bytes >= buffer.capacity_bytes / 2;
        let due = if enough { oldest } else { oldest + Duration::from_millis(buffer.max_wait_ms) };
        Some(due.max(self.not_before))
    }

    fn begin(&mut self) -> Option<Writing> {
        let mut writer = self.writer.take()?;
        let waiting: Vec<Waiting> = self
            .partitions
            .iter()
            .filter(|(_, state)| !state.chunks.is_empty())
            .map(|(&partition, state)| Waiting {
                partition,
                epoch: state.epoch,
                from: state.next,
                chunks: state.chunks.len(),
                rows: state.chunks.iter().map(|(rows, ..)| rows).sum(),
                last: state.chunks.last().map_or(-1, |&(.., last)| last),
            })
            .collect();
        self.oldest = None;
        let events: usize = waiting.iter().map(|part| part.rows).sum();
        let span = info_span!("bronze", topic = self.topic.name(), events);
        let work = async move {
            let began = Instant::now();
            let result = writer.write(&waiting).await;
            (writer, waiting, result, began.elapsed())
        };
        Some(tokio::spawn(work.instrument(span)))
    }

    async fn finish(&mut self, ended: (BronzeWriter, Vec<Waiting>, Result<Written, Fault>, Duration)) {
        let (mut writer, waiting, result, took) = ended;
        match result {
            Ok(written) => {
                let events: usize = waiting.iter().map(|part| part.rows).sum();
                self.stats.bronze.events(events as u64);
                self.stats.bronze.batch(events as u64, took);
                self.retry = RETRY.0;
                // A partition that was sought anew meanwhile has other chunks now, which stay.
                let current = |part: &&Waiting| {
                    self.partitions.get(&part.partition).is_some_and(|state| state.epoch == part.epoch)
                };
                let trimmed: Vec<Waiting> = waiting.iter().filter(current).cloned().collect();
                if let Err(error) = writer.trim(&trimmed).await {
                    // The lists are no longer what we think they are; the next batch finds out.
                    debug!(%error, "Redis was not trimmed");
                }
                for part in &trimmed {
                    self.forget(part);
                }
                let next: Vec<(i32, i64)> = written.iter().map(|(&partition, &last)| (partition, last + 1)).collect();
                for &(partition, next) in &next {
                    self.stats.set_next(partition, next);
                    if let Some(state) = self.partitions.get_mut(&partition) {
                        state.next = Some(next);
                    }
                }
                let _ = self.to_consumer.send(ToConsumer::Commit(next));
                self.committed.send_replace(writer.version());
            }
            Err(Fault::Lost(partition)) => {
                let stale = |part: &Waiting| {
                    part.partition == partition
                        && self.partitions.get(&partition).is_none_or(|state| state.epoch != part.epoch)
                };
                if !waiting.iter().any(stale) {
                    self.read_again(partition).await;
                }
                warn!(
                    topic = self.topic.name(),
                    partition, "Redis lost its buffer: reading the events from Kafka again"
                );
                self.stats.buffer.failed("Redis lost its buffer; the events are read from Kafka again");
                self.not_before = Instant::now() + RETRY.0;
            }
            Err(Fault::Other(error)) => {
                if is_conflict(&error) {
                    debug!(topic = self.topic.name(), error = format!("{error:#}"), "another worker committed first");
                } else {
                    error!(
                        topic = self.topic.name(),
                        error = format!("{error:#}"),
                        "a Bronze batch failed and is tried again"
                    );
                    self.stats.bronze.failed(&format!("{error:#}"));
                }
                self.not_before = Instant::now() + self.retry;
                self.retry = (self.retry * 2).min(RETRY.1);
                if let Err(error) = writer.refresh().await {
                    debug!(%error, "the lake cannot be read either");
                }
            }
        }
        if self.waiting.events > 0 {
            self.oldest.get_or_insert_with(Instant::now);
        }
        self.writer = Some(writer);
    }

    /// Takes the chunks of a batch out of the books.
    fn forget(&mut self, part: &Waiting) {
        let Some(state) = self.partitions.get_mut(&part.partition) else { return };
        for (rows, bytes, _) in state.chunks.drain(..part.chunks.min(state.chunks.len())) {
            self.waiting.events -= rows;
            self.waiting.bytes -= bytes;
        }
    }

    /// Gives up what the buffer has of a partition and reads it from Kafka again.
    async fn read_again(&mut self, partition: i32) {
        self.epoch += 1;
        let epoch = self.epoch;
        let Some(state) = self.partitions.get_mut(&partition) else { return };
        for (rows, bytes, _) in state.chunks.drain(..) {
            self.waiting.events -= rows;
            self.waiting.bytes -= bytes;
        }
        state.epoch = epoch;
        let offset = state.next;
        if let Err(error) = self.buffer.clear(partition).await {
            // A leftover makes the first push find a list that is too long, which leads here again.
            debug!(%error, "the list was not cleared");
        }
        let _ = self.to_consumer.send(ToConsumer::Seek(Start { partition, offset, epoch }));
    }

    async fn receive(&mut self, message: FromConsumer, writing: &mut Option<Writing>, stop: &CancellationToken) {
        match message {
            FromConsumer::Chunk(chunk) => self.take(chunk, stop).await,
            FromConsumer::Failed(error) => self.stats.consume.failed(&error),
            FromConsumer::Assigned { partitions, reply } => {
                self.settle(writing).await;
                let Some(starts) = self.assign(&partitions, stop).await else { return };
                info!(topic = self.topic.name(), ?starts, "partitions assigned");
                let _ = reply.send(starts);
            }
            FromConsumer::Revoked { partitions, reply } => {
                self.settle(writing).await;
                info!(topic = self.topic.name(), ?partitions, "partitions revoked");
                for partition in partitions {
                    if let Some(state) = self.partitions.remove(&partition) {
                        for (rows, bytes, _) in state.chunks {
                            self.waiting.events -= rows;
                            self.waiting.bytes -= bytes;
                        }
                    }
                    self.stats.unassign(partition);
                    if let Err(error) = self.buffer.clear(partition).await {
                        debug!(%error, "the buffer is left to expire");
                    }
                }
                if self.waiting.events == 0 {
                    self.oldest = None;
                }
                let _ = reply.send(());
            }
        }
    }

    /// Waits for the batch under way.
    async fn settle(&mut self, writing: &mut Option<Writing>) {
        if writing.is_some() {
            let ended = finished(writing).await;
            self.finish(ended).await;
        }
    }

    /// Where to begin with each of the partitions; `None` when told to stop meanwhile.
    async fn assign(&mut self, partitions: &[i32], stop: &CancellationToken) -> Option<Vec<Start>> {
        let mut positions = loop {
            match self.ask_positions(partitions).await {
                Ok(positions) => break positions,
                Err(error) => {
                    error!(
                        topic = self.topic.name(),
                        error = format!("{error:#}"),
                        "partitions cannot be assigned yet"
                    );
                    self.stats.bronze.failed(&format!("{error:#}"));
                    pause(RETRY.1, stop).await.ok()?;
                }
            }
        };
        if let Some(made_anew) = positions.iter().find_map(|position| position.made_anew(self.topic)) {
            error!(topic = self.topic.name(), "{made_anew}");
            self.stats.bronze.failed(&made_anew);
            positions.clear();
        }
        let mut starts = Vec::new();
        for ends in positions {
            let (partition, next) = (ends.partition, ends.next());
            if let Err(error) = self.buffer.clear(partition).await {
                debug!(%error, "the list was not cleared");
            }
            self.epoch += 1;
            self.partitions.insert(partition, Partition { epoch: self.epoch, chunks: Vec::new(), next });
            self.stats.set_next(partition, next.unwrap_or(0));
            starts.push(Start { partition, offset: next, epoch: self.epoch });
        }
        Some(starts)
    }

    /// Where Bronze and Kafka end.
    async fn ask_positions(&mut self, partitions: &[i32]) -> Result<Vec<Ends>> {
        let (cluster, topic) = (self.cluster.clone(), self.topic);
        let in_kafka = tokio::task::spawn_blocking(move || Watermarks::new(&cluster)?.of(topic)).await??;
        let writer = self.writer.as_mut().context("a batch is under way")?;
        let mut ends = Vec::new();
        for &partition in partitions {
            let in_bronze = writer.position(partition).await?;
            ends.push(Ends { partition, in_bronze, in_kafka: in_kafka.get(&partition).copied() });
        }
        Ok(ends)
    }

    /// Puts a chunk into Redis, however long that takes: meanwhile nothing more is consumed.
    async fn take(&mut self, chunk: Chunk, stop: &CancellationToken) {
        let mut retry = RETRY.0;
        loop {
            let Some(state) = self.partitions.get(&chunk.partition) else { return };
            if state.epoch != chunk.epoch {
                return;
            }
            let expected = state.chunks.len() + 1;
            match self.buffer.push(chunk.partition, &chunk.bytes).await {
                Ok(length) if length == expected => break,
                Ok(length) => {
                    warn!(
                        topic = self.topic.name(),
                        partition = chunk.partition,
                        length,
                        expected,
                        "Redis lost its buffer: reading the events from Kafka again"
                    );
                    self.stats.buffer.failed("Redis lost its buffer; the events are read from Kafka again");
                    self.read_again(chunk.partition).await;
                    return;
                }
                Err(error) => {
                    warn!(
                        topic = self.topic.name(),
                        error = format!("{error:#}"),
                        "the buffer takes nothing; trying again"
                    );
                    self.stats.buffer.failed(&format!("{error:#}"));
                    if pause(retry, stop).await.is_err() {
                        // Chunks that wait behind this one are stale now: they may not go in without it.
                        self.epoch += 1;
                        if let Some(state) = self.partitions.get_mut(&chunk.partition) {
                            state.epoch = self.epoch;
                        }
                        return;
                    }
                    retry = (retry * 2).min(RETRY.1);
                }
            }
        }
        if let Some(state) = self.partitions.get_mut(&chunk.partition) {
            state.chunks.push((chunk.rows, chunk.bytes.len(), chunk.last));
        }
        self.waiting.events += chunk.rows;
        self.waiting.bytes += chunk.bytes.len();
        self.oldest.get_or_insert_with(Instant::now);
        // What failed before is over, in Kafka and in Redis.
        for stage in [&self.stats.consume, &self.stats.buffer] {
            stage.batch(chunk.rows as u64, Duration::ZERO);
        }
        self.stats.buffer.events(chunk.rows as u64);
        self.stats.bronze.rejected(chunk.rejected as u64);
    }

    async fn drain(&mut self, writing: &mut Option<Writing>) {
        loop {
            self.settle(writing).await;
            if self.waiting.events == 0 || !self.partitions.values().any(|state| !state.chunks.is_empty()) {
                break;
            }
            tokio::time::sleep_until(self.not_before).await;
            *writing = self.begin();
        }
    }
}

/// The end of the batch under way; never, when there is none.
async fn finished(writing: &mut Option<Writing>) -> (BronzeWriter, Vec<Waiting>, Result<Written, Fault>, Duration) {
    match writing {
        Some(handle) => {
            let ended = handle.await;
            *writing = None;
            match ended {
                Ok(ended) => ended,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        None => std::future::pending().await,
    }
}

async fn pause(duration: Duration, stop: &CancellationToken) -> Result<(), ()> {
    tokio::select! {
        () = stop.cancelled() => Err(()),
        () = tokio::time::sleep(duration) => Ok(()),
    }
}
