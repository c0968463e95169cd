//! The embedded Kafka-protocol broker: Tansu's protocol, over files of ours. It survives `kill -9` with everything it
//! acknowledged; a power failure may cost it the last moments, so production has a cluster of its own.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, anyhow};
use rama::Service as _;
use tansu_broker::{coordinator::group::administrator::Controller, service::services};
use tansu_storage::{BrokerRegistrationRequest, Storage as _, StorageContainer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tracing::{debug, warn};
use url::Url;
use uuid::Uuid;

use super::{groups::Groups, storage::BrokerStorage};

const CLUSTER: &str = "streamlinehub";
const NODE: i32 = 1;
/// The disk is asked to keep what was written this often.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Pause after a connection could not be taken, such as for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

pub(super) struct Broker {
    port: u16,
    storage: BrokerStorage,
    serving: JoinHandle<()>,
    syncing: JoinHandle<()>,
}

impl Broker {
    /// On the wanted port, or on a free one where it is taken or none is wanted. `groups` are those whose members are ours:
    /// none of them outlived the broker, and it would wait for them.
    pub(super) async fn start(folder: &Path, wanted_port: u16, groups: &[String]) -> Result<Broker> {
        std::fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let listener = match TcpListener::bind(("127.0.0.1", wanted_port)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(("127.0.0.1", 0)).await.context("no free port")?,
        };
        let port = listener.local_addr()?.port();
        let storage = open_storage(folder, port, groups).await?;
        let coordinator = Controller::with_storage(storage.clone())
            .map_err(|error| anyhow!("its groups cannot be set up: {error}"))?;
        let coordinator = Groups::new(coordinator);
        let serving = tokio::spawn(serve(listener, storage.clone(), coordinator));
        let syncing = tokio::spawn({
            let storage = storage.clone();
            async move {
                loop {
                    tokio::time::sleep(SYNC_EVERY).await;
                    storage.sync().await;
                }
            }
        });
        Ok(Broker { port, storage, serving, syncing })
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) async fn stop(self) {
        self.serving.abort();
        self.syncing.abort();
        let _ = self.serving.await;
        self.storage.sync().await;
    }
}

async fn open_storage(folder: &Path, port: u16, groups: &[String]) -> Result<BrokerStorage> {
    // Two crypto providers are linked into the process; TLS needs to be told which.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // The storage joins the path to the working folder; four slashes make it absolute.
    let database = Url::parse(&format!("sqlite:///{}", folder.join("broker.db").display()))?;
    let rest = StorageContainer::builder()
        .cluster_id(CLUSTER)
        .node_id(NODE)
        .advertised_listener(Url::parse(&format!("tcp://127.0.0.1:{port}"))?)
        .storage(database)
        .silent(true)
        .build()
        .await
        .map_err(|error| anyhow!("its database cannot be opened: {error}"))?;
    let cannot_write = |error| anyhow!("its database cannot be written: {error}");
    rest.delete_groups(Some(groups)).await.map_err(cannot_write)?;
    let registration = BrokerRegistrationRequest {
        broker_id: NODE,
        cluster_id: CLUSTER.to_owned(),
        incarnation_id: Uuid::new_v4(),
        rack: None,
    };
    rest.register_broker(registration).await.map_err(cannot_write)?;
    Ok(BrokerStorage::new(rest, folder.join("log")))
}

/// Takes connections until it is aborted, which ends them too.
async fn serve(listener: TcpListener, storage: BrokerStorage, coordinator: Groups) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => _ = connections.spawn(answer(stream, storage.clone(), coordinator.clone())),
                Err(error) => {
                    warn!(%error, "the embedded Kafka broker cannot take a connection");
                    tokio::time::sleep(BREATH).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(stream: TcpStream, storage: BrokerStorage, coordinator: Groups) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let service = match services(CLUSTER, coordinator, storage, None) {
        Ok(service) => service,
        Err(error) => return warn!(%error, "the embedded Kafka broker cannot answer"),
    };
    if let Err(error) = service.serve(rama::Context::default(), stream).await {
        // Most clients just hang up.
        debug!(%error, "a connection to the embedded Kafka broker ended");
    }
}
