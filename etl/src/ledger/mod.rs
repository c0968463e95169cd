//! The ledger: for each topic and partition, what became of every event.
//!
//! The stages count in the commits of their rows: each count is a Delta `txn` action whose version is the number so far, beside
//! the position that the commit carries. So a count is of the same moment as the rows, is written once or not at all, goes
//! through checkpoints, and two writers of one partition conflict on it as they do on the position. Counting costs what is
//! new; compaction changes nothing.
//!
//! * this file: the counts, and what the stages call, a line each
//! * [`begin`]: counts once from the rows of a lake that was written before there were counts
//! * [`reader`]: reads them all, with what the broker has, for the audit in [`model::ledger`]

pub mod begin;
pub mod reader;

use std::collections::BTreeMap;

use anyhow::Result;
use deltalake::arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Int32Type,
};
use model::topic::Topic;

use crate::lake::{LakeTable, schema, table::Position};

/// What is counted of a partition, and in which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Count {
    /// Bronze and `silver.events`: rows of the partition.
    Rows,
    /// Bronze: offsets without an event.
    NoEvent,
    /// Dead letters: those that Bronze wrote, ...
    BronzeLetters,
    /// ... and those that Silver wrote.
    SilverLetters,
    /// `silver.events`: events of Bronze that were read, ...
    Consumed,
    /// ... that were there already, ...
    Duplicates,
    /// ... whose fields cannot be used, ...
    Rejected,
    /// ... that a rule of quality put aside, ...
    Quarantined,
    /// ... and that one dropped.
    Dropped,
}

impl Count {
    fn name(self) -> &'static str {
        match self {
            Count::Rows => "rows",
            Count::NoEvent => "no-event",
            Count::BronzeLetters => "bronze",
            Count::SilverLetters => "silver",
            Count::Consumed => "consumed",
            Count::Duplicates => "duplicates",
            Count::Rejected => "rejected",
            Count::Quarantined => "quarantined",
            Count::Dropped => "dropped",
        }
    }

    /// How the `txn` action is called.
    fn key(self, topic: &str, partition: i32) -> String {
        format!("count/{}/{topic}/{partition}", self.name())
    }
}

/// The first offset that Bronze saw.
fn first_key(topic: &str, partition: i32) -> String {
    format!("first/{topic}/{partition}")
}

/// Events of a topic that Gold has added up.
fn gold_key(topic: &str) -> String {
    format!("count/events/{topic}")
}

/// Says that what came from this source was counted.
fn counted_key(source: &str) -> String {
    format!("counted/{source}")
}

/// Counts of a batch, by partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(BTreeMap<(Count, i32), i64>);

impl Tally {
    pub(crate) fn add(&mut self, count: Count, partition: i32, events: usize) {
        *self.0.entry((count, partition)).or_default() += i64::try_from(events).unwrap_or(i64::MAX);
    }

    /// Each row by its column with the partition.
    pub(crate) fn rows(&mut self, count: Count, batch: &RecordBatch, column: &str) {
        // Rows of one partition come together.
        let partitions = batch[column].as_primitive::<Int32Type>().values();
        for run in partitions.chunk_by(|one, next| one == next) {
            self.add(count, run[0], run.len());
        }
    }

    /// The counts after this batch, for its commit.
    ///
    /// # Errors
    /// When the table's log cannot be read.
    pub(crate) async fn positions(&self, table: &mut LakeTable, topic: Topic) -> Result<Vec<Position>> {
        let so_far = table.positions().await?;
        let counts = self.0.iter().map(|(&(count, partition), events)| {
            let source = count.key(topic.name(), partition);
            let at = so_far.get(&source).copied().unwrap_or(0) + events;
            Position { source, at }
        });
        Ok(counts.collect())
    }
}

/// The offsets behind the position that a commit to Bronze takes from a partition.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stretch {
    /// The lowest and the last offset.
    ends: Option<(i64, i64)>,
    /// Messages, dead letters among them.
    messages: usize,
    /// Rows of Bronze.
    readable: usize,
    /// Offsets at which the consumer saw that Kafka has no event.
    skipped: i64,
}

impl Stretch {
    pub(crate) fn add(&mut self, offsets: &[i64], readable: usize) {
        let ends = self.ends.into_iter().flat_map(|(lowest, last)| [lowest, last]).chain(offsets.iter().copied());
        self.ends = ends.clone().min().zip(ends.max());
        self.messages += offsets.len();
        self.readable += readable;
    }

    pub(crate) fn skip(&mut self, offsets: i64) {
        self.skipped += offsets;
    }
}

