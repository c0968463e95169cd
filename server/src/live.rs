//! The live metrics of all workers together, once a second for everybody who watches.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use async_trait::async_trait;
use chrono::Utc;
use futures::stream::{BoxStream, StreamExt};
use model::{
    health::Replay,
    live::{Live, StageLive, TopicLive, WorkerLive},
};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;

/// The pace while somebody watches.
const WATCHED: Duration = Duration::from_secs(1);
/// The pace while nobody does: the health page still wants to know whether the pipeline runs.
const UNWATCHED: Duration = Duration::from_secs(5);
/// Longer than this a reading is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where workers publish.
#[async_trait]
pub trait Workers: Send + 'static {
    /// What each worker said last.
    async fn read(&mut self) -> Result<Vec<WorkerLive>>;
}

/// The newest live metrics, and who wants them.
pub struct LiveFeed {
    newest: watch::Sender<Live>,
    /// The workers one by one, as the newest was put together of them.
    reported: Mutex<Arc<Vec<WorkerLive>>>,
    replay: watch::Receiver<Replay>,
    somebody_came: Notify,
}

impl LiveFeed {
    pub fn new(replay: watch::Receiver<Replay>) -> Arc<LiveFeed> {
        let newest = Live { replay: replay.borrow().clone(), ..Live::default() };
        Arc::new(LiveFeed {
            newest: watch::Sender::new(newest),
            reported: Mutex::default(),
            replay,
            somebody_came: Notify::new(),
        })
    }

    /// The newest at once, then each change. A slow reader skips to the newest.
    pub fn stream(&self) -> BoxStream<'static, Live> {
        let stream = WatchStream::new(self.newest.subscribe()).boxed();
        self.somebody_came.notify_one();
        stream
    }

    /// The newest.
    pub fn now(&self) -> Live {
        self.newest.borrow().clone()
    }

    /// What each worker said last.
    pub fn workers(&self) -> Arc<Vec<WorkerLive>> {
        Arc::clone(&self.reported.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads and publishes until it is cancelled.
    pub async fn run(&self, mut workers: impl Workers, cancelled: CancellationToken) {
        loop {
            let reported = match timeout(PATIENCE, workers.read()).await {
                Ok(Ok(reported)) => reported,
                Ok(Err(error)) => {
                    tracing::debug!("no live metrics: {error:#}");
                    Vec::new()
                }
                Err(_) => Vec::new(),
            };
            let replay = self.replay.borrow().clone();
            self.newest.send_replace(Live { at: Some(Utc::now()), replay, ..together(&reported) });
            let watched = self.newest.receiver_count() > 0;
            // No worker yet: the health page waits for the first.
            let pause = if watched || reported.is_empty() { WATCHED } else { UNWATCHED };
            *self.reported.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(reported);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.somebody_came.notified(), if pause == UNWATCHED => {}
                () = cancelled.cancelled() => return,
            }
        }
    }
}

/// Sums over the workers; the slowest way to Gold counts, and the latest commit.
pub fn together(workers: &[WorkerLive]) -> Live {
    let mut live = Live { workers: u32::try_from(workers.len()).unwrap_or(u32::MAX), ..Live::default() };
    for worker in workers {
        live.orders_last_minute += worker.orders_last_minute;
        live.revenue_last_minute += worker.revenue_last_minute;
        live.event_to_gold_ms = larger(live.event_to_gold_ms, worker.event_to_gold_ms);
        live.gold_committed_at = live.gold_committed_at.max(worker.gold_committed_at);
        for topic in &worker.topics {
            live.lag += topic.lag;
            live.buffered += topic.buffered;
            live.rejected_total += topic.stages.iter().map(|stage| stage.rejected_total).sum::<u64>();
            // Consuming comes first: what was consumed is what came in.
            if let Some(first) = topic.stages.iter().min_by_key(|stage| stage.stage) {
                live.events_per_second += first.events_per_second;
                live.events_total += first.events_total;
            }
            match live.topics.iter_mut().find(|known| known.topic == topic.topic) {
                Some(known) => add_topic(known, topic),
                None => live.topics.push(topic.clone()),
            }
        }
    }
    live
}

