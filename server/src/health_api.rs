//! Health over HTTP: the whole picture, and the two questions that orchestrators ask. All of it is open and answered from
//! memory.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use http::{HeaderValue, StatusCode, header};
use model::{
    access::Permission,
    health::{Health, Status},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{access::guard::Identity, health::Part, openapi::OpenRefusals, routes::WebState};

pub fn routes() -> Vec<(&'static str, MethodRouter<WebState>)> {
    vec![("/api/v1/health", get(health)), ("/api/v1/health/live", get(live)), ("/api/v1/health/ready", get(ready))]
}

/// Whether the process answers at all.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alive {
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
}

/// Whether requests are answered fully.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    pub ready: bool,
    /// What is missing: `accounts`, `numbers`, `postgres` or `lake`.
    pub waiting_for: Vec<String>,
}

fn answer<T: Serialize>(good: bool, body: T) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !good {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

/// How well everything works
///
/// Never waits. 503 only if a component is down; a degraded one works in part, or is being brought back. Details of the
/// components are for those with the permission `pipeline:read`.
#[utoipa::path(
    get, path = "/api/v1/health", tag = "Operation", operation_id = "health",
    responses(
        OpenRefusals,
        (status = 200, description = "Everything works, or works in part, or is still starting.", body = Health),
        (status = 503, description = "A component is down.", content(
            (Health = "application/json"), (crate::problem::Problem = "application/problem+json"))),
    ),
)]
pub(crate) async fn health(State(state): State<WebState>, identity: Option<Extension<Identity>>) -> Response {
    let mut health = state.dashboard.health().await;
    if !identity.is_some_and(|identity| identity.standing.may(Permission::PipelineRead)) {
        health.components.iter_mut().for_each(|component| component.detail = None);
    }
    answer(health.status != Status::Down, health)
}

/// Is the process alive
///
/// Answers as long as the process can answer anything: one that does not should be started anew.
#[utoipa::path(
    get, path = "/api/v1/health/live", tag = "Operation", operation_id = "health_live",
    responses((status = 200, description = "It is.", body = Alive), OpenRefusals),
)]
pub(crate) async fn live() -> Response {
    answer(true, Alive { status: "ok" })
}

/// Is the server ready
///
/// Whether requests can be sent here: accounts and numbers are there, and PostgreSQL and the lake answer. Where the broker,
/// Redis or the pipeline fail the pages still have what came before, so those do not count.
#[utoipa::path(
    get, path = "/api/v1/health/ready", tag = "Operation", operation_id = "health_ready",
    responses(
        OpenRefusals,
        (status = 200, description = "It is.", body = Readiness),
        (status = 503, description = "Not now; `waiting_for` says what is missing.", content(
            (Readiness = "application/json"), (crate::problem::Problem = "application/problem+json"))),
    ),
)]
pub(crate) async fn ready(State(state): State<WebState>) -> Response {
    let health = state.dashboard.health().await;
    let mut waiting_for = Vec::new();
    if state.gate.access().is_none() {
        waiting_for.push("accounts".to_owned());
    }
    if state.parts.warehouse.get().is_none() {
        waiting_for.push("numbers".to_owned());
    }
    let needed = [Part::Postgres.name(), Part::Lake.name()];
    let down = health.components.into_iter().filter(|component| component.status == Status::Down);
    waiting_for.extend(down.map(|component| component.name).filter(|name| needed.contains(&name.as_str())));
    answer(waiting_for.is_empty(), Readiness { ready: waiting_for.is_empty(), waiting_for })
}
