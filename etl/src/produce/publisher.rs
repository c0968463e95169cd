//! Sends events for many callers at once and tells each which of its own Kafka has acknowledged.
//!
//! The producer is idempotent: what librdkafka sends again after a lost connection is in the topic once. An event that is
//! not acknowledged within the publisher's patience is given up; it may be in the topic or not, and whoever sends it
//! again does no harm, for the same `event_id` is counted once.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use model::topic::Topic;
use rdkafka::{
    ClientConfig, ClientContext, Message as _,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio::{sync::Notify, time::timeout};

use super::producer_config;
use crate::kafka::Cluster;

/// More than the callers' bounds let in, so that it is they who say when it is too much.
const QUEUED_EVENTS: &str = "1000000";
const QUEUED_KILOBYTES: &str = "262144";
/// What a request to Kafka has beside the event itself.
const OVERHEAD: usize = 65_536;
/// Kafka's client tells the fate of every event in time; this much longer is waited for its word.
const LAST_WORD: Duration = Duration::from_secs(3);

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is in the topic. The offset is unknown where Kafka had it already from an attempt whose answer was lost.
    Acknowledged { partition: i32, offset: Option<i64> },
    /// Kafka takes no event of that size, however often it is sent.
    TooLarge,
    /// Kafka did not say that it has it. The text says why.
    Unknown(String),
}

impl Delivery {
    fn failed(error: &KafkaError) -> Delivery {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => Delivery::TooLarge,
            Some(code) => Delivery::Unknown(code.to_string()),
            None => Delivery::Unknown(error.to_string()),
        }
    }
}

/// The events of one caller on their way.
#[derive(Default)]
struct Tally {
    fates: Mutex<Fates>,
    all_known: Notify,
}

#[derive(Default)]
struct Fates {
    deliveries: Vec<Option<Delivery>>,
    known: usize,
    /// No more events are added.
    closed: bool,
}

impl Tally {
    fn with<T>(&self, change: impl FnOnce(&mut Fates) -> T) -> T {
        let mut fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut fates);
        if fates.closed && fates.known == fates.deliveries.len() {
            self.all_known.notify_one();
        }
        changed
    }

    fn know(&self, place: usize, delivery: Delivery) {
        self.with(|fates| {
            if let Some(fate @ None) = fates.deliveries.get_mut(place) {
                *fate = Some(delivery);
                fates.known += 1;
            }
        });
    }
}

/// Hands Kafka's answers to those who wait for them.
struct Answers;

/// Whose event it is, and the how manieth of theirs.
struct Place {
    tally: Arc<Tally>,
    place: usize,
}

impl ClientContext for Answers {
    /// Callers are told; one line for each connection that cannot be made would say nothing more.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the publisher's connection to Kafka");
    }
}

impl ProducerContext for Answers {
    type DeliveryOpaque = Box<Place>;

    fn delivery(&self, result: &DeliveryResult<'_>, place: Box<Place>) {
        let delivery = match result {
            Ok(message) => Delivery::Acknowledged {
                partition: message.partition(),
                offset: Some(message.offset()).filter(|offset| *offset >= 0),
            },
            Err((error, _)) => Delivery::failed(error),
        };
        place.tally.know(place.place, delivery);
    }
}

type Connection = ThreadedProducer<Answers>;

/// The way into Kafka for those who have to know what became of each event.
pub struct Publisher {
    config: Mutex<ClientConfig>,
    /// None once it is closed.
    connection: Mutex<Option<Arc<Connection>>>,
    patience: Duration,
}