fn add_topic(sum: &mut TopicLive, topic: &TopicLive) {
    sum.lag += topic.lag;
    sum.buffered += topic.buffered;
    sum.paused |= topic.paused;
    for stage in &topic.stages {
        match sum.stages.iter_mut().find(|known| known.stage == stage.stage) {
            Some(known) => add_stage(known, stage),
            None => sum.stages.push(stage.clone()),
        }
    }
}

fn add_stage(sum: &mut StageLive, stage: &StageLive) {
    sum.events_total += stage.events_total;
    sum.events_per_second += stage.events_per_second;
    sum.batches_total += stage.batches_total;
    sum.last_batch_events += stage.last_batch_events;
    sum.last_batch_ms = sum.last_batch_ms.max(stage.last_batch_ms);
    sum.rejected_total += stage.rejected_total;
    sum.duplicates_total += stage.duplicates_total;
    sum.errors_total += stage.errors_total;
    if sum.error.is_none() {
        sum.error.clone_from(&stage.error);
    }
}

fn larger(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use model::live::Stage;
    use rust_decimal::Decimal;
    use tokio::sync::mpsc;

    use super::*;

    fn stage(stage: Stage, events: u64, error: Option<&str>) -> StageLive {
        StageLive {
            stage,
            events_total: events,
            events_per_second: 1.5,
            batches_total: 1,
            last_batch_events: events,
            last_batch_ms: 2.0,
            rejected_total: 1,
            duplicates_total: 0,
            errors_total: u64::from(error.is_some()),
            error: error.map(ToOwned::to_owned),
        }
    }

    fn worker(name: &str, slowest: Option<f64>) -> WorkerLive {
        let stages = vec![stage(Stage::Consume, 10, None), stage(Stage::Bronze, 8, Some("disk full"))];
        WorkerLive {
            worker: name.to_owned(),
            at: Utc::now(),
            started_at: Utc::now(),
            memory_bytes: 1,
            topics: vec![TopicLive { topic: "t".to_owned(), lag: 2, buffered: 3, paused: name == "b", stages }],
            orders_last_minute: 4,
            revenue_last_minute: Decimal::new(125, 2),
            event_to_gold_ms: slowest,
            gold_committed_at: None,
        }
    }

    #[test]
    fn workers_are_summed_by_topic_and_stage() {
        let live = together(&[worker("a", Some(5.0)), worker("b", None)]);
        assert_eq!((live.workers, live.lag, live.buffered, live.events_total), (2, 4, 6, 20));
        assert_eq!((live.orders_last_minute, live.revenue_last_minute), (8, Decimal::new(25, 1)));
        assert_eq!((live.event_to_gold_ms, live.rejected_total), (Some(5.0), 4));
        assert_eq!(live.topics.len(), 1);
        let bronze = &live.topics[0].stages[1];
        assert!(live.topics[0].paused);
        assert_eq!((bronze.events_total, bronze.error.as_deref()), (16, Some("disk full")));
    }

    struct Scripted(mpsc::Receiver<Vec<WorkerLive>>);

    #[async_trait]
    impl Workers for Scripted {
        async fn read(&mut self) -> Result<Vec<WorkerLive>> {
            Ok(self.0.recv().await.unwrap_or_default())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_gets_the_newest_at_once_and_then_the_changes() {
        let (send, receive) = mpsc::channel(1);
        let feed = LiveFeed::new(watch::Sender::new(Replay::default()).subscribe());
        let mut stream = feed.stream();
        assert_eq!(stream.next().await.and_then(|live| live.at), None);
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (feed, stop) = (Arc::clone(&feed), stop.clone());
            async move { feed.run(Scripted(receive), stop).await }
        });
        send.send(vec![worker("a", None)]).await.expect("the feed reads");
        assert_eq!(stream.next().await.map(|live| live.workers), Some(1));
        tokio::task::yield_now().await;
        assert_eq!(feed.workers()[0].worker, "a");
        send.send(Vec::new()).await.expect("the feed reads");
        assert_eq!(stream.next().await.map(|live| live.workers), Some(0));
        stop.cancel();
        running.await.expect("it ends");
    }
}
