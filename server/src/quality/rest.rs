//! What the rules found for programs: REST under `/api/v1/quality`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, State},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};
use chrono::{DateTime, Utc};
use http::StatusCode;
use model::{
    quality::{Freshness, RulePoint, RuleReport, RuleSample, Stopped, Volume},
    range::{Interval, Range},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Quality, results::Found, stopped, volume};
use crate::{
    access::rest::no_store, openapi::Refusals, parameters::Parameters, problem::Problem, routes::WebState,
    warehouse::QueryError,
};

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![
        ("/api/v1/quality/rules", get(rules)),
        ("/api/v1/quality/series", get(series)),
        ("/api/v1/quality/samples", get(samples)),
        ("/api/v1/quality/freshness", get(freshness)),
    ]
}

fn quality(state: &WebState) -> Result<&Arc<Quality>, Problem> {
    state.parts.quality.get().ok_or_else(Problem::starting)
}

fn internal(error: &anyhow::Error) -> Problem {
    tracing::error!("the quality of the data cannot be told: {error:#}");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on the server; its log says what.")
}

pub(super) fn answer(found: &impl Serialize) -> Response {
    no_store(Json(found).into_response())
}

/// The interval that is asked for: hours up to now, or days.
fn interval(parameters: &Parameters, now: DateTime<Utc>) -> Result<Interval, Problem> {
    let range = Range::parse(parameters.get("range").or(Some("24h")), parameters.get("from"), parameters.get("to"));
    Ok(range.map_err(Problem::bad_request)?.interval(now))
}

async fn found(state: &WebState, parameters: &Parameters) -> Result<(Interval, Found), Problem> {
    let quality = quality(state)?;
    let interval = interval(parameters, Utc::now())?;
    let rules = match parameters.get("rule") {
        None => quality.rules().to_vec(),
        Some(name) => {
            let names = || quality.rules().iter().map(|rule| rule.name.as_str());
            let rule = quality.rules().iter().find(|rule| rule.name == name);
            vec![rule.ok_or_else(|| Problem::unknown("rule", name, names()))?.clone()]
        }
    };
    let found = quality.results().over(&rules, interval).await.map_err(|error| internal(&error))?;
    Ok((interval, found))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RulesAnswer {
    interval: Interval,
    rules: Vec<RuleReport>,
    /// Topics that wait in Bronze because of a rule.
    stopped: Vec<Stopped>,
}

/// The quality rules
///
/// Each with the rows that it looked at and those that failed, over a range of the time at which they were looked at.
#[utoipa::path(
    get, path = "/api/v1/quality/rules", tag = "Quality", operation_id = "quality_rules",
    params(
        ("range" = Option<String>, Query, description = "`24h` (where nothing is said), `7d`, `30d`, `90d` or `1y`.", example = "24h"),
        ("from" = Option<String>, Query, description = "The first day, in UTC, with `to` in the place of `range`."),
        ("to" = Option<String>, Query, description = "The last day."),
        ("rule" = Option<String>, Query, description = "Only this one."),
    ),
    responses((status = 200, description = "The rules.", body = RulesAnswer), Refusals),
)]
pub(crate) async fn rules(State(state): State<WebState>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &["range", "from", "to", "rule"], &[])?;
    let (interval, found) = found(&state, &parameters).await?;
    Ok(answer(&RulesAnswer { interval, rules: found.rules, stopped: stopped(&state.parts.live) }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SeriesAnswer {
    interval: Interval,
    /// Width of a point's span, in minutes.
    minutes: i64,
    /// Spans in which a rule looked at rows.
    points: Vec<RulePoint>,
}

/// What the rules found over time
#[utoipa::path(
    get, path = "/api/v1/quality/series", tag = "Quality", operation_id = "quality_series",
    params(
        ("range" = Option<String>, Query, description = "As for `/api/v1/quality/rules`."),
        ("from" = Option<String>, Query, description = "As for `/api/v1/quality/rules`."),
        ("to" = Option<String>, Query, description = "As for `/api/v1/quality/rules`."),
        ("rule" = Option<String>, Query, description = "Only this one."),
    ),
    responses((status = 200, description = "The points, in the order of time.", body = SeriesAnswer), Refusals),
)]
pub(crate) async fn series(State(state): State<WebState>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &["range", "from", "to", "rule"], &[])?;
    let (interval, Found { minutes, points, .. }) = found(&state, &parameters).await?;
    Ok(answer(&SeriesAnswer { interval, minutes, points }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SamplesAnswer {
    samples: Vec<RuleSample>,
}

/// Rows that failed
///
/// A few of the newest, of each rule. Each names topic, partition and offset, by which `/api/v1/events` has the event as it came.
#[utoipa::path(
    get, path = "/api/v1/quality/samples", tag = "Quality", operation_id = "quality_samples",
    params(
        ("range" = Option<String>, Query, description = "As for `/api/v1/quality/rules`."),
        ("from" = Option<String>, Query, description = "As for `/api/v1/quality/rules`."),
        ("to" = Option<String>, Query, description = "As for `/api/v1/quality/rules`."),
        ("rule" = Option<String>, Query, description = "Only of this one."),
    ),
    responses((status = 200, description = "The samples, the newest first.", body = SamplesAnswer), Refusals),
)]
pub(crate) async fn samples(State(state): State<WebState>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref(), &["range", "from", "to", "rule"], &[])?;
    let (_, Found { samples, .. }) = found(&state, &parameters).await?;
    Ok(answer(&SamplesAnswer { samples }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FreshnessAnswer {
    tables: Vec<Freshness>,
    /// The last hour that is over, of each topic.
    volume: Vec<Volume>,
    /// The unusual hours of the last day, the newest first.
    anomalies: Vec<Volume>,
}

/// Freshness and volume
///
/// How old the newest event of each table is, and how many events each topic had in an hour beside the same hour of the eight weeks before:
/// unusual is a modified z-score beyond 3.5 (Iglewicz and Hoaglin, 1993).
#[utoipa::path(
    get, path = "/api/v1/quality/freshness", tag = "Quality", operation_id = "quality_freshness",
    responses((status = 200, description = "As of now.", body = FreshnessAnswer), Refusals),
)]
pub(crate) async fn freshness(State(state): State<WebState>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[], &[])?;
    let now = Utc::now();
    let tables = quality(&state)?.tables().freshness(now).await.map_err(|error| internal(&error))?;
    let warehouse = state.parts.warehouse.get().ok_or_else(Problem::starting)?;
    let (volume, anomalies) = volume::of(warehouse, now).await.map_err(|error| match error {
        QueryError::Internal(error) => internal(&error),
        for_people => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("The volumes cannot be told: {for_people}."))
        }
    })?;
    Ok(answer(&FreshnessAnswer { tables, volume, anomalies }))
}
