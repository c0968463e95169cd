//! What is behind a number: the Silver rows that it was added up from, and the raw event behind a row.

use crate::{
    lake::{self, Catalogue, SqlError, grid},
    numbers::condition,
};
use chrono::{DateTime, Utc};
use etl::{
    gold,
    lake::{TableSpec, schema},
};
use model::{
    lake::{Behind, Grid, RawEvent},
    metric::{Dimension, Metric},
    query::Filter,
    range::Interval,
    topic::Topic,
};

/// Further pages are not sorted out; a shorter interval or a filter leads there.
const FARTHEST: usize = 100_000;

/// Why there are no rows.
#[derive(Debug, thiserror::Error)]
pub enum BehindError {
    #[error("{0}")]
    Invalid(String),
    #[error("the lake has no event from there")]
    NoSuchEvent,
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// Which of the rows.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub limit: usize,
    pub offset: usize,
}

/// A number whose rows are asked for.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub metric: &'static Metric,
    pub interval: Interval,
    pub filters: &'a [Filter],
    /// Only what had come in by then.
    pub as_of: Option<DateTime<Utc>>,
    pub page: Page,
}

/// The rows from which a metric is computed.
///
/// # Errors
/// The metric is not known by what is filtered by, or the rows cannot be read.
pub async fn rows(catalogue: &Catalogue, question: &Question<'_>) -> Result<Behind, BehindError> {
    let metric = question.metric;
    let unknown = || {
        let names: Vec<_> = question.filters.iter().map(|filter| filter.dimension.name()).collect();
        BehindError::Invalid(format!("`{}` is not known by {} together", metric.name, names.join(" and ")))
    };
    let table = metric.source(None, question.filters).ok_or_else(unknown)?.table;
    let source = gold::source_of(table);
    if question.page.offset > FARTHEST {
        let why = format!("there are more than {FARTHEST} rows; a shorter interval or a filter will help");
        return Err(BehindError::Invalid(why));
    }
    let behind = |rows| Behind {
        metric: metric.name.to_owned(),
        table: format!("silver.{}", source.name),
        interval: question.interval,
        filters: question.filters.to_vec(),
        as_of: question.as_of,
        rows,
        next: None,
    };
    if !catalogue.has(source).await.map_err(SqlError::Internal)? {
        return Ok(behind(Grid::default()));
    }
    let asked =
        lake::Question { sql: statement(source, question), rows: question.page.limit, ..lake::Question::default() };
    let found = catalogue.run(&asked).await?;
    let rows = grid::grid(&found, question.page.limit).map_err(|error| SqlError::Internal(error.into()))?;
    Ok(behind(rows))
}

fn statement(source: &TableSpec, question: &Question<'_>) -> String {
    let mut columns: Vec<String> =
        source.schema.fields().iter().map(|field| field.name().clone()).filter(|name| name != "date").collect();
    if !columns.iter().any(|name| name == "topic") {
        let place = columns.iter().position(|name| name == "source_partition").unwrap_or(columns.len());
        columns.insert(place, format!("'{}' AS topic", Topic::Transaction.name()));
    }
    let kept: String = question.filters.iter().map(|filter| format!(" AND {}", keeps(filter))).collect();
    let line = if source.name == schema::TRANSACTION_LINES.name { ", line_number" } else { "" };
    format!(
        "SELECT {} FROM silver.{} WHERE {}{kept} ORDER BY occurred_at, source_partition, source_offset{line} LIMIT {} OFFSET {}",
        columns.join(", "),
        source.name,
        condition(question.interval, question.as_of),
        question.page.limit + 1,
        question.page.offset
    )
}

/// What a filter keeps, in SQL. The empty text stands for what names nothing.
fn keeps(filter: &Filter) -> String {
    let column = filter.dimension.column();
    let named: Vec<String> = filter.values.iter().filter(|value| !value.is_empty()).map(|value| text(value)).collect();
    let unnamed = filter.values.iter().any(String::is_empty);
    let among = format!("{column} IN ({})", named.join(", "));
    if filter.dimension.of_product() {
        let product = Dimension::Product.column();
        let of = |condition: &str| format!("{product} IN (SELECT {product} FROM silver.products WHERE {condition})");
        // A product that nobody described has no row there.
        let without = format!("{product} NOT IN (SELECT {product} FROM silver.products WHERE {column} IS NOT NULL)");
        return match (named.is_empty(), unnamed) {
            (true, true) => without,
            (true, false) => "FALSE".to_owned(),
            (false, true) => format!("({} OR {without})", of(&among)),
            (false, false) => of(&among),
        };
    }
    match (named.is_empty(), unnamed) {
        (true, true) => format!("{column} IS NULL"),
        (true, false) => "FALSE".to_owned(),
        (false, true) => format!("({among} OR {column} IS NULL)"),
        (false, false) => among,
    }
}

/// A text as SQL writes it.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// The event from a place in Kafka, as it came.
///
/// # Errors
/// There is none, or it cannot be read.
pub async fn event(catalogue: &Catalogue, topic: Topic, partition: i32, offset: i64) -> Result<RawEvent, BehindError> {
    let place = format!("topic = {} AND partition = {partition} AND \"offset\" = {offset}", text(topic.name()));
    let columns = "kafka_time, ingested_at, arrow_cast(key, 'Utf8') AS key, headers";
    let tables = [
        (schema::bronze_of(topic), "event_type, payload, NULL AS rejection, NULL AS reason"),
        (&*schema::DEAD_LETTERS, "NULL AS event_type, arrow_cast(payload, 'Utf8') AS payload, rejection, reason"),
    ];
    for (table, rest) in tables {
        if !catalogue.has(table).await.map_err(SqlError::Internal)? {
            continue;
        }
        let sql = format!("SELECT {columns}, {rest} FROM bronze.{} WHERE {place} LIMIT 1", table.name);
        let found = catalogue.run(&lake::Question { sql, rows: 1, ..lake::Question::default() }).await?;
        let rows = grid::grid(&found, 1).map_err(|error| SqlError::Internal(error.into()))?;
        if let Some(row) = rows.rows.into_iter().next() {
            let mut cells = row.into_iter();
            let mut next = || cells.next().flatten();
            return Ok(RawEvent {
                topic: topic.name().to_owned(),
                partition,
                offset,
                table: format!("bronze.{}", table.name),
                kafka_time: next().unwrap_or_default(),
                ingested_at: next().unwrap_or_default(),
                key: next(),
                headers: next(),
                event_type: next(),
                payload: next().unwrap_or_default(),
                rejection: next(),
                reason: next(),
            });
        }
    }
    Err(BehindError::NoSuchEvent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_keeps_its_values_and_nothing_gets_out_of_the_text() {
        let filter = |dimension, values: &[&str]| Filter {
            dimension,
            values: values.iter().map(|&value| value.to_owned()).collect(),
        };
        assert_eq!(keeps(&filter(Dimension::Store, &["1", "x' OR '1'='1"])), "store_id IN ('1', 'x'' OR ''1''=''1')");
        assert_eq!(keeps(&filter(Dimension::Payment, &[""])), "payment_method IS NULL");
        assert_eq!(
            keeps(&filter(Dimension::Brand, &["Private"])),
            "product_id IN (SELECT product_id FROM silver.products WHERE brand IN ('Private'))"
        );
    }
}
