//! A chunk: some events of one topic-partition as Arrow columns, built straight from Kafka messages.
//!
//! The same columns go as one Arrow IPC value into Redis and from there into Parquet, so that an event's bytes are
//! copied, but never parsed and printed again. Of the payload only the envelope is looked at.

use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use deltalake::arrow::{
    array::{BinaryBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder},
    buffer::Buffer,
    datatypes::{DataType, Field, Schema, SchemaRef},
    ipc::{reader::StreamDecoder, writer::StreamWriter},
};
use model::check;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers},
};

use crate::lake::schema::timestamp;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("offset", DataType::Int64, false),
        Field::new("kafka_time", timestamp(), false),
        Field::new("key", DataType::Binary, true),
        Field::new("headers", DataType::Utf8, true),
        Field::new("payload", DataType::Binary, false),
        Field::new("event_type", DataType::Utf8, true),
        Field::new("rejection", DataType::Utf8, true),
        Field::new("reason", DataType::Utf8, true),
    ]))
});

/// What a chunk says beside its rows: at how many offsets before them Kafka had no event.
const SKIPPED: &str = "skipped";

/// At how many offsets before and between the events of a chunk Kafka had none.
pub(super) fn skipped(chunk: &RecordBatch) -> i64 {
    chunk.schema_ref().metadata().get(SKIPPED).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Columns of a chunk by position.
pub(super) mod column {
    pub(in super::super) const OFFSET: usize = 0;
    pub(in super::super) const KAFKA_TIME: usize = 1;
    pub(in super::super) const KEY: usize = 2;
    pub(in super::super) const HEADERS: usize = 3;
    pub(in super::super) const PAYLOAD: usize = 4;
    pub(in super::super) const EVENT_TYPE: usize = 5;
    pub(in super::super) const REJECTION: usize = 6;
    pub(in super::super) const REASON: usize = 7;
}

/// A finished chunk on its way to Redis.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) partition: i32,
    /// Counts how often the partition was assigned or sought anew; a chunk of an earlier epoch is stale.
    pub(super) epoch: u64,
    pub(super) rows: usize,
    /// The offset of its last event.
    pub(super) last: i64,
    pub(super) rejected: usize,
    /// Arrow IPC stream.
    pub(super) bytes: Vec<u8>,
}

pub(super) struct ChunkBuilder {
    partition: i32,
    epoch: u64,
    offset: Int64Builder,
    kafka_time: TimestampMicrosecondBuilder,
    key: BinaryBuilder,
    headers: StringBuilder,
    payload: BinaryBuilder,
    event_type: StringBuilder,
    rejection: StringBuilder,
    reason: StringBuilder,
    rows: usize,
    rejected: usize,
    bytes: usize,
    /// The offset that comes next, if Kafka has an event there.
    next: Option<i64>,
    /// Offsets that Kafka had no event at.
    skipped: i64,
}

impl ChunkBuilder {
    /// `from`: the offset that is read first; `None` for the first that Kafka has.
    pub(super) fn new(partition: i32, epoch: u64, from: Option<i64>) -> ChunkBuilder {
        ChunkBuilder {
            partition,
            epoch,
            offset: Int64Builder::new(),
            kafka_time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            key: BinaryBuilder::new(),
            headers: StringBuilder::new(),
            payload: BinaryBuilder::new(),
            event_type: StringBuilder::new(),
            rejection: StringBuilder::new(),
            reason: StringBuilder::new(),
            rows: 0,
            rejected: 0,
            bytes: 0,
            next: from,
            skipped: 0,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, message: &BorrowedMessage<'_>, max_event_bytes: usize) {
        let payload = message.payload().unwrap_or_default();
        self.skipped += self.next.map_or(0, |next| (message.offset() - next).max(0));
        self.next = Some(message.offset() + 1);
        self.offset.append_value(message.offset());
        self.kafka_time.append_value(message.timestamp().to_millis().unwrap_or_default().saturating_mul(1000));
        self.key.append_option(message.key());
        self.headers.append_option(headers_as_json(message));
        self.payload.append_value(payload);
        match check::envelope(payload, max_event_bytes) {
            Ok(envelope) => {
                self.event_type.append_value(envelope.event_type);
                self.rejection.append_null();
                self.reason.append_null();
            }
            Err((rejection, reason)) => {
                self.rejected += 1;
                self.event_type.append_null();
                self.rejection.append_value(rejection.name());
                self.reason.append_value(reason);
            }
        }
        self.rows += 1;
        self.bytes += payload.len() + message.key().map_or(0, <[u8]>::len);
    }

    /// # Errors
    /// Never in practice: the columns are of one length.
    pub(super) fn finish(&mut self) -> Result<Chunk> {
        let (keys, types) = (self.key.values_slice().len(), self.event_type.values_slice().len());
        let batch = RecordBatch::try_new(
            SCHEMA.clone(),
            vec![
                Arc::new(self.offset.finish()),
                Arc::new(self.kafka_time.finish()),
                Arc::new(self.key.finish()),
                Arc::new(self.headers.finish()),
                Arc::new(self.payload.finish()),
                Arc::new(self.event_type.finish()),
                Arc::new(self.rejection.finish()),
                Arc::new(self.reason.finish()),
            ],
        )?;
        let schema = if self.skipped > 0 {
            let skipped = (SKIPPED.to_owned(), self.skipped.to_string());
            &Schema::clone(&SCHEMA).with_metadata([skipped].into())
        } else {
            &SCHEMA
        };
        let mut writer = StreamWriter::try_new(Vec::with_capacity(self.bytes + self.rows * 64 + 1024), schema)?;
        writer.write(&batch)?;
        let bytes = writer.into_inner()?;
        let chunk = Chunk {
            partition: self.partition,
            epoch: self.epoch,
            rows: self.rows,
            last: self.next.map_or(-1, |next| next - 1),
            rejected: self.rejected,
            bytes,
        };
        // The next is about as large, and its columns then need not grow step by step.
        self.payload = BinaryBuilder::with_capacity(self.rows, self.bytes);
        self.key = BinaryBuilder::with_capacity(self.rows, keys);
        self.event_type = StringBuilder::with_capacity(self.rows, types);
        self.offset = Int64Builder::with_capacity(self.rows);
        (self.rows, self.rejected, self.bytes, self.skipped) = (0, 0, 0, 0);
        Ok(chunk)
    }
}

/// The events of a chunk as it lay in Redis, whose bytes they go on living in.
///
/// # Errors
/// When it is not what was put there.
pub(super) fn decode(bytes: Vec<u8>) -> Result<RecordBatch> {
    let mut bytes = Buffer::from_vec(bytes);
    let mut decoder = StreamDecoder::new();
    let batch = decoder.decode(&mut bytes).context("a chunk in Redis is not an Arrow stream")?;
    batch.context("a chunk in Redis is damaged")
}

/// Headers as a JSON array of name and value, bytes that are not UTF-8 replaced.
fn headers_as_json(message: &BorrowedMessage<'_>) -> Option<String> {
    let headers = message.headers()?;
    let pairs: Vec<_> = headers.iter().map(|header| (header.key, header.value.map(String::from_utf8_lossy))).collect();
    serde_json::to_string(&pairs).ok()
}
