//! How each part is looked at for the health page.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use model::{health::Status, live::Live};
use redis::{
    Client,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::{net::TcpStream, time::Instant};

use crate::{
    health::{Finding, Probe},
    live::LiveFeed,
    store::Store,
    warehouse::Warehouse,
};

/// Workers publish every half second; until then a new pipeline is not called silent.
const FIRST_WORDS: Duration = Duration::from_secs(10);

/// A connection that comes back by itself.
///
/// # Errors
/// The URL is wrong, or nobody answers there.
pub async fn connect_redis(url: &str) -> Result<ConnectionManager> {
    let client = Client::open(url).context("redis.url is not a Redis URL such as redis://host:6379")?;
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        .set_response_timeout(Some(Duration::from_secs(2)));
    ConnectionManager::new_with_config(client, config)
        .await
        .context("Redis does not answer; is it running, and is redis.url right?")
}

/// Whether any of the brokers (`host:port,host:port`) takes connections.
pub fn broker(bootstrap_servers: String) -> Probe {
    Arc::new(move || {
        let servers = bootstrap_servers.clone();
        Box::pin(async move {
            for server in servers.split(',') {
                if TcpStream::connect(server.trim()).await.is_ok() {
                    return Ok(Finding::ok(server.trim()));
                }
            }
            Err(anyhow!("No Kafka broker takes connections at {servers}."))
        })
    })
}

pub fn redis(connection: ConnectionManager) -> Probe {
    Arc::new(move || {
        let mut connection = connection.clone();
        Box::pin(async move {
            let () = redis::cmd("PING").exec_async(&mut connection).await.context("Redis does not answer")?;
            Ok(Finding { status: Status::Ok, detail: None })
        })
    })
}

pub fn postgres(store: Store) -> Probe {
    Arc::new(move || {
        let store = store.clone();
        Box::pin(async move {
            store.ping().await?;
            Ok(Finding { status: Status::Ok, detail: None })
        })
    })
}

/// Whether the lake's folder is there and the warehouse can follow it.
pub fn lake(root: PathBuf, warehouse: Arc<Warehouse>) -> Probe {
    Arc::new(move || {
        let (root, warehouse) = (root.clone(), Arc::clone(&warehouse));
        Box::pin(async move {
            _ = tokio::fs::read_dir(&root)
                .await
                .with_context(|| format!("the lake's folder {} cannot be read", root.display()))?;
            Ok(warehouse.trouble().map_or_else(|| Finding::ok(root.display().to_string()), Finding::degraded))
        })
    })
}

/// What the workers say of themselves.
pub fn pipeline(live: Arc<LiveFeed>) -> Probe {
    let since = Instant::now();
    Arc::new(move || {
        let finding = pipeline_finding(&live.now(), since.elapsed());
        Box::pin(async move { Ok(finding) })
    })
}

fn pipeline_finding(live: &Live, running_for: Duration) -> Finding {
    if live.workers == 0 && running_for < FIRST_WORDS {
        return Finding { status: Status::Starting, detail: None };
    }
    if live.workers == 0 {
        return Finding::degraded(
            "No pipeline worker has reported within the last seconds: new events are not processed.",
        );
    }
    let failing = live.topics.iter().find_map(|topic| {
        let stage = topic.stages.iter().find(|stage| stage.error.is_some())?;
        Some(format!("{} of {}: {}", stage.stage.label(), topic.topic, stage.error.as_deref()?))
    });
    let workers = live.workers;
    failing.map_or_else(
        || Finding::ok(format!("{workers} {}", if workers == 1 { "worker" } else { "workers" })),
        Finding::degraded,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_pipeline_is_starting_first_and_degraded_later() {
        let live = Live::default();
        assert_eq!(pipeline_finding(&live, Duration::from_secs(1)).status, Status::Starting);
        assert_eq!(pipeline_finding(&live, Duration::from_secs(60)).status, Status::Degraded);
        let live = Live { workers: 1, ..Live::default() };
        assert_eq!(pipeline_finding(&live, Duration::ZERO), Finding::ok("1 worker"));
    }
}