/// For a commit to Bronze: the counts of a partition. `None` when an offset is missing that the consumer did not see missing in
/// Kafka: something was lost on the way, and has to be read again. `begin` is where a partition begins that Bronze has
/// nothing of.
///
/// # Errors
/// When the table's log cannot be read.
pub(crate) async fn bronze(
    table: &mut LakeTable,
    topic: Topic,
    partition: i32,
    begin: Option<i64>,
    stretch: Stretch,
) -> Result<Option<Vec<Position>>> {
    let Some((lowest, last)) = stretch.ends else { return Ok(Some(Vec::new())) };
    let position = table.position(&Position::kafka(topic.name(), partition, 0).source).await?;
    let from = position.map_or(begin.unwrap_or(lowest).min(lowest), |position| position + 1);
    let no_event = (last + 1 - from) - i64::try_from(stretch.messages)?;
    if no_event > stretch.skipped {
        tracing::error!(
            topic = topic.name(),
            partition,
            last,
            missing = no_event - stretch.skipped,
            "offsets are missing"
        );
        return Ok(None);
    }
    let mut tally = Tally::default();
    tally.add(Count::Rows, partition, stretch.readable);
    tally.add(Count::NoEvent, partition, usize::try_from(no_event).unwrap_or(0));
    let mut counts = tally.positions(table, topic).await?;
    if position.is_none() {
        counts.push(Position { source: first_key(topic.name(), partition), at: from });
    }
    Ok(Some(counts))
}

/// For a commit to a table of Silver: its position, and for `silver.events` the counts. `made` are the rows that the batch
/// makes, `kept` those that the table did not have; `tally` is what else became of the batch.
///
/// # Errors
/// When the table's log cannot be read.
pub(crate) async fn silver(
    table: &mut LakeTable,
    topic: Topic,
    position: &Position,
    tally: &Tally,
    made: &Tally,
    kept: &RecordBatch,
) -> Result<Vec<Position>> {
    let mut positions = vec![position.clone()];
    if !std::ptr::eq(table.spec(), &raw const *schema::EVENTS) {
        return Ok(positions);
    }
    let mut tally = tally.clone();
    tally.rows(Count::Rows, kept, "source_partition");
    for (&(_, partition), events) in &made.0 {
        let kept = tally.0.get(&(Count::Rows, partition)).copied().unwrap_or(0);
        *tally.0.entry((Count::Duplicates, partition)).or_default() += events - kept;
    }
    positions.extend(tally.positions(table, topic).await?);
    positions.push(Position { source: counted_key(&position.source), at: 1 });
    Ok(positions)
}

/// For a commit of Silver to the dead letters: its position and counts.
///
/// # Errors
/// When the table's log cannot be read.
pub(crate) async fn silver_letters(
    table: &mut LakeTable,
    topic: Topic,
    position: &Position,
    tally: &Tally,
) -> Result<Vec<Position>> {
    let mut positions = tally.positions(table, topic).await?;
    positions.push(Position { source: counted_key(&position.source), at: 1 });
    positions.push(position.clone());
    Ok(positions)
}

/// For a commit to a table of Gold: its position, and for `gold.event_counts` how many events of each topic it adds.
///
/// # Errors
/// When the table's log cannot be read.
pub(crate) async fn gold(
    table: &mut LakeTable,
    position: Position,
    events_by_topic: &[(String, u64)],
) -> Result<Vec<Position>> {
    let mut positions = Vec::new();
    if std::ptr::eq(table.spec(), &raw const *schema::EVENT_COUNTS) {
        let so_far = table.positions().await?;
        for (topic, events) in events_by_topic {
            let source = gold_key(topic);
            let at = so_far.get(&source).copied().unwrap_or(0) + i64::try_from(*events)?;
            positions.push(Position { source, at });
        }
        positions.push(Position { source: counted_key(&position.source), at: 1 });
    }
    positions.push(position);
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::Lake;

    /// What the first commit of a partition counts whose batch has the offsets 5, 6 and 7: the first offset, and offsets
    /// without an event.
    async fn first_batch(begin: Option<i64>, skipped: i64) -> Option<(i64, i64)> {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = Lake::open(folder.path()).expect("a lake");
        let mut table = lake.table(schema::bronze_of(Topic::Analytics)).await.expect("a table");
        let mut stretch = Stretch::default();
        stretch.add(&[5, 6, 7], 3);
        stretch.skip(skipped);
        let counts = bronze(&mut table, Topic::Analytics, 0, begin, stretch).await.expect("counts")?;
        let count = |source: &str| counts.iter().find(|count| count.source == source).expect("it is counted").at;
        let name = Topic::Analytics.name();
        assert_eq!(count(&Count::Rows.key(name, 0)), 3);
        Some((count(&first_key(name, 0)), count(&Count::NoEvent.key(name, 0))))
    }

    #[tokio::test]
    async fn the_first_batch_begins_where_kafka_begins() {
        assert_eq!(first_batch(Some(5), 0).await, Some((5, 0)));
        assert_eq!(first_batch(Some(3), 0).await, None, "offsets 3 and 4 were lost on the way");
        assert_eq!(first_batch(Some(3), 2).await, Some((3, 2)), "Kafka has no events at offsets 3 and 4");
        assert_eq!(first_batch(None, 0).await, Some((5, 0)), "Kafka did not say where it begins");
    }
}
