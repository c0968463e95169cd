//! The SQL of a question. It is put together from fixed strings of the catalogue and from numbers alone: there is no place
//! where text from outside could enter.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use model::{
    metric::GoldTable,
    query::{MAX_ROWS, MetricQuery},
};

use super::gold::HOUR;

/// The part of a question that one table answers.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) table: GoldTable,
    /// The metrics' places in the question, with their aggregates.
    pub(super) metrics: Vec<(usize, &'static str)>,
}

/// Which table answers which metric; the name of the metric that cannot be split as asked if there is one.
///
/// # Errors
/// A metric that has no source for the dimension.
pub(super) fn parts(query: &MetricQuery) -> Result<Vec<Part>, &'static str> {
    let mut parts: Vec<Part> = Vec::new();
    for (place, metric) in query.metrics.iter().enumerate() {
        let source = metric.source(query.split, &query.filters).ok_or(metric.name)?;
        match parts.iter_mut().find(|part| part.table == source.table) {
            Some(part) => part.metrics.push((place, source.expression)),
            None => parts.push(Part { table: source.table, metrics: vec![(place, source.expression)] }),
        }
    }
    Ok(parts)
}

/// The answer's columns: `bucket` and `key` where they were asked for, then `m0`, `m1` and so on. Where neither was asked
/// for, SQL answers with a row even if there is nothing; `found` then counts the rows behind it.
pub(super) fn statement(part: &Part, query: &MetricQuery) -> String {
    let mut columns = Vec::new();
    let mut groups = Vec::new();
    let mut order = Vec::new();
    if let Some(granularity) = query.granularity {
        columns.push(format!("date_trunc('{}', {HOUR}) AS bucket", granularity.name()));
        groups.push("bucket");
        order.push("bucket");
    }
    if let Some(dimension) = query.split {
        columns.push(format!("{} AS key", dimension.column()));
        groups.push("key");
        // The key makes the order of equals the same each time.
        order.extend(["m0 DESC NULLS LAST", "key"]);
    }
    if groups.is_empty() {
        columns.push("count(*) AS found".to_owned());
    }
    for (index, (_, expression)) in part.metrics.iter().enumerate() {
        columns.push(format!("{expression} AS m{index}"));
    }
    let mut sql = format!(
        "SELECT {} FROM {} WHERE {HOUR} >= {} AND {HOUR} < {}",
        columns.join(", "),
        part.table.name(),
        instant(query.interval.from),
        instant(query.interval.to),
    );
    for (clause, terms) in [(" GROUP BY ", groups), (" ORDER BY ", order)] {
        if !terms.is_empty() {
            sql.push_str(clause);
            sql.push_str(&terms.join(", "));
        }
    }
    write!(sql, " LIMIT {}", query.limit.min(MAX_ROWS)).expect("writing to a string succeeds");
    sql
}

fn instant(time: DateTime<Utc>) -> String {
    format!("to_timestamp_micros({})", time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use model::{
        metric::{self, Dimension},
        range::{Granularity, Interval},
    };

    use super::*;

    fn question(metrics: &[&str]) -> MetricQuery {
        let at = |text: &str| text.parse().expect("a time");
        MetricQuery {
            metrics: metrics.iter().map(|name| metric::find(name).expect("a metric")).collect(),
            interval: Interval { from: at("1970-01-01T00:00:01Z"), to: at("1970-01-01T00:00:02Z") },
            granularity: None,
            split: None,
            filters: Vec::new(),
            limit: usize::MAX,
        }
    }

    #[test]
    fn metrics_of_one_table_share_a_statement() {
        let parts = parts(&question(&["revenue", "events", "orders"])).expect("all have a source");
        let tables: Vec<_> = parts.iter().map(|part| (part.table.name(), part.metrics.len())).collect();
        assert_eq!(tables, [("sales_hourly", 2), ("events_hourly", 1)]);
    }

    #[test]
    fn a_statement_reads_as_the_question() {
        let mut query = question(&["units"]);
        query.split = Some(Dimension::Brand);
        query.granularity = Some(Granularity::Week);
        let parts = parts(&query).expect("units have brands");
        assert_eq!(
            statement(&parts[0], &query),
            "SELECT date_trunc('week', hour) AS bucket, brand AS key, sum(units) AS m0 \
             FROM product_hourly WHERE hour >= to_timestamp_micros(1000000) AND hour < to_timestamp_micros(2000000) \
             GROUP BY bucket, key ORDER BY bucket, m0 DESC NULLS LAST, key LIMIT 10000"
        );
    }

    #[test]
    fn a_metric_without_the_dimension_is_named() {
        let mut query = question(&["revenue", "events"]);
        query.split = Some(Dimension::Store);
        assert_eq!(parts(&query).expect_err("events have no store"), "events");
    }
}
