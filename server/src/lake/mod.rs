//! The lake's tables, for people and programs: what there is, what it was at earlier versions, and SQL over all of it.
//!
//! * [`Catalogue`]: lists the tables, shows one of them, runs a statement
//! * [`sql`]: statements of people, in processes of their own
//! * `tables`: the open tables; `described`: what each holds and what it is made from; `history`: its commits
//! * [`grid`]: rows as text; [`formats`]: rows as CSV, Arrow and Parquet
//! * `rest`: all of it over HTTP

mod described;
pub mod formats;
pub mod grid;
mod history;
pub(crate) mod rest;
pub mod sql;
mod tables;

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result};
use chrono::DateTime;
use deltalake::{
    DeltaTable,
    arrow::datatypes::{FieldRef, Schema},
    kernel::engine::arrow_conversion::TryIntoArrow,
};
use etl::lake::TableSpec;
use model::{
    lake::{ColumnInfo, GridColumn, SqlTable, TableDetail, TableSummary},
    topic::Layer,
};
use url::Url;

use sql::Workers;
pub use sql::{Limits, Question, Rows, SqlError};
pub use tables::TableError;
use tables::{Tables, full_name};

/// Rows of a preview.
const PREVIEW_ROWS: usize = 50;

/// Why a table cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("the preview cannot be read: {0}")]
    Preview(SqlError),
}

/// All tables of a lake, and SQL over them.
pub struct Catalogue {
    tables: Tables,
    workers: Workers,
}

impl Catalogue {
    /// The lake with this root. `program` is the path of `streamlinehub`, which SQL runs in.
    pub fn new(lake: &Url, program: PathBuf, limits: Limits) -> Catalogue {
        Catalogue { tables: Tables::new(lake), workers: Workers::new(program, lake.clone(), limits) }
    }

    /// Every table that exists, layer by layer.
    ///
    /// # Errors
    /// A table cannot be read.
    pub async fn tables(&self) -> Result<Vec<TableSummary>> {
        let mut summaries = Vec::new();
        for spec in self.tables.specs() {
            match self.tables.at(spec.layer, spec.name, None).await {
                Ok(table) => summaries.push(summary(spec, &table).await?),
                Err(TableError::NotMade(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(summaries)
    }

    /// A table at its newest version, or at an earlier one.
    ///
    /// # Errors
    /// See [`ShowError`].
    pub async fn table(&self, layer: Layer, name: &str, version: Option<u64>) -> Result<TableDetail, ShowError> {
        let spec = self.tables.spec(layer, name)?;
        let table = self.tables.at(layer, name, version).await?;
        let summary = summary(spec, &table).await.map_err(TableError::Internal)?;
        let history = history::of(&table, summary.version).await.map_err(TableError::Internal)?;
        let question = Question {
            sql: format!("SELECT * FROM {}", full_name(spec)),
            rows: PREVIEW_ROWS,
            versions: BTreeMap::from([(full_name(spec), summary.version)]),
        };
        let gone = || TableError::Gone { table: full_name(spec), asked: summary.version, newest: summary.version };
        let rows = self.workers.run(&question).await.map_err(|error| match error {
            // The log of the version is still there, its files are not.
            SqlError::Changed if version.is_some() => ShowError::Table(gone()),
            error => ShowError::Preview(error),
        })?;
        let preview = grid::grid(&rows, PREVIEW_ROWS).map_err(|error| TableError::Internal(error.into()))?;
        let columns = columns(&table).map_err(TableError::Internal)?;
        let columns = columns.fields().iter().map(|field| ColumnInfo {
            name: field.name().clone(),
            data_type: grid::type_name(field.data_type()),
            nullable: field.is_nullable(),
            description: described::column(spec, field.name()).to_owned(),
        });
        Ok(TableDetail {
            summary,
            columns: columns.collect(),
            partitioned_by: spec.partitioned_by.iter().map(|name| (*name).to_owned()).collect(),
            history,
            preview,
        })
    }

    /// What statements may name, whether it was made yet or not.
    ///
    /// # Errors
    /// The columns of a table are none that we know.
    pub async fn sql_tables(&self) -> Result<Vec<SqlTable>> {
        let column =
            |field: &FieldRef| GridColumn { name: field.name().clone(), data_type: grid::type_name(field.data_type()) };
        let mut sql_tables = Vec::new();
        for spec in self.tables.specs() {
            let columns = match self.tables.at(spec.layer, spec.name, None).await {
                Ok(table) => columns(&table)?.fields().iter().map(column).collect(),
                // Not made yet; or it cannot be read, which whoever asks it is told.
                Err(_) => spec.schema.fields().iter().map(column).collect(),
            };
            sql_tables.push(SqlTable { name: full_name(spec), columns });
        }
        Ok(sql_tables)
    }

    /// Runs no more statements and ends the processes that did.
    pub async fn stop(&self) {
        self.workers.stop().await;
    }

    /// Whether a table was made yet.
    ///
    /// # Errors
    /// The storage or the log cannot be read.
    pub async fn has(&self, spec: &TableSpec) -> Result<bool> {
        match self.tables.at(spec.layer, spec.name, None).await {
            Ok(_) => Ok(true),
            Err(TableError::NotMade(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs a statement that reads. Answers one row more than asked for where there are more. Whoever stops waiting ends it.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub async fn run(&self, question: &Question) -> Result<Rows, SqlError> {
        self.workers.run(question).await
    }
}

/// The columns of a table, which may be more than every lake has: the settings declare some.
fn columns(table: &DeltaTable) -> Result<Schema> {
    let schema = table.snapshot()?.schema();
    Ok(schema.as_ref().try_into_arrow()?)
}

async fn summary(spec: &TableSpec, table: &DeltaTable) -> Result<TableSummary> {
    let version = table.version().context("an open table has a version")?;
    let state = table.snapshot()?;
    let (mut rows, mut files, mut bytes) = (0, 0, 0);
    for file in state.log_data().iter() {
        rows += file.num_records().map_or(0, |rows| rows as u64);
        files += 1;
        bytes += u64::try_from(file.size()).unwrap_or_default();
    }
    let last_commit = match state.version_timestamp(version).and_then(DateTime::from_timestamp_millis) {
        Some(at) => Some(at),
        None => history::committed_at(table, version).await,
    };
    Ok(TableSummary {
        layer: spec.layer,
        name: spec.name.to_owned(),
        rows,
        files,
        bytes,
        version,
        last_commit,
        description: described::table(spec).to_owned(),
        sources: described::sources(spec),
    })
}
