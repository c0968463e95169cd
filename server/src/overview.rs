//! The overview page's numbers, put together from answers of the warehouse.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use model::{
    metric::{self, Dimension, METRICS, Metric},
    overview::{Kpi, Overview, Point, Ranked},
    query::{MAX_ROWS, MetricQuery, Row},
    range::{Interval, Range},
};
use rust_decimal::Decimal;

use crate::{
    warehouse::{Description, QueryError, Warehouse},
    zone::Zone,
};

const DEPARTMENTS: usize = 12;
const PRODUCTS: usize = 10;
const STORES: usize = 10;
const UNKNOWN: &str = "Unknown";

/// Every question behind the overview of an interval.
pub struct Questions {
    pub totals: MetricQuery,
    pub previous: MetricQuery,
    pub course: MetricQuery,
    pub departments: MetricQuery,
    pub products: MetricQuery,
    pub stores: MetricQuery,
}

impl Questions {
    pub fn new(interval: Interval) -> Questions {
        let all: Vec<&'static Metric> = METRICS.iter().collect();
        let whole = |interval| MetricQuery {
            metrics: all.clone(),
            interval,
            granularity: None,
            split: None,
            filters: Vec::new(),
            limit: 1,
        };
        let ranking = |dimension, count, limit| MetricQuery {
            metrics: vec![named("revenue"), named(count)],
            interval,
            granularity: None,
            split: Some(dimension),
            filters: Vec::new(),
            limit,
        };
        let course = MetricQuery { granularity: Some(interval.granularity()), limit: MAX_ROWS, ..whole(interval) };
        Questions {
            totals: whole(interval),
            previous: whole(interval.previous()),
            course,
            departments: ranking(Dimension::Department, "units", DEPARTMENTS),
            products: ranking(Dimension::Product, "units", PRODUCTS),
            stores: ranking(Dimension::Store, "orders", STORES),
        }
    }
}

fn named(name: &str) -> &'static Metric {
    metric::find(name).expect("the overview shows metrics of the catalogue")
}

/// Asks all of them at once and puts the answers together.
///
/// # Errors
/// The first question that failed.
pub async fn overview(warehouse: &Warehouse, range: Range, now: DateTime<Utc>) -> Result<Overview, QueryError> {
    let interval = range.interval(now);
    let questions = Questions::new(interval);
    let (totals, previous, course, departments, products, stores) = tokio::try_join!(
        warehouse.query(&questions.totals),
        warehouse.query(&questions.previous),
        warehouse.query(&questions.course),
        warehouse.query(&questions.departments),
        warehouse.query(&questions.products),
        warehouse.query(&questions.stores),
    )?;
    let granularity = interval.granularity();
    let course = Course::new(&course, Zone::UTC.buckets(interval, granularity));
    let kpis = METRICS.iter().enumerate().map(|(index, metric)| Kpi {
        metric: metric.name.to_owned(),
        value: value(&totals, index),
        previous: value(&previous, index),
        course: course.of(index, metric),
    });
    let product = |row: &Row| {
        let description = row.key.as_deref().map(|id| warehouse.describe_product(id)).unwrap_or_default();
        ranked(row, product_label(&description), row.key.clone())
    };
    Ok(Overview {
        interval,
        granularity,
        computed_at: now,
        kpis: kpis.collect(),
        revenue: course.points(),
        departments: departments.iter().map(plain).collect(),
        products: products.iter().map(product).collect(),
        stores: stores.iter().map(plain).collect(),
    })
}

fn value(rows: &[Row], index: usize) -> Option<Decimal> {
    rows.first().and_then(|row| row.values.get(index).copied().flatten())
}

/// The metrics bucket by bucket, with every bucket of the interval, so that a gap in the data is a gap in time.
struct Course<'a> {
    rows: HashMap<DateTime<Utc>, &'a Row>,
    buckets: Vec<DateTime<Utc>>,
}

impl<'a> Course<'a> {
    fn new(rows: &'a Arc<Vec<Row>>, buckets: Vec<DateTime<Utc>>) -> Course<'a> {
        Course { rows: rows.iter().filter_map(|row| Some((row.time?, row))).collect(), buckets }
    }

    fn at(&self, time: &DateTime<Utc>, index: usize, metric: &Metric) -> Option<Decimal> {
        self.rows.get(time).and_then(|row| row.values.get(index).copied().flatten()).or_else(|| of_nothing(metric))
    }

    fn of(&self, index: usize, metric: &Metric) -> Vec<Option<Decimal>> {
        self.buckets.iter().map(|time| self.at(time, index, metric)).collect()
    }

    /// Nothing at all where no bucket has any data.
    fn points(&self) -> Vec<Point> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let course = |name: &str, time: &DateTime<Utc>| {
            let index = METRICS.iter().position(|metric| metric.name == name);
            index.and_then(|index| self.at(time, index, &METRICS[index])).unwrap_or_default()
        };
        let point = |time: &DateTime<Utc>| Point {
            time: *time,
            revenue: course("revenue", time),
            orders: course("orders", time),
        };
        self.buckets.iter().map(point).collect()
    }
}

/// What a metric is where nothing happened: a sum or a count is zero, a ratio is nothing.
pub(crate) fn of_nothing(metric: &Metric) -> Option<Decimal> {
    let is_ratio = metric.sources.iter().any(|source| source.expression.contains('/'));
    (!is_ratio).then_some(Decimal::ZERO)
}

fn plain(row: &Row) -> Ranked {
    ranked(row, row.key.clone().unwrap_or_else(|| UNKNOWN.to_owned()), None)
}

fn ranked(row: &Row, label: String, detail: Option<String>) -> Ranked {
    let value = |index: usize| row.values.get(index).copied().flatten().unwrap_or_default();
    Ranked { label, detail, revenue: value(0), count: value(1) }
}

fn product_label(product: &Description) -> String {
    product_name(product).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// The product's name; where it has none, its type (or category) and brand.
pub(crate) fn product_name(product: &Description) -> Option<String> {
    if let Some(name) = &product.name {
        return Some(name.to_string());
    }
    let what = product.product_type.as_ref().or(product.category.as_ref());
    let parts: Vec<&str> = [what, product.brand.as_ref()].into_iter().flatten().map(AsRef::as_ref).collect();
    (!parts.is_empty()).then(|| parts.join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ratio_has_no_value_where_nothing_happened() {
        let without: Vec<_> =
            METRICS.iter().filter(|metric| of_nothing(metric).is_none()).map(|metric| metric.name).collect();
        assert_eq!(without, ["average_order_value"]);
    }

    #[test]
    fn a_product_is_called_by_what_is_known_of_it() {
        let some = |text: &str| Some(text.into());
        let mut product = Description { category: some("DAIRY"), ..Description::default() };
        assert_eq!(product_label(&product), "DAIRY");
        (product.product_type, product.brand) = (some("MILK"), some("Private"));
        assert_eq!(product_label(&product), "MILK · Private");
        product.name = some("Whole milk");
        assert_eq!(product_label(&product), "Whole milk");
        assert_eq!(product_label(&Description::default()), "Unknown");
    }
}
