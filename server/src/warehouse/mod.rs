//! The Gold tables in memory, asked with DataFusion.
//!
//! A refresh reads the files that are new, drops those that were replaced, and puts a new snapshot in place of the old one
//! at once: a question sees one moment, whatever is committed meanwhile. Every question is bounded in time, in memory, in
//! rows, and in how many run at a time.

mod answer;
mod engine;
mod gold;
mod keys;
mod loader;
mod memory;
mod offsets;
mod products;
mod snapshot;
mod sql;

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use deltalake::arrow::array::RecordBatch;
use futures::future::try_join_all;
use model::{
    metric::{Dimension, GoldTable},
    query::{MAX_FILTER_VALUES, MAX_FILTERS, MetricQuery, Row},
};
use tokio::sync::{Mutex, OnceCell, watch};
use tokio_util::sync::CancellationToken;
use url::Url;

pub use engine::Limits;
pub use offsets::Offsets;
pub use products::Description;

use crate::delta;
use engine::Engine;
use gold::Dictionaries;
use loader::Loader;
use memory::MemoryTable;
use snapshot::{Snapshot, Versioned};

/// Answers that are kept, by question and content of the tables.
const CACHED_ANSWERS: u64 = 256;
/// Longer answers are computed anew each time, so that the cache stays small.
const CACHED_ROWS: usize = 1_000;
/// An answer that nobody asked for again is forgotten.
const CACHED_FOR: Duration = Duration::from_secs(600);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("`{metric}` cannot be split by {}", dimension.name())]
    NoSuchSplit { metric: &'static str, dimension: Dimension },
    #[error("{}", no_source(metric, dimensions))]
    NoSource { metric: &'static str, dimensions: Vec<Dimension> },
    #[error("a question has at most {MAX_FILTERS} filters, each with at most {MAX_FILTER_VALUES} values")]
    TooManyFilters,
    #[error("the question takes longer than {} seconds; a shorter range or a coarser granularity will help", .0.as_secs())]
    Timeout(Duration),
    #[error("the question needs too much memory; a shorter range or a coarser granularity will help")]
    TooLarge,
    #[error("too much is being asked right now; try again in a moment")]
    Busy,
    /// Not for the person who asked.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

fn no_source(metric: &str, dimensions: &[Dimension]) -> String {
    match dimensions {
        [only] => format!("`{metric}` cannot be filtered by {}", only.name()),
        several => {
            let names: Vec<_> = several.iter().map(|dimension| dimension.name()).collect();
            format!("`{metric}` is not known by {} together", names.join(" and "))
        }
    }
}

/// What an answer depends on: the question, and the content of the tables that it reads.
#[derive(Clone, PartialEq, Eq, Hash)]
struct CacheKey {
    metrics: Vec<&'static str>,
    interval: model::range::Interval,
    granularity: Option<model::range::Granularity>,
    split: Option<Dimension>,
    /// As codes, which are short, and mean the same for as long as the process lives.
    kept: Vec<sql::Kept>,
    offsets: Offsets,
    limit: usize,
    changes: Vec<u64>,
}

type Answer = Arc<OnceCell<Arc<Vec<Row>>>>;

/// The Gold tables in memory.
pub struct Warehouse {
    engine: Engine,
    dictionaries: Arc<Dictionaries>,
    loader: Mutex<Loader>,
    snapshot: watch::Sender<Arc<Snapshot>>,
    cache: moka::sync::Cache<CacheKey, Answer>,
    trouble: watch::Sender<Option<String>>,
}

impl Warehouse {
    /// An empty warehouse over the lake with this root; [`Warehouse::refresh`] fills it.
    ///
    /// # Errors
    /// Its threads cannot be started.
    pub fn new(lake: &Url, limits: Limits) -> Result<Warehouse> {
        let engine = Engine::new(limits)?;
        let dictionaries = Arc::new(Dictionaries::default());
        let loader = Loader::new(lake, Arc::clone(&dictionaries));
        let first = Snapshot::new(engine.base(), loader.tables.clone(), loader.products.clone())?;
        let cache = moka::sync::Cache::builder().max_capacity(CACHED_ANSWERS).time_to_idle(CACHED_FOR).build();
        Ok(Warehouse {
            engine,
            dictionaries,
            loader: Mutex::new(loader),
            snapshot: watch::Sender::new(Arc::new(first)),
            cache,
            trouble: watch::Sender::new(None),
        })
    }

    /// Takes in what was committed since the last time; answers whether there was anything.
    ///
    /// # Errors
    /// A table could not be read. It keeps the rows that it had; the others are up to date all the same.
    pub async fn refresh(&self) -> Result<bool> {
        let mut loader = self.loader.lock().await;
        let (changed, errors) = loader.refresh().await;
        if changed {
            let next = Snapshot::new(self.engine.base(), loader.tables.clone(), loader.products.clone())?;
            self.snapshot.send_replace(Arc::new(next));
        }
        errors.into_iter().next().map_or(Ok(changed), Err)
    }

    /// Refreshes whenever a commit is announced, and after `at_least_every` in any case, until it is cancelled.
    pub async fn follow(
        &self,
        mut announced: watch::Receiver<u64>,
        at_least_every: Duration,
        cancelled: CancellationToken,
    ) {
        while !cancelled.is_cancelled() {
            match self.refresh().await {
                Ok(_) => _ = self.trouble.send_replace(None),
                // A file that was replaced under our hands is routine; the next round reads its successor.
                Err(error) if delta::was_replaced(&error) => tracing::debug!("{error:#}"),
                Err(error) => {
                    if self.trouble.send_replace(Some(format!("{error:#}"))).is_none() {
                        tracing::warn!("the warehouse cannot follow the lake and goes on with what it has: {error:#}");
                    }
                }
            }
            let pause = tokio::time::sleep(at_least_every);
            tokio::select! {
                // An error says that nobody announces any more; then only the pause counts.
                Ok(()) = announced.changed() => {}
                () = pause => {}
                () = cancelled.cancelled() => {}
            }
        }
    }

    /// Why the tables are not up to date, while they are not.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// Rows of a table, as they are held now.
    pub fn rows(&self, table: GoldTable) -> usize {
        self.snapshot.borrow().rows(table)
    }

    /// What is known of a product.
    pub fn describe_product(&self, product_id: &str) -> Description {
        self.snapshot.borrow().products().describe(product_id, &self.dictionaries)
    }

    /// Answers a question: by time, or by the greatest first metric, or both; see [`MetricQuery`]. Buckets are of UTC.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query(&self, query: &MetricQuery) -> Result<Arc<Vec<Row>>, QueryError> {
        self.query_local(query, &Offsets::utc()).await
    }

    /// The same with days, weeks and months of local time; the rows name the moments at which they begin.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query_local(&self, query: &MetricQuery, offsets: &Offsets) -> Result<Arc<Vec<Row>>, QueryError> {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let parts = parts(query)?;
        let key = CacheKey {
            metrics: query.metrics.iter().map(|metric| metric.name).collect(),
            interval: query.interval,
            granularity: query.granularity,
            split: query.split,
            kept: sql::Kept::of(query, &self.dictionaries),
            offsets: offsets.clone(),
            limit: query.limit,
            changes: snapshot.changes(&parts, query),
        };
        // Whoever asks the same at the same time waits for the one computation.
        let answer = self.cache.get_with_by_ref(&key, Answer::default);
        let rows = answer.get_or_try_init(|| self.compute(&snapshot, query, parts, &key.kept, offsets)).await?;
        if rows.len() > CACHED_ROWS {
            self.cache.invalidate(&key);
        }
        Ok(Arc::clone(rows))
    }

    /// The same as [`Warehouse::query`], computed anew.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query_uncached(&self, query: &MetricQuery) -> Result<Arc<Vec<Row>>, QueryError> {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        let kept = sql::Kept::of(query, &self.dictionaries);
        self.compute(&snapshot, query, parts(query)?, &kept, &Offsets::utc()).await
    }

    /// The Gold tables that answer a question.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn tables_of(query: &MetricQuery) -> Result<Vec<GoldTable>, QueryError> {
        Ok(parts(query)?.into_iter().map(|part| part.table).collect())
    }

    /// The same as [`Warehouse::query_local`] over other rows than those of the lake as it is now: with the columns of each
    /// table that [`Warehouse::tables_of`] names. Products are described as they are now.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query_over(
        &self,
        rows: Vec<(GoldTable, RecordBatch)>,
        query: &MetricQuery,
        offsets: &Offsets,
    ) -> Result<Arc<Vec<Row>>, QueryError> {
        let now = Arc::clone(&self.snapshot.borrow());
        let mut tables = GoldTable::ALL.map(|table| Versioned::new(MemoryTable::new(gold::schema(table), Vec::new())));
        for (table, rows) in rows {
            let mut rows = gold::compact(table, &self.dictionaries, &rows)?;
            if table == GoldTable::ProductSales {
                rows = gold::with_products(&rows, now.products())?;
            }
            tables[table as usize].replace(MemoryTable::new(gold::schema(table), vec![rows]));
        }
        let snapshot = Snapshot::new(self.engine.base(), tables, now.versioned_products())?;
        let kept = sql::Kept::of(query, &self.dictionaries);
        self.compute(&snapshot, query, parts(query)?, &kept, offsets).await
    }

    /// Drops every kept answer.
    pub fn forget_answers(&self) {
        self.cache.invalidate_all();
    }

    async fn compute(
        &self,
        snapshot: &Snapshot,
        query: &MetricQuery,
        parts: Vec<sql::Part>,
        kept: &[sql::Kept],
        offsets: &Offsets,
    ) -> Result<Arc<Vec<Row>>, QueryError> {
        let answers = parts.into_iter().map(async |part| {
            let statement = sql::statement(&part, query, kept, offsets);
            let batches = self.engine.run(snapshot.context().clone(), statement).await?;
            Ok::<_, QueryError>((part, batches))
        });
        let answers = try_join_all(answers).await?;
        let mut rows = answer::join(query, &answers, &self.dictionaries, offsets)?;
        rows.truncate(query.limit);
        Ok(Arc::new(rows))
    }
}

fn parts(query: &MetricQuery) -> Result<Vec<sql::Part>, QueryError> {
    if query.filters.len() > MAX_FILTERS || query.filters.iter().any(|filter| filter.values.len() > MAX_FILTER_VALUES) {
        return Err(QueryError::TooManyFilters);
    }
    sql::parts(query).map_err(|metric| {
        let mut dimensions: Vec<Dimension> = query.filters.iter().map(|filter| filter.dimension).collect();
        match query.split {
            Some(dimension) if dimensions.iter().all(|other| *other == dimension) => {
                QueryError::NoSuchSplit { metric, dimension }
            }
            split => {
                dimensions.extend(split);
                dimensions.sort_unstable();
                dimensions.dedup();
                QueryError::NoSource { metric, dimensions }
            }
        }
    })
}
