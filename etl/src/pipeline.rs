//! The flow, wired in one place. Stages hand on no data: each reads what the one before has committed, and is only told that
//! there is news. So any of them may stop, fail or start again without the others noticing more than silence.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use futures::{FutureExt, future::BoxFuture};
use model::topic::Topic;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::{
    gold::Gold,
    ingest::{Ingest, buffer},
    kafka::Cluster,
    lake::Lake,
    lease, ledger,
    live::{self, WorkerStats},
    maintenance,
    quality::{Rules, results::Collector},
    settings::{Settings, Stage},
    silver::{AllEvents, Silver},
};

/// Pause before a topic's ingest that ended by a fault begins anew.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A pipeline at work.
pub struct Pipeline {
    stats: Arc<WorkerStats>,
    gold_committed: watch::Receiver<u64>,
    /// Stopped in this order, so that each stage sees the last of the one before.
    ingest: Running,
    silver: Running,
    gold: Running,
    others: Running,
}

/// The step of a stage, in which a panic is a failure like any other: the stage looks at its tables anew and tries again. A
/// fault of ours then shows as an error on the page, and not as silence.
pub(crate) async fn caught<T>(step: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(step).catch_unwind().await.unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        bail!("a fault in the program: {}", why.unwrap_or("it panicked"))
    })
}

/// Runs a topic's ingest, and begins anew when it ends by a fault.
async fn keep_ingesting(stage: Ingest) -> Result<()> {
    loop {
        match caught(stage.clone().run()).await {
            Err(error) if !stage.stop.is_cancelled() => {
                error!(topic = stage.topic.name(), error = format!("{error:#}"), "consuming ended and begins anew");
                stage.stats.topic(stage.topic).consume.failed(&format!("{error:#}"));
                tokio::time::sleep(RESTART_PAUSE).await;
            }
            ended => return ended,
        }
    }
}

/// Tasks that stop together.
struct Running {
    stop: CancellationToken,
    tasks: JoinSet<Result<()>>,
}

impl Running {
    fn new() -> Running {
        Running { stop: CancellationToken::new(), tasks: JoinSet::new() }
    }

    async fn stop(mut self, what: &str) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    warn!(what, error = format!("{error:#}"), "ended with an error; the next start makes up for it");
                }
                Err(error) => warn!(what, %error, "ended badly; the next start makes up for it"),
            }
        }
    }
}

impl Pipeline {
    /// Starts every stage of every topic.
    ///
    /// # Errors
    /// When Kafka, Redis or the lake cannot be reached at the start. What fails later is tried again.
    pub fn start<'a>(
        settings: Arc<Settings>,
        cluster: &'a Cluster,
        redis_url: &'a str,
    ) -> BoxFuture<'a, Result<Pipeline>> {
        Pipeline::begin(settings, cluster, redis_url).boxed()
    }

    async fn begin(settings: Arc<Settings>, cluster: &Cluster, redis_url: &str) -> Result<Pipeline> {
        let rules = Arc::new(Rules::compile(&settings)?);
        let lake = Lake::open(&settings.lake_path())?;
        cluster.create_topics(settings.kafka.partitions).await?;
        ledger::begin::begin(&lake).await?;
        let redis = buffer::connect(redis_url).await?;
        let worker = Uuid::new_v4().simple().to_string();
        let stats = Arc::new(WorkerStats::new(worker));

        let (silver_committed, silver_news) = watch::channel(0);
        let (gold_committed, gold_news) = watch::channel(0);
        let (mut ingest, mut silver, mut gold, mut others) =
            (Running::new(), Running::new(), Running::new(), Running::new());

        // A worker that comes back under its name goes on with what was its work.
        let holder: Arc<str> = settings.group_instance().unwrap_or(stats.worker()).into();
        let mut offers = Vec::new();
        let mut leased = |name: String| {
            let (lease, offer) = lease::offer(&name);
            offers.push(offer);
            lease
        };

        let does = |stage| settings.pipeline.does(stage);
        let events = AllEvents::open(&lake, &rules, &settings.cache_dir()).await?;
        for topic in Topic::ALL {
            let (bronze_committed, bronze_news) = watch::channel(-1);
            if does(Stage::Bronze) {
                let stage = Ingest {
                    topic,
                    settings: settings.clone(),
                    cluster: cluster.clone(),
                    redis: redis.clone(),
                    lake: lake.clone(),
                    stats: stats.clone(),
                    committed: bronze_committed,
                    stop: ingest.stop.clone(),
                };
                ingest.tasks.spawn(keep_ingesting(stage));
            }
            if does(Stage::Silver) {
                let mut stage = Silver::open(
                    topic,
                    settings.clone(),
                    rules.clone(),
                    &lake,
                    &events,
                    stats.clone(),
                    silver_committed.clone(),
                )
                .await?;
                let stop = silver.stop.clone();
                let lease = leased(format!("silver/{}", topic.name()));
                silver.tasks.spawn(async move {
                    stage.run(bronze_news, lease.clone(), &stop).await;
                    // Where it is another worker's work, that one goes on.
                    if lease.is_held() { stage.drain().await.context("draining Silver") } else { Ok(()) }
                });
            }
        }

        if does(Stage::Gold) {
            let mut stage = Gold::open(settings.clone(), &lake, stats.clone(), gold_committed).await?;
            let stop = gold.stop.clone();
            let lease = leased("gold".to_owned());
            gold.tasks.spawn(async move {
                stage.run(silver_news, lease.clone(), &stop).await;
                if lease.is_held() { stage.drain().await.context("draining Gold") } else { Ok(()) }
            });
        }

        if does(Stage::Gold) {
            let mut results = Collector::open(&settings, &lake).await?;
            let stop = gold.stop.clone();
            let lease = leased("quality".to_owned());
            gold.tasks.spawn(async move {
                results.run(&lease, &stop).await;
                if lease.is_held() {
                    results.drain().await.context("draining what the quality rules found")
                } else {
                    Ok(())
                }
            });
        }

        let stop = others.stop.clone();
        let published = live::publish(stats.clone(), redis.clone(), stop.clone());
        others.tasks.spawn(async move {
            published.await;
            Ok(())
        });
        if does(Stage::Maintenance) {
            let lease = leased("maintenance".to_owned());
            others.tasks.spawn(maintenance::run(lake, settings, lease, stop.clone()));
        }
        others.tasks.spawn(async move {
            lease::keep(offers, holder, redis, stop).await;
            Ok(())
        });

        info!(worker = stats.worker(), "pipeline started");
        Ok(Pipeline { stats, gold_committed: gold_news, ingest, silver, gold, others })
    }

    /// What this pipeline's worker counts.
    #[must_use]
    pub fn stats(&self) -> &Arc<WorkerStats> {
        &self.stats
    }

    /// Changes after each commit to Gold.
    #[must_use]
    pub fn gold_committed(&self) -> watch::Receiver<u64> {
        self.gold_committed.clone()
    }

    /// Stops consuming, brings what is in the buffer to Gold, and ends.
    pub fn stop(self) -> BoxFuture<'static, ()> {
        async move {
            info!("pipeline stopping");
            self.ingest.stop("ingest").await;
            self.silver.stop("silver").await;
            self.gold.stop("gold").await;
            self.others.stop("maintenance").await;
            info!("pipeline stopped");
        }
        .boxed()
    }
}
