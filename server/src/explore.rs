//! The numbers of the Explore page, for the page and as a file.

use std::collections::HashMap;

use app::ports::Unavailable;
use axum::{
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use chrono::{DateTime, Utc};
use http::{StatusCode, header};
use model::{
    explore::{ExploreAnswer, ExploreView},
    metric::Metric,
    query::{Filter, MAX_ROWS, MetricQuery, Row},
    range::{Granularity, Interval},
};
use url::form_urlencoded;

use crate::{
    access::audit::harmless,
    dashboard::unanswered,
    overview::of_nothing,
    problem::Problem,
    routes::WebState,
    warehouse::{QueryError, Warehouse},
    zone::Zone,
};

/// Values of a split that are shown, and those that are followed over time.
const RANKED: usize = 100;
const FOLLOWED: usize = 8;

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/explore.csv", get(export))]
}

/// # Errors
/// The view cannot be answered, and why.
pub async fn explore(warehouse: &Warehouse, view: &ExploreView, now: DateTime<Utc>) -> Result<ExploreAnswer, Unavailable> {
    view.check().map_err(Unavailable::Failed)?;
    let interval = view.range.interval(now);
    let granularity = view.granularity(interval).map_err(Unavailable::Failed)?;
    let asked = Asked { warehouse, view, metrics: view.metrics(), granularity };
    asked.answer(interval, now).await.map_err(unanswered)
}

struct Asked<'a> {
    warehouse: &'a Warehouse,
    view: &'a ExploreView,
    metrics: Vec<&'static Metric>,
    granularity: Option<Granularity>,
}

impl Asked<'_> {
    async fn answer(&self, interval: Interval, now: DateTime<Utc>) -> Result<ExploreAnswer, QueryError> {
        let most = if self.granularity.is_some() { FOLLOWED } else { RANKED };
        let (mut keys, mut more) = (vec![None], false);
        if self.view.split.is_some() {
            let ranked = self.warehouse.query(&self.query(interval, None, &self.view.filters, most + 1)).await?;
            more = ranked.len() > most;
            keys = ranked.iter().take(most).map(|row| row.key.clone()).collect();
        }
        let rows = self.rows(interval, &keys).await?;
        let previous = if self.view.compare && !rows.is_empty() {
            self.aligned(&rows, interval, &keys).await?
        } else {
            Vec::new()
        };
        Ok(ExploreAnswer { interval, granularity: self.granularity, computed_at: now, rows, previous, more })
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

    /// The rows of these values, with every bucket; none where nothing happened at all.
    async fn rows(&self, interval: Interval, keys: &[Option<String>]) -> Result<Vec<Row>, QueryError> {
        let mut filters = self.view.filters.clone();
        if let Some(dimension) = self.view.split {
            filters.retain(|filter| filter.dimension != dimension);
            filters.push(Filter { dimension, values: keys.iter().map(|key| key.clone().unwrap_or_default()).collect() });
        }
        let found = self.warehouse.query(&self.query(interval, self.granularity, &filters, MAX_ROWS)).await?;
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

    /// The interval before, row by row.
    async fn aligned(&self, rows: &[Row], interval: Interval, keys: &[Option<String>]) -> Result<Vec<Row>, QueryError> {
        let before = self.rows(interval.previous(), keys).await?;
        let unknown = |row: &Row| Row { values: vec![None; self.metrics.len()], ..row.clone() };
        if self.granularity.is_some() {
            // Both are complete grids of buckets and values, in the same order.
            return Ok(rows.iter().enumerate().map(|(i, row)| before.get(i).cloned().unwrap_or_else(|| unknown(row))).collect());
        }
        let before: HashMap<_, _> = before.iter().map(|row| (&row.key, row)).collect();
        Ok(rows.iter().map(|row| before.get(&row.key).map_or_else(|| unknown(row), |row| (*row).clone())).collect())
    }
}

/// The rows that the page shows, as a file.
async fn export(State(state): State<WebState>, RawQuery(query): RawQuery) -> Response {
    let pairs: Vec<_> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let view = match ExploreView::parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
        Ok(view) => view,
        Err(reason) => return Problem::bad_request(reason).into_response(),
    };
    let Some(warehouse) = state.parts.warehouse.get() else { return Problem::starting().into_response() };
    let answer = match explore(warehouse, &view, Utc::now()).await {
        Ok(answer) => answer,
        Err(Unavailable::Failed(reason)) => return Problem::bad_request(reason).into_response(),
        Err(_) => return Problem::starting().into_response(),
    };
    match csv(&view, &answer) {
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"explore.csv\""),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, text).into_response()
        }
        Err(error) => {
            tracing::error!("numbers cannot be exported: {error:#}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The file could not be written.").into_response()
        }
    }
}

/// Numbers are exact and unformatted; a value that a spreadsheet would take for a formula gets a quote in front.
fn csv(view: &ExploreView, answer: &ExploreAnswer) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> = Vec::new();
    header.extend(answer.granularity.map(|granularity| granularity.name().to_owned()));
    header.extend(view.split.map(|dimension| dimension.name().to_owned()));
    header.extend(view.metrics.iter().cloned());
    if view.compare {
        header.extend(view.metrics.iter().map(|name| format!("{name}_before")));
    }
    writer.write_record(header)?;
    for (place, row) in answer.rows.iter().enumerate() {
        let mut record: Vec<String> = Vec::new();
        record.extend(row.time.map(|time| time.to_rfc3339()));
        record.extend(view.split.map(|_| harmless(row.key.as_deref().unwrap_or_default())));
        let before = view.compare.then(|| answer.previous.get(place)).flatten();
        for row in [Some(row), before].into_iter().flatten() {
            record.extend(row.values.iter().map(|value| value.map(|value| value.normalize().to_string()).unwrap_or_default()));
        }
        writer.write_record(record)?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_columns_and_holds_no_formula() {
        let view = ExploreView::parse([("split", "store"), ("compare", "yes")]).expect("a view");
        let row = |value: i64| Row { time: None, key: Some("=1+1".to_owned()), values: vec![Some(value.into())] };
        let answer = ExploreAnswer {
            interval: view.range.interval(DateTime::UNIX_EPOCH),
            granularity: None,
            computed_at: DateTime::UNIX_EPOCH,
            rows: vec![row(3)],
            previous: vec![row(2)],
            more: false,
        };
        let text = String::from_utf8(csv(&view, &answer).expect("CSV")).expect("text");
        assert_eq!(text, "store,revenue,revenue_before\n'=1+1,3,2\n");
    }
}
