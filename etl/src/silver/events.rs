//! A Silver table that takes each `event_id` once per date of occurrence: `silver.events`, to which all topics write, the
//! transactions and their lines.
//!
//! What is in the table is remembered, bounded, and read from the table where it is not: the truth is the table. A batch is
//! looked through, its new events are stored in files, and these are committed as the very next version. If another worker was
//! first, its events are learnt, what is no longer new goes out of the batch, and the next version is tried. So when two
//! topics or two workers have one event at the same moment, it is in the table once.

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, Result, ensure};
use deltalake::{
    arrow::{
        array::{AsArray, BooleanArray, RecordBatch},
        compute::filter_record_batch,
    },
    kernel::Add,
};
use hashbrown::{HashMap, HashSet};
use tracing::debug;
use uuid::Uuid;

use super::{
    seen::Seen,
    tables::Rows,
    target::{Addition, Written},
};
use crate::{
    chaos,
    lake::{
        LakeTable,
        table::{Overtaken, is_conflict},
    },
    ledger::{self, Count, Tally},
};

/// Events of all dates that a table remembers in memory, 17 bytes each; with more, the dates that were not needed for the
/// longest time are forgotten.
const MAX_IN_MEMORY: usize = 2_000_000;
/// Dates of a table that have so many events that some are in files.
const MAX_BUSY_DATES: usize = 16;
/// So often another worker may be first before a batch is begun anew.
const ATTEMPTS: usize = 20;

/// A table of events under way.
pub(super) struct Events {
    table: LakeTable,
    seen: SeenEvents,
    /// The table's version that `seen` agrees with.
    version: i64,
    /// Whether `seen` may have events that the table has not: they are remembered before they are committed.
    unsure: bool,
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

impl Events {
    /// `folder` is for what has no room in memory.
    pub(super) fn new(table: LakeTable, folder: PathBuf) -> Events {
        let version = table.version();
        Events { table, seen: SeenEvents { folder, dates: HashMap::new(), clock: 0 }, version, unsure: false }
    }

    /// Reads what others committed, and remembers it: what that costs must not grow with the table.
    async fn refresh(&mut self) -> Result<()> {
        if self.unsure {
            self.seen.dates.clear();
            self.unsure = false;
        }
        self.table.refresh().await?;
        if let Err(error) = self.learn().await {
            debug!(error = format!("{error:#}"), "what is known of the events is read anew");
        }
        Ok(())
    }

    /// Remembers what came into the table since it was last looked at; which of it was known before. After an error nothing is
    /// known.
    async fn learn(&mut self) -> Result<HashSet<(u128, i32)>> {
        let version = self.table.version();
        if version == self.version {
            return Ok(HashSet::new());
        }
        let learnt = self.seen.learn(&self.table, self.version).await;
        if learnt.is_err() {
            self.seen.dates.clear();
        }
        self.version = version;
        learnt
    }

    /// The position up to which the source is in the table now.
    pub(super) async fn position(&mut self, source: &str) -> Result<Option<i64>> {
        self.refresh().await?;
        self.table.position(source).await
    }

    /// Reads what the table has of today, so that the first events need not wait for that.
    pub(super) async fn look_ahead(&mut self) -> Result<()> {
        self.refresh().await?;
        self.seen.load(&self.table, &BTreeSet::from([today()])).await
    }

    /// Writes the rows that the table does not have yet, and with them the position and what became of the batch.
    pub(super) async fn write(&mut self, addition: Addition<'_>) -> Result<Written> {
        let Addition { topic, rows, before, position, rules, tally, note } = addition;
        ensure!(self.position(&position.source).await? == before, Overtaken);
        self.unsure = true;
        let mut new = self.seen.new_events(&self.table, &rows).await?;
        let mut made = Tally::default();
        made.rows(Count::Rows, &rows.batch, "source_partition");
        let mut batch = rows.only(&new)?;
        let mut files = self.table.store(vec![batch.clone()]).await?;
        for _ in 0..ATTEMPTS {
            let mut positions = ledger::silver(&mut self.table, topic, position, tally, &made, &batch).await?;
            positions.push(rules.clone());
            if let Some((name, content)) = note.clone() {
                self.table.note(name, content);
            }
            match self.table.append_next(files.clone(), &positions).await {
                Ok(()) => {
                    self.version = self.table.version();
                    self.unsure = false;
                    return Ok(Written { batch, duplicates: new.iter().filter(|new| !**new).count() as u64 });
                }
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error),
            }
            self.table.refresh().await?;
            // Perhaps it was this very batch that got in.
            ensure!(self.table.position(&position.source).await? == before, Overtaken);
            let theirs = self.learn().await.context(Overtaken)?;
            let mut taken = false;
            for (event, new) in rows.events.iter().zip(&mut new) {
                if *new && theirs.contains(event) {
                    *new = false;
                    taken = true;
                }
            }
            if taken {
                batch = rows.only(&new)?;
                files = self.table.store(vec![batch.clone()]).await?;
            }
        }
        Err(Overtaken.into())
    }
}

impl Rows {
    /// Those of the events that are new.
    fn only(&self, new: &[bool]) -> Result<RecordBatch> {
        if new.iter().all(|&new| new) {
            return Ok(self.batch.clone());
        }
        let keep: BooleanArray = self.event_of_row.iter().map(|&event| Some(new[event])).collect();
        Ok(filter_record_batch(&self.batch, &keep)?)
    }
}

impl SeenEvents {
    /// Remembers the events of a batch: for each whether it is new.
    async fn new_events(&mut self, table: &LakeTable, rows: &Rows) -> Result<Vec<bool>> {
        let dates: BTreeSet<i32> = rows.events.iter().map(|&(_, date)| date).collect();
        self.make_room(&dates);
        self.load(table, &dates).await?;
        let mut new = Vec::with_capacity(rows.events.len());
        for &(id, date) in &rows.events {
            let seen = self.dates.get_mut(&date).context("the date was read")?;
            new.push(seen.ids.insert(id, &self.folder)?);
        }
        Ok(new)
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
        read.map(drop)
    }

    /// Remembers what was committed after the version, of the dates that are in memory; which of it was known before.
    async fn learn(&mut self, table: &LakeTable, version: i64) -> Result<HashSet<(u128, i32)>> {
        let mut known = HashSet::new();
        if self.dates.is_empty() {
            return Ok(known);
        }
        for change in table.changes_since(Some(version), u64::MAX, u64::MAX).await? {
            ensure!(!change.removed, "rows were taken out of the table");
            known.extend(self.remember(table, &change.files).await?);
        }
        Ok(known)
    }

    /// Remembers the events in the files, of the dates that are in memory; which of them were known before.
    async fn remember(&mut self, table: &LakeTable, files: &[Add]) -> Result<Vec<(u128, i32)>> {
        let mut known = Vec::new();
        for file in files {
            let Some(Some(name)) = file.partition_values.get("date") else { continue };
            let date = date_number(name)?;
            let Some(seen) = self.dates.get_mut(&date) else { continue };
            for batch in table.read(file, &["event_id"]).await? {
                for id in batch["event_id"].as_string::<i32>().iter().flatten() {
                    let id = Uuid::parse_str(id).context("an event_id in Silver is no UUID")?;
                    if !seen.ids.insert(id.as_u128(), &self.folder)? {
                        known.push((id.as_u128(), date));
                    }
                }
            }
        }
        Ok(known)
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
