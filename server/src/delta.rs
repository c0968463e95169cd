//! Delta tables followed from commit to commit, reading each data file once.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use deltalake::{
    DeltaTable, DeltaTableBuilder, ObjectStoreError, Path,
    arrow::{
        array::{ArrayRef, AsArray, RecordBatch, RecordBatchReader, StringArray},
        compute::{cast, concat_batches},
        datatypes::DataType,
    },
    logstore::object_store::ObjectStoreExt,
    parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder},
};
use etl::lake::table::{LIST_LOG_EVERY, has_news};
use futures::{StreamExt, TryStreamExt};
use url::Url;

/// Files that are fetched and decoded at the same time.
const PARALLEL_FILES: usize = 2;

/// The address of a table below the lake's root.
pub fn table_url(lake: &Url, layer: &str, table: &str) -> Url {
    let mut url = lake.clone();
    url.set_path(&format!("{}/{layer}/{table}/", lake.path().trim_end_matches('/')));
    url
}

/// The table at its newest commit: opened if it was not open, brought up to date if it was; `None` while it does not exist.
///
/// # Errors
/// The storage or the log cannot be read. The table is opened anew the next time, in case it was replaced.
pub async fn refresh<'a>(table: &'a mut Option<DeltaTable>, location: &Url) -> Result<Option<&'a DeltaTable>> {
    let newest = match table.take() {
        Some(mut open) => {
            open.update_state().await.with_context(|| format!("cannot follow {location}"))?;
            open
        }
        None => {
            let mut closed = DeltaTableBuilder::from_url(location.clone())?.build()?;
            if !closed.verify_deltatable_existence().await.with_context(|| format!("cannot look at {location}"))? {
                return Ok(None);
            }
            closed.load().await.with_context(|| format!("cannot open {location}"))?;
            closed
        }
    };
    Ok(Some(table.insert(newest)))
}

/// A table and what was made of each of its data files. The cost of a refresh grows with what is new, not with what is there.
pub struct Follower<T> {
    location: Url,
    table: Option<DeltaTable>,
    /// When the whole log was last looked at.
    listed: Instant,
    version: Option<u64>,
    files: BTreeMap<String, Arc<T>>,
}

impl<T: Send + Sync + 'static> Follower<T> {
    pub fn new(location: Url) -> Follower<T> {
        Follower { location, table: None, listed: Instant::now(), version: None, files: BTreeMap::new() }
    }

    /// The Delta version that [`Follower::files`] belongs to; `None` before the table exists.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// What was made of each file, by the file's path.
    pub fn files(&self) -> &BTreeMap<String, Arc<T>> {
        &self.files
    }

    /// Takes in the newest commit: reads the files that are new and forgets those that were removed.
    /// Answers whether there was a change.
    ///
    /// # Errors
    /// The table or a file cannot be read. What was there before stays as it was.
    pub async fn refresh<F>(&mut self, read: F) -> Result<bool>
    where
        F: Fn(Bytes) -> Result<T> + Clone + Send + 'static,
    {
        if let Some(table) = &self.table
            && self.version == table.version()
            && self.listed.elapsed() < LIST_LOG_EVERY
            && !has_news(table).await?
        {
            return Ok(false);
        }
        self.listed = Instant::now();
        let Some(table) = refresh(&mut self.table, &self.location).await? else {
            let was_there = self.version.take().is_some();
            self.files.clear();
            return Ok(was_there);
        };
        let version = table.version();
        if version == self.version {
            return Ok(false);
        }
        let (known, new): (Vec<Path>, Vec<Path>) = table
            .snapshot()?
            .log_data()
            .iter()
            .map(|file| file.object_store_path())
            .partition(|path| self.files.contains_key(path.as_ref()));
        let store = table.object_store();
        let fetched: Vec<(Path, T)> = futures::stream::iter(new)
            .map(|path| {
                let (store, read) = (Arc::clone(&store), read.clone());
                async move {
                    let content = store.get(&path).await?.bytes().await?;
                    let made = tokio::task::spawn_blocking(move || read(content)).await?;
                    anyhow::Ok((path, made?))
                }
            })
            .buffer_unordered(PARALLEL_FILES)
            .try_collect()
            .await
            .with_context(|| format!("cannot read a file of {}", self.location))?;
        let mut files: BTreeMap<String, Arc<T>> = BTreeMap::new();
        for path in known {
            if let Some(kept) = self.files.get(path.as_ref()) {
                files.insert(path.to_string(), Arc::clone(kept));
            }
        }
        files.extend(fetched.into_iter().map(|(path, made)| (path.to_string(), Arc::new(made))));
        self.files = files;
        self.version = version;
        Ok(true)
    }
}

/// Whether a refresh failed because a file went away under it: a newer commit has replaced it, and the next refresh sees that.
pub fn was_replaced(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(ObjectStoreError::NotFound { .. })))
}

/// The named columns of a Parquet file as one batch; columns that the file lacks are left out.
///
/// # Errors
/// It is not a Parquet file, or a damaged one.
pub fn read_parquet(content: Bytes, columns: &[&str]) -> Result<RecordBatch> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(content)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder.with_projection(mask).build()?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// A column of a batch in the type that is worked with, however the writer encoded it.
///
/// # Errors
/// The column is missing or cannot be converted.
pub fn column(batch: &RecordBatch, name: &str, as_type: &DataType) -> Result<ArrayRef> {
    let column = batch.column_by_name(name).ok_or_else(|| anyhow!("there is no column `{name}`"))?;
    cast(column, as_type).with_context(|| format!("column `{name}` is {}, not {as_type}", column.data_type()))
}

/// A text column, however the writer encoded it.
///
/// # Errors
/// The column is missing or is not text.
pub fn strings(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    Ok(column(batch, name, &DataType::Utf8)?.as_string::<i32>().clone())
}
