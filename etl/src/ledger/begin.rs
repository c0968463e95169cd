//! The first counts of a lake that was written before there were any: once, from its rows.
//!
//! What is counted is committed like everything else, so that of several workers that begin at once one counts and the others
//! find it done.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result};
use deltalake::{
    arrow::{
        array::AsArray,
        datatypes::{Int32Type, Int64Type},
    },
    kernel::Add,
};
use futures::{FutureExt, future::BoxFuture};
use model::topic::Topic;
use tracing::info;

use super::{Count, counted_key, first_key, gold_key};
use crate::lake::{Lake, LakeTable, schema, table::Position};

/// Other workers may commit while we count; so often is it begun again.
const ATTEMPTS: u32 = 10;

/// Sees to it that every table of the ledger has its counts.
///
/// # Errors
/// When the lake cannot be read or written.
pub fn begin(lake: &Lake) -> BoxFuture<'_, Result<()>> {
    async move {
        for topic in Topic::ALL {
            until_counted(lake, Step::Bronze(topic)).await?;
        }
        until_counted(lake, Step::DeadLetters).await?;
        for topic in Topic::ALL {
            until_counted(lake, Step::Silver(topic)).await?;
        }
        until_counted(lake, Step::Gold).await
    }
    .boxed()
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Bronze(Topic),
    DeadLetters,
    Silver(Topic),
    Gold,
}

async fn until_counted(lake: &Lake, step: Step) -> Result<()> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let done = match step {
            Step::Bronze(topic) => bronze(lake, topic).await,
            Step::DeadLetters => dead_letters(lake).await,
            Step::Silver(topic) => silver(lake, topic).await,
            Step::Gold => gold(lake).await,
        };
        match done {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    let error = last.context("no attempt was made")?;
    Err(error.context(format!("counting the rows of the lake for the ledger ({step:?})")))
}

async fn commit(table: &mut LakeTable, counts: Vec<Position>) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    table.append(Vec::new(), &counts).await?;
    info!(table = table.source_name(), "rows counted for the ledger");
    Ok(())
}

fn key(count: Count, topic: &str, partition: i32, events: i64) -> Position {
    Position { source: count.key(topic, partition), at: events }
}

/// The partitions of a topic that the table has a position of, but no count; with the position.
async fn uncounted(table: &mut LakeTable, topic: &str, count: Count) -> Result<BTreeMap<i32, i64>> {
    let positions = table.positions().await?;
    let prefix = format!("kafka/{topic}/");
    let partitions = positions.iter().filter_map(|(name, &at)| Some((name.strip_prefix(&prefix)?.parse().ok()?, at)));
    Ok(partitions.filter(|(partition, _)| !positions.contains_key(&count.key(topic, *partition))).collect())
}

/// The place of a row in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    partition: i32,
    offset: i64,
}

async fn bronze(lake: &Lake, topic: Topic) -> Result<()> {
    let mut table = lake.table(schema::bronze_of(topic)).await?;
    let missing = uncounted(&mut table, topic.name(), Count::Rows).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let letters = letters(lake, topic.name(), "bronze").await?;
    let mut rows: HashMap<i32, (i64, i64)> = HashMap::new();
    let mut see = |place: Place, is_row: i64| {
        let (count, first) = rows.entry(place.partition).or_insert((0, place.offset));
        *count += is_row;
        *first = (*first).min(place.offset);
    };
    each_place(&table, &table.files(None)?, |place| see(place, 1)).await?;
    letters.iter().for_each(|&place| see(place, 0));
    let mut counts = Vec::new();
    for (partition, last) in missing {
        let (count, first) = rows.get(&partition).copied().unwrap_or((0, last + 1));
        let of_partition = |place: &&Place| place.partition == partition && place.offset <= last;
        let letters = i64::try_from(letters.iter().filter(of_partition).count())?;
        counts.push(key(Count::Rows, topic.name(), partition, count));
        counts.push(key(Count::NoEvent, topic.name(), partition, (last + 1 - first - count - letters).max(0)));
        counts.push(Position { source: first_key(topic.name(), partition), at: first });
    }
    commit(&mut table, counts).await
}

async fn dead_letters(lake: &Lake) -> Result<()> {
    let mut table = lake.table(&schema::DEAD_LETTERS).await?;
    let mut counts = Vec::new();
    for topic in Topic::ALL {
        let missing = uncounted(&mut table, topic.name(), Count::BronzeLetters).await?;
        if !missing.is_empty() {
            let by_partition = by_partition(letters(lake, topic.name(), "bronze").await?);
            counts.extend(missing.keys().map(|partition| {
                key(Count::BronzeLetters, topic.name(), *partition, by_partition.get(partition).copied().unwrap_or(0))
            }));
        }
        let source = bronze_source(topic);
        let positions = table.positions().await?;
        if positions.contains_key(&source) && !positions.contains_key(&counted_key(&source)) {
            for (partition, events) in by_partition(letters(lake, topic.name(), "silver").await?) {
                counts.push(key(Count::SilverLetters, topic.name(), partition, events));
            }
            counts.push(Position { source: counted_key(&source), at: 1 });
        }
    }
    commit(&mut table, counts).await
}

