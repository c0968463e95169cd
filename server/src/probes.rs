//! How each part is looked at for the health page.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use etl::kafka::{Cluster, Watermarks};
use model::{health::Status, live::Live};
use nix::sys::statvfs::statvfs;
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
/// A look at a part takes no longer than two seconds.
const BROKER_PATIENCE: Duration = Duration::from_millis(1500);

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

/// Whether any of the brokers takes connections, and where they are secured, lets us in.
///
/// # Errors
/// The settings of TLS cannot be used.
pub fn broker(cluster: &Cluster) -> Result<Probe> {
    if !cluster.is_plain() {
        let kafka = Watermarks::new(cluster)?;
        let servers = cluster.servers().to_owned();
        return Ok(Arc::new(move || {
            let (kafka, servers) = (kafka.clone(), servers.clone());
            Box::pin(async move {
                let asked = tokio::task::spawn_blocking(move || kafka.answers(BROKER_PATIENCE));
                asked.await.context("the look at the broker was stopped")??;
                Ok(Finding::ok(servers))
            })
        }));
    }
    let servers = cluster.servers().to_owned();
    Ok(Arc::new(move || {
        let servers = servers.clone();
        Box::pin(async move {
            for server in servers.split(',') {
                if TcpStream::connect(server.trim()).await.is_ok() {
                    return Ok(Finding::ok(server.trim()));
                }
            }
            Err(anyhow!("No Kafka broker takes connections at {servers}."))
        })
    }))
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

/// How much room is left where the lake is. A hung network disk does not answer, and is told as such.
pub fn disk(folder: PathBuf, low_bytes: u64) -> Probe {
    Arc::new(move || {
        let folder = folder.clone();
        Box::pin(async move {
            let look = move || {
                statvfs(&folder).with_context(|| format!("the disk of {} cannot be looked at", folder.display()))
            };
            let disk = tokio::task::spawn_blocking(look).await.context("the look at the disk was stopped")??;
            let block = disk.fragment_size();
            Ok(disk_finding(disk.blocks_available() * block, disk.blocks() * block, low_bytes))
        })
    })
}

fn disk_finding(free: u64, size: u64, low: u64) -> Finding {
    let gigabytes = |bytes: u64| format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000);
    let left = format!("{} of {} are free", gigabytes(free), gigabytes(size));
    if free >= low {
        return Finding::ok(left);
    }
    Finding::degraded(format!(
        "Only {left} where the lake is, less than health.low_disk_bytes ({}). When nothing is left no event can be kept: \
         make room, or move the lake to a larger disk.",
        gigabytes(low)
    ))
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
    fn a_full_disk_is_degraded_before_it_is_full() {
        let finding = |free| disk_finding(free, 40_000_000_000, 2_000_000_000);
        assert_eq!(finding(2_000_000_000), Finding::ok("2.0 GB of 40.0 GB are free"));
        assert_eq!(finding(1_999_999_999).status, Status::Degraded);
    }

    #[tokio::test]
    async fn a_disk_is_looked_at() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(disk(folder.path().to_owned(), 0)().await.expect("a disk").status, Status::Ok);
        assert!(disk(folder.path().join("nothing"), 0)().await.is_err());
    }

    #[test]
    fn a_silent_pipeline_is_starting_first_and_degraded_later() {
        let live = Live::default();
        assert_eq!(pipeline_finding(&live, Duration::from_secs(1)).status, Status::Starting);
        assert_eq!(pipeline_finding(&live, Duration::from_secs(60)).status, Status::Degraded);
        let live = Live { workers: 1, ..Live::default() };
        assert_eq!(pipeline_finding(&live, Duration::ZERO), Finding::ok("1 worker"));
    }
}
