//! The lake's tables, opened when they are asked for and brought up to date when they are asked for again.

use anyhow::{Context, Result};
use deltalake::DeltaTable;
use etl::lake::{
    TableSpec, schema,
    table::{LIST_LOG_EVERY, has_news},
};
use model::topic::Layer;
use tokio::{
    sync::{Mutex, Semaphore},
    time::Instant,
};
use url::Url;

use crate::delta::{self, table_url};

/// Earlier versions that are opened at the same time.
const EARLIER_AT_ONCE: usize = 2;

/// Why a table cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("there is no table {0}")]
    NoSuchTable(String),
    #[error("there is nothing in {0} yet; it is made when the first event comes")]
    NotMade(String),
    #[error("version {asked} of {table} does not exist yet; the newest is {newest}")]
    NotYet { table: String, asked: u64, newest: u64 },
    #[error("version {asked} of {table} is gone: its log or its files were cleaned up; the newest is {newest}")]
    Gone { table: String, asked: u64, newest: u64 },
    #[error("{0:#}")]
    Internal(#[from] anyhow::Error),
}

/// All tables of a lake.
#[derive(Debug)]
pub(super) struct Tables {
    tables: Vec<Watched>,
    earlier: Semaphore,
}

#[derive(Debug)]
struct Watched {
    spec: &'static TableSpec,
    location: Url,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    table: Option<DeltaTable>,
    listed: Option<Instant>,
}

impl Watched {
    /// The table at its newest commit; `None` while it does not exist.
    async fn newest(&self) -> Result<Option<DeltaTable>> {
        let mut open = self.open.lock().await;
        if let (Some(table), Some(listed)) = (&open.table, open.listed)
            && listed.elapsed() < LIST_LOG_EVERY
            && !has_news(table).await?
        {
            return Ok(Some(table.clone()));
        }
        open.listed = Some(Instant::now());
        Ok(delta::refresh(&mut open.table, &self.location).await?.cloned())
    }
}

/// As SQL names it.
pub(super) fn full_name(spec: &TableSpec) -> String {
    format!("{}.{}", spec.layer.name(), spec.name)
}

impl Tables {
    /// The tables of the lake with this root.
    pub(super) fn new(lake: &Url) -> Tables {
        let tables = schema::all().into_iter().map(|spec| Watched {
            spec,
            location: table_url(lake, spec.layer.name(), spec.name),
            open: Mutex::default(),
        });
        Tables { tables: tables.collect(), earlier: Semaphore::new(EARLIER_AT_ONCE) }
    }

    /// Every table, whether it was made yet or not.
    pub(super) fn specs(&self) -> impl Iterator<Item = &'static TableSpec> {
        self.tables.iter().map(|table| table.spec)
    }

    /// What a table is.
    ///
    /// # Errors
    /// There is no such table.
    pub(super) fn spec(&self, layer: Layer, name: &str) -> Result<&'static TableSpec, TableError> {
        self.find(layer, name).map(|table| table.spec)
    }

    fn find(&self, layer: Layer, name: &str) -> Result<&Watched, TableError> {
        let found = self.tables.iter().find(|table| table.spec.layer == layer && table.spec.name == name);
        found.ok_or_else(|| {
            let shown: String = name.chars().take(60).collect();
            TableError::NoSuchTable(format!("{}.{shown}", layer.name()))
        })
    }

    /// A table at its newest version, or at an earlier one.
    ///
    /// # Errors
    /// See [`TableError`].
    pub(super) async fn at(&self, layer: Layer, name: &str, version: Option<u64>) -> Result<DeltaTable, TableError> {
        let watched = self.find(layer, name)?;
        let table = full_name(watched.spec);
        let mut open = watched.newest().await?.ok_or_else(|| TableError::NotMade(table.clone()))?;
        let newest = open.version().context("an open table has a version")?;
        let Some(asked) = version.filter(|asked| *asked != newest) else { return Ok(open) };
        if asked > newest {
            return Err(TableError::NotYet { table, asked, newest });
        }
        let _turn = self.earlier.acquire().await.context("nothing is opened any more")?;
        if let Err(error) = open.load_version(asked).await {
            tracing::debug!("version {asked} of {} cannot be opened: {error}", watched.location);
            return Err(TableError::Gone { table, asked, newest });
        }
        Ok(open)
    }
}
