//! The services that are started where none are named: a Kafka-protocol broker in this process, redis-server and PostgreSQL
//! as child processes, all with their data under `data_dir`.
//!
//! They speak the same protocols as those of a production cluster, and the same code talks to them. Tests start them too, on
//! free ports and in a temporary folder.

mod broker;
mod child;
mod groups;
mod log;
mod postgres;
mod redis;
mod storage;

use std::{net::TcpListener, path::Path};

use anyhow::{Context, Result};
use futures::{FutureExt, future::BoxFuture};
use model::topic::Topic;
use tracing::info;

use crate::{kafka::Cluster, settings::Settings};

/// Where the services are, whether ours or others.
pub struct Services {
    /// The Kafka brokers.
    pub kafka: Cluster,
    pub redis_url: String,
    pub database_url: String,
    broker: Option<broker::Broker>,
    children: Vec<child::Child>,
}

impl Services {
    /// Starts each service that the settings do not name.
    ///
    /// # Errors
    /// When a program is missing or a service does not come up; says which and what to do.
    pub fn start(settings: &Settings) -> BoxFuture<'_, Result<Services>> {
        Services::begin(settings).boxed()
    }

    async fn begin(settings: &Settings) -> Result<Services> {
        let data_dir = &settings.data_dir;
        let mut services = Services {
            kafka: Cluster::named(&settings.kafka)?,
            redis_url: settings.redis.url.clone(),
            database_url: settings.database.url.clone(),
            broker: None,
            children: Vec::new(),
        };
        std::fs::create_dir_all(data_dir)
            .with_context(|| format!("the folder {} cannot be made", data_dir.display()))?;
        let data_dir =
            data_dir.canonicalize().with_context(|| format!("the folder {} cannot be read", data_dir.display()))?;
        let started = services.start_missing(settings, &data_dir).await;
        if let Err(error) = started {
            services.stop().await;
            return Err(error);
        }
        Ok(services)
    }

    async fn start_missing(&mut self, settings: &Settings, data_dir: &Path) -> Result<()> {
        if self.kafka.servers().is_empty() {
            let groups: Vec<String> = Topic::ALL.into_iter().map(|topic| settings.group_of(topic)).collect();
            let broker = broker::Broker::start(&data_dir.join("kafka"), settings.kafka.embedded_port, &groups)
                .await
                .context("the embedded Kafka broker")?;
            self.kafka = Cluster::local(&broker.address());
            info!(address = self.kafka.servers(), "embedded Kafka broker is up");
            self.broker = Some(broker);
        }
        let redis = async {
            if self.redis_url.is_empty() {
                redis::start(&data_dir.join("redis")).await.context("the embedded Redis").map(Some)
            } else {
                Ok(None)
            }
        };
        let postgres = async {
            if self.database_url.is_empty() {
                postgres::start(&data_dir.join("postgres")).await.context("the embedded PostgreSQL").map(Some)
            } else {
                Ok(None)
            }
        };
        let (redis, postgres) = tokio::join!(redis, postgres);
        // Both are taken over before either is found at fault, so that none is left running.
        let redis = redis.map(|redis| redis.map(|(url, child)| (self.redis_url = url, self.children.push(child))));
        let postgres =
            postgres.map(|postgres| postgres.map(|(url, child)| (self.database_url = url, self.children.push(child))));
        redis?;
        postgres?;
        Ok(())
    }

    /// The database alone, for commands: the one that the settings name, the embedded one of a program that runs on the
    /// same data, or one that is started now.
    ///
    /// # Errors
    /// As for [`Services::start`].
    pub fn database(settings: &Settings) -> BoxFuture<'_, Result<Services>> {
        async move {
            let mut services = Services {
                kafka: Cluster::local(""),
                redis_url: String::new(),
                database_url: settings.database.url.clone(),
                broker: None,
                children: Vec::new(),
            };
            if services.database_url.is_empty() {
                let data_dir = settings.data_dir.canonicalize().with_context(|| {
                    format!("there is no folder {}; run this where the server runs", settings.data_dir.display())
                })?;
                let folder = data_dir.join("postgres");
                if let Some(url) = postgres::running(&folder).await {
                    services.database_url = url;
                } else {
                    let (url, child) = postgres::start(&folder).await.context("the embedded PostgreSQL")?;
                    services.database_url = url;
                    services.children.push(child);
                }
            }
            Ok(services)
        }
        .boxed()
    }

    /// Stops what was started, the last first.
    pub fn stop(mut self) -> BoxFuture<'static, ()> {
        async move {
            while let Some(child) = self.children.pop() {
                child.stop().await;
            }
            if let Some(broker) = self.broker.take() {
                broker.stop().await;
            }
        }
        .boxed()
    }
}

/// A port that nobody uses now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
