//! What channels are fed with.

use std::{sync::Arc, time::Duration};

use futures::stream::{self, BoxStream, StreamExt};
use model::{
    health::{Health, Status},
    pipeline::PipelineView,
};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::dashboard::Parts;

/// How often is looked while somebody follows.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is wrong now; nothing while all is well.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Alerts {
    alerts: Vec<Alert>,
}

/// A component that does not work, or in part only.
#[derive(Debug, PartialEq, Serialize)]
struct Alert {
    component: String,
    status: Status,
    /// What is wrong and what to do.
    detail: Option<String>,
}

impl Alerts {
    fn of(health: Health) -> Alerts {
        let wrong = |status| matches!(status, Status::Degraded | Status::Down);
        let alerts = health.components.into_iter().filter(|component| wrong(component.status)).map(|component| Alert {
            component: component.name,
            status: component.status,
            detail: component.detail,
        });
        Alerts { alerts: alerts.collect() }
    }
}

pub(super) fn alerts(parts: Arc<Parts>) -> BoxStream<'static, Alerts> {
    ticks(parts).map(|parts| Alerts::of(parts.health.health())).boxed()
}

/// The tables of the lake and the dead letters.
pub(super) fn tables(parts: Arc<Parts>) -> BoxStream<'static, PipelineView> {
    let looks = ticks(parts).filter_map(|parts| async move {
        let view = parts.tables.get()?.view().await;
        view.inspect_err(|error| tracing::debug!("the tables cannot be followed: {error:#}")).ok()
    });
    looks.boxed()
}

fn ticks(parts: Arc<Parts>) -> impl futures::Stream<Item = Arc<Parts>> {
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold((parts, tick), |(parts, mut tick)| async move {
        tick.tick().await;
        Some((Arc::clone(&parts), (parts, tick)))
    })
}

#[cfg(test)]
mod tests {
    use model::health::Component;

    use super::*;

    #[test]
    fn what_does_not_work_is_an_alert_and_what_starts_is_none() {
        let component = |name: &str, status| Component {
            name: name.to_owned(),
            status,
            latency_ms: Some(1.0),
            detail: Some("why".to_owned()),
        };
        let components = vec![
            component("broker", Status::Ok),
            component("redis", Status::Down),
            component("lake", Status::Starting),
            component("disk", Status::Degraded),
        ];
        let Alerts { alerts } = Alerts::of(Health { components, ..Health::default() });
        let said: Vec<_> = alerts.iter().map(|alert| (alert.component.as_str(), alert.status)).collect();
        assert_eq!(said, [("redis", Status::Down), ("disk", Status::Degraded)]);
    }
}
