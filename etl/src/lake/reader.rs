//! Reads a table at one version: what its commits did, and the rows of its files.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use deltalake::{
    DeltaTable, ObjectStore, Path,
    arrow::{
        array::{RecordBatch, RecordBatchReader as _},
        compute::cast,
        datatypes::Schema,
    },
    kernel::{Action, Add},
    logstore::get_actions,
    parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder},
};

use super::schema::TableSpec;
use crate::chaos;

/// Files that one commit added with new rows in them.
#[derive(Debug)]
pub struct Change {
    pub version: i64,
    pub files: Vec<Add>,
    /// Whether it took rows away too.
    pub removed: bool,
}

impl Change {
    /// Rows in the added files, as the log says.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(rows_of).sum()
    }

    /// Bytes of the added files, compressed as they are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| u64::try_from(file.size).unwrap_or(0)).sum()
    }
}

fn rows_of(add: &Add) -> u64 {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stats {
        num_records: u64,
    }
    add.stats
        .as_deref()
        .and_then(|stats| serde_json::from_str::<Stats>(stats).ok())
        .map_or(0, |stats| stats.num_records)
}

/// A table at one version.
#[derive(Clone)]
pub struct Reader {
    spec: &'static TableSpec,
    table: DeltaTable,
}

impl Reader {
    pub(super) fn new(spec: &'static TableSpec, table: DeltaTable) -> Reader {
        Reader { spec, table }
    }

    fn source_name(&self) -> String {
        format!("{}/{}", self.spec.layer.name(), self.spec.name)
    }

    fn version(&self) -> i64 {
        self.table.version().and_then(|version| i64::try_from(version).ok()).unwrap_or(-1)
    }

    /// What was added after the given version, oldest first, up to the version that was read last. Files that only
    /// rearrange rows, as compaction does, are left out.
    ///
    /// At least one version is returned where there is one; then as many more as fit into `max_rows`, and their files into
    /// `max_bytes`.
    ///
    /// # Errors
    /// When the log cannot be read, or no longer reaches back that far.
    pub async fn changes_since(&self, version: Option<i64>, max_rows: u64, max_bytes: u64) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        for version in version.map_or(0, |version| version + 1)..=self.version() {
            let change = self.change(version).await?;
            rows += change.rows();
            bytes += change.bytes();
            if (rows > max_rows || bytes > max_bytes) && !changes.is_empty() {
                break;
            }
            changes.push(change);
        }
        Ok(changes)
    }

    /// What a commit did; `None` where its entry is gone from the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn actions(&self, version: i64) -> Result<Option<Vec<Action>>> {
        let number = u64::try_from(version).context("a version is never negative")?;
        let context = || format!("reading version {version} of {}", self.source_name());
        let entry = self.table.log_store().read_commit_entry(number).await.with_context(context)?;
        entry.map(|entry| get_actions(number, &entry).with_context(context)).transpose()
    }

    async fn change(&self, version: i64) -> Result<Change> {
        let Some(actions) = self.actions(version).await? else {
            bail!(
                "version {version} of {} is gone from the Delta log, and its rows were not processed yet",
                self.source_name()
            );
        };
        let removed = actions.iter().any(|action| matches!(action, Action::Remove(remove) if remove.data_change));
        let files = actions.into_iter().filter_map(|action| match action {
            Action::Add(add) if add.data_change => Some(add),
            _ => None,
        });
        Ok(Change { version, files: files.collect(), removed })
    }

    /// The named columns of one file; columns that are partitions are not in files.
    ///
    /// # Errors
    /// When the file cannot be fetched or is not Parquet.
    pub async fn read(&self, file: &Add, columns: &[&str]) -> Result<Vec<RecordBatch>> {
        chaos::point(format_args!("{}/{}.read", self.spec.layer.name(), self.spec.name))?;
        let context = || format!("reading {} of {}", file.path, self.source_name());
        let store = self.table.object_store();
        let path = Path::parse(&file.path).with_context(context)?;
        let found = store.get_opts(&path, Default::default()).await.with_context(context)?;
        let bytes = found.bytes().await.with_context(context)?;
        let columns: Vec<String> = columns.iter().map(|&column| column.to_owned()).collect();
        let schema = self.spec.schema.clone();
        tokio::task::spawn_blocking(move || decode(bytes, &columns, &schema))
            .await
            .with_context(context)?
            .with_context(context)
    }
}

/// The named columns in the types of the table's schema, whoever wrote the file: merging small files keeps the same text as
/// another type of Arrow, and says so in the file.
fn decode(bytes: Bytes, columns: &[String], schema: &Schema) -> Result<Vec<RecordBatch>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().map(String::as_str));
    let reader = builder.with_projection(mask).with_batch_size(8192).build()?;
    let fields: Vec<_> = reader
        .schema()
        .fields()
        .iter()
        .map(|stored| {
            let known = schema.fields().find(stored.name()).map(|(_, field)| field);
            Arc::clone(known.unwrap_or(stored))
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let typed = |batch: RecordBatch| -> Result<RecordBatch> {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<_, _>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&schema), columns)?)
    };
    reader.map(|batch| typed(batch?)).collect()
}
