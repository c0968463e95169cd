//! A Silver table under way: what it has seen, and how rows get into it.
//!
//! A table of events takes each `event_id` once per date of occurrence; a table of things (customers, products) has one row
//! per key, the newest. What is in the table already is remembered, bounded, and read from the table where it is not: the
//! truth is the table.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, Result, ensure};
use deltalake::{
    arrow::{
        array::{AsArray, BooleanArray, RecordBatch},
        compute::filter_record_batch,
        datatypes::TimestampMicrosecondType,
    },
    datafusion::prelude::{SessionContext, col},
    kernel::Add,
};
use hashbrown::{HashMap, HashSet};
use model::topic::Topic;
use tracing::debug;
use uuid::Uuid;

use super::{seen::Seen, tables::Rows};
use crate::{
    chaos,
    lake::{Lake, LakeTable, TableSpec, schema, table::Position},
    ledger::{self, Count, Tally},
};

/// Events of all dates that a table remembers in memory, 17 bytes each; with more, the dates that were not needed for the
/// longest time are forgotten.
const MAX_IN_MEMORY: usize = 2_000_000;
/// Dates of a table that have so many events that some are in files.
const MAX_BUSY_DATES: usize = 16;

/// What was written of a batch.
pub(super) struct Written {
    pub(super) batch: RecordBatch,
    /// Events that were in the table already, or twice in the batch.
    pub(super) duplicates: u64,
}

pub(super) struct Target {
    pub(super) table: LakeTable,
    memory: Memory,
    /// The table's version that the memory agrees with.
    version: i64,
}

enum Memory {
    /// Events by date of occurrence.
    Events(SeenEvents),
    /// Things by key: when what is known of them occurred, in microseconds since 1970. `None`: not read yet.
    Things { key: &'static str, newest: Option<HashMap<String, i64>> },
}

struct SeenEvents {
    /// Where what has no room in memory goes.
    folder: PathBuf,
    dates: HashMap<i32, SeenDate>,
    clock: u64,
}

#[derive(Default)]
struct SeenDate {
    ids: Seen,
    used: u64,
}

impl Target {
    /// `folder` is for what has no room in memory.
    pub(super) async fn open(lake: &Lake, spec: &'static TableSpec, folder: PathBuf) -> Result<Target> {
        let table = lake.table(spec).await?;
        let memory = if std::ptr::eq(spec, &raw const *schema::CUSTOMERS) {
            Memory::Things { key: "customer_id", newest: None }
        } else if std::ptr::eq(spec, &raw const *schema::PRODUCTS) {
            Memory::Things { key: "product_id", newest: None }
        } else {
            Memory::Events(SeenEvents { folder, dates: HashMap::new(), clock: 0 })
        };
        let version = table.version();
        Ok(Target { table, memory, version })
    }

    /// Reads what others committed, and remembers it too: the other topics write to the table of all events as often as this
    /// one does, and what a commit costs must not grow with the table.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        self.table.refresh().await?;
        if self.table.version() == self.version {
            return Ok(());
        }
        match &mut self.memory {
            Memory::Events(seen) => {
                if let Err(error) = seen.learn(&self.table, self.version).await {
                    debug!(error = format!("{error:#}"), "what is known of the events is read anew");
                    self.forget();
                }
            }
            Memory::Things { newest, .. } => *newest = None,
        }
        self.version = self.table.version();
        Ok(())
    }

    /// Reads what the table has of today, so that the first events need not wait for that.
    pub(super) async fn look_ahead(&mut self) -> Result<()> {
        match &mut self.memory {
            Memory::Events(seen) => seen.load(&self.table, &BTreeSet::from([today()])).await,
            Memory::Things { .. } => Ok(()),
        }
    }

    /// Forgets what was seen; it is read from the table when it is needed.
    pub(super) fn forget(&mut self) {
        match &mut self.memory {
            Memory::Events(seen) => seen.dates.clear(),
            Memory::Things { newest, .. } => *newest = None,
        }
    }

    /// Writes the rows that the table does not have yet, and with them the position and what became of the batch.
    pub(super) async fn write(
        &mut self,
        topic: Topic,
        rows: Rows,
        position: &Position,
        tally: &Tally,
    ) -> Result<Written> {
        let before = self.table.version();
        let written = self.write_new(topic, rows, position, tally).await;
        match &written {
            // Where others committed in between, the next refresh reads theirs, and ours once more.
            Ok(_) if self.table.version() == before + 1 => self.version = before + 1,
            Ok(_) => {}
            // It was remembered before it was written.
            Err(_) => self.forget(),
        }
        written
    }

