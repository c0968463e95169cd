//! Kafka's administration: topics and where their logs end.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use model::topic::Topic;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
};

const TIMEOUT: Duration = Duration::from_secs(10);

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

/// Makes the topics that are not there yet. A cluster that lets nobody make topics is fine where they are there already.
///
/// # Errors
/// When no broker answers, or a topic is missing and cannot be made.
pub async fn create_topics(bootstrap_servers: &str, partitions: u16) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .create()
        .context("the Kafka admin client cannot be made")?;
    let admin = Arc::new(admin);
    let existing = existing_topics(&admin, bootstrap_servers).await?;
    let missing = Topic::ALL.into_iter().filter(|topic| !existing.contains(topic.name()));
    let topics: Vec<NewTopic<'_>> = missing
        .map(|topic| NewTopic::new(topic.name(), i32::from(partitions.max(1)), TopicReplication::Fixed(1)))
        .collect();
    if topics.is_empty() {
        return Ok(());
    }
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let results = admin.create_topics(&topics, &options).await.with_context(|| {
        format!("no Kafka broker answers at {bootstrap_servers}; is it running, and is kafka.bootstrap_servers right?")
    })?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, error)) => bail!("the Kafka topic {topic} is missing and cannot be made: {error}"),
        }
    }
    Ok(())
}

async fn existing_topics(
    admin: &Arc<AdminClient<DefaultClientContext>>,
    bootstrap_servers: &str,
) -> Result<HashSet<String>> {
    let admin = admin.clone();
    let metadata = tokio::task::spawn_blocking(move || admin.inner().fetch_metadata(None, TIMEOUT)).await?;
    let metadata = metadata.with_context(|| {
        format!("no Kafka broker answers at {bootstrap_servers}; is it running, and is kafka.bootstrap_servers right?")
    })?;
    let known = metadata.topics().iter().filter(|topic| topic.error().is_none());
    Ok(known.map(|topic| topic.name().to_owned()).collect())
}

/// For each partition of the topic the offset of its first event and the one after its last. Blocks.
///
/// # Errors
/// When no broker answers in time.
pub fn watermarks(bootstrap_servers: &str, topic: Topic) -> Result<BTreeMap<i32, (i64, i64)>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .create()
        .context("the Kafka client cannot be made")?;
    let context = || format!("asking Kafka at {bootstrap_servers} for the ends of {}", topic.name());
    let metadata = consumer.fetch_metadata(Some(topic.name()), TIMEOUT).with_context(context)?;
    let mut ends = BTreeMap::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        let end = consumer.fetch_watermarks(topic.name(), partition.id(), TIMEOUT).with_context(context)?;
        ends.insert(partition.id(), end);
    }
    Ok(ends)
}
