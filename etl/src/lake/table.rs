//! One Delta table: commits that carry their source position.
//!
//! # Exactly once
//! A commit holds, beside the rows, one `txn` action per source: an application id that names the source and the position
//! up to which it has been read. Delta does not compare it with anything. So whoever writes asks [`LakeTable::position`]
//! first and leaves out what is already in; and when a commit fails, for whatever reason, reads the table anew and starts
//! again from the position that it finds there. Two writers of one source cannot both win: Delta refuses the second
//! commit of the same application id.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use delta_kernel::expressions::Scalar;
use deltalake::{
    DeltaTable, DeltaTableBuilder, DeltaTableError, ObjectStoreError,
    arrow::{
        array::{AsArray as _, RecordBatch},
        datatypes::{Date32Type, Schema, SchemaRef},
    },
    kernel::{
        Action, Add, StructType, Transaction,
        engine::arrow_conversion::{TryIntoArrow, TryIntoKernel},
        transaction::{CommitBuilder, CommitProperties, TransactionError},
    },
    logstore::{commit_uri_from_version, object_store::ObjectStoreExt as _},
    parquet::file::properties::WriterProperties,
    protocol::{DeltaOperation, SaveMode},
    writer::{DeltaWriter, RecordBatchWriter, WriteMode},
};
use futures::FutureExt as _;
use indexmap::IndexMap;
use tokio::runtime::Handle;
use url::Url;

use super::{
    files::{widened, writer_properties},
    positions::Positions,
    reader::{Change, Reader},
    schema::TableSpec,
};
use crate::chaos;

/// A source and the position up to which it has been read: an offset of Kafka or a version of another table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Names the source, for example `kafka/transaction-events/0` or `silver/transactions`.
    pub source: String,
    pub at: i64,
}

impl Position {
    #[must_use]
    pub fn kafka(topic: &str, partition: i32, offset: i64) -> Position {
        Position { source: format!("kafka/{topic}/{partition}"), at: offset }
    }
}

/// How long the next commit's file alone says whether there is news; then the whole log is looked at. For a process that
/// has slept so long that the log begins later now.
pub const LIST_LOG_EVERY: Duration = Duration::from_secs(60);

/// Whether there is a commit after the one at hand. Looks for its file: to list the log would cost as much as there is in it.
///
/// # Errors
/// When the storage does not answer.
pub async fn has_news(table: &DeltaTable) -> Result<bool> {
    let Some(version) = table.version() else { return Ok(true) };
    match table.object_store().head(&commit_uri_from_version(Some(version + 1))).await {
        Ok(_) => Ok(true),
        Err(ObjectStoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error).context("looking for the next commit"),
    }
}

/// Another worker has committed what this one was about to.
#[derive(Debug, thiserror::Error)]
#[error("another worker committed first")]
pub struct Overtaken;

/// Whether a commit failed because another one came first. The table is then read anew and the step made again.
#[must_use]
pub fn is_conflict(error: &anyhow::Error) -> bool {
    error.is::<Overtaken>()
        || error.chain().filter_map(|cause| cause.downcast_ref()).any(|cause| {
            matches!(
                cause,
                DeltaTableError::VersionAlreadyExists(_)
                    | DeltaTableError::Transaction {
                        source: TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_)
                    }
            )
        })
}

/// So often a table's log is read before it counts as unreadable.
const LOADS: u32 = 5;

/// Reads the log of a table. Where it was cut between the listing and the reading of an entry, by somebody's maintenance, the
/// next listing begins at a later checkpoint.
async fn load(table: &mut DeltaTable) -> Result<(), DeltaTableError> {
    for load in 1..LOADS {
        if table.load().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50) * load).await;
    }
    table.load().await
}

/// So often a commit is tried with which nothing conflicts and yet others are first.
const RETRIES: usize = 15;

/// The value of each partition column.
type PartitionValues = IndexMap<String, Scalar>;