    async fn write_new(&mut self, topic: Topic, rows: Rows, position: &Position, tally: &Tally) -> Result<Written> {
        Ok(match &mut self.memory {
            Memory::Events(seen) => {
                let (new, duplicates) = seen.new_events(&self.table, &rows).await?;
                let keep: BooleanArray = rows.event_of_row.iter().map(|&event| Some(new[event])).collect();
                let mut made = Tally::default();
                made.rows(Count::Rows, &rows.batch, "source_partition");
                let batch = if duplicates == 0 { rows.batch } else { filter_record_batch(&rows.batch, &keep)? };
                let positions = ledger::silver(&mut self.table, topic, position, tally, &made, &batch).await?;
                self.table.append(vec![batch.clone()], &positions).await?;
                Written { batch, duplicates }
            }
            Memory::Things { key, newest } => {
                let known = match newest {
                    Some(known) => known,
                    None => newest.insert(read_newest(&self.table, key).await?),
                };
                let (batch, changed) = newest_rows(&rows.batch, key, known)?;
                if changed {
                    merge(&mut self.table, &batch, key, position).await?;
                } else {
                    self.table.append(vec![batch.clone()], std::slice::from_ref(position)).await?;
                }
                let duplicates = (rows.batch.num_rows() - batch.num_rows()) as u64;
                remember_newest(&batch, key, known);
                Written { batch, duplicates }
            }
        })
    }
}

impl SeenEvents {
    /// Remembers the events of a batch: for each whether it is new, and how many are not.
    async fn new_events(&mut self, table: &LakeTable, rows: &Rows) -> Result<(Vec<bool>, u64)> {
        let dates: BTreeSet<i32> = rows.events.iter().map(|&(_, date)| date).collect();
        self.make_room(&dates);
        self.load(table, &dates).await?;
        let mut new = Vec::with_capacity(rows.events.len());
        for &(id, date) in &rows.events {
            let seen = self.dates.get_mut(&date).context("the date was read")?;
            new.push(seen.ids.insert(id, &self.folder)?);
        }
        let duplicates = new.iter().filter(|new| !**new).count() as u64;
        Ok((new, duplicates))
    }

