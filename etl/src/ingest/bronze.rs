//! Writes what waits in the buffer to Bronze: readable events to the topic's table, the rest to the dead letters.
//!
//! Each commit carries the last offset of every partition in it. Dead letters go first: should the process die between the
//! two commits, the events are read again, and each table leaves out what it already has.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result};
use chrono::{DateTime, Datelike, Utc};
use deltalake::arrow::{
    array::{
        ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    compute::{cast, filter_record_batch, is_null, not},
    datatypes::{DataType, Int64Type},
};
use model::topic::Topic;

use super::{
    buffer::Buffer,
    chunk::{self, column},
};
use crate::{
    chaos,
    lake::{Lake, LakeTable, schema, table::Position},
    ledger::{self, Count, Stretch, Tally},
};

/// Where a batch takes its events from.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) partition: i32,
    pub(super) epoch: u64,
    /// The offset that they begin at, where it is known.
    pub(super) from: Option<i64>,
    /// The first so many chunks of the partition's list.
    pub(super) chunks: usize,
    pub(super) rows: usize,
    /// The offset of the last event in them.
    pub(super) last: i64,
}

/// Why a batch was not written.
#[derive(Debug)]
pub(super) enum Fault {
    /// Redis no longer has what it was given; the partition must be read again.
    Lost(i32),
    /// Something that may pass: the batch is tried again.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Fault {
        Fault::Other(error)
    }
}

/// The last offset of each partition that is in Bronze now.
pub(super) type Written = BTreeMap<i32, i64>;

pub(super) struct BronzeWriter {
    topic: Topic,
    buffer: Buffer,
    events: LakeTable,
    dead_letters: LakeTable,
}

impl BronzeWriter {
    pub(super) async fn open(topic: Topic, buffer: Buffer, lake: &Lake) -> Result<BronzeWriter> {
        let events = lake.table(schema::bronze_of(topic)).await?;
        let dead_letters = lake.table(&schema::DEAD_LETTERS).await?;
        Ok(BronzeWriter { topic, buffer, events, dead_letters })
    }

    /// Reads the tables anew and tells the last offset of the partition that Bronze has.
    pub(super) async fn position(&mut self, partition: i32) -> Result<Option<i64>> {
        self.refresh().await?;
        self.events.position(&Position::kafka(self.topic.name(), partition, 0).source).await
    }

