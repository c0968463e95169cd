//! The numbers for programs: REST under `/api/v1/analytics`.
//!
//! The answers come from where those of the pages come from, so they are the same numbers. Amounts and counts are exact
//! decimal numbers, written as text.

mod ask;
mod cursor;
mod historical;
mod realtime;
pub(crate) mod rows;

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use model::metric::{Dimension, METRICS, Metric, Unit};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    etag,
    numbers::Numbers,
    openapi::Refusals,
    parameters::Parameters,
    problem::Problem,
    routes::WebState,
    warehouse::{QueryError, Warehouse},
};

pub use historical::{Historical, HistoricalRow, MetricUnit, PreviousRow};
pub use realtime::{Realtime, Today, TodayKpi};

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![
        ("/api/v1/analytics/metrics", get(metrics)),
        ("/api/v1/analytics/realtime", get(realtime)),
        ("/api/v1/analytics/historical", get(historical)),
        ("/api/v1/analytics/rows", get(rows::rows)),
        ("/api/v1/events/{topic}/{partition}/{offset}", get(rows::event)),
    ]
}

fn warehouse(state: &WebState) -> Result<&Arc<Warehouse>, Problem> {
    state.parts.warehouse.get().ok_or_else(Problem::starting)
}

/// The numbers of now, or of an earlier time.
fn numbers(state: &WebState, as_of: Option<DateTime<Utc>>) -> Result<Numbers<'_>, Problem> {
    let warehouse = warehouse(state)?;
    let Some(at) = as_of else { return Ok(Numbers::now(warehouse)) };
    let catalogue = state.parts.catalogue.get().ok_or_else(Problem::starting)?;
    Ok(Numbers::as_of(warehouse, catalogue, at))
}

/// Why a question has no answer.
fn refused(error: QueryError) -> Problem {
    match error {
        QueryError::Internal(error) => {
            tracing::error!("a question to the warehouse failed: {error:#}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on the server; its log says what.")
        }
        QueryError::Timeout(_) | QueryError::TooLarge | QueryError::Busy => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, sentence(&error))
        }
        QueryError::NoSuchSplit { metric, .. } | QueryError::NoSource { metric, .. } => {
            let known: Vec<_> = model::metric::find(metric).map(names_of).unwrap_or_default();
            Problem::bad_request(format!(
                "This cannot be answered: {error}. `{metric}` is known by {}; see /api/v1/analytics/metrics.",
                known.join(", ")
            ))
        }
        QueryError::TooManyFilters => Problem::bad_request(sentence(&error)),
    }
}

fn sentence(error: &QueryError) -> String {
    format!("This cannot be answered: {error}.")
}

fn names_of(metric: &Metric) -> Vec<&'static str> {
    let mut dimensions: Vec<Dimension> = metric.dimensions().collect();
    dimensions.sort_unstable();
    dimensions.dedup();
    dimensions.into_iter().map(Dimension::name).collect()
}

/// The metric catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub struct Catalogue {
    pub metrics: Vec<MetricInfo>,
}

/// A number that can be asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricInfo {
    #[schema(value_type = String, example = "revenue")]
    pub name: &'static str,
    #[schema(value_type = String, example = "Revenue")]
    pub label: &'static str,
    pub unit: Unit,
    #[schema(value_type = String, example = "What customers paid, discounts already taken off.")]
    pub description: &'static str,
    /// Lists of dimensions: those of one list can be grouped and filtered by together.
    pub dimensions: Vec<Vec<DimensionInfo>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DimensionInfo {
    pub name: Dimension,
    #[schema(value_type = String, example = "Payment method")]
    pub label: &'static str,
}

/// The metric catalogue
///
/// Every metric, and the dimensions that it can be grouped and filtered by.
#[utoipa::path(
    get, path = "/api/v1/analytics/metrics", tag = "Analytics", operation_id = "analytics_metrics",
    params(crate::openapi::IfNoneMatch),
    responses(
        (status = 200, description = "The catalogue.", body = Catalogue, headers(
            ("ETag" = String, description = "Names this answer, for `If-None-Match`."))),
        (status = 304, description = "The same as the caller has."),
        Refusals,
    ),
)]
pub(crate) async fn metrics(RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[], &[])?;
    let info = |dimension: &Dimension| DimensionInfo { name: *dimension, label: dimension.label() };
    let metrics = METRICS.iter().map(|metric| MetricInfo {
        name: metric.name,
        label: metric.label,
        unit: metric.unit,
        description: metric.description,
        dimensions: metric.sources.iter().map(|source| source.table.dimensions().iter().map(info).collect()).collect(),
    });
    Ok(etag::tagged(&headers, &Catalogue { metrics: metrics.collect() }))
}