    /// Reads the identifiers of the dates that are not in memory.
    async fn load(&mut self, table: &LakeTable, dates: &BTreeSet<i32>) -> Result<()> {
        self.clock += 1;
        let mut missing = BTreeSet::new();
        for &date in dates {
            match self.dates.get_mut(&date) {
                Some(seen) => seen.used = self.clock,
                None => {
                    missing.insert(date_name(date));
                    self.dates.insert(date, SeenDate { ids: Seen::default(), used: self.clock });
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let files = table.files(Some(&missing))?;
        let read = self.remember(table, &files).await;
        if read.is_err() {
            // Half of a date would pass for all of it.
            self.dates.retain(|&date, _| !missing.contains(&date_name(date)));
        }
        read
    }

    /// Remembers what was committed after the version, of the dates that are in memory.
    async fn learn(&mut self, table: &LakeTable, version: i64) -> Result<()> {
        if self.dates.is_empty() {
            return Ok(());
        }
        for change in table.changes_since(Some(version), u64::MAX, u64::MAX).await? {
            ensure!(!change.removed, "rows were taken out of the table");
            self.remember(table, &change.files).await?;
        }
        Ok(())
    }

    /// Remembers the events in the files, of the dates that are in memory.
    async fn remember(&mut self, table: &LakeTable, files: &[Add]) -> Result<()> {
        for file in files {
            let Some(Some(name)) = file.partition_values.get("date") else { continue };
            let date = date_number(name)?;
            let Some(seen) = self.dates.get_mut(&date) else { continue };
            for batch in table.read(file, &["event_id"]).await? {
                for id in batch["event_id"].as_string::<i32>().iter().flatten() {
                    let id = Uuid::parse_str(id).context("an event_id in Silver is no UUID")?;
                    seen.ids.insert(id.as_u128(), &self.folder)?;
                }
            }
        }
        Ok(())
    }

    /// Forgets the dates that were not needed for the longest time.
    fn make_room(&mut self, needed: &BTreeSet<i32>) {
        while self.dates.values().map(|seen| seen.ids.in_memory()).sum::<usize>() > MAX_IN_MEMORY
            || self.dates.values().filter(|seen| seen.ids.has_runs()).count() > MAX_BUSY_DATES
        {
            let oldest =
                self.dates.iter().filter(|(date, _)| !needed.contains(*date)).min_by_key(|(_, seen)| seen.used);
            let Some(date) = oldest.map(|(&date, _)| date) else { return };
            self.dates.remove(&date);
        }
    }
}

/// Days since 1970.
fn today() -> i32 {
    let days = (chaos::now().date_naive() - chrono::NaiveDate::default()).num_days();
    i32::try_from(days).unwrap_or_default()
}

/// Days since 1970 as a Delta partition value.
fn date_name(days: i32) -> String {
    chrono::NaiveDate::default()
        .checked_add_signed(chrono::TimeDelta::days(i64::from(days)))
        .unwrap_or_default()
        .to_string()
}

fn date_number(name: &str) -> Result<i32> {
    let date: chrono::NaiveDate = name.parse().with_context(|| format!("`{name}` is no date"))?;
    i32::try_from((date - chrono::NaiveDate::default()).num_days()).context("a date out of range")
}

fn keys_and_times<'b>(batch: &'b RecordBatch, key: &str) -> impl Iterator<Item = (&'b str, i64)> {
    let keys = batch[key].as_string::<i32>();
    let times = batch["occurred_at"].as_primitive::<TimestampMicrosecondType>();
    (0..batch.num_rows()).map(move |row| (keys.value(row), times.value(row)))
}

async fn read_newest(table: &LakeTable, key: &str) -> Result<HashMap<String, i64>> {
    let mut newest = HashMap::new();
    for file in table.files(None)? {
        for batch in table.read(&file, &[key, "occurred_at"]).await? {
            remember_newest(&batch, key, &mut newest);
        }
    }
    Ok(newest)
}

fn remember_newest(batch: &RecordBatch, key: &str, newest: &mut HashMap<String, i64>) {
    for (name, occurred_at) in keys_and_times(batch, key) {
        newest.insert(name.to_owned(), occurred_at);
    }
}

/// The rows that say something newer than what is known, one per key, and whether any of them changes a known one.
fn newest_rows(batch: &RecordBatch, key: &str, known: &HashMap<String, i64>) -> Result<(RecordBatch, bool)> {
    let mut best: HashMap<&str, (i64, usize)> = HashMap::new();
    let mut changed = false;
    for (row, (name, occurred_at)) in keys_and_times(batch, key).enumerate() {
        let before = known.get(name);
        if before.is_some_and(|&before| before >= occurred_at) {
            continue;
        }
        changed |= before.is_some();
        let entry = best.entry(name).or_insert((occurred_at, row));
        if occurred_at > entry.0 {
            *entry = (occurred_at, row);
        }
    }
    let kept: HashSet<usize> = best.values().map(|&(_, row)| row).collect();
    let keep: BooleanArray = (0..batch.num_rows()).map(|row| Some(kept.contains(&row))).collect();
    Ok((filter_record_batch(batch, &keep)?, changed))
}

/// Updates the rows whose keys are known and inserts the others, in one commit.
async fn merge(table: &mut LakeTable, batch: &RecordBatch, key: &str, position: &Position) -> Result<()> {
    table.point("merge.before")?;
    let columns: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    let source = SessionContext::new().read_batch(batch.clone())?;
    let on = col(format!("target.{key}")).eq(col(format!("source.{key}")));
    let properties = table.next_commit(std::slice::from_ref(position));
    let (merged, _) = table
        .delta()
        .clone()
        .merge(source, on)
        .with_source_alias("source")
        .with_target_alias("target")
        .with_commit_properties(properties)
        .when_matched_update(|update| {
            columns
                .iter()
                .fold(update, |update, column| update.update(column.as_str(), col(format!("source.{column}"))))
        })?
        .when_not_matched_insert(|insert| {
            columns.iter().fold(insert, |insert, column| insert.set(column.as_str(), col(format!("source.{column}"))))
        })?
        .await
        .with_context(|| format!("merging into {}", table.source_name()))?;
    table.point("merge.after")?;
    table.set_delta(merged);
    Ok(())
}
