//! Live metrics: stages count, a task publishes the counts to Redis twice a second, web processes read them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use model::{
    live::{Stage, StageLive, TopicLive, WorkerLive},
    topic::Topic,
};
use redis::{AsyncCommands, aio::ConnectionManager};
use rust_decimal::Decimal;
use tokio_util::sync::CancellationToken;

use crate::memory;

/// How often a worker publishes.
pub const PUBLISH_EVERY: Duration = Duration::from_millis(500);
/// A worker that has not published for this long is gone.
const EXPIRY_MS: u64 = 5_000;
/// Redis set of the workers' names.
const WORKERS: &str = "streamlinehub:live:workers";

fn worker_key(worker: &str) -> String {
    format!("streamlinehub:live:worker:{worker}")
}

/// Counters of one stage of one topic.
#[derive(Debug, Default)]
pub struct StageStats {
    events: AtomicU64,
    batches: AtomicU64,
    last_batch_events: AtomicU64,
    last_batch_micros: AtomicU64,
    rejected: AtomicU64,
    duplicates: AtomicU64,
    errors: AtomicU64,
    error: Mutex<Option<String>>,
}

impl StageStats {
    pub fn events(&self, count: u64) {
        self.events.fetch_add(count, Relaxed);
    }

    pub fn rejected(&self, count: u64) {
        self.rejected.fetch_add(count, Relaxed);
    }

    pub fn duplicates(&self, count: u64) {
        self.duplicates.fetch_add(count, Relaxed);
    }

    /// A batch went through; whatever failed before is over.
    pub fn batch(&self, events: u64, took: Duration) {
        self.batches.fetch_add(1, Relaxed);
        self.last_batch_events.store(events, Relaxed);
        self.last_batch_micros.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// An attempt failed and will be made again.
    pub fn failed(&self, error: &str) {
        self.errors.fetch_add(1, Relaxed);
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_owned());
    }

    /// The last failure, while it lasts.
    pub fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Events since the start.
    pub fn total(&self) -> u64 {
        self.events.load(Relaxed)
    }
}

/// Counters of one topic.
#[derive(Debug, Default)]
pub struct TopicStats {
    pub consume: StageStats,
    pub buffer: StageStats,
    pub bronze: StageStats,
    pub silver: StageStats,
    pub gold: StageStats,
    buffered: AtomicU64,
    paused: AtomicBool,
    /// For each assigned partition: end of the log in Kafka, and the next offset that Bronze needs.
    offsets: Mutex<HashMap<i32, (i64, i64)>>,
}

impl TopicStats {
    pub fn stage(&self, stage: Stage) -> &StageStats {
        match stage {
            Stage::Consume => &self.consume,
            Stage::Buffer => &self.buffer,
            Stage::Bronze => &self.bronze,
            Stage::Silver => &self.silver,
            Stage::Gold => &self.gold,
        }
    }

    pub fn set_buffered(&self, events: usize, full: bool) {
        self.buffered.store(events as u64, Relaxed);
        self.paused.store(full, Relaxed);
    }

    pub fn set_high_watermark(&self, partition: i32, end: i64) {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = offsets.get_mut(&partition) {
            entry.0 = end;
        }
    }

    /// `next`: the first offset that is not in Bronze.
    pub fn set_next(&self, partition: i32, next: i64) {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner).entry(partition).or_insert((0, 0)).1 = next;
    }

    pub fn unassign(&self, partition: i32) {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    /// Events in Kafka that are not in Bronze, as far as Kafka told us.
    pub fn lag(&self) -> u64 {
        let offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.values().map(|&(end, next)| u64::try_from(end - next).unwrap_or(0)).sum()
    }
}

/// Sales by the second in which they occurred, for the last minute.
#[derive(Debug, Default)]
struct RecentSales {
    /// (second since 1970, orders, revenue), oldest first.
    seconds: VecDeque<(i64, u64, Decimal)>,
}

impl RecentSales {
    const SECONDS: i64 = 60;

