//! Sends events to Kafka and knows which have been acknowledged.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rdkafka::{
    ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};

use super::{Message, producer_config};
use crate::kafka::Cluster;

const FLUSH: Duration = Duration::from_secs(60);

#[derive(Clone, Default)]
struct Acknowledged {
    count: Arc<AtomicU64>,
    /// The first event that was given up.
    failed: Arc<Mutex<Option<KafkaError>>>,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.count.fetch_add(1, SeqCst);
            }
            Err((error, _)) => {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
            }
        }
    }
}

/// A connection to Kafka. Its methods block: call them from a thread that may.
pub struct Sender {
    producer: ThreadedProducer<Acknowledged>,
    acknowledged: Acknowledged,
    sent: u64,
}

impl Sender {
    /// # Errors
    /// When the address is malformed. Whether somebody answers there is found out on sending.
    pub fn new(cluster: &Cluster) -> Result<Sender> {
        let acknowledged = Acknowledged::default();
        let producer = producer_config(cluster)
            .set("linger.ms", "20")
            .set("queue.buffering.max.kbytes", "32768")
            .set("message.timeout.ms", "60000")
            .create_with_context(acknowledged.clone())
            .context("the Kafka producer cannot be made")?;
        Ok(Sender { producer, acknowledged, sent: 0 })
    }

    /// Queues the event; waits while the queue is full.
    ///
    /// # Errors
    /// When it cannot be sent, or an earlier one was given up.
    pub fn send(&mut self, message: &Message) -> Result<()> {
        self.check()?;
        let mut record = BaseRecord::to(message.topic.name()).key(&message.key).payload(&message.payload);
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(5));
                    self.check()?;
                }
                Err((error, _)) => return Err(error).context("an event cannot be sent"),
            }
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits until every event that was sent is acknowledged.
    ///
    /// # Errors
    /// When one is not; it may or may not have arrived.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(FLUSH).context("Kafka did not acknowledge in time")?;
        self.check()?;
        let acknowledged = self.acknowledged.count.load(SeqCst);
        if acknowledged != self.sent {
            bail!("Kafka acknowledged {acknowledged} of {} events", self.sent);
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match &*self.acknowledged.failed.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.clone()).context("Kafka did not take an event"),
            None => Ok(()),
        }
    }
}
