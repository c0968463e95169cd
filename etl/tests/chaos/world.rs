//! The services of a round, and what can be done to them.

use std::{
    collections::BTreeMap,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use etl::{
    embedded::Services,
    kafka::{Cluster, Watermarks},
    lake::Lake,
    progress::{self, Behind},
    settings::Settings,
};
use model::topic::Topic;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    message::Message,
    producer::{FutureProducer, FutureRecord},
    topic_partition_list::{Offset, TopicPartitionList},
};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::events::{MAX_EVENT_BYTES, Made};

/// From the last fault to everything being in Gold. Longer than anything takes, so that what is stuck is said to be.
const SETTLES_WITHIN: Duration = Duration::from_secs(90);
const BROKER_STARTS_WITHIN: Duration = Duration::from_secs(10);
const LAKE_MEGABYTES: usize = 96;

/// A free port for a broker that ends and comes back: none of those that the system gives to others meanwhile.
fn lasting_port() -> Result<u16> {
    let mut ports = (0..100).map(|_| rand::random_range(20_000..32_000));
    ports.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).context("no port is free")
}

/// Topic, partition, offset.
pub(crate) type Place = (Topic, i32, i64);

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) lake: Lake,
    broker: Broker,
    redis: Services,
    producer: FutureProducer,
    disk: Option<Disk>,
}

/// The embedded broker, or one that is named by KAFKA_BOOTSTRAP_SERVERS. That one is restarted where KAFKA_FOLDER says in
/// which folder `scripts/apache-kafka.sh` started it.
enum Broker {
    Embedded { settings: Box<Settings>, services: Option<Box<Services>> },
    Named { servers: String, folder: Option<String> },
}

impl Broker {
    fn servers(&self) -> String {
        match self {
            Broker::Embedded { services, .. } => {
                services.as_ref().map_or_else(String::new, |services| services.kafka.servers().to_owned())
            }
            Broker::Named { servers, .. } => servers.clone(),
        }
    }
}

/// Whether the broker is not ours, so that rounds cannot have one each.
pub(crate) fn is_named() -> bool {
    std::env::var_os("KAFKA_BOOTSTRAP_SERVERS").is_some()
}