    fn add(&mut self, occurred_at: i64, amount: Decimal, now: i64) {
        if occurred_at <= now - Self::SECONDS || occurred_at > now + 5 {
            return;
        }
        match self.seconds.iter_mut().find(|(second, _, _)| *second == occurred_at) {
            Some((_, orders, revenue)) => {
                *orders += 1;
                *revenue += amount;
            }
            None => self.seconds.push_back((occurred_at, 1, amount)),
        }
        self.forget(now);
    }

    fn forget(&mut self, now: i64) {
        self.seconds.retain(|(second, _, _)| *second > now - Self::SECONDS);
    }

    fn sum(&mut self, now: i64) -> (u64, Decimal) {
        self.forget(now);
        self.seconds
            .iter()
            .fold((0, Decimal::ZERO), |(orders, revenue), (_, more, amount)| (orders + more, revenue + amount))
    }
}

/// Everything one worker counts.
#[derive(Debug)]
pub struct WorkerStats {
    worker: String,
    started_at: DateTime<Utc>,
    topics: HashMap<Topic, Arc<TopicStats>>,
    recent: Mutex<RecentSales>,
    /// Milliseconds from Kafka to Gold of the slowest event of the last batch, and when that batch was committed.
    gold: Mutex<Option<(f64, DateTime<Utc>)>>,
}

impl WorkerStats {
    #[must_use]
    pub fn new(worker: String) -> WorkerStats {
        let topics = Topic::ALL.into_iter().map(|topic| (topic, Arc::default())).collect();
        WorkerStats { worker, started_at: Utc::now(), topics, recent: Mutex::default(), gold: Mutex::default() }
    }

    #[must_use]
    pub fn worker(&self) -> &str {
        &self.worker
    }

    #[must_use]
    pub fn topic(&self, topic: Topic) -> Arc<TopicStats> {
        self.topics.get(&topic).cloned().unwrap_or_default()
    }

    /// Events that this worker has brought to Bronze.
    #[must_use]
    pub fn bronze_total(&self) -> u64 {
        self.topics.values().map(|topic| topic.bronze.total()).sum()
    }

    /// Sales that reached Silver: when they occurred (microseconds since 1970) and their amounts in lake units.
    pub fn sales(&self, sales: impl Iterator<Item = (i64, i128)>) {
        let now = Utc::now().timestamp();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        for (occurred_at, units) in sales {
            recent.add(
                occurred_at.div_euclid(1_000_000),
                Decimal::from_i128_with_scale(units, model::money::SCALE),
                now,
            );
        }
    }

    /// A batch was committed to Gold; `oldest_kafka_time` in microseconds since 1970.
    pub fn gold_committed(&self, oldest_kafka_time: i64) {
        let now = Utc::now();
        let delay = now.timestamp_micros().saturating_sub(oldest_kafka_time).max(0);
        #[expect(clippy::cast_precision_loss, reason = "a delay for people to read")]
        let milliseconds = delay as f64 / 1000.0;
        *self.gold.lock().unwrap_or_else(PoisonError::into_inner) = Some((milliseconds, now));
    }

