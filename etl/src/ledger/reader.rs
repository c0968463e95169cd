//! Reads the counts of every table, and what the broker has. What was read before is kept: a reading costs what is new.
//!
//! Tables are read from the last to the first, and the broker after them: each then has at least what the one above it took,
//! and what is under way shows as waiting and never as missing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result};
use chrono::Utc;
use deltalake::{
    arrow::{array::AsArray, datatypes::Int64Type},
    kernel::Add,
};
use futures::{FutureExt, future::BoxFuture};
use model::{
    ledger::{Ledger, PartitionLedger, TableLedger, TopicLedger},
    topic::Topic,
};

use super::{
    Count,
    begin::{bronze_source, silver_source},
    first_key, gold_key,
};
use crate::{
    kafka::{Cluster, Watermarks},
    lake::{Lake, LakeTable, schema, table::Position},
};

/// The open tables, and what was read of them.
pub struct Reader {
    kafka: Watermarks,
    gold: LakeTable,
    silver: LakeTable,
    bronze: Vec<(Topic, LakeTable)>,
    dead_letters: LakeTable,
    /// Events by topic in each file of Gold.
    sums: HashMap<String, Vec<(String, i64)>>,
    /// Rows of each table at a version, by the table's name.
    rows: HashMap<String, (i64, i64)>,
}

/// Counts by their keys.
struct Counts(HashMap<String, i64>);

impl Counts {
    async fn of(table: &mut LakeTable) -> Result<Counts> {
        table.refresh().await?;
        Ok(Counts(table.positions().await?.clone()))
    }

    fn get(&self, name: &str) -> Option<i64> {
        self.0.get(name).copied()
    }

    fn count(&self, count: Count, topic: Topic, partition: i32) -> i64 {
        self.get(&count.key(topic.name(), partition)).unwrap_or(0)
    }

    /// All of a kind, over every topic and partition.
    fn total(&self, count: Count) -> i64 {
        let prefix = count.key("", 0);
        let prefix = prefix.trim_end_matches("/0");
        self.0.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, events)| events).sum()
    }

    /// The last offset of each partition of a topic.
    fn offsets(&self, topic: Topic) -> BTreeMap<i32, i64> {
        let prefix = format!("kafka/{}/", topic.name());
        self.0.iter().filter_map(|(name, &at)| Some((name.strip_prefix(&prefix)?.parse().ok()?, at))).collect()
    }
}

/// The ends of each partition of each topic.
type Ends = HashMap<Topic, BTreeMap<i32, (i64, i64)>>;

impl Reader {
    /// # Errors
    /// When a table cannot be opened.
    pub async fn open(lake: &Lake, cluster: &Cluster) -> Result<Reader> {
        let mut bronze = Vec::new();
        for topic in Topic::ALL {
            bronze.push((topic, lake.table(schema::bronze_of(topic)).await?));
        }
        Ok(Reader {
            kafka: Watermarks::new(cluster)?,
            gold: lake.table(&schema::EVENT_COUNTS).await?,
            silver: lake.table(&schema::EVENTS).await?,
            bronze,
            dead_letters: lake.table(&schema::DEAD_LETTERS).await?,
            sums: HashMap::new(),
            rows: HashMap::new(),
        })
    }