    /// Reads what others committed; after a failed commit this says whether it happened.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        self.events.refresh().await?;
        self.dead_letters.refresh().await
    }

    /// Brings everything that waits into Bronze.
    pub(super) async fn write(&mut self, waiting: &[Waiting]) -> Result<Written, Fault> {
        let now = chaos::now();
        let mut positions = Vec::new();
        let (mut counts, mut letters) = (Vec::new(), Tally::default());
        let mut written = Written::new();
        let mut good = Vec::new();
        let mut bad = Vec::new();
        for part in waiting {
            let chunks = self.take(part).await?;
            let source = Position::kafka(self.topic.name(), part.partition, 0).source;
            let in_events = self.events.position(&source).await?;
            let Some(last) = chunks.iter().filter_map(max_offset).max() else { continue };
            // As many chunks as there should be, and others: Redis was not trimmed, or went back to an earlier state.
            if last != part.last {
                return Err(Fault::Lost(part.partition));
            }
            let (partition, mut stretch) = (part.partition, Stretch::default());
            letters.add(Count::BronzeLetters, partition, 0);
            for chunk in &chunks {
                stretch.skip(chunk::skipped(chunk));
                let events = after(chunk, in_events)?;
                let accepted = is_null(events.column(column::REJECTION)).context("rejections")?;
                stretch.add(events.column(column::OFFSET).as_primitive::<Int64Type>().values(), accepted.true_count());
                if accepted.true_count() == events.num_rows() {
                    good.push(self.as_events(&events, part.partition, now)?);
                    continue;
                }
                let rejected =
                    filter_record_batch(&events, &not(&accepted).context("rejections")?).context("rejections")?;
                let rejected = after(&rejected, self.dead_letters.position(&source).await?)?;
                letters.add(Count::BronzeLetters, partition, rejected.num_rows());
                bad.push(self.as_dead_letters(&rejected, part.partition, now)?);
                let events = filter_record_batch(&events, &accepted).context("events")?;
                good.push(self.as_events(&events, part.partition, now)?);
            }
            let Some(counted) = ledger::bronze(&mut self.events, self.topic, partition, part.from, stretch).await?
            else {
                return Err(Fault::Lost(partition));
            };
            counts.extend(counted);
            written.insert(part.partition, last);
            positions.push(Position { source, at: last });
        }
        let date = partition_of(now);
        if bad.iter().any(|batch| batch.num_rows() > 0) {
            let letters = letters.positions(&mut self.dead_letters, self.topic).await?;
            self.dead_letters.append_to(&date, bad, &[positions.clone(), letters].concat()).await?;
        }
        self.events.append_to(&date, good, &[positions, counts].concat()).await?;
        Ok(written)
    }

    /// Drops from Redis what is in Bronze now.
    pub(super) async fn trim(&mut self, waiting: &[Waiting]) -> Result<()> {
        for part in waiting {
            self.buffer.trim(part.partition, part.chunks).await?;
        }
        Ok(())
    }

    pub(super) fn version(&self) -> i64 {
        self.events.version()
    }

    /// The chunks of a partition, as they lie in Redis.
    async fn take(&mut self, part: &Waiting) -> Result<Vec<RecordBatch>, Fault> {
        let chunks = self.buffer.peek(part.partition, part.chunks).await?;
        if chunks.len() != part.chunks {
            return Err(Fault::Lost(part.partition));
        }
        Ok(chunks.into_iter().map(chunk::decode).collect::<Result<_>>()?)
    }

    fn as_events(&self, batch: &RecordBatch, partition: i32, now: DateTime<Utc>) -> Result<RecordBatch> {
        let payload = cast(batch.column(column::PAYLOAD), &DataType::Utf8).context("payload")?;
        let mut columns = self.place(batch, partition, now);
        columns.extend([
            batch.column(column::EVENT_TYPE).clone(),
            batch.column(column::KEY).clone(),
            batch.column(column::HEADERS).clone(),
            payload,
        ]);
        columns.extend(ingest_date(batch.num_rows(), now));
        Ok(RecordBatch::try_new(self.events.spec().schema.clone(), columns)?)
    }

    fn as_dead_letters(&self, batch: &RecordBatch, partition: i32, now: DateTime<Utc>) -> Result<RecordBatch> {
        let payload = batch.column(column::PAYLOAD).as_binary::<i32>();
        let sizes: Int64Array =
            payload.iter().map(|payload| payload.map(|bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))).collect();
        let mut columns = self.place(batch, partition, now);
        columns.extend([
            batch.column(column::KEY).clone(),
            batch.column(column::HEADERS).clone(),
            batch.column(column::PAYLOAD).clone(),
            Arc::new(sizes),
            same_text("bronze", batch.num_rows()),
            batch.column(column::REJECTION).clone(),
            batch.column(column::REASON).clone(),
        ]);
        columns.extend(ingest_date(batch.num_rows(), now));
        Ok(RecordBatch::try_new(self.dead_letters.spec().schema.clone(), columns)?)
    }

    /// The columns that both tables begin with.
    fn place(&self, batch: &RecordBatch, partition: i32, now: DateTime<Utc>) -> Vec<ArrayRef> {
        let rows = batch.num_rows();
        vec![
            same_text(self.topic.name(), rows),
            Arc::new(Int32Array::from_value(partition, rows)),
            batch.column(column::OFFSET).clone(),
            batch.column(column::KAFKA_TIME).clone(),
            Arc::new(TimestampMicrosecondArray::from_value(now.timestamp_micros(), rows).with_timezone("UTC")),
        ]
    }
}

pub(crate) fn same_text(text: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
}

/// The partition of Bronze that rows go to which come in now.
fn partition_of(now: DateTime<Utc>) -> [(&'static str, i32); 3] {
    let number = |value: u32| i32::try_from(value).unwrap_or_default();
    [("year", now.year()), ("month", number(now.month())), ("day", number(now.day()))]
}

/// The partition columns of Bronze.
pub(crate) fn ingest_date(rows: usize, now: DateTime<Utc>) -> [ArrayRef; 3] {
    partition_of(now).map(|(_, value)| Arc::new(Int32Array::from_value(value, rows)) as ArrayRef)
}

fn max_offset(batch: &RecordBatch) -> Option<i64> {
    deltalake::arrow::compute::max(batch.column(column::OFFSET).as_primitive::<Int64Type>())
}

/// The events behind the position: what a table already has is left out.
fn after(batch: &RecordBatch, position: Option<i64>) -> Result<RecordBatch> {
    let Some(position) = position else { return Ok(batch.clone()) };
    let offsets = batch.column(column::OFFSET).as_primitive::<Int64Type>();
    if offsets.values().iter().all(|&offset| offset > position) {
        return Ok(batch.clone());
    }
    let newer = BooleanArray::from_iter(offsets.values().iter().map(|&offset| Some(offset > position)));
    Ok(filter_record_batch(batch, &newer)?)
}