impl Publisher {
    /// An event is given up `patience` after it was added.
    ///
    /// # Errors
    /// When the address is malformed. Whether somebody answers there is found out on sending.
    pub fn new(cluster: &Cluster, max_event_bytes: usize, patience: Duration) -> Result<Publisher> {
        let mut config = producer_config(cluster);
        config
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            // Somebody waits: what is small is sent at once.
            .set("socket.nagle.disable", "true")
            .set("message.max.bytes", (max_event_bytes + OVERHEAD).to_string())
            .set("queue.buffering.max.messages", QUEUED_EVENTS)
            .set("queue.buffering.max.kbytes", QUEUED_KILOBYTES)
            .set("message.timeout.ms", patience.as_millis().to_string());
        let connection = Mutex::new(Some(Arc::new(connect(&config)?)));
        Ok(Publisher { config: Mutex::new(config), connection, patience })
    }

    /// Begins to send events of a topic.
    ///
    /// # Errors
    /// When it is closed, or a connection that broke for good cannot be replaced.
    pub fn begin(&self, topic: Topic) -> Result<Consignment> {
        Ok(Consignment { connection: self.connection()?, topic, tally: Arc::default(), patience: self.patience })
    }

    /// The connection, made anew after an error that librdkafka does not recover from.
    fn connection(&self) -> Result<Arc<Connection>> {
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = slot.as_mut().context("the publisher is closed")?;
        if let Some((code, reason)) = connection.client().fatal_error() {
            let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
            if code == RDKafkaErrorCode::ClusterAuthorizationFailed {
                // Only a cluster older than Kafka 3.0 wants a right for it. What is sent twice is counted once all the same.
                tracing::warn!(
                    "the cluster allows no idempotent writes to this user (IdempotentWrite): going on without"
                );
                config.set("enable.idempotence", "false");
            } else {
                tracing::warn!(%code, reason, "the publisher's connection to Kafka is made anew");
            }
            *connection = Arc::new(connect(&config)?);
        }
        Ok(Arc::clone(connection))
    }

    /// Lets go of Kafka; what is on its way is still waited for by whoever sent it. May block for a moment.
    pub fn close(&self) {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(connection);
    }
}

fn connect(config: &ClientConfig) -> Result<Connection> {
    config.create_with_context(Answers).context("the Kafka producer cannot be made")
}

/// Events of one caller, on their way from the moment at which they are added.
pub struct Consignment {
    connection: Arc<Connection>,
    topic: Topic,
    tally: Arc<Tally>,
    patience: Duration,
}

impl Consignment {
    /// Sends an event. Its bytes are copied; nothing is waited for.
    pub fn add(&mut self, key: Option<&str>, payload: &[u8]) {
        self.add_message(key.map(str::as_bytes), &[], payload);
    }

    /// Sends a message as it once came, with the key and the headers that it had.
    pub fn add_message(&mut self, key: Option<&[u8]>, headers: &[(String, Option<String>)], payload: &[u8]) {
        let place = self.tally.with(|fates| {
            fates.deliveries.push(None);
            fates.deliveries.len() - 1
        });
        let opaque = Box::new(Place { tally: Arc::clone(&self.tally), place });
        let mut record = BaseRecord::with_opaque_to(self.topic.name(), opaque).payload(payload);
        record.key = key;
        if !headers.is_empty() {
            let mut all = OwnedHeaders::new_with_capacity(headers.len());
            for (name, value) in headers {
                all = all.insert(Header { key: name, value: value.as_deref() });
            }
            record = record.headers(all);
        }
        if let Err((error, _)) = self.connection.send(record) {
            self.tally.know(place, Delivery::failed(&error));
        }
    }

    /// Waits until it is known what became of every event, and answers that in the order in which they were added.
    pub async fn delivered(self) -> Vec<Delivery> {
        self.tally.with(|fates| fates.closed = true);
        // Whoever is not known by then is told as such.
        _ = timeout(self.patience + LAST_WORD, self.tally.all_known.notified()).await;
        let deliveries = self.tally.with(|fates| std::mem::take(&mut fates.deliveries));
        let unknown = || Delivery::Unknown("Kafka has not answered in time".to_owned());
        deliveries.into_iter().map(|delivery| delivery.unwrap_or_else(unknown)).collect()
    }
}
