//! The numbers of the metric catalogue, as they are now or as they stood at an earlier time.
//!
//! Gold is kept up to date and forgets what it was; Silver keeps each event, with the time at which it came in. So what Gold
//! said at a time is made anew from the Silver rows that had come in by then. That holds for as long as Silver is kept,
//! whatever became of older versions of the tables. Departments, categories and brands of products are those of today.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use deltalake::arrow::compute::concat_batches;
use etl::gold;
use model::{
    metric::GoldTable,
    query::{MetricQuery, Row},
    range::{GRAIN, Interval},
};

use crate::{
    lake::{Catalogue, Question, SqlError},
    warehouse::{Offsets, QueryError, Warehouse},
};

/// Rows of one table that are made anew at most.
const MOST_ROWS: usize = 5_000_000;

/// Where numbers come from.
#[derive(Clone, Copy)]
pub struct Numbers<'a> {
    warehouse: &'a Warehouse,
    earlier: Option<(&'a Catalogue, DateTime<Utc>)>,
}

impl<'a> Numbers<'a> {
    /// As they are.
    pub fn now(warehouse: &'a Warehouse) -> Numbers<'a> {
        Numbers { warehouse, earlier: None }
    }

    /// As they were at a time.
    pub fn as_of(warehouse: &'a Warehouse, catalogue: &'a Catalogue, at: DateTime<Utc>) -> Numbers<'a> {
        Numbers { warehouse, earlier: Some((catalogue, at)) }
    }

    /// What is known beside numbers.
    pub fn warehouse(self) -> &'a Warehouse {
        self.warehouse
    }

    /// See [`Warehouse::query_local`].
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn query(self, query: &MetricQuery, offsets: &Offsets) -> Result<Arc<Vec<Row>>, QueryError> {
        let Some((catalogue, at)) = self.earlier else { return self.warehouse.query_local(query, offsets).await };
        let mut tables = Vec::new();
        for table in Warehouse::tables_of(query)? {
            if !catalogue.has(gold::source_of(table)).await? {
                continue;
            }
            let question = Question { sql: remade(table, query, offsets, at), rows: MOST_ROWS, ..Question::default() };
            let rows = catalogue.run(&question).await.map_err(unanswered)?;
            let batch = concat_batches(&rows.schema, &rows.batches).map_err(anyhow::Error::from)?;
            tables.push((table, batch));
        }
        self.warehouse.query_over(tables, query, offsets).await
    }
}

fn unanswered(error: SqlError) -> QueryError {
    match error {
        SqlError::TooLong(time) => QueryError::Timeout(time),
        SqlError::TooLarge => QueryError::TooLarge,
        SqlError::Busy | SqlError::Changed => QueryError::Busy,
        other => QueryError::Internal(other.into()),
    }
}

/// The statement that makes a table anew, only as fine as the question needs it.
fn remade(table: GoldTable, query: &MetricQuery, offsets: &Offsets, at: DateTime<Utc>) -> String {
    let begins = match query.granularity {
        None => "date_trunc('year', occurred_at)".to_owned(),
        // Days of local time are made of these.
        Some(_) if *offsets != Offsets::utc() => {
            format!("date_bin(INTERVAL '{} minutes', occurred_at)", GRAIN.num_minutes())
        }
        Some(granularity) => format!("date_trunc('{}', occurred_at)", granularity.name()),
    };
    // What begins before the interval counts as of its beginning.
    let bucket = format!("greatest({begins}, {})", literal(query.interval.from));
    gold::remade(table, &bucket, &condition(query.interval, Some(at)))
}

/// Keeps the Silver rows of an interval, and of those the ones that had come in by a time.
pub(crate) fn condition(interval: Interval, as_of: Option<DateTime<Utc>>) -> String {
    let (from, to) = (interval.from, interval.to);
    let came_in = as_of.map(|at| format!(" AND ingested_at <= {}", literal(at))).unwrap_or_default();
    // The date names the partition, so that others are not read.
    format!(
        "date >= DATE '{}' AND date <= DATE '{}' AND occurred_at >= {} AND occurred_at < {}{came_in}",
        from.date_naive(),
        to.date_naive(),
        literal(from),
        literal(to)
    )
}

fn literal(time: DateTime<Utc>) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", time.timestamp_micros())
}
