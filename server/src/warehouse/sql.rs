//! The SQL of a question. It is put together from fixed strings of the catalogue and from numbers alone: there is no place
//! where text from outside could enter.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use model::{
    metric::{BUCKET, GoldTable},
    query::{MAX_ROWS, MetricQuery},
    range::Granularity,
};

use super::{gold::Dictionaries, offsets::Offsets};

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

/// A filter with the dictionary's codes in place of its values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kept {
    column: &'static str,
    /// Ascending. A value that no row ever had has no code.
    codes: Vec<u32>,
    /// Whether rows that name nothing are kept.
    unnamed: bool,
}

impl Kept {
    pub(super) fn of(query: &MetricQuery, dictionaries: &Dictionaries) -> Vec<Kept> {
        let kept = query.filters.iter().map(|filter| {
            let code = |value: &String| dictionaries.of(filter.dimension).code(value);
            let mut codes: Vec<u32> = filter.values.iter().filter_map(code).collect();
            codes.sort_unstable();
            codes.dedup();
            Kept { column: filter.dimension.column(), codes, unnamed: filter.values.iter().any(String::is_empty) }
        });
        kept.collect()
    }

    fn condition(&self) -> String {
        let Kept { column, codes, unnamed } = self;
        let codes: Vec<String> = codes.iter().map(u32::to_string).collect();
        match (codes.is_empty(), unnamed) {
            (true, true) => format!("{column} IS NULL"),
            (true, false) => "FALSE".to_owned(),
            (false, true) => format!("({column} IN ({}) OR {column} IS NULL)", codes.join(", ")),
            (false, false) => format!("{column} IN ({})", codes.join(", ")),
        }
    }
}

/// The answer's columns: `begins` and `key` where they were asked for, then `m0`, `m1` and so on. Where neither was asked
/// for, SQL answers with a row even if there is nothing; `found` then counts the rows behind it. Buckets are of local time,
/// but for hours: these are the same everywhere, and when clocks go back two of them have one name.
pub(super) fn statement(part: &Part, query: &MetricQuery, kept: &[Kept], offsets: &Offsets) -> String {
    let mut columns = Vec::new();
    let mut groups = Vec::new();
    let mut order = Vec::new();
    if let Some(granularity) = query.granularity {
        let time = if granularity == Granularity::Hour { BUCKET.to_owned() } else { offsets.local() };
        columns.push(format!("date_trunc('{}', {time}) AS begins", granularity.name()));
        groups.push("begins");
        order.push("begins");
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
        "SELECT {} FROM {} WHERE {BUCKET} >= {} AND {BUCKET} < {}",
        columns.join(", "),
        part.table.name(),
        instant(query.interval.from),
        instant(query.interval.to),
    );
    for filter in kept {
        write!(sql, " AND {}", filter.condition()).expect("writing to a string succeeds");
    }
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
    use deltalake::arrow::array::StringArray;
    use model::{
        metric::{self, Dimension},
        query::Filter,
        range::Interval,
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
        assert_eq!(tables, [("sales", 2), ("event_counts", 1)]);
    }

    #[test]
    fn a_statement_reads_as_the_question() {
        let mut query = question(&["units"]);
        query.split = Some(Dimension::Brand);
        query.granularity = Some(Granularity::Week);
        let parts = parts(&query).expect("units have brands");
        assert_eq!(
            statement(&parts[0], &query, &[], &Offsets::utc()),
            "SELECT date_trunc('week', bucket) AS begins, brand AS key, sum(units) AS m0 \
             FROM product_sales WHERE bucket >= to_timestamp_micros(1000000) AND bucket < to_timestamp_micros(2000000) \
             GROUP BY begins, key ORDER BY begins, m0 DESC NULLS LAST, key LIMIT 10000"
        );
    }

    #[test]
    fn filters_are_codes_and_what_nobody_knows_keeps_nothing() {
        let dictionaries = Dictionaries::default();
        dictionaries.of(Dimension::Store).encode(&StringArray::from(vec!["10", "20", "30"]));
        let filter = |dimension, values: &[&str]| Filter {
            dimension,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let mut query = question(&["revenue"]);
        query.filters = vec![
            filter(Dimension::Store, &["30", "10", "x' OR '1'='1"]),
            filter(Dimension::Store, &["20", ""]),
            filter(Dimension::Payment, &[""]),
            filter(Dimension::Payment, &["card"]),
        ];
        let parts = parts(&query).expect("revenue has stores");
        let sql = statement(&parts[0], &query, &Kept::of(&query, &dictionaries), &Offsets::utc());
        let end = " AND store_id IN (0, 2) AND (store_id IN (1) OR store_id IS NULL) AND payment_method IS NULL AND FALSE \
                   LIMIT 10000";
        assert!(sql.ends_with(end), "{sql}");
        assert_eq!(dictionaries.of(Dimension::Store).len(), 3, "a question adds no names");
    }

    #[test]
    fn days_are_of_local_time_and_hours_are_hours() {
        let mut query = question(&["orders"]);
        let parts = parts(&query).expect("orders have a source");
        for (granularity, bucket) in [
            (Granularity::Hour, "date_trunc('hour', bucket) AS begins"),
            (Granularity::Day, "date_trunc('day', bucket + INTERVAL '120 minutes') AS begins"),
        ] {
            query.granularity = Some(granularity);
            let sql = statement(&parts[0], &query, &[], &Offsets::new(120, []));
            assert!(sql.contains(bucket), "{sql}");
        }
    }

    #[test]
    fn a_metric_without_the_dimension_is_named() {
        let mut query = question(&["revenue", "events"]);
        query.split = Some(Dimension::Store);
        assert_eq!(parts(&query).expect_err("events have no store"), "events");
    }
}