async fn silver(lake: &Lake, topic: Topic) -> Result<()> {
    let mut table = lake.table(&schema::EVENTS).await?;
    let source = bronze_source(topic);
    if table.positions().await?.contains_key(&counted_key(&source)) {
        return Ok(());
    }
    let Some(position) = table.position(&source).await? else { return Ok(()) };
    let mut below = lake.table(schema::bronze_of(topic)).await?;
    let mut unread = HashSet::new();
    for change in below.changes_since(Some(position), u64::MAX, u64::MAX).await? {
        each_place(&below, &change.files, |place| {
            unread.insert(place);
        })
        .await?;
    }
    let unread_rows = by_partition(unread.iter().copied());
    let rejected = letters(lake, topic.name(), "silver").await?;
    let rejected = by_partition(rejected.into_iter().filter(|place| !unread.contains(place)));
    let mut rows: BTreeMap<i32, i64> = BTreeMap::new();
    for file in table.files(None)? {
        for batch in table.read(&file, &["topic", "source_partition"]).await? {
            let (topics, partitions) =
                (batch["topic"].as_string::<i32>(), batch["source_partition"].as_primitive::<Int32Type>());
            for row in (0..batch.num_rows()).filter(|&row| topics.value(row) == topic.name()) {
                *rows.entry(partitions.value(row)).or_default() += 1;
            }
        }
    }
    let below = below.positions().await?;
    let prefix = format!("kafka/{}/", topic.name());
    let partitions = below.keys().filter_map(|name| name.strip_prefix(&prefix)?.parse::<i32>().ok());
    let mut counts = vec![Position { source: counted_key(&source), at: 1 }];
    for partition in partitions {
        let of = |counts: &BTreeMap<i32, i64>| counts.get(&partition).copied().unwrap_or(0);
        let in_bronze = below.get(&Count::Rows.key(topic.name(), partition)).copied().unwrap_or(0);
        let (consumed, kept, rejected) = (in_bronze - of(&unread_rows), of(&rows), of(&rejected));
        counts.push(key(Count::Consumed, topic.name(), partition, consumed));
        counts.push(key(Count::Rows, topic.name(), partition, kept));
        counts.push(key(Count::Rejected, topic.name(), partition, rejected));
        counts.push(key(Count::Duplicates, topic.name(), partition, (consumed - kept - rejected).max(0)));
    }
    commit(&mut table, counts).await
}

async fn gold(lake: &Lake) -> Result<()> {
    let mut table = lake.table(&schema::EVENT_COUNTS).await?;
    let source = silver_source();
    let positions = table.positions().await?;
    if !positions.contains_key(&source) || positions.contains_key(&counted_key(&source)) {
        return Ok(());
    }
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for file in table.files(None)? {
        for (topic, events) in super::reader::events_of(&table, &file).await? {
            *sums.entry(topic).or_default() += events;
        }
    }
    let sums = sums.into_iter().map(|(topic, at)| Position { source: gold_key(&topic), at });
    let counts = sums.chain([Position { source: counted_key(&source), at: 1 }]).collect();
    commit(&mut table, counts).await
}

/// Bronze of a topic, as a source of Silver.
pub(super) fn bronze_source(topic: Topic) -> String {
    format!("bronze/{}", topic.table())
}

/// Silver's events, as a source of Gold.
pub(super) fn silver_source() -> String {
    format!("silver/{}", schema::EVENTS.name)
}

fn by_partition(places: impl IntoIterator<Item = Place>) -> BTreeMap<i32, i64> {
    let mut counts = BTreeMap::new();
    for place in places {
        *counts.entry(place.partition).or_default() += 1;
    }
    counts
}

/// Goes through rows of Bronze.
async fn each_place(table: &LakeTable, files: &[Add], mut see: impl FnMut(Place)) -> Result<()> {
    for file in files {
        for batch in table.read(file, &["partition", "offset"]).await? {
            let partitions = batch["partition"].as_primitive::<Int32Type>().values();
            let offsets = batch["offset"].as_primitive::<Int64Type>().values();
            partitions.iter().zip(offsets).for_each(|(&partition, &offset)| see(Place { partition, offset }));
        }
    }
    Ok(())
}

/// The places of the dead letters of a topic that a stage wrote.
async fn letters(lake: &Lake, topic: &str, stage: &str) -> Result<Vec<Place>> {
    let table = lake.table(&schema::DEAD_LETTERS).await?;
    let mut places = Vec::new();
    for file in table.files(None)? {
        for batch in table.read(&file, &["topic", "stage", "partition", "offset"]).await? {
            let (topics, stages) = (batch["topic"].as_string::<i32>(), batch["stage"].as_string::<i32>());
            let partitions = batch["partition"].as_primitive::<Int32Type>();
            let offsets = batch["offset"].as_primitive::<Int64Type>();
            let wanted = |row: &usize| topics.value(*row) == topic && stages.value(*row) == stage;
            places.extend(
                (0..batch.num_rows())
                    .filter(wanted)
                    .map(|row| Place { partition: partitions.value(row), offset: offsets.value(row) }),
            );
        }
    }
    Ok(places)
}