/// An open table.
pub struct LakeTable {
    spec: &'static TableSpec,
    table: DeltaTable,
    /// When the whole log was last looked at.
    listed: Instant,
    properties: WriterProperties,
    /// What the commits carried, once it was asked for.
    positions: Option<Positions>,
    /// What the next commit says beside its rows.
    note: Option<(&'static str, serde_json::Value)>,
}

impl LakeTable {
    /// Opens the table, which is made if it is not there yet.
    ///
    /// # Errors
    /// When its log cannot be read or written.
    pub async fn open(url: Url, spec: &'static TableSpec) -> Result<LakeTable> {
        let shown = url.to_string();
        let context = || format!("the Delta table {shown}");
        let mut table = DeltaTableBuilder::from_url(url).and_then(DeltaTableBuilder::build).with_context(context)?;
        if table.verify_deltatable_existence().await.with_context(context)? {
            load(&mut table).await.with_context(context)?;
        } else {
            let schema: StructType = spec.schema.as_ref().try_into_kernel().with_context(context)?;
            let created = table
                .create()
                .with_columns(schema.fields().cloned())
                .with_partition_columns(spec.partitioned_by.iter().copied())
                .with_configuration([("delta.dataSkippingStatsColumns".to_owned(), Some(spec.statistics.join(",")))])
                .with_save_mode(SaveMode::Ignore)
                .await;
            table = match created {
                Ok(table) => table,
                // Another process was first.
                Err(_) => {
                    load(&mut table).await.with_context(context)?;
                    table
                }
            };
        }
        let properties = writer_properties(spec);
        Ok(LakeTable { spec, table, listed: Instant::now(), properties, positions: None, note: None })
    }

    #[must_use]
    pub fn spec(&self) -> &'static TableSpec {
        self.spec
    }

    /// A place where tests make the table fail, such as `silver/transactions.commit.after`.
    ///
    /// # Errors
    /// The one that was asked for.
    pub fn point(&self, step: &str) -> Result<()> {
        chaos::point(format_args!("{}/{}.{step}", self.spec.layer.name(), self.spec.name))
    }

    /// Its layer and name, as a source of other tables: `silver/transactions`.
    #[must_use]
    pub fn source_name(&self) -> String {
        format!("{}/{}", self.spec.layer.name(), self.spec.name)
    }

