//! The numbers of the Explore page.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use app::ports::Unavailable;
use chrono::{DateTime, Utc};
use model::{
    explore::{ExploreAnswer, ExploreView, KnownValue},
    metric::{Dimension, METRICS, Metric},
    query::{Filter, MAX_ROWS, MetricQuery, Row},
    range::{Granularity, Interval},
};

use crate::{
    dashboard::unanswered,
    numbers::Numbers,
    overview::{of_nothing, product_name},
    warehouse::{Offsets, QueryError, Warehouse},
    zone::Zone,
};

/// Values of a split that are shown, and those that are followed over time.
const RANKED: usize = 100;
const FOLLOWED: usize = 8;
/// Values of a dimension among which to choose.
const KNOWN: usize = 50;

/// # Errors
/// The view cannot be answered, and why.
pub async fn explore(
    numbers: Numbers<'_>,
    view: &ExploreView,
    now: DateTime<Utc>,
) -> Result<ExploreAnswer, Unavailable> {
    view.check().map_err(Unavailable::Failed)?;
    if view.as_of.is_some_and(|at| at > now) {
        return Err(Unavailable::Failed("The time as of which this is asked lies ahead.".to_owned()));
    }
    let interval = view.range.interval(view.as_of.unwrap_or(now));
    let granularity = view.granularity(interval).map_err(Unavailable::Failed)?;
    let asked = Asked { numbers, view, metrics: view.metrics(), granularity };
    asked.answer(interval, now).await.map_err(unanswered)
}

/// The values of a dimension that are greatest by the first metric of the catalogue that knows it.
///
/// # Errors
/// The warehouse has no answer.
pub async fn known_values(
    warehouse: &Warehouse,
    dimension: Dimension,
    interval: Interval,
) -> Result<Vec<KnownValue>, QueryError> {
    let knowing = METRICS.iter().find(|metric| metric.source(Some(dimension), &[]).is_some());
    let query = MetricQuery {
        metrics: knowing.into_iter().collect(),
        interval,
        granularity: None,
        split: Some(dimension),
        filters: Vec::new(),
        limit: KNOWN,
    };
    let rows = warehouse.query(&query).await?;
    let known = rows.iter().filter_map(|row| row.key.clone()).map(|value| {
        let name = name(warehouse, dimension, &value);
        KnownValue { value, name }
    });
    Ok(known.collect())
}

/// What people call a value, where that is not the value itself.
fn name(warehouse: &Warehouse, dimension: Dimension, value: &str) -> Option<String> {
    if dimension != Dimension::Product {
        return None;
    }
    product_name(&warehouse.describe_product(value)).map(|name| format!("{name} ({value})"))
}

struct Asked<'a> {
    numbers: Numbers<'a>,
    view: &'a ExploreView,
    metrics: Vec<&'static Metric>,
    granularity: Option<Granularity>,
}

impl Asked<'_> {
    async fn answer(&self, interval: Interval, now: DateTime<Utc>) -> Result<ExploreAnswer, QueryError> {
        let most = if self.granularity.is_some() { FOLLOWED } else { RANKED };
        let (mut keys, mut more) = (vec![None], false);
        if self.view.split.is_some() {
            let ranked = self.ask(&self.query(interval, None, &self.view.filters, most + 1)).await?;
            more = ranked.len() > most;
            keys = ranked.iter().take(most).map(|row| row.key.clone()).collect();
        }
        let rows = self.rows(interval, &keys).await?;
        let previous =
            if self.view.compare { self.aligned(&rows, interval.previous(), &keys).await? } else { Vec::new() };
        let names = self.names(&keys);
        let granularity = self.granularity;
        Ok(ExploreAnswer { interval, granularity, computed_at: now, rows, previous, more, names })
    }

    fn query(
        &self,
        interval: Interval,
        granularity: Option<Granularity>,
        filters: &[Filter],
        limit: usize,
    ) -> MetricQuery {
        let (metrics, split) = (self.metrics.clone(), self.view.split);
        MetricQuery { metrics, interval, granularity, split, filters: filters.to_vec(), limit }
    }

    async fn ask(&self, query: &MetricQuery) -> Result<Arc<Vec<Row>>, QueryError> {
        self.numbers.query(query, &Offsets::utc()).await
    }

    /// The rows of these values, with every bucket; none where nothing happened at all.
    async fn rows(&self, interval: Interval, keys: &[Option<String>]) -> Result<Vec<Row>, QueryError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut filters = self.view.filters.clone();
        if let Some(dimension) = self.view.split {
            let values = keys.iter().map(|key| key.clone().unwrap_or_default()).collect();
            filters.retain(|filter| filter.dimension != dimension);
            filters.push(Filter { dimension, values });
        }
        let found = self.ask(&self.query(interval, self.granularity, &filters, MAX_ROWS)).await?;
        let Some(granularity) = self.granularity.filter(|_| !found.is_empty()) else { return Ok(found.to_vec()) };
        let found: HashMap<_, _> = found.iter().map(|row| ((row.time, &row.key), row)).collect();
        let nothing: Vec<_> = self.metrics.iter().map(|metric| of_nothing(metric)).collect();
        let mut rows = Vec::new();
        for time in Zone::UTC.buckets(interval, granularity).into_iter().map(Some) {
            for key in keys {
                let row = found.get(&(time, key)).map(|row| (*row).clone());
                rows.push(row.unwrap_or_else(|| Row { time, key: key.clone(), values: nothing.clone() }));
            }
        }
        Ok(rows)
    }

    /// What each of the rows was in the interval before.
    async fn aligned(&self, rows: &[Row], before: Interval, keys: &[Option<String>]) -> Result<Vec<Row>, QueryError> {
        let before = self.rows(before, keys).await?;
        let unknown = |row: &Row| Row { values: vec![None; self.metrics.len()], ..row.clone() };
        if self.granularity.is_some() {
            // Both are complete grids of buckets and values, in the same order.
            let aligned = rows.iter().enumerate();
            return Ok(aligned.map(|(i, row)| before.get(i).cloned().unwrap_or_else(|| unknown(row))).collect());
        }
        let before: HashMap<_, _> = before.iter().map(|row| (&row.key, row)).collect();
        Ok(rows.iter().map(|row| before.get(&row.key).map_or_else(|| unknown(row), |row| (*row).clone())).collect())
    }

    fn names(&self, keys: &[Option<String>]) -> BTreeMap<String, String> {
        let of_split = self
            .view
            .split
            .into_iter()
            .flat_map(|dimension| keys.iter().flatten().map(move |key| (dimension, key.as_str())));
        let all = of_split.chain(self.view.filter_values());
        all.filter_map(|(dimension, value)| Some((value.to_owned(), name(self.numbers.warehouse(), dimension, value)?)))
            .collect()
    }
}