impl World {
    pub(crate) async fn start(partitions: u16) -> Result<World> {
        let folder = tempfile::Builder::new().prefix("chaos-").tempdir()?;
        let mut settings = Settings::defaults();
        settings.database.url = "postgres://unused".to_owned();
        settings.data_dir = folder.path().join("redis");
        settings.kafka.bootstrap_servers = "unused".to_owned();
        let redis = Services::start(&settings).await?;
        let broker = if let Ok(servers) = std::env::var("KAFKA_BOOTSTRAP_SERVERS") {
            delete_topics(&servers).await?;
            Broker::Named { servers, folder: std::env::var("KAFKA_FOLDER").ok() }
        } else {
            settings.data_dir = folder.path().join("broker");
            settings.kafka.bootstrap_servers = String::new();
            settings.kafka.embedded_port = lasting_port()?;
            settings.redis.url = redis.redis_url.clone();
            let services = Services::start(&settings).await?;
            let port = services.kafka.servers().rsplit(':').next().context("a port")?;
            settings.kafka.embedded_port = port.parse()?;
            Broker::Embedded { settings: Box::new(settings), services: Some(Box::new(services)) }
        };
        let path = folder.path().join("lake");
        std::fs::create_dir(&path)?;
        let disk = Disk::mount(&path);
        let lake = Lake::open(&path)?;
        Cluster::local(&broker.servers()).create_topics(partitions).await?;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker.servers())
            .set("message.timeout.ms", "60000")
            .set("linger.ms", "1")
            .create()
            .context("producer")?;
        Ok(World { folder, lake, broker, redis, producer, disk })
    }

    /// What every worker needs to know.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let session = if is_named() { 6_000 } else { 2_000 };
        [
            ("KAFKA_BOOTSTRAP_SERVERS", self.broker.servers()),
            ("KAFKA_SESSION_TIMEOUT_MS", session.to_string()),
            ("REDIS_URL", self.redis.redis_url.clone()),
            ("DATABASE_URL", "postgres://unused".to_owned()),
            ("DATA_DIR", self.folder.path().join("worker").display().to_string()),
            ("DELTA_LAKE_PATH", self.lake.root().display().to_string()),
            ("INGEST_MAX_EVENT_BYTES", MAX_EVENT_BYTES.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// Sends the messages and says where each went that was acknowledged; all are.
    pub(crate) async fn send(&self, messages: Vec<Made>) -> Result<BTreeMap<Place, Made>> {
        let sent = messages.iter().map(|made| {
            let record = FutureRecord::to(made.topic.name()).key(&made.key).payload(&made.payload);
            self.producer.send(record, Duration::from_secs(60))
        });
        let answers = futures::future::join_all(sent).await;
        let mut places = BTreeMap::new();
        for (answer, made) in answers.into_iter().zip(messages) {
            let delivery = answer.map_err(|(error, _)| error).context("an event was not acknowledged")?;
            places.insert((made.topic, delivery.partition, delivery.offset), made);
        }
        Ok(places)
    }

    /// Everything that is in Kafka.
    pub(crate) async fn read_kafka(&self) -> Result<BTreeMap<Place, Vec<u8>>> {
        let servers = self.broker.servers();
        tokio::task::spawn_blocking(move || read_kafka(&servers)).await?
    }

    pub(crate) async fn restart_broker(&mut self) -> Result<()> {
        match &mut self.broker {
            Broker::Embedded { settings, services } => {
                if let Some(services) = services.take() {
                    services.stop().await;
                }
                // The former one's last work with its database may still end.
                let began = Instant::now();
                let again = loop {
                    match Services::start(settings).await {
                        Err(error) if began.elapsed() < BROKER_STARTS_WITHIN => drop(error),
                        started => break started?,
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                };
                let port = format!(":{}", settings.kafka.embedded_port);
                ensure!(again.kafka.servers().ends_with(&port), "the broker's port {port} was taken meanwhile");
                *services = Some(Box::new(again));
            }
            Broker::Named { folder: Some(folder), .. } => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/apache-kafka.sh");
                for order in ["stop", "start"] {
                    let mut command = tokio::process::Command::new(&script);
                    command.arg(order).arg(&folder).stdin(Stdio::null()).stdout(Stdio::null());
                    ensure!(command.status().await?.success(), "Apache Kafka does not {order}");
                }
            }
            Broker::Named { folder: None, .. } => {}
        }
        Ok(())
    }

    /// What a broken Redis does not answer is no fault of the round.
    pub(crate) async fn redis(&self, command: &[&str]) -> Result<()> {
        let client = redis::Client::open(self.redis.redis_url.as_str())?;
        let connecting = tokio::time::timeout(Duration::from_secs(2), client.get_multiplexed_async_connection());
        if let Ok(Ok(mut connection)) = connecting.await {
            let mut asked = redis::Cmd::new();
            command.iter().for_each(|part| _ = asked.arg(*part));
            let _ = asked.query_async::<()>(&mut connection).await;
        }
        Ok(())
    }

    pub(crate) fn fill_disk(&self) -> Result<()> {
        self.disk.as_ref().map_or(Ok(()), Disk::fill)
    }

    pub(crate) fn free_disk(&self) -> Result<()> {
        self.disk.as_ref().map_or(Ok(()), Disk::free)
    }

    /// Waits until everything that is in Kafka is in Gold.
    pub(crate) async fn settle(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            let behind = progress::behind(&Cluster::local(&self.broker.servers()), &self.lake).await;
            if behind.as_ref().is_ok_and(|behind| behind.is_nothing()) {
                return Ok(());
            }
            let stuck: Result<Behind> = behind;
            ensure!(began.elapsed() < SETTLES_WITHIN, "still behind after {SETTLES_WITHIN:?}: {stuck:?}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Ends the services. With `keep` the folder stays, and its path is returned.
    pub(crate) async fn stop(self, keep: bool) -> Result<Option<PathBuf>> {
        drop(self.producer);
        self.redis.stop().await;
        if let Broker::Embedded { services: Some(services), .. } = self.broker {
            services.stop().await;
        }
        if !keep {
            return Ok(None);
        }
        let kept = self.folder.keep();
        if self.disk.is_some() {
            let copied =
                Command::new("cp").arg("-a").arg(kept.join("lake")).arg(kept.join("lake-as-it-was")).status()?;
            ensure!(copied.success(), "the lake was not kept");
        }
        Ok(Some(kept))
    }
}

/// A named broker's topics go, so that their offsets begin anew as the round's lake does.
async fn delete_topics(servers: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", servers).create().context("admin")?;
    let admin = Arc::new(admin);
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
    admin.delete_topics(&Topic::ALL.map(Topic::name), &options).await?;
    let began = Instant::now();
    loop {
        let asked = admin.clone();
        let metadata = tokio::task::spawn_blocking(move || asked.inner().fetch_metadata(None, Duration::from_secs(10)));
        let metadata = metadata.await??;
        if !metadata.topics().iter().any(|topic| Topic::from_name(topic.name()).is_some()) {
            return Ok(());
        }
        ensure!(began.elapsed() < SETTLES_WITHIN, "the topics are not deleted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A small file system in memory, which can be filled. Only root may mount one; elsewhere a full disk is an error that the
/// workers' failpoints make.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn mount(path: &Path) -> Option<Disk> {
        let size = format!("size={LAKE_MEGABYTES}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "streamlinehub-chaos"])
            .arg(path)
            .stderr(Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Disk { path: path.to_owned() })
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    fn fill(&self) -> Result<()> {
        let mut filler = std::fs::File::create(self.filler())?;
        for size in [1 << 20, 1 << 12] {
            let zeros = vec![0; size];
            while filler.write_all(&zeros).is_ok() {}
        }
        Ok(())
    }

    fn free(&self) -> Result<()> {
        match std::fs::remove_file(self.filler()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn read_kafka(servers: &str) -> Result<BTreeMap<Place, Vec<u8>>> {
    let ends = Watermarks::new(&Cluster::local(servers))?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "chaos")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut wanted = 0;
    let mut list = TopicPartitionList::new();
    for topic in Topic::ALL {
        for (partition, (first, end)) in ends.of(topic)? {
            wanted += usize::try_from(end - first)?;
            list.add_partition_offset(topic.name(), partition, Offset::Offset(first))?;
        }
    }
    consumer.assign(&list)?;
    let mut found = BTreeMap::new();
    let began = Instant::now();
    while found.len() < wanted {
        ensure!(began.elapsed() < SETTLES_WITHIN, "Kafka hands out {} of {wanted} messages", found.len());
        let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
        let message = message?;
        let topic = Topic::from_name(message.topic()).context("a topic of ours")?;
        let place = (topic, message.partition(), message.offset());
        found.insert(place, message.payload().unwrap_or_default().to_vec());
    }
    Ok(found)
}
