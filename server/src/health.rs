//! How well the parts work: looked at in the background, so that the question is answered at once, from the first moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use futures::future::{BoxFuture, join_all};
use model::health::{Component, Health, Replay, Status};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(2);
/// While something is not well, or still starting, its recovery is seen soon.
const UNSETTLED_EVERY: Duration = Duration::from_millis(500);
/// A part that needs longer than this to answer does not work.
const PATIENCE: Duration = Duration::from_secs(2);
/// What fails for this long is not a hiccup any more.
const DOWN_AFTER: Duration = Duration::from_secs(5);

/// A part of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Broker,
    Redis,
    Postgres,
    Lake,
    Pipeline,
    Disk,
    /// Whether every event is accounted for.
    Books,
}

impl Part {
    pub const ALL: [Part; 7] =
        [Part::Broker, Part::Redis, Part::Postgres, Part::Lake, Part::Pipeline, Part::Disk, Part::Books];

    pub fn name(self) -> &'static str {
        match self {
            Part::Broker => "broker",
            Part::Redis => "redis",
            Part::Postgres => "postgres",
            Part::Lake => "lake",
            Part::Pipeline => "pipeline",
            Part::Disk => "disk",
            Part::Books => "books",
        }
    }
}

/// What a look at a part found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub status: Status,
    pub detail: Option<String>,
}

impl Finding {
    pub fn ok(detail: impl Into<String>) -> Finding {
        Finding { status: Status::Ok, detail: Some(detail.into()) }
    }

    pub fn degraded(detail: impl Into<String>) -> Finding {
        Finding { status: Status::Degraded, detail: Some(detail.into()) }
    }
}

/// Looks at a part. An error means that it does not answer; its text is shown to people.
pub type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<Finding>> + Send + Sync>;

struct Watched {
    component: Component,
    probe: Option<Probe>,
    failing_since: Option<Instant>,
}

/// The parts and how they were when they were last looked at.
pub struct HealthMonitor {
    parts: Mutex<BTreeMap<Part, Watched>>,
    replay: watch::Receiver<Replay>,
}

impl HealthMonitor {
    /// Every part is starting until [`HealthMonitor::watch`] says how to look at it.
    pub fn new(replay: watch::Receiver<Replay>) -> HealthMonitor {
        let starting = |part: Part| {
            let component =
                Component { name: part.name().to_owned(), status: Status::Starting, latency_ms: None, detail: None };
            (part, Watched { component, probe: None, failing_since: None })
        };
        HealthMonitor { parts: Mutex::new(Part::ALL.into_iter().map(starting).collect()), replay }
    }

    /// From now on the part is looked at with this probe.
    pub fn watch(&self, part: Part, probe: Probe) {
        self.change(part, |watched| watched.probe = Some(probe));
    }

    /// Says what keeps a part that is still starting.
    pub fn note(&self, part: Part, status: Status, detail: impl Into<String>) {
        let detail = Some(detail.into());
        self.change(part, |watched| (watched.component.status, watched.component.detail) = (status, detail));
    }

    /// The whole picture, from memory.
    pub fn health(&self) -> Health {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let components: Vec<_> = parts.values().map(|watched| watched.component.clone()).collect();
        let worst = components.iter().map(|component| component.status).max().unwrap_or_default();
        Health {
            status: worst,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            components,
            replay: self.replay.borrow().clone(),
        }
    }

    /// Looks at every part that can be looked at, all at once.
    pub async fn look(&self) {
        let probes: Vec<(Part, Probe)> = {
            let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            parts.iter().filter_map(|(part, watched)| Some((*part, watched.probe.clone()?))).collect()
        };
        join_all(probes.into_iter().map(|(part, probe)| self.look_at(part, probe))).await;
    }

    async fn look_at(&self, part: Part, probe: Probe) {
        let begun = Instant::now();
        let found = timeout(PATIENCE, probe()).await;
        let latency_ms = begun.elapsed().as_secs_f64() * 1000.0;
        let failure = match found {
            Ok(Ok(finding)) => {
                self.change(part, |watched| {
                    watched.failing_since = None;
                    watched.component.status = finding.status;
                    watched.component.detail = finding.detail;
                    watched.component.latency_ms = Some(latency_ms);
                });
                return;
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("It does not answer within {} seconds.", PATIENCE.as_secs()),
        };
        self.change(part, |watched| {
            let lasting = watched.failing_since.get_or_insert(begun).elapsed() >= DOWN_AFTER;
            watched.component.status = if lasting { Status::Down } else { Status::Degraded };
            watched.component.detail = Some(failure);
            watched.component.latency_ms = None;
        });
    }

    /// Looks again and again until it is cancelled.
    pub async fn run(&self, cancelled: CancellationToken) {
        while !cancelled.is_cancelled() {
            self.look().await;
            let pause = if self.health().status == Status::Ok { EVERY } else { UNSETTLED_EVERY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = cancelled.cancelled() => {}
            }
        }
    }

    fn change(&self, part: Part, change: impl FnOnce(&mut Watched)) {
        if let Some(watched) = self.parts.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&part) {
            change(watched);
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn monitor() -> HealthMonitor {
        HealthMonitor::new(watch::Sender::new(Replay::default()).subscribe())
    }

    fn works() -> Probe {
        Arc::new(|| Box::pin(async { Ok(Finding::ok("fine")) }))
    }

    fn fails() -> Probe {
        Arc::new(|| Box::pin(async { Err(anyhow!("refused")) }))
    }

    #[tokio::test]
    async fn everything_is_starting_until_it_answers() {
        let monitor = monitor();
        assert_eq!(monitor.health().status, Status::Starting);
        for part in Part::ALL {
            monitor.watch(part, works());
        }
        monitor.look().await;
        let health = monitor.health();
        assert_eq!(health.status, Status::Ok);
        assert!(health.components.iter().all(|component| component.latency_ms.is_some()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_degrades_and_only_a_lasting_one_is_down() {
        let monitor = monitor();
        for part in Part::ALL {
            monitor.watch(part, works());
        }
        monitor.watch(Part::Redis, fails());
        monitor.look().await;
        assert_eq!(monitor.health().status, Status::Degraded);
        monitor.watch(Part::Redis, Arc::new(|| Box::pin(std::future::pending())));
        monitor.look().await;
        assert_eq!(monitor.health().status, Status::Degraded);
        monitor.look().await;
        monitor.look().await;
        let health = monitor.health();
        assert_eq!(health.status, Status::Down);
        assert!(health.components[1].detail.as_deref().is_some_and(|detail| detail.contains("2 seconds")));
        monitor.watch(Part::Redis, works());
        monitor.look().await;
        assert_eq!(monitor.health().status, Status::Ok);
    }
}
