//! Loads the demo data once, then keeps them moving. PostgreSQL remembers how far it got: a restart goes on from there.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use etl::{
    kafka::Cluster,
    lake::Lake,
    live::WorkerStats,
    produce::{self, journey::Journey},
    progress,
};
use model::{
    health::{Replay, ReplayState},
    metric,
    query::MetricQuery,
    range::Interval,
};
use rust_decimal::prelude::ToPrimitive;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    store::{ReplayStep, Store},
    warehouse::Warehouse,
};

/// The data set's name in the store.
const DATASET: &str = "complete-journey";
/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Events that are sent before Bronze has them.
const MAX_AHEAD: u64 = 15_000;

/// What the replay works with.
pub struct Demo {
    pub store: Store,
    pub lake: Lake,
    pub warehouse: Arc<Warehouse>,
    pub cluster: Cluster,
    /// What the pipeline in this process has taken.
    pub worker: Arc<WorkerStats>,
    /// Baskets per second once everything is loaded; 0 for none.
    pub live_rate: f64,
    pub progress: watch::Sender<Replay>,
}

impl Demo {
    /// Runs until it is told to stop. A failure is shown and logged; what was loaded stays.
    pub async fn run(self, folder: &Path, stop: CancellationToken) {
        if let Err(error) = self.load_and_go_on(folder, &stop).await {
            tracing::error!("the demo data cannot be loaded: {error:#}");
            self.progress.send_modify(|replay| {
                replay.state = ReplayState::Failed;
                replay.detail = Some(format!("{error:#}"));
            });
        }
    }

    async fn load_and_go_on(&self, folder: &Path, stop: &CancellationToken) -> Result<()> {
        let journey = Journey::open(folder)?;
        let stored = self.store.begin_replay(DATASET, Utc::now()).await?;
        let mut total = stored.total;
        if stored.step == ReplayStep::Running {
            total = blocking({
                let journey = journey.clone();
                move || journey.count()
            })
            .await?;
            self.show(ReplayState::Running, total, 0.0);
            let send = self.send(&journey, stored.anchor, stored.sent, total, stop);
            tokio::select! {
                sent = send => sent?,
                () = self.follow_share(total) => {}
            }
        }
        if stored.step != ReplayStep::Done {
            if !self.wait_for_gold(total, stop).await? {
                return Ok(());
            }
            self.store.advance_replay(DATASET, ReplayStep::Done, total, total).await?;
        }
        self.show(ReplayState::Done, total, 1.0);
        if self.live_rate > 0.0 {
            let (cluster, rate, stop) = (self.cluster.clone(), self.live_rate, stop.clone());
            blocking(move || produce::live::run(&journey, &cluster, rate, None, &stop))
                .await
                .context("the live baskets")?;
        }
        Ok(())
    }

    /// Sends what Kafka does not have yet. A checkpoint in the store follows each batch that Kafka has acknowledged.
    async fn send(
        &self,
        journey: &Journey,
        anchor: DateTime<Utc>,
        done: u64,
        total: u64,
        stop: &CancellationToken,
    ) -> Result<()> {
        let (journey, cluster, stop, store) = (journey.clone(), self.cluster.clone(), stop.clone(), self.store.clone());
        let worker = Arc::clone(&self.worker);
        let runtime = tokio::runtime::Handle::current();
        blocking(move || {
            let checkpoint = |sent: u64| {
                let step = if sent >= total { ReplayStep::Sent } else { ReplayStep::Running };
                runtime.block_on(store.advance_replay(DATASET, step, sent, total))?;
                // As fast as the pipeline takes them: what waits in Kafka slows down whoever reads it.
                while sent.saturating_sub(done) > worker.bronze_total() + MAX_AHEAD && !stop.is_cancelled() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(())
            };
            produce::replay::run(&journey, &cluster, anchor, done, &stop, checkpoint)
        })
        .await
        .map(drop)
    }

    /// Shows the share that is in Gold until it is dropped.
    async fn follow_share(&self, total: u64) {
        loop {
            self.show(ReplayState::Running, total, self.share(total).await);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until every layer has consumed the one below. Answers whether it came to that.
    async fn wait_for_gold(&self, total: u64, stop: &CancellationToken) -> Result<bool> {
        while !stop.is_cancelled() {
            let share = self.share(total).await;
            self.show(ReplayState::Running, total, share);
            // The exact comparison costs a look at every table, so it waits until it can succeed.
            if share >= 1.0 && progress::behind(&self.cluster, &self.lake).await?.is_nothing() {
                return Ok(true);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(false)
    }

    /// Events in Gold as a share of those that the data set makes.
    async fn share(&self, total: u64) -> f64 {
        let question = MetricQuery {
            metrics: metric::find("events").into_iter().collect(),
            // Longer than any event's time can be, and always the same.
            interval: Interval { from: DateTime::UNIX_EPOCH, to: DateTime::UNIX_EPOCH + TimeDelta::days(100_000) },
            granularity: None,
            split: None,
            filters: Vec::new(),
            limit: 1,
        };
        let answer = self.warehouse.query(&question).await;
        let events = answer.ok().and_then(|rows| rows.first()?.values.first().copied().flatten()?.to_f64());
        #[expect(clippy::cast_precision_loss, reason = "a share for people to read")]
        let total = total.max(1) as f64;
        (events.unwrap_or(0.0) / total).min(1.0)
    }

    fn show(&self, state: ReplayState, events: u64, share: f64) {
        self.progress.send_replace(Replay { state, share, events, detail: None });
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("the thread ended")?
}
