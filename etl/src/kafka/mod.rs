//! A Kafka cluster: how it is spoken to, which topics it has, and where their logs end.
//!
//! Everybody who talks to Kafka begins with [`Cluster::config`], so that how connections are secured is said in one place.

mod complaints;
mod security;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use model::topic::Topic;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
    metadata::MetadataTopic,
};

use complaints::Complaints;
pub use complaints::explain;

use crate::settings;

const TIMEOUT: Duration = Duration::from_secs(10);
/// A client that cannot connect has said no more than this before it is given up.
const COMPLAINTS: usize = 20;

/// How consumers fetch, in the terms of librdkafka.
pub const FETCHING: [(&str, &str); 6] = [
    ("fetch.wait.max.ms", "100"),
    ("fetch.message.max.bytes", "2097152"),
    // The embedded broker hands out nothing at all where the next event is larger than this.
    ("fetch.max.bytes", "16777216"),
    ("queued.max.messages.kbytes", "16384"),
    ("queued.min.messages", "50000"),
    // A full queue is looked at again so soon; the default of a second leaves a fast consumer idle.
    ("fetch.queue.backoff.ms", "5"),
];

/// Where the brokers are and how connections to them are secured.
#[derive(Clone)]
pub struct Cluster {
    servers: String,
    /// Settings of librdkafka, passwords among them.
    secured: Arc<[(&'static str, String)]>,
    /// Whether it is the broker of this process.
    embedded: bool,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cluster").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Cluster {
    /// The cluster that the settings name.
    ///
    /// # Errors
    /// Names the setting that is at fault, or the file that cannot be read.
    pub fn named(settings: &settings::Kafka) -> Result<Cluster> {
        let servers = settings.bootstrap_servers.clone();
        Ok(Cluster { servers, secured: security::of(settings)?.into(), embedded: false })
    }

    /// The broker of this process, or another one on this machine, without any security.
    #[must_use]
    pub fn local(servers: &str) -> Cluster {
        Cluster { servers: servers.to_owned(), secured: Arc::new([]), embedded: true }
    }

    /// `host:port,host:port`.
    #[must_use]
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// Whether connections are plain TCP.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.secured.is_empty()
    }

    /// What every client of Kafka begins with.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        for (name, value) in self.secured.iter() {
            config.set(*name, value);
        }
        config
    }

    /// Makes the topics that are not there yet. A cluster that lets nobody make topics is fine where they are there already.
    ///
    /// # Errors
    /// When no broker answers, or a topic is missing and cannot be made.
    pub async fn create_topics(&self, partitions: u16) -> Result<()> {
        let complaints = Complaints::default();
        let admin: AdminClient<Complaints> = self
            .config()
            .create_with_context(complaints.clone())
            .context("the Kafka admin client cannot be made; are the settings kafka.ssl_... right?")?;
        let admin = Arc::new(admin);
        let existing = self.existing_topics(&admin, &complaints).await?;
        // How often events are kept is the cluster's affair; the embedded broker is alone.
        let replication = if self.embedded { 1 } else { -1 };
        let missing = Topic::ALL.into_iter().filter(|topic| !existing.contains_key(topic.name()));
        let topic = |topic: Topic| {
            NewTopic::new(topic.name(), i32::from(partitions.max(1)), TopicReplication::Fixed(replication))
        };
        let topics: Vec<NewTopic<'_>> = missing.map(topic).collect();
        if topics.is_empty() {
            return Ok(());
        }
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let results = admin.create_topics(&topics, &options).await.with_context(|| self.silent(&complaints))?;
        for result in results {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, error)) => bail!("the Kafka topic {topic} is missing and cannot be made: {error}"),
            }
        }
        // What was made is known to every broker a moment later; until then an event for it is refused.
        let began = Instant::now();
        loop {
            let existing = self.existing_topics(&admin, &complaints).await?;
            if topics.iter().all(|topic| existing.get(topic.name) == Some(&true)) {
                return Ok(());
            }
            ensure!(
                began.elapsed() < TIMEOUT,
                "the Kafka topics were made, but have no leader yet; is the cluster well?"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The topics that there are, and whether all of their partitions have a leader.
    async fn existing_topics(
        &self,
        admin: &Arc<AdminClient<Complaints>>,
        complaints: &Complaints,
    ) -> Result<HashMap<String, bool>> {
        let admin = admin.clone();
        let metadata = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, TIMEOUT)).await?;
        let metadata = metadata.with_context(|| self.silent(complaints))?;
        let known = metadata.topics().iter().filter(|topic| topic.error().is_none());
        let led = |topic: &MetadataTopic| topic.partitions().iter().all(|partition| partition.error().is_none());
        Ok(known.map(|topic| (topic.name().to_owned(), led(topic))).collect())
    }

    /// Why nobody answers, as far as Kafka's client knows.
    fn silent(&self, complaints: &Complaints) -> String {
        let why = complaints.last().unwrap_or_else(|| {
            "is it running, and are kafka.bootstrap_servers and kafka.security_protocol right?".to_owned()
        });
        format!("no Kafka broker answers at {}: {why}", self.servers)
    }
}

/// Asks where topics end, over one connection.
#[derive(Clone)]
pub struct Watermarks {
    cluster: Cluster,
    consumer: Arc<BaseConsumer<Complaints>>,
    complaints: Complaints,
}

impl Watermarks {
    /// # Errors
    /// When the client cannot be made, as with a certificate that cannot be read.
    pub fn new(cluster: &Cluster) -> Result<Watermarks> {
        let complaints = Complaints::default();
        let consumer = cluster.config().create_with_context(complaints.clone());
        let consumer = consumer.context("the Kafka client cannot be made; are the settings kafka.ssl_... right?")?;
        Ok(Watermarks { cluster: cluster.clone(), consumer: Arc::new(consumer), complaints })
    }

    /// For each partition of the topic the offset of its first event and the one after its last. Blocks.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub fn of(&self, topic: Topic) -> Result<BTreeMap<i32, (i64, i64)>> {
        self.ask(topic, TIMEOUT).with_context(|| format!("asking for the ends of {}: {}", topic.name(), self.silent()))
    }

    /// Whether a broker answers. Blocks.
    ///
    /// # Errors
    /// When none does in time; says why.
    pub fn answers(&self, patience: Duration) -> Result<()> {
        let topic = Topic::ALL.map(Topic::name)[0];
        self.consumer.fetch_metadata(Some(topic), patience).with_context(|| self.silent())?;
        Ok(())
    }

    /// Why nobody answers. What Kafka's client has to say waits until it is polled.
    fn silent(&self) -> String {
        (0..COMPLAINTS).for_each(|_| drop(self.consumer.poll(Duration::ZERO)));
        self.cluster.silent(&self.complaints)
    }

    fn ask(&self, topic: Topic, timeout: Duration) -> Result<BTreeMap<i32, (i64, i64)>> {
        let metadata = self.consumer.fetch_metadata(Some(topic.name()), timeout)?;
        let mut ends = BTreeMap::new();
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            ends.insert(partition.id(), self.consumer.fetch_watermarks(topic.name(), partition.id(), timeout)?);
        }
        Ok(ends)
    }
}

/// Whether a file that the settings name can be read.
fn readable(setting: &str, path: &Path) -> Result<()> {
    std::fs::File::open(path).with_context(|| format!("{setting} names {}, which cannot be read", path.display()))?;
    Ok(())
}