    /// The version that was read or written last.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.table.version().and_then(|version| i64::try_from(version).ok()).unwrap_or(-1)
    }

    /// The table itself, for operations of the library such as a merge.
    #[must_use]
    pub fn delta(&self) -> &DeltaTable {
        &self.table
    }

    /// Takes over the table as an operation of the library left it.
    pub fn set_delta(&mut self, table: DeltaTable) {
        self.table = table;
    }

    /// Reads what others committed meanwhile.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn refresh(&mut self) -> Result<()> {
        self.point("refresh")?;
        if self.listed.elapsed() < LIST_LOG_EVERY && !has_news(&self.table).await? {
            return Ok(());
        }
        self.table.update_incremental(None).await.with_context(|| self.source_name())?;
        self.listed = Instant::now();
        Ok(())
    }

    /// The position up to which the source has been read into this table; `None` before the first commit.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn position(&mut self, source: &str) -> Result<Option<i64>> {
        Ok(self.positions().await?.get(source).copied())
    }

    /// All positions and counts that the commits carried, by their names, up to the version that was read last.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn positions(&mut self) -> Result<&HashMap<String, i64>> {
        let version = self.version();
        let positions = match self.positions.take() {
            Some(mut known) => {
                known.follow(&self.table, version).await.with_context(|| self.source_name())?;
                known
            }
            None => Positions::read(&self.table, version).await.with_context(|| self.source_name())?,
        };
        Ok(self.positions.insert(positions).all())
    }

    /// The commit properties that go with the positions.
    #[must_use]
    pub fn commit_properties(positions: &[Position]) -> CommitProperties {
        let now = Utc::now().timestamp_millis();
        let transactions = positions.iter().map(|position| Transaction {
            app_id: position.source.clone(),
            version: position.at,
            last_updated: Some(now),
        });
        // Old log entries are the business of maintenance: looking for them at every commit costs a listing.
        CommitProperties::default()
            .with_application_transactions(transactions.collect())
            .with_cleanup_expired_logs(Some(false))
    }

    /// The next commit, if it is made, says this in its entry in the log, under this name.
    pub fn note(&mut self, name: &'static str, content: serde_json::Value) {
        self.note = Some((name, content));
    }

    /// The properties of the next commit: the positions, and what it has to say.
    pub fn next_commit(&mut self, positions: &[Position]) -> CommitProperties {
        let properties = LakeTable::commit_properties(positions);
        match self.note.take() {
            Some((name, content)) => properties.with_metadata([(name.to_owned(), content)]),
            None => properties,
        }
    }

    /// Adds rows, and with them the positions up to which their sources have been read. Batches hold all columns.
    ///
    /// # Errors
    /// When the files or the commit cannot be written; the table is then as it was.
    pub async fn append(&mut self, batches: Vec<RecordBatch>, positions: &[Position]) -> Result<()> {
        let files = self.store(batches).await?;
        self.commit(files, SaveMode::Append, positions, RETRIES).await
    }

    /// Stores rows in files, which are not in the table until they are committed with [`LakeTable::append_next`].
    ///
    /// # Errors
    /// When the files cannot be written.
    pub async fn store(&self, batches: Vec<RecordBatch>) -> Result<Vec<Action>> {
        let partition = self.one_date(&batches);
        self.write_files(batches, partition).boxed().await
    }

    /// Adds stored files and positions as the version after the one at hand.
    ///
    /// # Errors
    /// When the commit cannot be written. A conflict where the table has gone on, with whatever it was.
    pub async fn append_next(&mut self, files: Vec<Action>, positions: &[Position]) -> Result<()> {
        self.commit(files, SaveMode::Append, positions, 0).await
    }

    /// The same, for rows that all belong to one partition.
    ///
    /// # Errors
    /// As [`LakeTable::append`].
    pub async fn append_to(
        &mut self,
        partition: &[(&str, i32)],
        batches: Vec<RecordBatch>,
        positions: &[Position],
    ) -> Result<()> {
        let values = partition.iter().map(|&(column, value)| (column.to_owned(), Scalar::Integer(value)));
        let files = self.write_files(batches, Some(values.collect())).boxed().await?;
        self.commit(files, SaveMode::Append, positions, RETRIES).await
    }

    /// The partition of the rows, where the table is partitioned by date and they are all of one.
    fn one_date(&self, batches: &[RecordBatch]) -> Option<PartitionValues> {
        let [column] = self.spec.partitioned_by else { return None };
        let mut dates =
            batches.iter().filter_map(|batch| batch.column_by_name(column)?.as_primitive_opt::<Date32Type>());
        let date = *dates.clone().find_map(|dates| dates.values().first())?;
        let same = dates.all(|dates| dates.values().iter().all(|&other| other == date));
        same.then(|| PartitionValues::from_iter([((*column).to_owned(), Scalar::Date(date))]))
    }

    /// Puts rows in the place of all that is in the given dates' partitions.
    ///
    /// # Errors
    /// When the files or the commit cannot be written; the table is then as it was.
    pub async fn replace_dates(
        &mut self,
        replaced: &[Add],
        batches: Vec<RecordBatch>,
        positions: &[Position],
    ) -> Result<()> {
        let now = Utc::now().timestamp_millis();
        let partition = self.one_date(&batches);
        let mut actions = self.write_files(batches, partition).boxed().await?;
        actions.extend(replaced.iter().map(|add| {
            Action::Remove(deltalake::kernel::Remove {
                path: add.path.clone(),
                data_change: true,
                deletion_timestamp: Some(now),
                extended_file_metadata: Some(true),
                partition_values: Some(add.partition_values.clone()),
                size: Some(add.size),
                ..Default::default()
            })
        }));
        self.commit(actions, SaveMode::Overwrite, positions, RETRIES).await
    }

    /// Encodes and stores the batches, off the threads that everything else runs on: encoding is most of the work there is.
    async fn write_files(&self, batches: Vec<RecordBatch>, partition: Option<PartitionValues>) -> Result<Vec<Action>> {
        self.point("files.before")?;
        let shown = self.source_name();
        let context = move || format!("writing Parquet files of {shown}");
        let mut writer = RecordBatchWriter::for_table(&self.table)
            .with_context(&context)?
            .with_writer_properties(self.properties.clone());
        let batches = match self.evolved_schema()? {
            None => batches,
            Some(schema) => batches.iter().map(|batch| widened(batch, &schema)).collect::<Result<_>>()?,
        };
        let runtime = Handle::current();
        let written = tokio::task::spawn_blocking(move || {
            runtime.block_on(async move {
                for batch in batches {
                    match &partition {
                        Some(partition) => _ = writer.write_partition(batch, partition, WriteMode::Default).await?,
                        None => writer.write(batch).await?,
                    }
                }
                writer.flush().await
            })
        });
        let adds = written.await.with_context(&context)?.with_context(&context)?;
        self.point("files.after")?;
        Ok(adds.into_iter().map(Action::Add).collect())
    }

    /// The table's columns where it has more than every lake has: columns that settings declare, now or before.
    fn evolved_schema(&self) -> Result<Option<SchemaRef>> {
        let there = self.table.snapshot()?.schema();
        if there.fields().len() == self.spec.schema.fields().len() {
            return Ok(None);
        }
        let schema: Schema = there.as_ref().try_into_arrow().with_context(|| self.source_name())?;
        Ok(Some(Arc::new(schema)))
    }

    /// `retries`: how often others may be first, as long as nothing of theirs conflicts.
    async fn commit(
        &mut self,
        actions: Vec<Action>,
        mode: SaveMode,
        positions: &[Position],
        retries: usize,
    ) -> Result<()> {
        let partition_by = self.spec.partitioned_by.iter().map(|&column| column.to_owned()).collect();
        self.point("commit.before")?;
        let operation = DeltaOperation::Write { mode, partition_by: Some(partition_by), predicate: None };
        let properties = self.next_commit(positions).with_max_retries(retries);
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(self.table.snapshot()?.snapshot()), self.table.log_store(), operation)
            .await
            .with_context(|| format!("committing to {}", self.source_name()))?;
        self.point("commit.after")?;
        self.table.state = Some(committed.snapshot());
        let version = self.version();
        if let Some(known) = &mut self.positions {
            known.committed(version, positions.iter().map(|position| (position.source.clone(), position.at)));
        }
        Ok(())
    }

    /// Reads the table at the version at hand, also while the table goes on.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(self.spec, self.table.clone())
    }

    /// See [`Reader::changes_since`].
    ///
    /// # Errors
    /// When the log cannot be read, or no longer reaches back that far.
    pub async fn changes_since(&self, version: Option<i64>, max_rows: u64, max_bytes: u64) -> Result<Vec<Change>> {
        self.reader().changes_since(version, max_rows, max_bytes).await
    }

    /// See [`Reader::actions`].
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn actions(&self, version: i64) -> Result<Option<Vec<Action>>> {
        self.reader().actions(version).await
    }

    /// See [`Reader::read`].
    ///
    /// # Errors
    /// When the file cannot be fetched or is not Parquet.
    pub async fn read(&self, file: &Add, columns: &[&str]) -> Result<Vec<RecordBatch>> {
        self.reader().read(file, columns).await
    }

    /// The files that hold the rows of the given dates now (for tables partitioned by `date`), or all for `None`.
    ///
    /// # Errors
    /// When the table's state is not loaded.
    #[expect(deprecated, reason = "the replacement returns Arrow rows, of which the same action would be made by hand")]
    pub fn files(&self, dates: Option<&BTreeSet<String>>) -> Result<Vec<Add>> {
        let state = self.table.snapshot()?;
        let log = state.log_data();
        let wanted = |values: &HashMap<String, Option<String>>| match (dates, values.get("date")) {
            (None, _) => true,
            (Some(dates), Some(Some(date))) => dates.contains(date),
            (Some(_), _) => false,
        };
        Ok(log.iter().filter(|file| wanted(&file.partition_values_map())).map(|file| file.add_action()).collect())
    }

    /// How many rows it has, as the log says.
    ///
    /// # Errors
    /// When the table's state is not loaded.
    pub fn rows(&self) -> Result<u64> {
        let state = self.table.snapshot()?;
        Ok(state.log_data().iter().map(|file| file.num_records().unwrap_or(0) as u64).sum())
    }

    /// When the version at hand was stored, by the clock of the storage.
    ///
    /// # Errors
    /// When the storage does not answer.
    pub async fn stored_at(&self) -> Result<DateTime<Utc>> {
        let path = commit_uri_from_version(self.table.version());
        let found = self.table.object_store().head(&path).await;
        Ok(found.with_context(|| format!("looking for the last commit of {}", self.source_name()))?.last_modified)
    }

    /// When a version was committed, as its log entry says; `None` where the log does not reach back that far.
    #[must_use]
    pub fn committed_at(&self, version: i64) -> Option<DateTime<Utc>> {
        let state = self.table.snapshot().ok()?;
        state.version_timestamp(u64::try_from(version).ok()?).and_then(DateTime::from_timestamp_millis)
    }
}
