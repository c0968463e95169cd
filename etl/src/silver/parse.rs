//! Bronze rows become events, or rejections with a reason.

use deltalake::arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Int32Type, Int64Type, TimestampMicrosecondType},
};
use model::{
    check::Fault,
    event::{Envelope, Rejection},
};

/// Rows of one Bronze file.
pub(super) struct SourceBatch {
    /// The Bronze version that added the file.
    pub(super) version: i64,
    pub(super) batch: RecordBatch,
}

/// Where a row came from; times in microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) kafka_time: i64,
    pub(super) ingested_at: i64,
}

/// An event with the fields of its topic.
pub(super) struct Event<'a, T> {
    pub(super) source: Source,
    pub(super) envelope: Envelope<'a>,
    pub(super) fields: T,
}

/// An event that Silver cannot use.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) version: i64,
    pub(super) source: Source,
    pub(super) key: Option<Vec<u8>>,
    pub(super) headers: Option<String>,
    pub(super) payload: String,
    pub(super) rejection: Rejection,
    pub(super) reason: String,
}

/// Reads every row as an event with the fields of its topic.
pub(super) fn events<'a, T>(
    batches: &'a [SourceBatch],
    read: impl Fn(&'a str) -> Result<(Envelope<'a>, T), Fault>,
) -> (Vec<Event<'a, T>>, Vec<Rejected>) {
    let mut events = Vec::with_capacity(batches.iter().map(|source| source.batch.num_rows()).sum());
    let mut rejected = Vec::new();
    for SourceBatch { version, batch } in batches {
        let partition = batch["partition"].as_primitive::<Int32Type>();
        let offset = batch["offset"].as_primitive::<Int64Type>();
        let kafka_time = batch["kafka_time"].as_primitive::<TimestampMicrosecondType>();
        let ingested_at = batch["ingested_at"].as_primitive::<TimestampMicrosecondType>();
        let payload = batch["payload"].as_string::<i32>();
        for row in 0..batch.num_rows() {
            let source = Source {
                partition: partition.value(row),
                offset: offset.value(row),
                kafka_time: kafka_time.value(row),
                ingested_at: ingested_at.value(row),
            };
            let text = payload.value(row);
            match read(text) {
                Ok((envelope, fields)) => events.push(Event { source, envelope, fields }),
                Err((rejection, reason)) => {
                    let key = batch["key"].as_binary::<i32>();
                    let headers = batch["headers"].as_string::<i32>();
                    rejected.push(Rejected {
                        version: *version,
                        source,
                        key: key.is_valid(row).then(|| key.value(row).to_vec()),
                        headers: headers.is_valid(row).then(|| headers.value(row).to_owned()),
                        payload: text.to_owned(),
                        rejection,
                        reason,
                    });
                }
            }
        }
    }
    (events, rejected)
}
