//! What is behind a number: the Silver rows that it was added up from, and the raw event behind each of them.

use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use chrono::Utc;
use http::{HeaderMap, StatusCode};
use model::{
    lake::{Behind, RawEvent},
    topic::Topic,
};

use super::ask::{Asked, OFTEN};
use crate::{
    behind::{self, BehindError},
    etag,
    lake::{Catalogue, SqlError},
    openapi::{IfNoneMatch, Refusals},
    parameters::Parameters,
    problem::Problem,
    routes::WebState,
};

const ONCE: [&str; 8] = ["metric", "days", "from", "to", "timezone", "as_of", "limit", "cursor"];

fn catalogue(state: &WebState) -> Result<&Catalogue, Problem> {
    state.parts.catalogue.get().map(AsRef::as_ref).ok_or_else(Problem::starting)
}

/// Answers what stands after the question mark.
///
/// # Errors
/// It cannot be understood, or has no answer.
pub(crate) async fn behind(catalogue: &Catalogue, query: Option<&str>) -> Result<Behind, Problem> {
    Parameters::read(query, &ONCE, &OFTEN)?;
    let asked = Asked::read(query, Utc::now())?;
    let [metric] = asked.metrics[..] else {
        return Err(Problem::bad_request("Ask for the rows behind one metric at a time."));
    };
    let page = behind::Page { limit: asked.limit, offset: asked.offset };
    let (interval, as_of) = (asked.interval, asked.as_of);
    let question = behind::Question { metric, interval, filters: &asked.filters, as_of, page };
    let mut found = behind::rows(catalogue, &question).await.map_err(refused)?;
    found.next = found.rows.truncated.then(|| asked.next());
    Ok(found)
}

fn refused(error: BehindError) -> Problem {
    match error {
        BehindError::Invalid(why) => Problem::bad_request(format!("This cannot be answered: {why}.")),
        BehindError::NoSuchEvent => Problem::new(StatusCode::NOT_FOUND, "The lake has no event from there."),
        BehindError::Sql(SqlError::Internal(error)) => {
            tracing::error!("rows behind a number cannot be read: {error:#}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on the server; its log says what.")
        }
        BehindError::Sql(error) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.sentence()),
    }
}

/// The rows behind a number
///
/// The Silver rows from which a metric over an interval is computed, in the order in which things happened. Each names its
/// topic, partition and offset, by which `/api/v1/events` has the event as it came.
#[utoipa::path(
    get, path = "/api/v1/analytics/rows", tag = "Analytics", operation_id = "analytics_rows",
    params(
        ("metric" = String, Query, description = "One name of the catalogue.", example = "revenue"),
        ("days" = Option<u16>, Query, description = "As for `/api/v1/analytics/historical`.", minimum = 1, maximum = 3660),
        ("from" = Option<String>, Query, description = "As for `/api/v1/analytics/historical`."),
        ("to" = Option<String>, Query, description = "As for `/api/v1/analytics/historical`."),
        ("filter" = Option<Vec<String>>, Query, style = Form, explode, description = "As for `/api/v1/analytics/historical`."),
        ("timezone" = Option<String>, Query, description = "Whose days `from` and `to` are."),
        ("as_of" = Option<String>, Query, description = "Only what had come in by then."),
        ("limit" = Option<u16>, Query, description = "Rows of a page; 1000 where nothing is said.", minimum = 1,
            maximum = 10000),
        ("cursor" = Option<String>, Query, description = "`next` of the page before, with the same parameters."),
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "The rows.", body = Behind, headers(
            ("ETag" = String, description = "Names this answer, for `If-None-Match`."))),
        (status = 304, description = "The same as the caller has."),
        Refusals,
    ),
)]
pub(crate) async fn rows(
    State(state): State<WebState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = behind(catalogue(&state)?, query.as_deref()).await?;
    Ok(etag::tagged(&headers, &found))
}

/// An event as it came
///
/// From the Bronze table of its topic, or from the dead letters if it could not be read.
#[utoipa::path(
    get, path = "/api/v1/events/{topic}/{partition}/{offset}", tag = "Lake", operation_id = "event",
    params(
        ("topic" = String, Path, description = "A Kafka topic.", example = "transaction-events"),
        ("partition" = i32, Path, description = "A partition of it.", minimum = 0),
        ("offset" = i64, Path, description = "The place in the partition.", minimum = 0),
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "The event.", body = RawEvent, headers(
            ("ETag" = String, description = "Names this answer, for `If-None-Match`."))),
        (status = 304, description = "The same as the caller has."),
        (status = 404, description = "The lake has no event from there.",
            body = Problem, content_type = "application/problem+json"),
        Refusals,
    ),
)]
pub(crate) async fn event(
    State(state): State<WebState>,
    Path((topic, partition, offset)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Parameters::read(query.as_deref(), &[], &[])?;
    let unknown = || Problem::unknown("topic", &topic, Topic::ALL.map(Topic::name));
    let topic = Topic::from_name(&topic).ok_or_else(unknown)?;
    let number = |what: &str| Problem::bad_request(format!("The {what} is a whole number from 0."));
    let partition = partition.parse::<u16>().map_err(|_| number("partition"))?.into();
    let offset =
        offset.parse::<u64>().ok().and_then(|offset| i64::try_from(offset).ok()).ok_or_else(|| number("offset"))?;
    let found = behind::event(catalogue(&state)?, topic, partition, offset).await.map_err(refused)?;
    Ok(etag::tagged(&headers, &found))
}