/// What happens now
///
/// The pipeline's live metrics, and every metric of the day so far beside the same hours of the day before.
#[utoipa::path(
    get, path = "/api/v1/analytics/realtime", tag = "Analytics", operation_id = "analytics_realtime",
    params(("timezone" = Option<String>, Query, description = "The time zone whose day it is, as the IANA database names it; \
        UTC where nothing is said.", example = "Europe/Berlin")),
    responses((status = 200, description = "As of now.", body = Realtime), Refusals),
)]
pub(crate) async fn realtime(State(state): State<WebState>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let zone = ask::zone(&Parameters::read(query.as_deref(), &["timezone"], &[])?)?;
    let answer = realtime::answer(warehouse(&state)?, state.parts.live.now(), zone, Utc::now()).await?;
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((no_store, Json(answer)).into_response())
}

/// Metrics over an interval
///
/// One or several metrics, in all, by time, by a dimension, or by both. Without `group_by` there is a row for every bucket
/// of the interval; with it the rows with the greatest first metric come first. The tables hold quarters of
/// an hour: `from` is rounded down to one and `to` up, and `interval` says what was answered. Every time zone is answered
/// exactly, but for times before 1972 when some clocks were not whole quarters away from UTC; these are refused.
#[utoipa::path(
    get, path = "/api/v1/analytics/historical", tag = "Analytics", operation_id = "analytics_historical",
    params(
        ("metric" = String, Query, description = "One or several names of the catalogue, with commas between.",
            example = "revenue,orders"),
        ("days" = Option<u16>, Query, description = "The last so many times 24 hours, the current hour included; 30 where no \
            interval is said.", minimum = 1, maximum = 3660, example = 7),
        ("from" = Option<String>, Query, description = "A day (2025-11-01) or a time (2025-11-01T10:00:00Z); instead of \
            `days`."),
        ("to" = Option<String>, Query, description = "A day, which is part of the interval, or a time, which is not; now \
            where nothing is said."),
        ("granularity" = Option<String>, Query, description = "`hour`, `day`, `week` (from Monday), `month`, `auto` (by the \
            interval's length) or `none` (the interval as a whole). Where nothing is said `auto`, or `none` with `group_by`.",
            example = "day"),
        ("group_by" = Option<Dimension>, Query, description = "Split by this dimension."),
        ("filter" = Option<Vec<String>>, Query, style = Form, explode, description = "`dimension:value`; several of one \
            dimension are alternatives, those of different dimensions hold together. `brand:` is what names no brand."),
        ("compare" = Option<String>, Query, description = "`previous`: each row has beside it what it was in the interval \
            before, which is as long or has as many days."),
        ("timezone" = Option<String>, Query, description = "Whose days, weeks and months, as the IANA database names it; UTC \
            where nothing is said.", example = "America/New_York"),
        ("as_of" = Option<String>, Query, description = "A day or a time that has passed: the numbers as they stood then, made anew \
            from the events that had come in; `days` and a missing `to` count from it. Departments, categories and brands of \
            products are those of today.", example = "2025-11-01T10:00:00Z"),
        ("limit" = Option<u16>, Query, description = "Rows of a page; 1000 where nothing is said.", minimum = 1,
            maximum = 10000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before, with the same parameters."),
        crate::openapi::IfNoneMatch,
    ),
    responses(
        (status = 200, description = "The numbers.", body = Historical, headers(
            ("ETag" = String, description = "Names this answer, for `If-None-Match`; another as soon as a number differs."))),
        (status = 304, description = "The same as the caller has."),
        Refusals,
    ),
)]
pub(crate) async fn historical(
    State(state): State<WebState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = ask::Asked::read(query.as_deref(), Utc::now())?;
    let answer = historical::answer(numbers(&state, asked.as_of)?, &asked).await?;
    Ok(etag::tagged(&headers, &answer))
}
