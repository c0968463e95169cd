//! The embedded Kafka-protocol broker: Tansu, on a SQLite database. It survives `kill -9` with everything it acknowledged;
//! a power failure may cost it the last moments, so production has a cluster of its own.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use tansu_broker::broker::Broker as TansuBroker;
use tansu_storage::{Storage as _, StorageContainer};
use tokio::{net::TcpStream, task::JoinHandle, time::Instant};
use tracing::error;
use url::Url;
use uuid::Uuid;

use super::port_or_free;

const CLUSTER: &str = "streamlinehub";
const NODE: i32 = 1;
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Broker {
    port: u16,
    serving: JoinHandle<()>,
}

impl Broker {
    /// `groups` are those whose members are ours: none of them outlived the broker, and it would wait for them.
    pub(super) async fn start(folder: &Path, wanted_port: u16, groups: &[String]) -> Result<Broker> {
        std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        // Two crypto providers are linked into the process; TLS needs to be told which.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let port = port_or_free(wanted_port)?;
        let listener = Url::parse(&format!("tcp://127.0.0.1:{port}"))?;
        // The storage joins the path to the working folder; four slashes make it absolute.
        let database = Url::parse(&format!("sqlite:///{}", folder.join("broker.db").display()))?;
        let storage = StorageContainer::builder()
            .cluster_id(CLUSTER)
            .node_id(NODE)
            .advertised_listener(listener.clone())
            .storage(database.clone())
            .silent(true)
            .build()
            .await
            .map_err(|error| anyhow::anyhow!("its database cannot be opened: {error}"))?;
        let cleared = storage.delete_groups(Some(groups)).await;
        cleared.map_err(|error| anyhow::anyhow!("its database cannot be written: {error}"))?;
        let mut broker = TansuBroker::<
            tansu_broker::coordinator::group::administrator::Controller<StorageContainer>,
            StorageContainer,
        >::builder()
        .node_id(NODE)
        .cluster_id(CLUSTER)
        .incarnation_id(Uuid::new_v4())
        .advertised_listener(listener.clone())
        .listener(listener)
        .storage(database)
        .silent(true)
        .build()
        .await
        .map_err(|error| anyhow::anyhow!("it cannot be set up: {error}"))?;
        let serving = tokio::spawn(async move {
            if let Err(error) = broker.serve(Instant::now()).await {
                error!(%error, "the embedded Kafka broker ended");
            }
        });
        let broker = Broker { port, serving };
        broker.answer().await?;
        Ok(broker)
    }

    async fn answer(&self) -> Result<()> {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if self.serving.is_finished() || began.elapsed() > PATIENCE {
                bail!("it does not answer on port {}; set KAFKA_BOOTSTRAP_SERVERS to use another broker", self.port);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) async fn stop(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }
}
