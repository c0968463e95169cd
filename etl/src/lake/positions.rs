//! The positions and counts that a table's commits carry as Delta `txn` actions, all of them, as of one version.
//!
//! The library looks for one name at a time and reads the log for each. Here the log is read once, from its last checkpoint,
//! and then followed commit by commit, so that asking costs nothing and keeping up costs what is new.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use deltalake::{
    DeltaTable, ObjectStore, Path,
    arrow::{
        array::{Array, AsArray, RecordBatch},
        datatypes::Int64Type,
    },
    logstore::object_store::ObjectStoreExt as _,
    parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder},
};
use futures::TryStreamExt;

/// More commits than this are not read one by one: the last checkpoint is nearer.
const FOLLOWED: i64 = 200;

/// What each name stands at, as of a version.
#[derive(Debug)]
pub(super) struct Positions {
    version: i64,
    at: HashMap<String, i64>,
}

impl Positions {
    /// Reads them from the table's log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) async fn read(table: &DeltaTable, version: i64) -> Result<Positions> {
        let mut positions = Positions { version: -1, at: HashMap::new() };
        if let Some(checkpoint) = last_checkpoint(table, version).await? {
            let path = log_path().join(format!("{checkpoint:020}.checkpoint.parquet"));
            let content = table.object_store().get(&path).await?.bytes().await?;
            let read = tokio::task::spawn_blocking(move || in_checkpoint(content)).await?;
            positions.at = read.with_context(|| format!("the checkpoint {path}"))?;
            positions.version = checkpoint;
        }
        positions.take_commits(table, version).await?;
        Ok(positions)
    }

    /// Goes on to a later version.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) async fn follow(&mut self, table: &DeltaTable, version: i64) -> Result<()> {
        if version == self.version {
            return Ok(());
        }
        if version < self.version || version - self.version > FOLLOWED {
            *self = Positions::read(table, version).await?;
        } else if self.take_commits(table, version).await.is_err() {
            // The log may begin later now.
            *self = Positions::read(table, version).await?;
        }
        Ok(())
    }

    /// What a commit of ours carried, which came right after the version at hand.
    pub(super) fn committed(&mut self, version: i64, carried: impl Iterator<Item = (String, i64)>) {
        if version == self.version + 1 {
            self.at.extend(carried);
            self.version = version;
        }
    }

    pub(super) fn all(&self) -> &HashMap<String, i64> {
        &self.at
    }

    async fn take_commits(&mut self, table: &DeltaTable, version: i64) -> Result<()> {
        let log = table.log_store();
        for version in self.version + 1..=version {
            let number = u64::try_from(version).context("a version is never negative")?;
            let Some(entry) = log.read_commit_entry(number).await? else {
                bail!("version {version} is gone from the Delta log");
            };
            take_commit(&entry, &mut self.at)?;
            self.version = version;
        }
        Ok(())
    }
}

fn log_path() -> Path {
    Path::from("_delta_log")
}

/// The newest checkpoint that is not past the version.
async fn last_checkpoint(table: &DeltaTable, version: i64) -> Result<Option<i64>> {
    let store = table.object_store();
    let listed: Vec<_> = store.list(Some(&log_path())).try_collect().await.context("listing the Delta log")?;
    let versions = listed.iter().filter_map(|entry| {
        let name = entry.location.filename()?.strip_suffix(".checkpoint.parquet")?;
        name.parse::<i64>().ok().filter(|found| *found <= version)
    });
    Ok(versions.max())
}

/// Takes the `txn` actions of a commit, one action a line.
fn take_commit(entry: &[u8], at: &mut HashMap<String, i64>) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Line {
        txn: Option<Carried>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Carried {
        app_id: String,
        version: i64,
    }
    for line in entry.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"{\"txn\"")) {
        if let Some(carried) = serde_json::from_slice::<Line>(line).context("a line of the Delta log")?.txn {
            at.insert(carried.app_id, carried.version);
        }
    }
    Ok(())
}

fn in_checkpoint(content: Bytes) -> Result<HashMap<String, i64>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(content)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["txn"]);
    let mut at = HashMap::new();
    for batch in builder.with_projection(mask).build()? {
        let batch: RecordBatch = batch?;
        let Some(carried) = batch.column_by_name("txn").and_then(|column| column.as_struct_opt()) else { continue };
        let (Some(names), Some(versions)) = (carried.column_by_name("appId"), carried.column_by_name("version")) else {
            continue;
        };
        let (names, versions) = (names.as_string::<i32>(), versions.as_primitive::<Int64Type>());
        let rows = (0..carried.len()).filter(|&row| carried.is_valid(row) && names.is_valid(row));
        at.extend(rows.map(|row| (names.value(row).to_owned(), versions.value(row))));
    }
    Ok(at)
}