    /// The ledger as of now, audited. Without the broker it has no numbers of it, and says why.
    ///
    /// # Errors
    /// When the lake cannot be read.
    pub fn read(&mut self) -> BoxFuture<'_, Result<Ledger>> {
        self.collect().boxed()
    }

    async fn collect(&mut self) -> Result<Ledger> {
        let in_gold = Counts::of(&mut self.gold).await?;
        let sums = self.gold_sums().await?;
        let in_silver = Counts::of(&mut self.silver).await?;
        let mut in_bronze = Vec::new();
        for (topic, table) in &mut self.bronze {
            let counts = Counts::of(table).await?;
            in_bronze.push((*topic, counts, table.version()));
        }
        let letters = Counts::of(&mut self.dead_letters).await?;
        let (ends, broker_problem) = match self.ends().await {
            Ok(ends) => (ends, None),
            Err(error) => (Ends::new(), Some(format!("{error:#}"))),
        };

        let mut ledger = Ledger { at: Utc::now(), broker_problem, ..Ledger::default() };
        let gold_done = in_gold.get(&silver_source()) == Some(self.silver.version());
        for (topic, counts, version) in &in_bronze {
            let of_broker = ends.get(topic);
            let names: BTreeSet<i32> = counts
                .offsets(*topic)
                .into_keys()
                .chain(of_broker.into_iter().flat_map(|ends| ends.keys().copied()))
                .collect();
            let source = bronze_source(*topic);
            let read = in_silver.get(&source);
            let silver_done = read == Some(*version);
            let silver_letters_ahead = letters.get(&source) > read;
            let partitions: Vec<_> = names
                .into_iter()
                .map(|partition| PartitionLedger {
                    silver_done,
                    silver_letters_ahead,
                    ..partition_of(*topic, partition, of_broker, counts, &letters, &in_silver)
                })
                .collect();
            let name = topic.name();
            ledger.topics.push(TopicLedger {
                topic: name.to_owned(),
                silver: partitions.iter().map(|partition| partition.silver).sum(),
                taken: in_gold.get(&gold_key(name)).unwrap_or(0),
                gold_done,
                gold: sums.get(name).copied().unwrap_or(0),
            });
            ledger.partitions.extend(partitions);
        }
        let mut bronze: Vec<i64> = in_bronze.iter().map(|(_, counts, _)| counts.total(Count::Rows)).collect();
        bronze.push(letters.total(Count::BronzeLetters) + letters.total(Count::SilverLetters));
        bronze.push(in_silver.total(Count::Rows));
        let tables = self.bronze.iter().map(|(_, table)| table).chain([&self.dead_letters, &self.silver]);
        for (table, counted) in tables.zip(bronze) {
            let rows = match self.rows.get(table.spec().name) {
                Some(&(version, rows)) if version == table.version() => rows,
                _ => i64::try_from(table.rows()?)?,
            };
            self.rows.insert(table.spec().name.to_owned(), (table.version(), rows));
            let spec = table.spec();
            ledger.tables.push(TableLedger { layer: spec.layer, name: spec.name.to_owned(), rows, counted });
        }
        Ok(ledger.audited())
    }

    /// Events by topic in Gold, of which only new files are read.
    async fn gold_sums(&mut self) -> Result<BTreeMap<String, i64>> {
        let files = self.gold.files(None)?;
        let mut sums = HashMap::with_capacity(files.len());
        for file in &files {
            let events = match self.sums.remove(&file.path) {
                Some(known) => known,
                None => events_of(&self.gold, file).await?,
            };
            sums.insert(file.path.clone(), events);
        }
        self.sums = sums;
        let mut total = BTreeMap::new();
        for (topic, events) in self.sums.values().flatten() {
            *total.entry(topic.clone()).or_default() += events;
        }
        Ok(total)
    }

    async fn ends(&self) -> Result<Ends> {
        let kafka = self.kafka.clone();
        let ask = move || Topic::ALL.into_iter().map(|topic| Ok((topic, kafka.of(topic)?))).collect();
        tokio::task::spawn_blocking(ask).await.context("asking Kafka")?
    }
}

fn partition_of(
    topic: Topic,
    partition: i32,
    of_broker: Option<&BTreeMap<i32, (i64, i64)>>,
    bronze: &Counts,
    letters: &Counts,
    silver: &Counts,
) -> PartitionLedger {
    let source = Position::kafka(topic.name(), partition, 0).source;
    let last = bronze.get(&source);
    let ends = of_broker.and_then(|ends| ends.get(&partition));
    PartitionLedger {
        topic: topic.name().to_owned(),
        partition,
        broker_first: ends.map(|&(first, _)| first),
        broker_end: ends.map(|&(_, end)| end),
        first: bronze.get(&first_key(topic.name(), partition)),
        next: last.map(|last| last + 1),
        bronze: bronze.count(Count::Rows, topic, partition),
        dead_letters: letters.count(Count::BronzeLetters, topic, partition),
        no_event: bronze.count(Count::NoEvent, topic, partition),
        dead_letters_ahead: letters.get(&source) > last,
        consumed: silver.count(Count::Consumed, topic, partition),
        silver: silver.count(Count::Rows, topic, partition),
        duplicates: silver.count(Count::Duplicates, topic, partition),
        rejected: silver.count(Count::Rejected, topic, partition),
        silver_letters: letters.count(Count::SilverLetters, topic, partition),
        quarantined: silver.count(Count::Quarantined, topic, partition),
        dropped: silver.count(Count::Dropped, topic, partition),
        ..PartitionLedger::default()
    }
}

/// Events by topic in a file of `gold.event_counts`.
pub(super) async fn events_of(table: &LakeTable, file: &Add) -> Result<Vec<(String, i64)>> {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for batch in table.read(file, &["topic", "events"]).await? {
        let (topics, events) = (batch["topic"].as_string::<i32>(), batch["events"].as_primitive::<Int64Type>());
        for row in 0..batch.num_rows() {
            *sums.entry(topics.value(row).to_owned()).or_default() += events.value(row);
        }
    }
    Ok(sums.into_iter().collect())
}
