//! A Silver table of things, customers or products: one row per key, of what occurred last.

use anyhow::{Context, Result};
use deltalake::{
    arrow::{
        array::{AsArray, BooleanArray, RecordBatch},
        compute::filter_record_batch,
        datatypes::TimestampMicrosecondType,
    },
    datafusion::prelude::{SessionContext, col},
};
use hashbrown::{HashMap, HashSet};

use super::target::{Addition, Written};
use crate::lake::{LakeTable, table::Position};

/// A table of things under way.
pub(super) struct Things {
    table: LakeTable,
    key: &'static str,
    /// By key when what is known occurred, in microseconds since 1970; `None`: not read yet.
    newest: Option<HashMap<String, i64>>,
    /// The table's version that `newest` agrees with.
    version: i64,
}

impl Things {
    pub(super) fn new(table: LakeTable, key: &'static str) -> Things {
        let version = table.version();
        Things { table, key, newest: None, version }
    }

    /// The position up to which the source is in the table now.
    pub(super) async fn position(&mut self, source: &str) -> Result<Option<i64>> {
        self.table.refresh().await?;
        if self.table.version() != self.version {
            self.newest = None;
            self.version = self.table.version();
        }
        self.table.position(source).await
    }

    /// Writes what is newer than what the table has, and with it the position.
    pub(super) async fn write(&mut self, addition: Addition<'_>) -> Result<Written> {
        let Addition { rows, position, rules, note, .. } = addition;
        let positions = [position.clone(), rules.clone()];
        let known = match &mut self.newest {
            Some(known) => known,
            None => self.newest.insert(read_newest(&self.table, self.key).await?),
        };
        let (batch, changed) = newest_rows(&rows.batch, self.key, known)?;
        if let Some((name, content)) = note {
            self.table.note(name, content);
        }
        let before = self.table.version();
        if changed {
            merge(&mut self.table, &batch, self.key, &positions).await?;
        } else {
            self.table.append(vec![batch.clone()], &positions).await?;
        }
        remember_newest(&batch, self.key, known);
        // Where others committed in between, the next look at the table reads theirs too.
        if self.table.version() == before + 1 {
            self.version = before + 1;
        }
        let duplicates = (rows.batch.num_rows() - batch.num_rows()) as u64;
        Ok(Written { batch, duplicates })
    }
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
async fn merge(table: &mut LakeTable, batch: &RecordBatch, key: &str, positions: &[Position]) -> Result<()> {
    table.point("merge.before")?;
    let columns: Vec<String> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
    let source = SessionContext::new().read_batch(batch.clone())?;
    let on = col(format!("target.{key}")).eq(col(format!("source.{key}")));
    let properties = table.next_commit(positions);
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
