//! Events for demonstration, tests and benchmarks.
//!
//! * [`journey`]: the Complete Journey data set, a year of a real grocery retailer, as a stream of events
//! * [`replay`]: all of it, shifted so that the year ends now
//! * [`live`]: real baskets at the present moment, at a chosen rate
//! * [`generate`]: synthetic load of the same shapes, without the data set
//! * [`sender`]: to Kafka, with every event acknowledged; [`publisher`]: the same for many callers at once

pub mod generate;
pub mod journey;
pub mod live;
pub mod publisher;
pub mod replay;
pub mod sender;

use model::{event::Envelope, topic::Topic};
use rdkafka::ClientConfig;
use serde::Serialize;

use crate::kafka::Cluster;

/// An event ready to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: Topic,
    /// Events of one key stay in order.
    pub key: String,
    pub payload: Vec<u8>,
}

/// What every producer of ours asks for: an event counts as sent when all replicas have it.
fn producer_config(cluster: &Cluster) -> ClientConfig {
    let mut config = cluster.config();
    config.set("acks", "all").set("batch.size", "524288");
    config
}

/// An event as it stands on the wire: the envelope's fields and those of its topic in one object.
#[derive(Serialize)]
struct Wire<'a, T> {
    #[serde(flatten)]
    envelope: &'a Envelope<'a>,
    #[serde(flatten)]
    fields: &'a T,
}

/// No fields beside the envelope's.
#[derive(Serialize)]
struct NoFields {}

fn message<T: Serialize>(topic: Topic, key: &str, envelope: &Envelope<'_>, fields: &T) -> anyhow::Result<Message> {
    let payload = serde_json::to_vec(&Wire { envelope, fields })?;
    Ok(Message { topic, key: key.to_owned(), payload })
}