    fn snapshot(&self, rates: &mut Rates) -> WorkerLive {
        let (orders, revenue) = self.recent.lock().unwrap_or_else(PoisonError::into_inner).sum(Utc::now().timestamp());
        let gold = *self.gold.lock().unwrap_or_else(PoisonError::into_inner);
        rates.tick();
        let topics = Topic::ALL.into_iter().map(|topic| {
            let stats = self.topic(topic);
            TopicLive {
                topic: topic.name().to_owned(),
                lag: stats.lag(),
                buffered: stats.buffered.load(Relaxed),
                paused: stats.paused.load(Relaxed),
                stages: Stage::ALL
                    .into_iter()
                    .map(|stage| {
                        stage_live(stage, stats.stage(stage), rates.of(topic, stage, stats.stage(stage).total()))
                    })
                    .collect(),
            }
        });
        WorkerLive {
            worker: self.worker.clone(),
            at: Utc::now(),
            started_at: self.started_at,
            memory_bytes: memory::resident_bytes().unwrap_or(0),
            topics: topics.collect(),
            orders_last_minute: orders,
            revenue_last_minute: revenue,
            event_to_gold_ms: gold.map(|(milliseconds, _)| milliseconds),
            gold_committed_at: gold.map(|(_, at)| at),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a duration for people to read")]
fn stage_live(stage: Stage, stats: &StageStats, events_per_second: f64) -> StageLive {
    StageLive {
        stage,
        events_total: stats.total(),
        events_per_second,
        batches_total: stats.batches.load(Relaxed),
        last_batch_events: stats.last_batch_events.load(Relaxed),
        last_batch_ms: stats.last_batch_micros.load(Relaxed) as f64 / 1000.0,
        rejected_total: stats.rejected.load(Relaxed),
        duplicates_total: stats.duplicates.load(Relaxed),
        errors_total: stats.errors.load(Relaxed),
        error: stats.error(),
    }
}

/// Rates over the last seconds, from totals noted at each tick.
#[derive(Default)]
struct Rates {
    ticks: VecDeque<Instant>,
    totals: HashMap<(Topic, Stage), VecDeque<u64>>,
}

impl Rates {
    /// Six ticks of half a second: a window of three seconds.
    const TICKS: usize = 7;

    fn tick(&mut self) {
        self.ticks.push_back(Instant::now());
        if self.ticks.len() > Self::TICKS {
            self.ticks.pop_front();
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    fn of(&mut self, topic: Topic, stage: Stage, total: u64) -> f64 {
        let totals = self.totals.entry((topic, stage)).or_default();
        totals.push_back(total);
        if totals.len() > Self::TICKS {
            totals.pop_front();
        }
        let (Some(&first), Some(start), Some(end)) = (totals.front(), self.ticks.front(), self.ticks.back()) else {
            return 0.0;
        };
        let seconds = (*end - *start).as_secs_f64();
        if seconds > 0.0 { (total - first) as f64 / seconds } else { 0.0 }
    }
}

/// Publishes the worker's counts until it is told to stop. While Redis is away the counts go on; they are totals.
pub async fn publish(stats: Arc<WorkerStats>, mut redis: ConnectionManager, stop: CancellationToken) {
    let mut rates = Rates::default();
    let mut tick = tokio::time::interval(PUBLISH_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = tick.tick() => {}
        }
        let live = stats.snapshot(&mut rates);
        if let Err(error) = write(&mut redis, &live).await {
            tracing::debug!(%error, "live metrics were not published");
        }
    }
    let _: Result<(), _> = redis.srem(WORKERS, stats.worker()).await;
    let _: Result<(), _> = redis.del(worker_key(stats.worker())).await;
}

async fn write(redis: &mut ConnectionManager, live: &WorkerLive) -> Result<()> {
    let text = serde_json::to_string(live)?;
    redis::pipe()
        .sadd(WORKERS, &live.worker)
        .ignore()
        .pset_ex(worker_key(&live.worker), text, EXPIRY_MS)
        .ignore()
        .query_async::<()>(redis)
        .await?;
    Ok(())
}

/// What the workers published last. Those that are gone are forgotten.
///
/// # Errors
/// When Redis does not answer.
pub async fn read_workers(redis: &mut ConnectionManager) -> Result<Vec<WorkerLive>> {
    let names: Vec<String> = redis.smembers(WORKERS).await.context("Redis did not answer")?;
    let mut workers = Vec::new();
    for name in names {
        let text: Option<String> = redis.get(worker_key(&name)).await.context("Redis did not answer")?;
        match text {
            Some(text) => workers.extend(serde_json::from_str::<WorkerLive>(&text).ok()),
            None => redis.srem(WORKERS, &name).await.context("Redis did not answer")?,
        }
    }
    Ok(workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_minute_counts() {
        let mut recent = RecentSales::default();
        recent.add(100, Decimal::ONE, 100);
        recent.add(100, Decimal::ONE, 101);
        recent.add(130, Decimal::TWO, 130);
        recent.add(10, Decimal::TEN, 130);
        assert_eq!(recent.sum(130), (3, Decimal::from(4)));
        assert_eq!(recent.sum(165), (1, Decimal::TWO));
        assert_eq!(recent.sum(1000), (0, Decimal::ZERO));
    }
}
